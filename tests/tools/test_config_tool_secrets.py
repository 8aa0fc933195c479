"""ConfigTool takes a secret from the terminal, a file or a pipe, and says who could see it elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.storage import Database
from tests.processes import rows
from tests.tools.configured import state, tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import Done, Terminal, bash, command

PATH = "Services.Uploader.cdcs.token"
HIDDEN = Limits(secret=True).to_json()
SEEN = "other users can see the command line"


@pytest.fixture
def desk(embedded: Database) -> Database:
    configure(embedded, Edit("Mail.password", value="opensesame", limits=Limits(secret=True, pattern=".+")))
    configure(embedded, Edit("Mail.pin", value=4711, limits=Limits(secret=True)), Edit("Mail.host", value="hunter2"))
    return embedded


def piped(text: str, *words: str) -> Done:
    """Run the tool with a text at its standard input, and without a terminal."""
    return bash(f"printf %s '{text}' | setsid --wait ConfigTool {' '.join(words)}")


def nowhere(database: Database, *secrets: str) -> bool:
    tables = ("config_parameter", "config_change")
    return not any(one in repr(rows(database, f"SELECT * FROM `{table}`")) for table in tables for one in secrets)


class TestOnTheTerminal:
    """It is asked for twice and not shown."""

    def test_a_new_one(self, desk: Database) -> None:
        with Terminal(command("ConfigTool", "set", PATH, "--secret", "--comment", "For the site.")) as terminal:
            terminal.until("Value of Services.Uploader.cdcs.token")
            terminal.type("0123-swordfish\n")
            terminal.until("Repeat the value")
            terminal.type("0123-swordfish\n")
            assert terminal.end() == 0
        assert re.search(r"token\S* = \S*\*{5}", terminal.text)
        assert "swordfish" not in terminal.text
        assert state(desk)[PATH] == ("0123-swordfish", "string", "For the site.", HIDDEN)

    def test_one_that_is_there_keeps_type_and_limits(self, desk: Database) -> None:
        with Terminal(command("ConfigTool", "set", "Mail.pin")) as terminal:
            terminal.until("Value of Mail.pin")
            terminal.type("1234\n")
            terminal.until("Repeat the value")
            terminal.type("1234\n")
            assert terminal.end() == 0
        assert state(desk)["Mail.pin"] == ("1234", "integer", None, HIDDEN)

    @pytest.mark.parametrize(
        ("typed", "sentence", "code"),
        [
            (["one\n", "two\n"], "The two values typed for 'Mail.password' are different: nothing was changed.", 4),
            (["\n"], "No value was given for 'Mail.password': nothing was changed.", 4),
            (["\x04"], "No value was given for 'Mail.password': nothing was changed.", 4),
            (["\x03"], "", 130),
            (["one\n", "\x03"], "", 130),
        ],
    )
    def test_what_is_given_up(self, desk: Database, typed: list[str], sentence: str, code: int) -> None:
        before = state(desk)
        with Terminal(command("ConfigTool", "set", "Mail.password")) as terminal:
            for question, keys in zip(("Value of", "Repeat the value"), typed, strict=False):
                terminal.until(question)
                terminal.type(keys)
            assert terminal.end() == code
        assert sentence in terminal.text
        assert "Traceback" not in terminal.text
        assert state(desk) == before

    def test_there_is_none(self, desk: Database) -> None:
        done = piped("swordfish", "set", PATH, "--secret")
        assert (done.code, done.out) == (4, "")
        assert done.err == (
            f"ConfigTool: Typing the value of '{PATH}' needs a terminal. Use --from-file - to read it from the "
            "standard input.\n"
        )


class TestFromFile:
    """The line end at the end is not part of it."""

    def test_the_standard_input(self, desk: Database) -> None:
        done = piped("swordfish\n", "set", PATH, "--secret", "--from-file", "-")
        assert (done.code, done.err) == (0, "")
        value, kind, comment, limits = state(desk)[PATH]
        assert (value, kind, limits) == ("swordfish", "string", HIDDEN)
        assert str(comment).startswith("Token of the user"), "as its program declares it"
        assert nowhere(desk, "swordfish")

    @pytest.mark.parametrize(
        "words",
        [
            ("set", "Mail.pin"),
            ("set", "Mail.pin", "--type", "integer"),
            ("set", "Mail.new", "--type", "integer", "--secret"),
            ("add", "Mail.new", "--type", "integer", "--secret"),
        ],
    )
    def test_one_that_is_refused_is_not_shown(self, desk: Database, words: tuple[str, ...]) -> None:
        done = piped("swordfish", *words, "--from-file", "-")
        assert done.code != 0
        assert "swordfish" not in done.out + done.err
        assert "*****" in done.err

    def test_the_file_gives_the_value_without_line_end(self, desk: Database, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("sword fish \r\n")
        file.chmod(0o600)
        assert tool("set", PATH, "--from-file", str(file), "--secret").err == ""
        file.chmod(0o644)
        done = tool("add", "Mail.other", "--secret", "--from-file", str(file))
        assert (done.code, f"Other users can read {file}. To prevent that: chmod 600" in done.err) == (0, True)
        for path in (PATH, "Mail.other"):
            value, kind, _, limits = state(desk)[path]
            assert (value, kind, limits) == ("sword fish ", "string", HIDDEN)

    def test_what_is_no_secret(self, desk: Database, tmp_path: Path) -> None:
        (tmp_path / "count").write_text("12\n")
        done = tool("set", "Camera.count", "--from-file", str(tmp_path / "count"))
        assert (done.code, done.err, state(desk)["Camera.count"][:2]) == (0, "", ("12", "integer"))

    @pytest.mark.parametrize(
        ("words", "sentence", "code"),
        [
            (("set", PATH, "x", "--from-file", "-"), "VALUE cannot be combined with --from-file.", 2),
            (("set", PATH, "--secret", "--from-file", "/no/such"), "/no/such cannot be used: no such file", 1),
            (("set", PATH, "--secret", "--from-file", "/dev/null"), f"No value was given for '{PATH}'", 4),
            (("set", PATH, "--secret", "--from-file", "/dev/zero"), "it has more than 1 MiB", 1),
            (("set", "Camera.count"), "VALUE is missing.", 2),
            (("set", "Mail.password", "--no-secret"), "VALUE is missing.", 2),
        ],
    )
    def test_mistakes_change_nothing(self, desk: Database, words: tuple[str, ...], sentence: str, code: int) -> None:
        before = state(desk)
        done = tool(*words)
        assert (done.code, done.out, sentence in done.err) == (code, "", True), done
        assert state(desk) == before


class TestOnTheCommandLine:
    """It is taken, and a warning says that others can see it."""

    @pytest.mark.parametrize(
        "words",
        [
            ("set", PATH, "swordfish", "--secret"),
            ("set", PATH, "--secret", "swordfish"),
            ("add", PATH, "--secret", "swordfish"),
            ("set", "Mail.password", "swordfish"),
            ("Mail.password=swordfish",),
        ],
    )
    def test_one_warning_is_printed(self, desk: Database, words: tuple[str, ...]) -> None:
        done = tool(*words)
        assert (done.code, done.err.count(SEEN), "swordfish" in done.out + done.err) == (0, 1, False), done
        assert "swordfish" in [value for value, *_ in state(desk).values()]
        assert nowhere(desk, "swordfish")

    def test_none_where_there_is_no_secret(self, desk: Database) -> None:
        for words in (("set", "Mail.host", "x"), ("Mail.host=y",), ("set", "Mail.host", "--type", "integer", "-5")):
            assert tool(*words).err == ""
        assert state(desk)["Mail.host"][0] == "-5"
        assert tool("set", "Mail.host", "--comment", "Where.", "--", "-x").code == 0
        assert state(desk)["Mail.host"][0] == "-x"

    def test_it_stays_a_secret(self, desk: Database) -> None:
        tool("set", "Mail.password", "swordfish")
        assert state(desk)["Mail.password"][3] == Limits(secret=True, pattern=".+").to_json()


class TestBecomingOne:
    """What it was before is not shown any more; only a clear word ends it."""

    def test_what_it_was(self, desk: Database) -> None:
        for words in ((), ("--json",)):
            configure(desk, Edit("Mail.host", value="hunter2", limits=Limits(), reveal=True))
            done = tool("set", "Mail.host", "swordfish", "--secret", *words)
            assert (done.code, "hunter2" in done.out + done.err) == (0, False)
        assert nowhere(desk, "swordfish")
        assert "hunter2" not in tool("history", "Mail.host").out
        assert "hunter2" not in undo(tool("set", "Mail.host", "another", "--secret")).out
        assert state(desk)["Mail.host"] == ("swordfish", "string", None, HIDDEN)

    def test_only_the_new_value_becomes_public(self, desk: Database) -> None:
        done = tool("set", "Mail.password", "--no-secret", "for all")
        assert (done.code, done.err) == (0, "")
        assert "Mail.password = for all  (string, was *****)" in done.out
        assert tool("get", "Mail.password").out == "for all\n"
        assert "opensesame" not in tool("history", "Mail.password").out

    def test_a_dry_run(self, desk: Database) -> None:
        before = state(desk)
        done = tool("set", "Mail.password", "swordfish", "--dry-run", "--json")
        (reported,) = map(json.loads, done.out.splitlines())
        assert (reported["old"], reported["new"], reported["dry_run"]) == ("*****", "*****", True)
        assert state(desk) == before
        assert rows(desk, "SELECT COUNT(*) FROM `config_secret`") == [(2,)]
