"""TailLog --cursor and --after-cursor: going on where one has stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import Database, open_database
from tests.tools.conftest import log
from tests.tools.programs import PROJECT, Follower, bash
from tests.tools.tailing import tail
from Tools.taillog.query import cursor

SEED = [
    "Tue Aug  2 11:42:16 2016 [DEBUG][InternalDB( 294)][MySQLStatusReporter]Initializing tables",
    "Tue Aug  2 11:42:17 2016 [DEBUG][InternalDB( 309)][MySQLStatusReporter]Initializing tables DONE",
    "Tue Aug  2 11:42:21 2016 [ INFO][ Status( 132)][UnitTest]Callback UnitTest thread started",
]


class TestCursors:
    """--cursor writes where a reading ended, --after-cursor goes on there: every line is read once."""

    def test_from_one_reading_to_the_next(self, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also those whose transactions were under way, and whose numbers are lower than what was seen already."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        database = open_database(mariadb_url)
        log(database, "first")
        row = (1, 20, "Builder", "build", 1, "work", "desk", 1, "main", "late", None, None)
        with database.transaction() as under_way:
            under_way.insert_many("log_record", LOG_COLUMNS, [row])
            log(database, "early")
            *shown, last = tail("--cursor", "-o", "cat").lines
            assert (shown, last) == (["first", "early"], "-- cursor: [3,2]")
        log(database, "last")
        for words, expected in (
            ((), ["late", "last"]),
            (("-n", "1"), ["last"]),
            (("-r",), ["last", "late"]),
            (("-g", "^la.e$"), ["late"]),
            (("--logger", "Harvester"), []),
        ):
            done = tail("--after-cursor", "[3,2]", "-o", "cat", *words)
            assert (words, done.lines, done.code) == (words, expected, 0 if expected else 1)
        assert tail("--after-cursor", "[3,2]", "--cursor", "--json").objects[-1] == {"cursor": "[4]"}
        assert tail("--after-cursor", "[4]").code == 1
        database.close()

    def test_following_goes_on_there_and_writes_one_at_its_end(self, database: Database) -> None:
        log(database, "seen")
        place = tail("-n", "0", "--cursor").out.removeprefix("-- cursor: ").strip()
        log(database, "missed")
        with Follower("TailLog", "-f", "--cursor", "--after-cursor", place, "-o", "cat") as follower:
            follower.until("^missed$")
            log(database, "new")
            follower.until("^new$")
            assert follower.interrupt() == 130
        assert follower.lines == ["missed", "new", "-- cursor: [3]"]

    def test_the_lines_of_the_page_keep_a_place(self, embedded: Database, tmp_path: Path) -> None:
        page = (PROJECT / "docs/taillog.md").read_text()
        first, *again = re.findall(r"^    (touch place|TailLog .* > new|tail .* > place) +#", page, re.M)
        assert (first, len(again)) == ("touch place", 2)
        log(embedded, "one")
        assert bash("\n".join([f"cd {tmp_path}", first, *again])).code == 0
        line, place = (tmp_path / "new").read_text().splitlines()
        assert (line[-3:], place) == ("one", "-- cursor: [1]")
        log(embedded, "two")
        assert bash("\n".join([f"cd {tmp_path}", *again])).code == 0
        assert (tmp_path / "new").read_text().splitlines()[0].endswith("two")
        assert (tmp_path / "place").read_text() == "-- cursor: [2]\n"

    @pytest.mark.parametrize("text", ["-- cursor: [3]", '{"cursor": "[3]"}', "a line\n-- cursor: [3]\n\n", " [3] "])
    def test_the_line_of_a_cursor_is_one_too(self, text: str) -> None:
        assert str(cursor(text)) == "[3]"

    def test_an_empty_text_is_no_cursor_yet(self) -> None:
        assert cursor("") is cursor("\n") is None

    def test_a_text_that_is_none(self) -> None:
        done = tail("--after-cursor", "yesterday")
        assert (done.code, "'yesterday' is not a valid cursor; --cursor writes one" in done.err) == (2, True)
