"""TailStatus: what the programs are doing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK, to_ts
from NexusCore.storage import Database
from tests.tools.conftest import report
from tests.tools.programs import LIMIT, PROJECT, Done, Terminal, command, run

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
    """Without arguments, a table of what is now, with its age."""

    def test_the_newest_value_of_each(self, running: Database) -> None:
        header, *rows = tail().lines
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
        assert [line.split()[0:2] for line in tail().lines if line.endswith("STALE")] == [["Camera", "state"]]

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

    def test_json(self, running: Database) -> None:
        (found,) = tail("Camera:state", "--json").objects
        assert (found["value"], found["stale"]) == ("cooling", True)
        assert found["time"] < found["expires"]

    def test_nothing_of_that_name(self, running: Database) -> None:
        done = tail("Bulder:state")
        assert (done.code, done.out) == (1, "")
        assert done.err == "TailStatus: There is no status 'Bulder:state'. Did you mean 'Builder:state'?\n"

    def test_nothing_at_all(self, database: Database) -> None:
        assert tail() == Done(1, "", "TailStatus: No program has reported any status yet.\n")


class TestFollowing:
    """003-52: -f shows each change as it comes."""

    def test_a_change_of_another_process_appears(self, running: Database) -> None:
        script = "from NexusCore import API; s = API.get_status('Camera'); s['x'] = 1; s['y'] = 98; API.shutdown()"
        with Terminal(command("TailStatus", "-f", "Camera:y")) as terminal:
            terminal.until("Waiting for changes; Ctrl-C ends")
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
