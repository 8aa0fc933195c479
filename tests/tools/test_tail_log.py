"""TailLog: what was logged, and what is being logged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.clock import EARLIEST, SECOND, SYSTEM_CLOCK, UNREADABLE_TS, to_ts
from NexusCore.log.record import LogRecord, short_line, untimed
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import Database, open_database
from NexusCore.storage.migrate import migrate
from NexusCore.text import escape, json_text, one_line
from tests.mariadb import MariaDB
from tests.tools.conftest import log
from tests.tools.programs import LIMIT, PROJECT, Follower, Terminal, command, in_process, run
from tests.tools.tailing import log_from_another_process, messages, tail
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.taillog.lines import RECORD_FIELDS, form_of, odd_of

SEED = [
    "Tue Aug  2 11:42:16 2016 [DEBUG][InternalDB( 294)][MySQLStatusReporter]Initializing tables",
    "Tue Aug  2 11:42:17 2016 [DEBUG][InternalDB( 309)][MySQLStatusReporter]Initializing tables DONE",
    "Tue Aug  2 11:42:21 2016 [ INFO][ Status( 132)][UnitTest]Callback UnitTest thread started",
]


class TestFormat:
    """003-58: a line looks as it always did."""

    def test_the_lines_of_the_documentation(self, database: Database) -> None:
        """003-58, 003-59: time, level, module with line number, logger, message."""
        moment = datetime(2016, 8, 2, 11, 42, 16, tzinfo=UTC)
        lines = [
            (16, 10, "InternalDB", 294, "MySQLStatusReporter", "Initializing tables"),
            (17, 10, "InternalDB", 309, "MySQLStatusReporter", "Initializing tables DONE"),
            (21, 20, "Status", 132, "UnitTest", "Callback UnitTest thread started"),
        ]
        for second, level, module, line, logger, message in lines:
            ts = to_ts(moment.replace(second=second, microsecond=999_999))
            log(database, message, level=level, module=module, line=line, logger=logger, ts=ts)
        assert tail().lines == SEED

    def test_times_are_local(self, embedded: Database) -> None:
        """000-32: stored in UTC, shown in local time; JSON says the offset, as RFC 3339 wants it."""
        log(embedded, "x", ts=to_ts(datetime(2016, 8, 2, 11, 42, 16, 5, tzinfo=UTC)))
        assert run("TailLog", TZ="Europe/Oslo").out.startswith("Tue Aug  2 13:42:16 2016 ")
        (found,) = run("TailLog", "--json", TZ="Europe/Oslo").objects
        assert found["time"] == "2016-08-02T13:42:16.000005+02:00"

    def test_a_traceback_stands_indented_below_its_line(self, embedded: Database) -> None:
        """003-55: the stack trace is there."""
        log(embedded, "failed", level=40, traceback="Traceback (most recent call last):\n  ...\nZeroDivisionError: x")
        assert tail().lines[1:] == ["    Traceback (most recent call last):", "      ...", "    ZeroDivisionError: x"]

    def test_a_message_can_neither_forge_a_line_nor_command_a_terminal(self, embedded: Database) -> None:
        log(embedded, f"first\n{SEED[0]}\x1b[2J")
        first, second = tail().lines
        assert first.endswith("]first")
        assert second == f"    {SEED[0]}\\x1b[2J"

    def test_json_has_every_field(self, embedded: Database) -> None:
        log(embedded, "Größe", level=30, session="s-1", traceback="...")
        (found,) = tail("--json").objects
        del found["time"]
        assert found == {
            "level": "WARNING", "logger": "Builder", "module": "build", "line": 7, "function": "work", "host": "desk",
            "pid": 1, "thread": "MainThread", "message": "Größe", "traceback": "...", "session": "s-1", "id": 1,
        }  # fmt: skip


class TestOtherFormats:
    """-o and --fields: what a program wants, or a person who wants to know all."""

    @pytest.fixture(autouse=True)
    def line(self, embedded: Database) -> None:
        ts = to_ts(datetime(2016, 8, 2, 11, 42, 16, 5, tzinfo=UTC))
        log(embedded, "disk\tfull\nby 3 GB", level=30, session="s-1", ts=ts)

    def test_iso_times_have_a_zone(self) -> None:
        """A time that can be sorted, and says its zone."""
        assert (
            tail("-o", "iso").lines[0] == "2016-08-02T11:42:16.000005+00:00 [WARNING][  build(   7)][Builder]disk\tfull"
        )

    def test_verbose_shows_every_field(self) -> None:
        """Every field that there is."""
        assert tail("-o", "verbose").lines == [
            "2016-08-02T11:42:16.000005+00:00",
            "        level  WARNING",
            "       logger  Builder",
            "       module  build",
            "         line  7",
            "     function  work",
            "         host  desk",
            "          pid  1",
            "       thread  MainThread",
            "      message  disk\tfull",
            "               by 3 GB",
            "      session  s-1",
            "           id  1",
        ]

    def test_cat_shows_only_the_message(self) -> None:
        assert tail("-o", "cat").out == "disk\tfull\nby 3 GB\n"

    def test_json_output_equals_the_json_option(self) -> None:
        assert tail("-o", "json").out == tail("--json").out

    def test_fields_select_what_is_shown(self) -> None:
        assert tail("--fields", "level,message").out == "WARNING\tdisk\\tfull\\nby 3 GB\n"
        assert tail("--fields=level,line", "--json").objects == [{"level": "WARNING", "line": 7}]
        assert {line.split()[0] for line in tail("--fields").lines} == set(tail("--json").objects[0])
        assert "unknown field 'levl'; use time, level" in tail("--fields", "levl").err


class TestOneByOne:
    """Each record is shown as it is, whichever were shown before it, and however quick that is to be."""

    FORMS: ClassVar = {name: form_of(Namespace(output=name, fields=None, extra=None), Screen("TailLog", None, None))
                       for name in ("json", "short", "iso")}  # fmt: skip
    NAMES = st.sampled_from(["Builder", "Ärger", 'a"b\\', "a\x1b[2J\n", "\u202eb", ""])
    TEXTS = st.text(st.characters() | st.sampled_from('a"\\\n\x1b\u202e\ud800'))
    RECORDS = st.builds(
        LogRecord, ts=st.integers(EARLIEST - 2, EARLIEST + 2) | st.integers(0, 2**52) | st.just(UNREADABLE_TS),
        level=st.sampled_from([10, 20, 25, 30]), logger=NAMES, module=NAMES, line=st.integers(-1, 12_345),
        function=NAMES, host=NAMES, pid=st.integers(0, 3), thread=NAMES, message=TEXTS, traceback=st.none() | TEXTS,
        session=st.none() | NAMES, id=st.integers(0, 2**40), odd=st.just(()) | st.just(("line is 'x\x1b'",)),
    )  # fmt: skip

    @given(st.lists(RECORDS, max_size=5))
    def test_json_lines_have_all_fields(self, records: list[LogRecord]) -> None:
        for one in records:
            fields = {name: read(one) for name, (read, _) in RECORD_FIELDS.items()}
            odd = odd_of(one)
            assert self.FORMS["json"](one) == json_text(fields | ({"unreadable": odd} if odd else {}))

    @given(RECORDS)
    def test_text_lines_have_all_parts(self, one: LogRecord) -> None:
        sentences = f" (unreadable: {one_line('; '.join(one.odd))})" if one.odd else ""
        below = f"\n{escape(one.traceback)}" if one.traceback else ""
        for form, line in (("short", short_line(one)), ("iso", f"{rfc3339(one.ts) or local(one.ts)} {untimed(one)}")):
            assert self.FORMS[form](one) == f"{line}{sentences}{below}".replace("\n", "\n    ")


class TestFilters:
    """003-60: by logger, module and words; the filter comes before the count."""

    def test_what_matches_is_shown(self, logged: Database) -> None:
        for words, expected in (
            (("-n", "2"), ["Timeout at the Titan", "Ended"]),
            (("-n", "2", "-r"), ["Ended", "Timeout at the Titan"]),
            (("titan", "-n", "1"), ["Timeout at the Titan"]),
            (("titan", "session"), ["Session ended at Titan"]),
            (("50%", "Titan's"), ["50% of Titan's files are done"]),
            (("d_ne",), []),
            (("--logger", "Harvester", "--logger", "Uploader"), ["Timeout at the Titan", "Ended"]),
            (("--logger", "Builder", "--module", "record"), ["50% of Titan's files are done"]),
            (("--session", "s-1"), ["Session ended at Titan", "50% of Titan's files are done"]),
            (("-p", "warning"), ["50% of Titan's files are done", "Timeout at the Titan"]),
            (("-p", "40"), ["Timeout at the Titan"]),
            (("-p", "debug..info"), ["looking for files", "Session ended at Titan", "Ended"]),
            (("-p", "..debug"), ["looking for files"]),
            (("--host", "pc"), ["Timeout at the Titan"]),
            (("-g", "^s.*titan$"), ["Session ended at Titan"]),
            (("-g", "^S.*titan$"), []),
            (("-g", "ended|timeout", "-n", "2"), ["Timeout at the Titan", "Ended"]),
            (("-g", "en", "-r", "-n", "1", "--logger", "Builder"), ["Session ended at Titan"]),
        ):
            done = in_process("TailLog", *words)
            assert (words, messages(done), done.code) == (words, expected, 0 if expected else 1)

    def test_no_match_says_so(self, embedded: Database) -> None:
        done = tail()
        assert (done.code, done.out, done.err) == (1, "", "TailLog: No log lines match.\n")

    def test_a_name_that_never_logged_is_pointed_out(self, logged: Database) -> None:
        assert "Did you mean 'Builder'?" in tail("--logger", "Bulder").err
        assert "Did you mean 'record'?" in tail("--module", "recrod").err
        assert "The log has no lines of the host 'dsek'. Did you mean 'desk'?" in tail("--host", "dsek").err

    def test_one_of_several_names_that_never_logged(self, logged: Database) -> None:
        """What matches is shown, and the exit code says so; one sentence says what may be mistyped."""
        for option, wrong, right in (
            ("--logger", "Bulder", "Builder"), ("--module", "recrod", "record"), ("--host", "dsek", "desk"),
        ):  # fmt: skip
            done = tail(option, wrong, option, right)
            sentence = f"TailLog: The log has no lines of the {option[2:]} '{wrong}'. Did you mean '{right}'?\n"
            assert (done.code, done.err, bool(done.out)) == (0, sentence, True)
        done = tail("--values", "level", "--logger", "Bulder")
        assert (done.code, "Did you mean 'Builder'?" in done.err) == (1, True)

    def test_a_name_that_never_logged_is_pointed_out_while_following(self, logged: Database) -> None:
        with Follower("TailLog", "-f", "--logger", "Bulder", "--session", "none") as follower:
            follower.until_message("The log has no lines of the logger 'Bulder'. Did you mean 'Builder'?")
            follower.until_message("The log has no lines about the session 'none'.")
            log(logged, "at last", logger="Bulder", session="none")
            follower.until("at last")
            follower.interrupt()
        assert len(follower.messages) == 2

    def test_a_session_of_which_only_the_beginning_is_typed(self, database: Database) -> None:
        log(database, "built", session="15fa9158-a43f")
        expected = "TailLog: No log lines match. The log has no lines about the session '99'.\n"
        assert messages(tail("--session", "15fa")) == ["built"]
        assert tail("--session", "99").err == expected
        assert tail("--session", "15fa9158-a43f", "-p", "error").err == "TailLog: No log lines match.\n"

    def test_a_traceback_is_searched_too(self, embedded: Database) -> None:
        log(embedded, "failed", traceback="Traceback (most recent call last):\nZeroDivisionError: division by zero")
        assert tail("zerodivision").code == tail("-g", "by zero$").code == 0
        assert tail("ValueError").code == 1

    def test_since_and_until_select_by_time(self, database: Database) -> None:
        """-S and -U: the lines of a time, all of them unless -n is given."""
        noon = to_ts(datetime(2026, 11, 18, 12, tzinfo=UTC))
        for minute in range(60):
            log(database, f"minute {minute}", ts=noon + minute * 60 * SECOND)
        hour = [f"minute {minute}" for minute in range(60)]
        for words, expected in (
            (("-S", "2026-11-18"), hour),
            (("-S", "2026-11-18 12:57"), hour[57:]),
            (("-U", "2026-11-18T13:02+01:00"), hour[:3]),
            (("-S", "2026-11-18 12:10", "-U", "2026-11-18 12:12"), hour[10:13]),
            (("-S", "2026-11-18 12:10", "-n", "2"), hour[58:]),
            (("-S", f"@{noon // SECOND + 58 * 60}", "-r"), [hour[59], hour[58]]),
            (("-S", "-15m"), []),
        ):
            assert (words, messages(tail(*words))) == (words, expected)

    def test_a_moment_that_cannot_be_read(self) -> None:
        done = tail("--since", "soon")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "invalid time 'soon'; examples are 2026-11-20, '2026-11-20 09:30', yesterday, 09:30, -15m" in done.err

    def test_more_lines_than_are_kept_in_memory(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [
            (number // 3, 20, "Builder", "build", 1, "work", "desk", 1, "main", f"{number}", None, None)
            for number in range(30_000)
        ]
        with embedded.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, rows)
        assert messages(tail("-n", "25000")) == [str(number) for number in range(5000, 30_000)]
        assert len(tail("-n", "40000").lines) == 30_000

    def test_a_clock_that_is_wrong(self, embedded: Database) -> None:
        """Its lines stand in the place of newer ones; how to see those is said."""
        log(embedded, "now")
        for number in range(50):
            log(embedded, f"{number}", ts=SYSTEM_CLOCK.now() + 90_000 * SECOND, host="titan-pc")
        done = tail()
        assert (len(done.lines), done.code) == (50, 0)
        assert re.search("1 d in the future: is the clock of titan-pc wrong[?] .*: TailLog -n 50 -U now$", done.err)
        assert messages(tail("-n", "50", "-U", "now")) == ["now"]


class TestFollowing:
    """-f shows each line that is logged anywhere, once."""

    def test_a_line_of_another_process_appears(self, logged: Database) -> None:
        with Follower("TailLog", "-f", "-n", "1") as follower:
            follower.until("]Ended$")
            log_from_another_process("Shutter stuck")
            assert follower.until("Shutter").endswith("][Camera]Shutter stuck")
            assert follower.interrupt() == 130
        assert len(follower.lines) == 2
        assert follower.messages == []

    def test_only_what_matches_appears(self, logged: Database) -> None:
        with Follower("TailLog", "-f", "titan", "--logger", "Builder", "--json") as follower:
            follower.until("50%")
            log(logged, "Titan again", logger="Harvester")
            log(logged, "nothing")
            log(logged, "The Titan is back")
            follower.until("is back")
            assert follower.interrupt() == 130
        assert len(follower.lines) == 3

    def test_no_line_is_missed_or_shown_twice_at_the_start(self, database: Database) -> None:
        """What is logged while TailLog begins is shown once, be it as an old line or as a new one."""
        enough = threading.Event()
        written = []

        def write() -> None:
            while not enough.is_set() and len(written) < 5000:
                written.append(f"line {len(written)}.")
                log(database, written[-1])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with Follower("TailLog", "-f", "-n", "1000000") as follower:
                follower.until("line 0[.]")
                # Fifty lines after its first, it certainly follows.
                follower.until(f"line {len(written) + 50}[.]")
                enough.set()
                writer.join(LIMIT)
                log(database, "the last.")
                follower.until("the last")
                follower.interrupt()
        finally:
            enough.set()
            writer.join(LIMIT)
        shown = [line.rpartition("]")[2] for line in follower.lines]
        assert shown == [*written, "the last."]

    def test_a_line_whose_transaction_was_under_way_is_shown_once(
        self, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its number is lower than one that is visible already: asking for what is above would lose it."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        database = open_database(mariadb_url)
        log(database, "first")
        row = (1, 20, "Builder", "build", 1, "work", "desk", 1, "main", "late", None, None)
        with database.transaction() as under_way:
            under_way.insert_many("log_record", LOG_COLUMNS, [row])
            log(database, "early")
            follower = Follower("TailLog", "-f")
            follower.until("]early$")
        with follower:
            follower.until("]late$")
            log(database, "last")
            follower.until("]last$")
            follower.interrupt()
        assert sorted(line.rpartition("]")[2] for line in follower.lines) == ["early", "first", "last", "late"]
        database.close()

    def test_it_goes_on_after_the_database_was_away(
        self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private_mariadb.start()
        url = private_mariadb.create_database("nexus")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        log_from_another_process("before")
        with Follower("TailLog", "-f") as logs, Terminal(command("TailStatus", "-f")) as status:
            logs.until("]before$")
            status.until("Waiting for changes")
            private_mariadb.kill()
            assert "does not answer" in logs.until_message("TailLog: The database at .* Going on when it is back")
            status.until("TailStatus: The database at")
            private_mariadb.start()
            logs.until_message("The database is back")
            status.until("The database is back")
            script = "from NexusCore import API; API.get_status('Camera')['shutter'] = 'open'; API.shutdown()"
            subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True, timeout=LIMIT)
            log_from_another_process("after")
            logs.until("]after$")
            status.until(r"\[Camera\] shutter = open\n")
            assert logs.interrupt() == 130
        assert (len(logs.lines), len(logs.messages)) == (2, 2)

    def test_ctrl_c_ends_it_while_a_server_does_not_answer(
        self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private_mariadb.start()
        url = private_mariadb.create_database("nexus")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        log(open_database(url), "before")
        with Follower("TailLog", "-f") as follower:
            follower.until("]before$")
            private_mariadb.pause()
            assert follower.interrupt() == 130

    @pytest.mark.parametrize("words", [(), ("-S", "yesterday")])
    def test_a_database_that_is_away_from_the_beginning(
        self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        """One line says so; what was logged before and after is shown once it is there."""
        private_mariadb.start()
        url = private_mariadb.create_database("nexus")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        database = open_database(url)
        log(database, "before")
        database.close()
        private_mariadb.kill()
        with Follower("TailLog", "-f", *words) as follower:
            follower.until_message("does not answer .* Going on when it is back")
            private_mariadb.start()
            follower.until("]before$")
            log(database, "after")
            follower.until("]after$")
            assert follower.interrupt() == 130
        assert (len(follower.lines), len(follower.messages)) == (2, 2)
        database.close()

    def test_without_following_it_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", "mysql://nobody@127.0.0.1:1/nexus")
        done = tail()
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("TailLog: The database at mysql://nobody@127.0.0.1:1/nexus does not answer")

    def test_what_was_logged_since_a_time_comes_first(self, database: Database) -> None:
        """All of it, not the newest fifty."""
        log(database, "long ago", ts=1)
        for number in range(70):
            log(database, f"{number}.")
        with Follower("TailLog", "-f", "-S", "-1h", "-g", "[.]$") as follower:
            follower.until("]69.$")
            log(database, "not this one")
            log(database, "new.")
            follower.until("]new.$")
            follower.interrupt()
        assert [line.rpartition("]")[2] for line in follower.lines] == [*(f"{number}." for number in range(70)), "new."]


class TestReadingOnly:
    """A plain read starts nothing that has to be stopped again."""

    def test_no_journal_is_opened(self, logged: Database) -> None:
        tail("-n", "1")
        run("ConfigTool", "list")
        run("TailStatus")
        assert not Path(os.environ["NEXUSCORE_HOME"]).exists()
