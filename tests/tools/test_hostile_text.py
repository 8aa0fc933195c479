"""What a person sees is text: in a real terminal, in colour, in the lines of the log, and when Tab is pressed."""

from __future__ import annotations

import logging
import os
import re

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.errors import ConfigException
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.log.record import LineFormatter
from NexusCore.storage import Database
from NexusCore.text import is_odd, shell_quote
from tests.tools.conftest import configure, log
from tests.tools.emulated import Emulated
from tests.tools.facility import furnished
from tests.tools.odd_rows import HOSTILE
from tests.tools.programs import bash, command, in_process, on_terminal, run_command

OWN = re.compile(r"\x1b\[(?:0|1|2|31|32|33|36)(?:;(?:1|2|31|32|33|36))*m")


@pytest.fixture
def hostile(embedded: Database) -> Database:
    """Lend a database whose texts mean no good."""
    furnished(embedded)
    for number, text in enumerate(HOSTILE):
        now = SYSTEM_CLOCK.now()
        log(embedded, text, logger=f"{text}{number}", module=text, host=text, level=40, session=text, traceback=text)
        with embedded.transaction() as transaction:
            channel = transaction.insert("status_channel", name=f"{text}{number}")
            item = transaction.insert("status_item", channel_id=channel, name=text)
            transaction.insert("status_latest", item_id=item, ts=now, value=text, expires=None)
            transaction.insert(
                "config_parameter", version_id=1, path=f"Hostile.{text}{number}", name=f"{text}{number}",
                datatype="string", value=text, comment=text, limits=None, last_modified=now, revision=1,
            )  # fmt: skip
            transaction.insert(
                "session", identifier=f"{text}{number}", instrument=text, user=text, state="TO_BE_BUILT", start_ts=now,
                end_ts=now, attempts=1, last_error=text,
            )  # fmt: skip
    return embedded


COMMANDS = (
    ("TailLog",), ("TailLog", "-o", "verbose"), ("TailStatus", "--all"), ("ConfigTool", "list"), ("ConfigTool", "tree"),
    ("SessionTool", "list"), ("Doctor",), ("SessionTool", "show", HOSTILE[0][:8]),
)  # fmt: skip


class TestATerminal:
    """Nothing but text and the tools' own colours, of which no data make use."""

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
    def test_only_own_colours_are_shown(self, hostile: Database, words: tuple[str, ...]) -> None:
        shown = on_terminal(*words).out
        rest = OWN.sub("", shown).replace("\n", "").replace("\t", "").replace("\r", "")
        assert not {ascii(one) for one in rest if is_odd(one)}
        assert "\x1b[31mEVIL" not in shown  # a colour that the tools use themselves
        assert "EVIL" in shown or words[0] == "Doctor"

    def test_a_table_that_is_drawn_again(self, hostile: Database) -> None:
        with Emulated(command("TailStatus", "--watch", "--all"), rows=30, columns=100) as screen:
            screen.until(r"\\x1b\[31mEVIL")
            assert not any(map(is_odd, screen.text.replace("\n", "")))
            assert "FORGED" not in [line.strip() for line in screen.lines]
            screen.type("\x03")
            screen.end()

    def test_the_menus_of_config_ui(self, hostile: Database) -> None:
        with Emulated(command("ConfigUI", "Hostile"), rows=30, columns=120) as screen:
            screen.until(r"\\x1b\[31mEVIL")
            assert not any(map(is_odd, screen.text.replace("\n", "")))
            screen.type("q")
            assert screen.end() == 0


class TestCommandsToBeCopied:
    """A name in a command is quoted: pasted into a shell it is a name, and nothing else."""

    def test_a_sessions_name_is_quoted(self, embedded: Database) -> None:
        sessions, name = Sessions(furnished(embedded), SYSTEM_CLOCK), "$(touch pwned); \x1b]0;x\x07"
        sessions.start("FEI-Titan-TEM", Client(user="jane", host="pc"), name)
        done = in_process("SessionTool", "show", name)
        assert f"SessionTool end {shell_quote(name)}" in done.err
        found = re.search(r"SessionTool end (.*)", done.err)
        assert found is not None
        assert bash(f"printf %s {found[1]}").out == name

    def test_the_way_back(self, embedded: Database) -> None:
        configure(embedded, Edit("A.it's $HOME", value=1))
        done = in_process("ConfigTool", "A.it's $HOME=2")
        found = re.search(r"Undo with: (.*)", done.out)
        assert found is not None
        assert bash(found[1]).code == 0
        assert in_process("ConfigTool", "get", "A.it's $HOME").out == "1\n"


class TestRefused:
    """Names of the configuration that would not be shown as they are: none is made, and one that is there can go."""

    @pytest.mark.parametrize(
        ("path", "which"),
        [("A.\x1b[2J", "U+001B at position 3"), ("Instruments.\u202eMET.name", "U+202E at position 13"),
         ("a\u200bb", "U+200B at position 2"), ("a.b\u00ad", "U+00AD at position 4")],
    )  # fmt: skip
    def test_an_odd_path_is_refused(self, embedded: Database, path: str, which: str) -> None:
        with pytest.raises(ConfigException, match=re.escape(f"contains {which}, which no name may contain")):
            configure(embedded, Edit(path, value=1))
        done = in_process("ConfigTool", f"{path}=1")
        assert (done.code, which in done.err, any(map(is_odd, done.err[:-1]))) == (4, True, False), done

    def test_an_odd_version_is_refused(self, embedded: Database) -> None:
        done = in_process("ConfigTool", "add-version", "de\u2066fault")
        assert (done.code, "U+2066 at position 3" in done.err) == (4, True), done

    def test_what_is_there_can_be_removed(self, hostile: Database) -> None:
        done = in_process("ConfigTool", "remove", f"Hostile.{HOSTILE[0]}0")
        assert done.code == 0, done
        assert "EVIL" not in in_process("ConfigTool", "list", "Hostile").out


class TestCompletion:
    """What a shell would have to draw is not offered."""

    def test_odd_names_are_not_offered(self, hostile: Database) -> None:
        variables = {"COMP_LINE": "TailLog --logger ", "COMP_POINT": "17", "_ARGCOMPLETE": "1", "IFS": "\013"}
        done = run_command(
            ["bash", "-c", f"{' '.join(command('TailLog'))} 8>&1 9>/dev/null 1>/dev/null"],
            **{**variables, "_ARGCOMPLETE_IFS": "\013", "PATH": os.environ["PATH"]},
        )
        assert not any(map(is_odd, done.out.replace("\013", "")))
        assert "EVIL" not in done.out


class TestLinesOfLog:
    """Files, standard output and consoles get text, and no message forges a line."""

    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_no_text_forges_a_line(self, text: str) -> None:
        record = logging.LogRecord(text, 20, "p", 1, "%s", (text,), None)
        lines = LineFormatter("%(asctime)s %(name)s: %(message)s").format(record).split("\n")
        assert not any(is_odd(one) for line in lines for one in line.replace("\t", ""))
        assert all(line.startswith("    ") for line in lines[1:])
