"""As in CryoCore, `set` changes what is there: only an assignment, or a clear word, creates a parameter."""

from __future__ import annotations

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration, NoSuchParameterException, ValueRefused
from tests.processes import rows


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    return app.get_config("Camera")


class TestAParameterThatIsMissing:
    def test_set_refuses_it(self, cfg: NamedConfiguration, database_url: str) -> None:
        cfg["exposure"] = 1
        with pytest.raises(NoSuchParameterException, match=r"'Camera\.exposur' .* Did you mean 'Camera\.exposure'\?"):
            cfg.set("exposur", 2, comment="Seconds.", minimum=0)
        with pytest.raises(NoSuchParameterException):
            cfg.set("gain", 2, check=False)
        assert rows(database_url, "SELECT COUNT(*) FROM config_parameter WHERE path LIKE 'Camera.%'") == [(1,)]

    def test_a_clear_word_creates_it(self, cfg: NamedConfiguration) -> None:
        cfg.set("gain", 2, create=True)
        cfg.set("gain", 3, create=True)
        cfg["mode"] = "TEM"
        cfg.set("binning", 4, if_revision=0)
        assert (cfg["gain"], cfg["mode"], cfg["binning"]) == (3, "TEM", 4)

    def test_one_that_was_removed_elsewhere(self, cfg: NamedConfiguration, other: App) -> None:
        """Also before this process has heard of it."""
        cfg["gain"] = 2
        other.get_config("Camera").remove("gain")
        with pytest.raises(NoSuchParameterException):
            cfg.set("gain", 3)

    def test_a_folder_is_still_a_folder(self, cfg: NamedConfiguration) -> None:
        cfg["Stage.x"] = 1
        with pytest.raises(ValueRefused, match="it is a folder"):
            cfg.set("Stage", 1)

    def test_in_a_group(self, cfg: NamedConfiguration) -> None:
        with pytest.raises(NoSuchParameterException), cfg.together() as group:
            group["mode"] = "TEM"
            group.set("gain", 2)
        assert cfg.keys() == []
        with cfg.together() as group:
            group["mode"] = "TEM"
            group.set("gain", 2, create=True)
        assert cfg.keys() == ["gain", "mode"]
