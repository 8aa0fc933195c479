"""The settings of a microscope's PC: an INI file, whose mistakes are told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from Logger.pc_settings import VARIABLE, PresentToken, WrongSettings, check_complete, load

GOOD = """
[gateway]
url = https://gateway.example.org:8470
token = a%20token=with;signs
"""


def settings_of(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "logger.ini"
    path.write_text(text, "utf-8")
    return {"NEXUSCORE_LOGGER_SETTINGS": str(path), "HOME": str(tmp_path)}


class TestRightSettings:
    """What is set is used, and what is not has a default."""

    def test_the_gateway_and_its_token(self, tmp_path: Path) -> None:
        found = load(settings_of(tmp_path, GOOD))
        assert (found.url, found.token) == ("https://gateway.example.org:8470", "a%20token=with;signs")
        assert found.certificates == ""

    def test_a_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        """Editors on Windows write one."""
        environment = settings_of(tmp_path, "")
        (tmp_path / "logger.ini").write_bytes(b"\xef\xbb\xbf" + GOOD.lstrip().encode())
        assert load(environment).url == "https://gateway.example.org:8470"

    def test_the_token_is_not_shown(self, tmp_path: Path) -> None:
        assert "with;signs" not in repr(load(settings_of(tmp_path, GOOD)))

    def test_http_is_for_this_machine_only(self, tmp_path: Path) -> None:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert load(settings_of(tmp_path, GOOD.replace("https://gateway.example.org", f"http://{host}"))).url

    def test_without_a_file_the_database_of_this_machine_is_used(self, tmp_path: Path) -> None:
        found = load({"HOME": str(tmp_path)})
        assert found.url == ""

    @pytest.mark.parametrize("how", ["variable", "file", "default"])
    def test_where_the_outbox_is(self, tmp_path: Path, how: str) -> None:
        text = "[logger]\nhome = /srv/set\n" if how != "default" else ""
        environment = settings_of(tmp_path, text)
        if how == "variable":
            environment["NEXUSCORE_LOGGER_HOME"] = "/srv/variable"
        expected = {"variable": ["/srv/variable"], "file": ["/srv/set"]}.get(
            how, [f"{tmp_path}/.local/share/nexuscore-logger", "/var/lib/nexuscore-logger"]
        )
        assert str(load(environment).home) in expected


class TestMistakes:
    """Each is named with the file, the value and what to do."""

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            (GOOD.replace("https://", ""), r"url in .*logger\.ini is 'gateway.example.org:8470'; write it as https://"),
            (GOOD.replace("https://", "http://"), "without https the token could be read in the network"),
            (GOOD.replace("https://", "https://user:pw@"), "write it as https://host:8470"),
            (GOOD.replace(":8470", ":8470/v1"), "leave out what follows the port"),
            (GOOD.replace("token = a%20token=with;signs", ""), "token is missing in .*SessionTool token make"),
            (GOOD + "certificates = /nowhere.pem\n", r"names the file /nowhere\.pem, which does not exist"),
            (GOOD.replace("token =", "tokn ="), "sets 'tokn' in .gateway.; known there: certificates, token, url"),
            (GOOD.replace("[gateway]", "[gatway]"), r"has a section \[gatway\]; the logger knows \[gateway\] and"),
            ("url = x", "cannot be read"),
            ("[gateway]\n[gateway]", "cannot be read"),
        ],
    )
    def test_each_is_explained(self, tmp_path: Path, text: str, sentence: str) -> None:
        with pytest.raises(WrongSettings, match=sentence):
            load(settings_of(tmp_path, text))

    def test_a_file_that_is_named_but_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(WrongSettings, match="named in NEXUSCORE_LOGGER_SETTINGS, do not exist"):
            load({"NEXUSCORE_LOGGER_SETTINGS": str(tmp_path / "none.ini"), "HOME": str(tmp_path)})

    def test_a_pc_that_was_never_set_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither a Gateway nor NexusCore: it says what to write, and where."""
        settings = load(settings_of(tmp_path, ""))
        check_complete(settings)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(WrongSettings, match=r"Write into .*logger\.ini: \[gateway\]"):
            check_complete(settings)

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        environment = settings_of(tmp_path, "")
        (tmp_path / "logger.ini").write_bytes(b"\xff\xfe\x00[")
        with pytest.raises(WrongSettings, match="cannot be read"):
            load(environment)


class TestThePresentToken:
    """A new token in the file is used without a new start of the logger."""

    def test_it_is_read_again_if_the_file_has_changed(self, tmp_path: Path) -> None:
        file = tmp_path / "logger.ini"
        file.write_text("[gateway]\nurl = http://127.0.0.1:8470\ntoken = first\n")
        token = PresentToken(load({VARIABLE: str(file)}))
        assert token() == "first"
        file.write_text("[gateway]\nurl = http://127.0.0.1:8470\ntoken = the-second\n")
        assert token() == "the-second"
        file.write_text("[gateway\nhalf writ")
        assert token() == "the-second"
        file.unlink()
        assert token() == "the-second"
        file.write_text("[gateway]\nurl = http://127.0.0.1:8470\ntoken = third-one\n")
        assert token() == "third-one"
