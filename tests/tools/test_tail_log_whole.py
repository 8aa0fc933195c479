"""TailLog on the log as a whole: the names in it, the room it takes, deleting what is old, and long searches."""

from __future__ import annotations

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import Database
from tests.tools.conftest import log
from tests.tools.programs import Done, Terminal, command, in_process, run

DAY = 86_400 * SECOND


def tail(*words: str) -> Done:
    return run("TailLog", *words)


def left(*words: str) -> list[str]:
    return tail("-o", "cat", "--logger", "Builder", *words).lines


@pytest.fixture
def months(database: Database) -> Database:
    """Lend a database with a line of each of a hundred days, every tenth a warning."""
    now = SYSTEM_CLOCK.now()
    rows = [
        (now - day * DAY - SECOND, 30 if day % 10 == 0 else 10, "Builder", "build", 1, "work", "desk", 1, "main",
         f"{day} days ago", None, None)
        for day in range(100)
    ]  # fmt: skip
    with database.transaction() as transaction:
        transaction.insert_many("log_record", LOG_COLUMNS, rows)
    return database


class TestValues:
    """--values: which there are of a field."""

    def test_of_all_and_of_some_lines(self, database: Database) -> None:
        log(database, "a", level=40, logger="Camera", session="s-1")
        log(database, "b", module="record", host="pc")
        log(database, "c", level=30)
        for words, expected in (
            (("logger",), ["Builder", "Camera"]),
            (("module",), ["build", "record"]),
            (("host",), ["desk", "pc"]),
            (("level",), ["INFO", "WARNING", "ERROR"]),
            (("session",), ["s-1"]),
            (("level", "--logger", "Builder"), ["INFO", "WARNING"]),
            (("logger", "-p", "warning"), ["Builder", "Camera"]),
            (("host", "-g", "b"), ["pc"]),
            (("level", "-g", "a|c"), ["ERROR", "WARNING"]),
            (("host", "nowhere"), []),
        ):
            done = in_process("TailLog", "--values", *words)
            # The order is that of the index where one answers alone, and else that of the lines.
            assert (words, sorted(done.lines), done.code) == (words, sorted(expected), 0 if expected else 1)
        assert in_process("TailLog", "--values", "host", "--json").objects == [{"host": "desk"}, {"host": "pc"}]


class TestDiskUsage:
    """--disk-usage: how much room the log takes."""

    def test_size_and_lines_are_shown(self, months: Database) -> None:
        room, lines = tail("--disk-usage").lines
        assert ("takes " in room, "can be reused" in room) == (True, True)
        assert lines.startswith("It has up to 100 log lines, from ")
        (found,) = tail("--disk-usage", "--json").objects
        assert found["bytes"] > found["free"] >= 0
        assert (found["lines"], found["oldest"] < found["newest"]) == (100, True)

    def test_an_empty_log(self, database: Database) -> None:
        assert tail("--disk-usage").lines[1] == "It has no log lines."


class TestDeleting:
    """--vacuum-time deletes what is old, if told so, and the log says who did it."""

    def test_what_is_older(self, months: Database) -> None:
        done = tail("--vacuum-time", "90d", "--yes")
        assert (done.code, done.out.startswith("Deleted 10 log lines from before ")) == (0, True)
        assert left("-n", "1000") == [f"{day} days ago" for day in range(89, -1, -1)]
        (said,) = tail("--logger", "TailLog", "--json").objects
        assert "deleted 10 log lines from before" in said["message"]
        assert said["message"].endswith("(all)")
        done = tail("--vacuum-time", "90d", "--yes")
        assert (done.code, done.out) == (0, "")
        assert "Nothing to delete" in done.err

    def test_only_what_matches(self, months: Database) -> None:
        (found,) = tail("--vacuum-time", "2 weeks", "-p", "debug..info", "--yes", "--json").objects
        assert found["deleted"] == 100 - 14 - 8
        assert left("-U", "-20d") == [f"{day} days ago" for day in range(90, 10, -10)]
        assert "(level=10, highest=20)" in tail("--logger", "TailLog").out

    def test_it_asks_on_a_terminal(self, months: Database) -> None:
        for answer, code, lines in (("n", 4, 100), ("", 4, 100), ("y", 0, 50)):
            with Terminal(command("TailLog", "--vacuum-time", "50d")) as terminal:
                terminal.until("Delete 50 log lines from before .*[?] .y/N. ")
                terminal.type(f"{answer}\n")
                assert (answer, terminal.end()) == (answer, code)
            assert len(left("-n", "1000")) == lines

    def test_without_a_terminal_it_needs_yes(self, months: Database) -> None:
        done = tail("--vacuum-time", "50d")
        assert (done.code, done.out) == (4, "")
        assert done.err == ("TailLog: Nothing was deleted. Answer yes, or use --yes without a terminal.\n")
        assert len(left("-n", "1000")) == 100

    @pytest.mark.parametrize(
        "words", [("-g", "x"), ("-f",), ("-n", "5"), ("-S", "yesterday"), ("--values", "host"), ("--disk-usage",)]
    )
    def test_what_does_not_go_with_it(self, words: tuple[str, ...]) -> None:
        done = tail("--vacuum-time", "1d", "--yes", *words)
        assert (done.code, done.out, " cannot be combined with --" in done.err) == (2, "", True)


class TestLongSearches:
    """A search that takes long says how far it is, on a terminal, and can be broken off."""

    def test_progress_is_shown_and_ctrl_c_ends_it(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        row = (1_470_138_136_000_000, 20, "Builder", "build", 1, "work", "desk", 1, "main", "a" * 60, None, None)
        with embedded.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, [row] * 3000)
        # Such an expression has very many ways to fail: milliseconds for each line.
        with Terminal(command("TailLog", "-g", "(a|aa){14}b")) as terminal:
            terminal.until("\r\x1b\\[KTailLog: searched as far as 2016-08-02 11:42:16 [.]{3}")
            terminal.type("\x03")
            assert terminal.end() == 130
