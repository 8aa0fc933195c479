"""A secret parameter is shown to nobody: not in sentences, texts of objects, history, files or logs."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import ConfigException, ConfigParameter, NamedConfiguration
from NexusCore.config.values import MASK
from tests.processes import LIMIT, eventually

SECRETS = ("opensesame", "hunter2", "4711")


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    cfg = app.get_config("Mail")
    cfg.set_default("password", "opensesame", comment="For the server.", secret=True, pattern=".*s.*")
    cfg.set_default("pin", 4711, secret=True, minimum=1000)
    cfg["host"] = "localhost"
    return cfg


def clean(*texts: object) -> bool:
    return not [text for text in texts for secret in SECRETS if secret in f"{text!s} {text!r}"]


class TestMasked:
    """Who may read the value gets it; everything that is shown has stars."""

    def test_the_program_itself_gets_it(self, cfg: NamedConfiguration, other: App) -> None:
        assert (cfg["password"], other.get_config("Mail")["pin"]) == ("opensesame", 4711)

    def test_texts_of_objects(self, cfg: NamedConfiguration) -> None:
        cfg["password"] = "hunter2sss"
        parameters = [cfg.get("password"), cfg.get("pin")]
        assert clean(cfg, *parameters, cfg.get(), cfg.get_children(), cfg.get_leaves(), cfg.search("pass"))
        assert [one.shown for one in parameters] == [MASK, MASK]

    def test_history_files_and_differences(self, cfg: NamedConfiguration) -> None:
        before = cfg.get("host").revision
        cfg["password"] = "hunter2sss"
        cfg.remove("pin")
        assert clean(cfg.history("password"), cfg.history("pin"), cfg.serialize(), cfg.serialize("password"))
        assert [one.new_value for one in cfg.history("password")] == [MASK, MASK]
        found = cfg.diff(before)
        assert clean(found)
        assert {(one.path, one.old, one.new, one.secret) for one in found} == {
            ("Mail.password", MASK, MASK, True),
            ("Mail.pin", MASK, None, True),
        }

    def test_differences_between_versions(self, cfg: NamedConfiguration, app: App) -> None:
        cfg.copy_configuration("default", "night")
        night = app.get_config("Mail", "night")
        night["password"] = "hunter2sss"
        night.remove("pin")
        for found in (cfg.compare("night"), cfg.diff("night"), night.diff("default", "night")):
            assert clean(found)
            assert [(one.path, one.new) for one in found] == [("Mail.password", MASK), ("Mail.pin", None)]

    def test_what_was_shown_before_it_became_one(self, cfg: NamedConfiguration) -> None:
        """Between two revisions at which nobody had said yet that it is a secret."""
        cfg["token"] = "opensesame"
        then = cfg.get("token").revision
        cfg["token"] = "hunter2"
        now = cfg.get("token").revision
        cfg.set_default("token", "", secret=True)
        assert clean(cfg.diff(then, now), cfg.diff(then), cfg.history("token"))
        assert [one.path for one in cfg.diff(then, now)] == ["Mail.token"]
        assert cfg.rollback(then) == 1
        assert cfg["token"] == "opensesame"

    def test_one_stays_one_when_other_limits_are_set(self, cfg: NamedConfiguration) -> None:
        cfg.set("pin", 4711, maximum=9999)
        assert clean(cfg.get("pin"))
        assert (cfg.get("pin").limits.minimum, cfg.get("pin").limits.maximum) == (1000, 9999)

    @pytest.mark.parametrize(
        "refused",
        [
            lambda cfg: cfg.set("password", "hunter2"),
            lambda cfg: cfg.set("pin", "hunter2"),
            lambda cfg: cfg.set("pin", 47.11),
            lambda cfg: cfg.set("pin", 5),
            lambda cfg: cfg.set("password", "hunter2sss", if_revision=0),
            lambda cfg: cfg.get("pin").set_value("hunter2"),
            lambda cfg: cfg.get("pin").set_value("hunter2", commit=False),
            lambda cfg: cfg.set_default("new", "hunter2", datatype="integer", secret=True),
            lambda cfg: cfg.set_default("new", "hunter2", secret=True, pattern="x"),
            lambda cfg: cfg.deserialize('{"new": {"datatype": "integer", "value": "hunter2", "secret": true}}'),
            lambda cfg: cfg.deserialize('{"new": {"datatype": "string", "value": ["hunter2"], "secret": true}}'),
        ],
    )
    def test_errors_are_masked(self, cfg: NamedConfiguration, refused: Callable[[NamedConfiguration], object]) -> None:
        with pytest.raises(ConfigException) as caught:
            refused(cfg)
        shown = "".join(traceback.format_exception(caught.value)).splitlines()
        assert clean(caught.value, *(line for line in shown if "lambda" not in line))

    def test_log_lines_are_masked(self, cfg: NamedConfiguration, app: App, caplog: pytest.LogCaptureFixture) -> None:
        """A callback that fails is logged; its parameter is not told."""
        caplog.set_level(logging.DEBUG)

        def broken(parameter: ConfigParameter) -> None:
            raise LookupError(f"cannot use {parameter}")

        cfg.add_callback("password", broken)
        cfg["password"] = "hunter2sss"
        eventually(lambda: "broken" in caplog.text)
        assert clean(caplog.text)

    def test_it_stays_one_in_another_version(self, cfg: NamedConfiguration, app: App) -> None:
        cfg.copy_configuration("default", "night")
        night = app.get_config("Mail", "night")
        assert night["password"] == "opensesame"
        assert clean(night.get("password"), night.serialize(), night.history("password"))

    def test_a_file_without_its_value_leaves_it_as_it_is(self, cfg: NamedConfiguration, app: App) -> None:
        text = cfg.serialize()
        cfg["password"], cfg["host"] = "hunter2sss", "elsewhere"
        app.get_config().deserialize(text)
        assert (cfg["password"], cfg["host"]) == ("hunter2sss", "localhost")

    def test_the_way_back(self, cfg: NamedConfiguration) -> None:
        then = cfg.get("host").revision
        cfg["password"] = "hunter2sss"
        cfg.rollback(then)
        assert cfg["password"] == "opensesame"
        assert clean(cfg.history("password"), cfg.get("password"))

    def test_what_is_kept_on_disk_is_the_owners(self, cfg: NamedConfiguration, app: App, tmp_path: Path) -> None:
        app.shutdown(LIMIT)
        (kept,) = (tmp_path / "home/snapshot").iterdir()
        assert b"opensesame" in kept.read_bytes(), "or the program could not start without the database"
        assert kept.stat().st_mode & 0o077 == 0
