"""TailLog: what is left out, what stands around, in which form, and how much there is over time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.storage import Database
from tests.tools.conftest import log
from tests.tools.emulated import Emulated
from tests.tools.programs import Follower, command, in_process, run

HOUR = 3600 * SECOND
T0 = 1_470_138_136 * SECOND
"""Tuesday, August 2 2016, 11:42:16 UTC."""


def shown(*words: str) -> list[str]:
    return in_process("TailLog", "-o", "cat", *words).lines


class TestWhatIsLeftOut:
    """-v leaves lines out by message and traceback, -g takes any of several, a session is known by its beginning."""

    def test_excluded_words(self, logged: Database) -> None:
        log(logged, "Broken", level=40, traceback="Timeout in line 3")
        assert shown("-v", "titan") == ["looking for files", "Ended", "Broken"]
        assert shown("-v", "TITAN", "-v", "timeout", "-v", "50%") == ["looking for files", "Ended"]
        assert shown("ended", "-v", "session") == ["Ended"]
        with Follower("TailLog", "-f", "-n", "1", "-v", "noise") as follower:
            follower.until("Broken")
            for text in ("some noise", "a signal"):
                log(logged, text)
            follower.until("a signal")
            follower.interrupt()
        assert [line.rpartition("]")[2] for line in follower.lines][-1] == "a signal"
        assert not [line for line in follower.lines if "noise" in line]
        assert in_process("TailLog", "--vacuum-time", "now", "-v", "titan", "--yes").code == 0
        assert [text for text in shown() if "Titan" not in text and "deleted" not in text] == []

    def test_any_of_several_expressions(self, logged: Database) -> None:
        assert shown("-g", "^look", "-g", "Titan$") == [
            "looking for files",
            "Session ended at Titan",
            "Timeout at the Titan",
        ]

    def test_the_beginning_of_a_session(self, database: Database) -> None:
        for session in ("aaa1", "aaa2", "ab", "abc", None):
            log(database, f"of {session}", session=session)
        assert shown("--session", "aaa1") == ["of aaa1"]
        assert shown("--session", "ab") == ["of ab"]  # the whole identifier of one comes before a beginning
        assert shown("--session", "abc") == ["of abc"]
        assert shown("--session", "aaa1"[:3] + "2") == ["of aaa2"]
        done = in_process("TailLog", "--session", "aa")
        assert (done.code, "Several sessions begin with 'aa': aaa1, aaa2." in done.err) == (2, True)

    @pytest.mark.parametrize(
        ("level", "expected"),
        [
            ("err", ["e", "c"]),
            ("crit", ["c"]),
            ("warn", ["w", "e", "c"]),
            ("notice..err", ["i", "w", "e"]),
            ("30", ["w", "e", "c"]),
        ],
    )
    def test_levels_of_syslog(self, embedded: Database, level: str, expected: list[str]) -> None:
        for number, text in ((10, "d"), (20, "i"), (30, "w"), (40, "e"), (50, "c")):
            log(embedded, text, level=number)
        assert shown("-p", level) == expected

    def test_numbers_of_syslog_are_not_mistaken(self) -> None:
        """They are the other way round: 3 is an error there, and less than DEBUG in Python."""
        done = in_process("TailLog", "-p", "3")
        assert (done.code, "3 is err in syslog" in done.err, "use error or 40" in done.err) == (2, True, True)

    def test_since_the_last_start(self, embedded: Database) -> None:
        for number, text in enumerate(
            ("Builder starts, process 1, on x", "old", "Builder starts, process 2, on x", "new")
        ):
            log(embedded, text, ts=T0 + number)
        log(embedded, "other", logger="Uploader", ts=T0 + 9)
        assert shown("--since-start", "--logger", "Builder") == ["Builder starts, process 2, on x", "new"]
        assert "no start of a service 'Uploader'" in in_process("TailLog", "--since-start", "--logger", "Uploader").err
        assert in_process("TailLog", "--since-start").code == 2


class TestContext:
    """-C shows what was logged around each match, every line once, with dashes where lines are left out."""

    @pytest.fixture(autouse=True)
    def numbered(self, embedded: Database) -> Iterator[None]:
        for number in range(20):
            word = "match" if number in (3, 5, 15) else "line"
            log(embedded, f"{word} {number}", ts=T0 + number, level=20 + 10 * (number % 2))
        yield

    def test_lines_around(self) -> None:
        lines = shown("match", "-C", "1")
        assert lines == ["line 2", "match 3", "line 4", "match 5", "line 6", "--", "line 14", "match 15", "line 16"]

    def test_at_the_ends_and_where_they_meet(self) -> None:
        assert shown("match", "-C", "30") == [f"{'match' if n in (3, 5, 15) else 'line'} {n}" for n in range(20)]
        assert "--" not in shown("match", "-C", "5")  # 3..10 and 10..20 touch
        assert shown("match", "-n", "1", "-C", "2")[0] == "line 13"

    def test_of_the_same_levels(self) -> None:
        assert shown("match", "-p", "warning", "-C", "1", "-n", "1") == ["line 13", "match 15", "line 17"]

    def test_not_with_following(self) -> None:
        assert "--follow cannot be combined with --context" in in_process("TailLog", "-f", "-C", "2").err


class TestForms:
    """More fields in a line, comma-separated values, UTC, a pager."""

    def test_more_fields_in_a_line(self, embedded: Database) -> None:
        log(embedded, "done\nall", ts=T0, session="s-1", host="pc\x1b[2J")
        log(embedded, "idle", ts=T0 + SECOND)
        assert in_process("TailLog", "--with", "host,session").lines == [
            "Tue Aug  2 11:42:16 2016 [ INFO][  build(   7)][Builder][pc\\x1b[2J][s-1]done",
            "    all",
            "Tue Aug  2 11:42:17 2016 [ INFO][  build(   7)][Builder][desk][-]idle",
        ]
        assert "cannot be combined with -o json" in in_process("TailLog", "--with", "host", "--json").err

    def test_comma_separated_values(self, embedded: Database) -> None:
        log(embedded, 'two\nlines, "so"', ts=T0, session="s-1")
        rows = list(csv.reader(io.StringIO(in_process("TailLog", "--csv").out)))
        assert rows[0][:3] == ["time", "level", "logger"]
        assert dict(zip(*rows, strict=True))["message"] == 'two\nlines, "so"'
        assert in_process("TailLog", "-o", "csv", "--fields", "level,session").lines == ["level,session", "INFO,s-1"]

    def test_times_in_utc(self, embedded: Database) -> None:
        log(embedded, "x", ts=T0)
        for words, hour in (((), "13"), (("--utc",), "11")):
            assert run("TailLog", *words, TZ="Europe/Oslo").out.startswith(f"Tue Aug  2 {hour}:42:16 2016")

    def test_in_a_pager(self, embedded: Database) -> None:
        for number in range(60):
            log(embedded, f"line {number}", ts=T0 + number)
        with Emulated(command("TailLog", "--pager", "-n", "60"), 10, 80, PAGER="less", LESS="R") as terminal:
            terminal.until(r"\]line 8$")
            assert "line 30" not in terminal.text
            terminal.type("q")
            assert terminal.end() == 0
        with Emulated(command("TailLog", "--pager"), 10, 80, PAGER="no-such-pager") as terminal:
            terminal.until("The pager 'no-such-pager' cannot be started: No such file or directory")
            assert terminal.end() == 1

    @pytest.mark.parametrize("tool", ["ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus"])
    def test_each_tool_tells_its_version(self, tool: str) -> None:
        from NexusCore import __version__

        done = in_process(tool, "--version")
        assert (done.code, done.out, done.err) == (0, f"{tool} of NexusCore {__version__}\n", "")


class TestHistogram:
    """--count shows how much was logged over time, empty stretches too."""

    @pytest.fixture(autouse=True)
    def lines(self, database: Database) -> None:
        for number, level in ((0, 20), (1, 30), (2, 40), (3 * 3600, 20)):
            log(database, f"line {number}", level=level, ts=T0 + number * SECOND)

    def test_bars(self) -> None:
        first, second, _, last = in_process("TailLog", "--count", "1h").lines
        assert first.startswith("2016-08-02 11:00:00  3  ████") and first.endswith("  1 errors, 1 warnings")
        assert (second, last.split()[2]) == ("2016-08-02 12:00:00  0", "1")

    def test_for_programs_and_by_conditions(self) -> None:
        assert in_process("TailLog", "--count", "1h", "--csv").lines == [
            "time,lines,warnings,errors",
            "2016-08-02T11:00:00.000000+00:00,3,1,1",
            "2016-08-02T12:00:00.000000+00:00,0,0,0",
            "2016-08-02T13:00:00.000000+00:00,0,0,0",
            "2016-08-02T14:00:00.000000+00:00,1,0,0",
        ]
        (found,) = in_process("TailLog", "--count", "1d", "-p", "warning", "--json").objects
        assert (found["lines"], found["errors"]) == (2, 1)
        (found,) = in_process("TailLog", "--count", "1h", "-g", "line [12]$", "--json").objects
        assert found["lines"] == 2

    def test_too_many_rows(self, database: Database) -> None:
        log(database, "now", ts=SYSTEM_CLOCK.now())
        done = in_process("TailLog", "--count", "1s")
        assert (done.code, "rows; count per a longer time" in done.err) == (2, True)
        assert in_process("TailLog", "--count", "0.1").code == 2
