"""TailStatus: what the programs are doing."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK, to_ts
from NexusCore.storage import Database, open_database
from NexusCore.storage.migrate import migrate
from tests.mariadb import MariaDB
from tests.processes import eventually
from tests.tools.conftest import report
from tests.tools.emulated import Emulated
from tests.tools.programs import LIMIT, PROJECT, Done, Follower, Terminal, command, in_process, run
from Tools.tailstatus.showing import channels_of

MINUTE = 60 * SECOND


def tail(*words: str) -> Done:
    return run("TailStatus", *words)


@pytest.fixture
def running(database: Database) -> Database:
    """Lend a database with the status of a few programs."""
    now = SYSTEM_CLOCK.now()
    report(
        database,
        (now - 5 * MINUTE, "Builder", "state", "building", now + MINUTE),
        (now - 3 * MINUTE, "Builder", "state", "idle", now + MINUTE),
        (now - 3 * MINUTE, "Builder", "done", "12", None),
        (now - 100 * MINUTE, "Camera", "state", "cooling", now - 99 * MINUTE),
        (now - 100 * MINUTE, "Camera:2", "temperature", "-20.5", None),
    )
    return database


class TestWhatIsNow:
    """--all is a table of what is now, with its age."""

    def test_the_newest_value_of_each(self, running: Database) -> None:
        header, *rows = tail("--all").lines
        assert header.split() == ["channel", "name", "value", "age"]
        assert [row.split()[:3] for row in rows] == [
            ["Builder", "done", "12"],
            ["Builder", "state", "idle"],
            ["Camera", "state", "cooling"],
            ["Camera:2", "temperature", "-20.5"],
        ]
        assert "1 h 40 min" in rows[3]

    def test_what_has_expired_is_marked(self, running: Database) -> None:
        """003-44: expiry is for stored values, so that a reader knows what to believe."""
        assert [line.split()[0:2] for line in tail("--all").lines if line.endswith("STALE")] == [["Camera", "state"]]

    def test_names_and_wildcards_select(self, running: Database) -> None:
        """003-53: with one or more channel:name only these are shown."""
        for wanted, expected in (
            (("Builder:state",), ["Builder:state"]),
            (("Builder:state", "Camera:2:temperature"), ["Builder:state", "Camera:2:temperature"]),
            (("Camera",), ["Camera:state"]),
            (("Cam*",), ["Camera:state", "Camera:2:temperature"]),
            (("*:state",), ["Builder:state", "Camera:state"]),
            (("Builder:?one",), ["Builder:done"]),
        ):
            found = tail("--json", *wanted).objects
            assert (wanted, [f"{one['channel']}:{one['name']}" for one in found]) == (wanted, expected)

    def test_json_has_expiry_and_staleness(self, running: Database) -> None:
        (found,) = tail("Camera:state", "--json").objects
        assert (found["value"], found["stale"]) == ("cooling", True)
        assert found["time"] < found["expires"]

    def test_a_line_end_in_a_value_is_quoted_in_csv(self, embedded: Database) -> None:
        report(embedded, (1_470_138_136_000_000, "Camera", "note", 'two\nlines, "so"', None))
        rows = list(csv.reader(io.StringIO(tail("--csv", "Camera:note").out)))
        assert [row[1:4] for row in rows] == [["channel", "name", "value"], ["Camera", "note", 'two\nlines, "so"']]

    def test_csv_has_a_header_and_quotes_text(self, database: Database) -> None:
        ts = to_ts(datetime(2016, 8, 2, 11, 44, 23, tzinfo=UTC))
        report(database, (ts, "Camera", "state", 'at "0", idle', ts + 1), (ts, "Camera", "x", None, None))
        assert tail("--csv").lines == [
            "time,channel,name,value,expires,stale",
            '2016-08-02T11:44:23.000000+00:00,Camera,state,"at ""0"", idle",2016-08-02T11:44:23.000001+00:00,1',
            "2016-08-02T11:44:23.000000+00:00,Camera,x,,,0",
        ]

    def test_nothing_of_that_name(self, running: Database) -> None:
        done = tail("Bulder:state")
        assert (done.code, done.out) == (1, "")
        assert done.err == "TailStatus: Status not found: Bulder:state. Did you mean 'Builder:state'?\n"

    def test_one_of_several_is_not_there(self, running: Database) -> None:
        """What is there is shown, and what is not is pointed out."""
        sentence = "TailStatus: Status not found: Bulder:state. Did you mean 'Builder:state'?\n"
        for words in ((), ("--json",), ("-S", "-1d")):
            done = tail("Bulder:state", "Builder:done", *words)
            assert (done.code, "12" in done.out, done.err) == (0, True, sentence)
        with Follower("TailStatus", "-f", "Bulder:state", "Builder:done") as follower:
            follower.until("done = 12")
            follower.until_message("Status not found: Bulder:state")
            follower.interrupt()

    def test_nothing_at_all(self, database: Database) -> None:
        for words in ((), ("--all",)):
            assert tail(*words) == Done(1, "", "TailStatus: No program has reported any status yet.\n")


class TestChanges:
    """--since shows what has changed since a time, the oldest change first."""

    def test_of_all_and_of_some(self, running: Database) -> None:
        for words, expected in (
            (("-S", "-10m"), ["state = building", "state = idle", "done = 12"]),
            (("-S", "-4m"), ["state = idle", "done = 12"]),
            (("-S", "-10m", "*:state"), ["state = building", "state = idle"]),
            (("-S", "-1d", "Camera*"), ["state = cooling", "temperature = -20.5"]),
        ):
            found = [line.partition("] ")[2] for line in tail(*words).lines]
            assert (words, found) == (words, expected)

    def test_of_very_many_names(self, database: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(database, *((now - 100 + number, "Pump", f"p{number}", "on", None) for number in range(90)))
        found = tail("-S", "-1h", "Pump:p1*", "Pump:p2*", "Pump:p3*", "Pump:p4*", "--json").objects
        assert [one["name"] for one in found] == [f"p{n}" for n in range(90) if str(n)[0] in "1234"]

    def test_no_change_exits_with_1(self, running: Database) -> None:
        assert tail("-S", "-1s") == Done(1, "", "TailStatus: No changes since then.\n")
        assert "Did you mean 'Builder:state'" in tail("-S", "-1d", "Bulder:state").err

    def test_following_goes_on_from_them(self, running: Database) -> None:
        with Follower("TailStatus", "-f", "-S", "-10m", "Builder") as follower:
            follower.until("done = 12")
            report(running, (SYSTEM_CLOCK.now(), "Builder", "state", "ended", None))
            follower.until("state = ended")
            follower.interrupt()
        found = [line.partition("] ")[2] for line in follower.lines]
        assert found == ["state = building", "state = idle", "done = 12", "state = ended"]


class TestFollowing:
    """003-52: -f shows what is now, and each change as it comes."""

    def test_what_is_now_comes_first(self, running: Database) -> None:
        """Who follows knows where it begins; the time is that of the last change, so it is that change's line."""
        with Follower("TailStatus", "-f", "Builder", "*:temperature") as follower:
            follower.until("done = 12")
            report(running, (SYSTEM_CLOCK.now(), "Builder", "state", "building", None))
            follower.until("state = building")
            assert follower.interrupt() == 130
        found = [line.partition(" [")[2] for line in follower.lines]
        assert found[0] == "Camera:2] temperature = -20.5"
        assert sorted(found[1:3]) == ["Builder] done = 12", "Builder] state = idle"]
        assert found[3:] == ["Builder] state = building"]

    def test_no_change_is_missed_or_shown_twice_at_the_start(self, database: Database) -> None:
        """What changes while TailStatus begins is shown once, as what is now or as a change, in the right order."""
        enough = threading.Event()
        written = []

        def write() -> None:
            while not enough.is_set() and len(written) < 5000:
                written.append(str(len(written)))
                report(database, (SYSTEM_CLOCK.now(), "Camera", "frame", written[-1], None))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with Follower("TailStatus", "-f") as follower:
                follower.until("frame = ")
                follower.until(f"frame = {len(written) + 30}$")
                enough.set()
                writer.join(LIMIT)
                report(database, (SYSTEM_CLOCK.now(), "Camera", "frame", "last", None))
                follower.until("frame = last")
                follower.interrupt()
        finally:
            enough.set()
            writer.join(LIMIT)
        shown = [line.rpartition(" ")[2] for line in follower.lines]
        assert shown == [*written[int(shown[0]) :], "last"]

    def test_a_missing_name_is_reported(self, running: Database) -> None:
        with Follower("TailStatus", "-f", "Builder:stat", "--csv") as follower:
            follower.until_message("Status not found: Builder:stat. Did you mean 'Builder:state'?")
            report(running, (SYSTEM_CLOCK.now(), "Builder", "stat", "1", None))
            follower.until("Builder,stat,1,,0")
            follower.interrupt()
        assert len(follower.lines) == 2

    def test_a_database_that_is_away_from_the_beginning(
        self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One line says so; it goes on when the database is there."""
        private_mariadb.start()
        url = private_mariadb.create_database("nexus")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        private_mariadb.kill()
        assert tail().code == 3
        with Follower("TailStatus", "-f") as follower, Follower("TailStatus", "--exit-on", "Camera:y=2") as script:
            follower.until_message("does not answer .* Going on when it is back")
            script.until_message("does not answer")
            assert tail("--exit-on", "Camera:y=2", "--timeout", "0.1").code == 1
            private_mariadb.start()
            follower.until_message("The database is back")
            script.until_message("The database is back")
            report(open_database(url), (SYSTEM_CLOCK.now(), "Camera", "y", "2", None))
            follower.until("y = 2")
            script.until("y = 2")
            assert (script.wait(), follower.interrupt()) == (0, 130)

    def test_a_change_of_another_process_appears(self, running: Database) -> None:
        script = "from NexusCore import API; s = API.get_status('Camera'); s['x'] = 1; s['y'] = 98; API.shutdown()"
        with Terminal(command("TailStatus", "-f", "Camera:y")) as terminal:
            terminal.until("Waiting for changes. Ctrl-C to stop")
            subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True, timeout=LIMIT)
            terminal.until(r"\n\w{3} \w{3} \d{1,2} \d\d:\d\d:\d\d \d{4} \[Camera\] y = 98\n")
            terminal.type("\x03")
            assert terminal.end() == 130
        assert " x = 1" not in terminal.text

    def test_the_line_of_the_documentation(self, database: Database) -> None:
        """003-52: Tue Aug 2 11:44:23 2016 [UnitTest] runner4 = 98."""
        ts = to_ts(datetime(2016, 8, 2, 11, 44, 23, tzinfo=UTC))
        with Terminal(command("TailStatus", "-f")) as terminal:
            terminal.until("Waiting for changes")
            report(database, (ts, "UnitTest", "runner4", "98", None))
            terminal.until("\nTue Aug 2 11:44:23 2016 \\[UnitTest\\] runner4 = 98\n")


class TestWaiting:
    """--exit-on ends when a value is what is wanted, so that a script can wait for it."""

    def test_at_once_if_it_is_so(self, running: Database) -> None:
        for condition in (
            "Builder:state=idle", "Builder:state==idle", "Builder:state = idle", "Builder:state!=building",
            "*:state=idle", "Builder:done=12", "Builder:done=12.0", "Builder:done>=12", "Builder:done>-1e3",
            "Camera:2:temperature<-20", "Builder:done!=13",
        ):  # fmt: skip
            done = in_process("TailStatus", "--exit-on", condition, "--timeout", "0")
            assert (condition, done.code, len(done.lines), done.err) == (condition, 0, 1, "")

    def test_not_if_it_is_not_so(self, running: Database) -> None:
        """What has expired tells nothing any more: its program may be gone."""
        for condition, what in (
            ("Builder:state=building", "Builder:state is 'idle'."),
            ("Builder:done>12", "Builder:done is '12'."),
            ("Builder:state<5", "Builder:state is 'idle'."),
            ("Camera:state=cooling", "Camera:state is 'cooling' and STALE."),
            ("Bulder:state=idle", "Status not found: Bulder:state. Did you mean 'Builder:state'?"),
        ):
            done = in_process("TailStatus", "--exit-on", condition, "--timeout", "0.1")
            assert (done.code, done.out) == (1, "")
            assert done.err.startswith(f"TailStatus: {condition} was not true within 0.1 s")
            assert done.err.endswith(f"{what}\n")

    def test_the_limit_where_wake_ups_can_be_had(self, running: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """A socket needs a home with a short path; then nothing but a wake-up ends the waiting for the database."""
        with tempfile.TemporaryDirectory(prefix="nx") as home:
            monkeypatch.setenv("NEXUSCORE_HOME", home)
            with Follower("TailStatus", "--exit-on", "Builder:done>12", "--timeout", "1.5") as script:
                eventually(lambda: list(Path(home).glob("run/wake/status_sample.*")))
                script.until_message("was not true within 1.5 s")
                assert script.wait() == 1

    def test_when_it_becomes_so(self, running: Database) -> None:
        """However short: a change is not missed because the next one follows at once."""
        with Follower("TailStatus", "-f", "Builder:done", "--exit-on", "Builder:state=ended") as script:
            script.until("done = 12")
            now = SYSTEM_CLOCK.now()
            report(running, (now, "Builder", "done", "13", None), (now, "Builder", "x", "0", None))
            report(running, (now, "Builder", "state", "ended", None), (now, "Builder", "state", "idle", None))
            assert script.wait() == 0
        assert [line.partition("] ")[2] for line in script.lines] == ["done = 12", "done = 13", "state = ended"]

    def test_several_at_once(self, running: Database) -> None:
        """All have to be so at the same time; a value that was right and is no more does not count."""
        conditions = ("--exit-on", "Builder:state=ended", "--exit-on", "Camera:2:temperature<-30")
        assert tail("--exit-on", "Builder:state=idle", "--exit-on", "Builder:done=12", "--timeout", "0").code == 0
        done = tail("--exit-on", "Builder:state=idle", *conditions, "--timeout", "0.1")
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines() == [
            "TailStatus: Builder:state=ended was not true within 0.1 s: Builder:state is 'idle'.",
            "TailStatus: Camera:2:temperature<-30 was not true within 0.1 s: Camera:2:temperature is '-20.5'.",
        ]
        with Follower("TailStatus", "-f", "Builder:done", *conditions) as script:
            script.until("done = 12")
            now = SYSTEM_CLOCK.now()
            report(running, (now, "Builder", "state", "ended", None), (now, "Builder", "state", "idle", None))
            report(running, (now, "Camera:2", "temperature", "-31", None), (now, "Builder", "done", "13", None))
            script.until("done = 13")
            report(running, (now, "Builder", "state", "ended", None))
            assert script.wait() == 0
        found = [line.partition("] ")[2] for line in script.lines]
        assert found == ["done = 12", "done = 13", "state = ended", "temperature = -31"]

    def test_booleans_are_written_in_any_case(self, running: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(running, (now, "Camera", "cold", "True", None), (now, "Camera", "mode", "Fast", None))
        for condition, code in (
            ("Camera:cold=true", 0),
            ("Camera:cold=TRUE", 0),
            ("Camera:cold!=false", 0),
            ("Camera:cold!=true", 1),
            ("Camera:mode=fast", 1),
        ):
            done = in_process("TailStatus", "--exit-on", condition, "--timeout", "0")
            assert (condition, done.code) == (condition, code)

    def test_a_missing_name_is_reported(self, running: Database) -> None:
        """Without a limit, somebody who mistyped it would wait for ever."""
        with Follower("TailStatus", "--exit-on", "Bulder:state=idle") as script:
            script.until_message("Status not found: Bulder:state. Did you mean 'Builder:state'?")
            report(running, (SYSTEM_CLOCK.now(), "Bulder", "state", "idle", None))
            assert script.wait() == 0

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--exit-on", "Builder"), "invalid condition 'Builder'; examples are Builder:state=idle"),
            (("--exit-on", "Builder:x<low"), "< needs a number, not 'low'"),
            (("--exit-on", "a:b=1", "--timeout", "soon"), "invalid length of time 'soon'"),
            (("--timeout", "5"), "--timeout needs --exit-on."),
            (("--exit-on", "a:b=1", "-S", "today"), "--exit-on cannot be combined with --since."),
        ],
    )
    def test_each_mistake_is_explained(self, words: tuple[str, ...], sentence: str) -> None:
        done = tail(*words)
        assert (done.code, done.out, sentence in done.err) == (2, "", True), done.err


class TestWatching:
    """--watch: the table of what is now, drawn anew where it changes."""

    def test_the_table_follows_changes_and_size(self, running: Database) -> None:
        with Emulated(command("TailStatus", "--watch", "--all")) as terminal:
            terminal.until(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  4 values, 1 STALE  Ctrl-C ends$")
            terminal.until(r"^Camera +state +cooling +1 h 40 min  STALE$")
            assert max(map(len, terminal.lines)) <= 80
            before = len(terminal.written)
            report(running, (SYSTEM_CLOCK.now(), "Builder", "state", "building", None))
            terminal.until(r"^Builder +state +building +0 s$")
            assert terminal.colours >= {"default", "red", "cyan"}
            assert b"\x1b[2J" not in terminal.written[before:]
            terminal.resize(5, 60)
            terminal.until(r"^and 2 more; name those to see, .*…$")
            terminal.type("\x03")
            assert terminal.end() == 130
            assert terminal.is_restored

    def test_only_what_is_asked_for(self, running: Database) -> None:
        with Emulated(command("TailStatus", "--watch", "Builder:done", "*:new"), 10, 40) as terminal:
            terminal.until("^Builder  done  12")
            terminal.until(r"^Status not found: \*:new\.")
            report(running, (SYSTEM_CLOCK.now(), "Größe", "new", "日本語" * 30, None))
            terminal.until("^Größe.* 日本.*… ")
            terminal.until_gone("Status not found")
            assert "state" not in terminal.text
            terminal.type("\x03")
            assert terminal.end() == 130

    def test_the_database_goes_away(self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was known stays, below a line that says so."""
        private_mariadb.start()
        url = private_mariadb.create_database("nexus")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        database = open_database(url)
        report(database, (SYSTEM_CLOCK.now(), "Camera", "shutter", "open", None))
        database.close()
        with Emulated(command("TailStatus", "--watch", "--all")) as terminal:
            terminal.until("^Camera +shutter +open")
            private_mariadb.kill()
            terminal.until("^The database at .*(?s:.*)^Camera +shutter +open")
            private_mariadb.start()
            terminal.until_gone("does not answer")
            terminal.until("^Camera +shutter +open")
            private_mariadb.pause()
            terminal.until("^The database at .* has not answered for")
            terminal.type("\x03")
            assert terminal.end() == 130
            assert terminal.is_restored

    def test_without_a_terminal_it_is_refused(self) -> None:
        assert tail("--watch").err.startswith("TailStatus: --watch needs a terminal; use -f to follow.")
        assert tail("--watch", "-f").code == 2


class TestWhichChannelsAreRead:
    """Of the database, only the channels are read that may hold what is asked for."""

    @pytest.mark.parametrize(
        ("words", "names", "prefixes"),
        [
            ([], (), ("",)),
            (["Builder"], ("Builder",), ()),
            (["Builder:state"], ("Builder", "Builder:state"), ()),
            (["a:b:c"], ("a", "a:b", "a:b:c"), ()),
            (["Camera*:temp*", "x"], ("Camera*:temp*", "x"), ("Camera",)),
            (["Camera:temp*"], ("Camera", "Camera:temp*"), ("Camera:temp",)),
            (["[ab]c"], ("[ab]c",), ("",)),
        ],
    )
    def test_words_select_channels(self, words: list[str], names: tuple[str, ...], prefixes: tuple[str, ...]) -> None:
        found = channels_of(words)
        assert (sorted(found.names), found.prefixes) == (sorted(names), prefixes)
