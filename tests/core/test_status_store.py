"""What becomes of status in the database (003-36..46, 003-52), on both kinds."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from NexusCore.API import App
from NexusCore.clock import SECOND
from NexusCore.status import Status2DElement, StatusElement, StatusException
from NexusCore.status.store import StatusSample, latest, short_line
from tests.clocks import START, HandClock
from tests.journals import folder_of, leave, status_payload
from tests.processes import LIMIT, adopt, app_on, ended, eventually, messages, rows, run, samples, start

_SAMPLES = """SELECT i.name, s.value, s.ts, s.expires FROM status_sample s JOIN status_item i ON i.id = s.item_id
               ORDER BY s.id"""
HOUR = 3600 * SECOND


def now(app: App) -> dict[str, str | None]:
    """Return what is now, by name."""
    return {one.name: one.value for one in latest(app.database(app.settings.status))}


class TestWhatIsStored:
    """A value is stored only if it changed, with its time and when it goes stale (003-39..41, 44)."""

    def test_changes_in_order(self, database_url: str, tmp_path: Path, clock: HandClock) -> None:
        app = app_on(database_url, tmp_path / "home", clock)
        status = app.get_status("Module")
        status["state"] = "working"
        status["state"] = "working"
        clock.advance(1)
        status["state"].set_value("working", force_update=True)
        status["state"].set_value("idle", timestamp=5.25)
        status.new("percent", 50, expire_time=2)
        status.new("nothing")
        status["percent"].inc()
        assert app.shutdown(LIMIT).left == 0
        assert rows(database_url, _SAMPLES) == [
            ("state", "working", START, None),
            ("state", "working", START + SECOND, None),
            ("state", "idle", 5_250_000, None),
            ("percent", "50", START + SECOND, START + 3 * SECOND),
            ("percent", "51", START + SECOND, START + 3 * SECOND),
        ]
        assert status["percent"] == 51, "the element keeps its value, stale or not"

    @pytest.mark.parametrize(
        ("value", "text"),
        [(True, "True"), (0.1, "0.1"), (2**70, str(2**70)), (None, None), ("", ""), ("a\0b", "a\0b"),
         ([1, "x"], "[1, 'x']"), ("\U0001f52c" * 256, "\U0001f52c" * 256), ("it's 5 %s; -- \\", "it's 5 %s; -- \\"),
         ("\udc80", "\\udc80")],
    )  # fmt: skip
    def test_any_value_as_text(self, app: App, database_url: str, value: Any, text: str | None) -> None:
        """003-45."""
        status = app.get_status("Values")
        status["x"] = 0
        status["x"] = value
        assert status["x"].get_value() == value
        app.shutdown(LIMIT)
        assert [stored for _, stored, _, _ in rows(database_url, _SAMPLES)] == ["0", text]

    def test_one_that_is_too_long_stores_nothing(self, app: App, database_url: str) -> None:
        """003-45: and the next one arrives."""
        status = app.get_status("Long")
        with pytest.raises(StatusException):
            status["x"] = "x" * 1025
        status["x"] = "x" * 1024
        assert app.shutdown(LIMIT).dropped == 0
        assert samples(database_url, "Long") == [("x", "x" * 1024)]

    def test_grids_are_stored_whole_when_they_change(self, app: App, database_url: str) -> None:
        """003-46: whole, as JSON, column by column."""
        status = app.get_status("Grids")
        status.new2d("implicit", (2, 1))
        tiles = status.new2d("tiles", (2, 3), initial_value=0)
        tiles.set_value((1, 2), 255)
        tiles.set_value([[1, 1, 1], [1, 1, 1]])
        tiles.set_value([[1, 1, 1], [1, 1, 1]])
        tiles.set_value((0, 0), 2, timestamp=1)
        app.shutdown(LIMIT)
        found = [(name, json.loads(value), ts) for name, value, ts, _ in rows(database_url, _SAMPLES)]
        assert [(name, value) for name, value, _ in found] == [
            ("tiles", [[0, 0, 0], [0, 0, 0]]),
            ("tiles", [[0, 0, 0], [0, 0, 255]]),
            ("tiles", [[1, 1, 1], [1, 1, 1]]),
            ("tiles", [[2, 1, 1], [1, 1, 1]]),
        ]
        assert found[-1][2] == SECOND

    def test_a_large_grid(self, app: App, database_url: str) -> None:
        status = app.get_status("Grids")
        status.new2d("large", (1000, 1000), initial_value=255)
        assert app.shutdown(LIMIT).left == 0
        ((_, value, _, _),) = rows(database_url, _SAMPLES)
        assert json.loads(value) == [[255] * 1000] * 1000

    @pytest.mark.parametrize("name", ["it's", 'quo"te', "50 %", "a:b", "Größe \U0001f52c", "n" * 128, "N", "n"])
    def test_any_name_is_stored_as_given(self, app: App, database_url: str, name: str) -> None:
        app.get_status(name)[name] = 1
        app.get_status(name)[name] = 2
        app.shutdown(LIMIT)
        assert samples(database_url, name) == [(name, "1"), (name, "2")]

    def test_an_element_made_by_itself_is_stored_from_when_it_belongs(self, app: App, database_url: str) -> None:
        status = app.get_status("Channel")
        loose, grid = StatusElement("loose"), Status2DElement("grid", None, (1, 1))
        loose.set_value("before")
        status.add_status_element(loose)
        status.add_status_element(grid)
        loose.set_value("after")
        grid[0, 0] = 1
        app.shutdown(LIMIT)
        assert samples(database_url, "Channel") == [("loose", "after"), ("grid", "[[1]]")]

    def test_nothing_comes_back(self, app: App, other: App) -> None:
        """003-43: status is stored, never loaded."""
        app.get_status("Module")["x"] = 1
        eventually(lambda: now(other) == {"x": "1"})
        assert "x" not in other.get_status("Module")

    def test_the_same_channel_is_the_same_object(self, app: App) -> None:
        assert app.get_status("Module") is app.get_status("Module")


class TestAfterTheEnd:
    """Holders still work in memory after `shutdown`."""

    def test_values_and_events_work_in_memory(self, app: App) -> None:
        status = app.get_status("Module")
        status["x"] = 1
        app.shutdown(LIMIT)
        event = threading.Event()
        status["x"].add_event_on_value(3, event)
        status["x"].inc(2)
        status["new"] = "late"
        assert (status["x"] == 3, status["new"] == "late", event.is_set()) == (True, True, True)
        assert app.get_status("Module") is status

    def test_callbacks_that_are_due_are_called_first(self, app: App) -> None:
        status, seen = app.get_status("Module"), []
        begin = threading.Event()
        status["x"] = -1
        status["x"].add_callback(lambda element: begin.wait(LIMIT))
        status["x"].add_callback(lambda element: seen.append(element.get_value()))
        for number in range(100):
            status["x"] = number
        begin.set()
        app.shutdown(LIMIT)
        assert len(seen) == 100
        status["x"] = "after"
        eventually(lambda: seen[-1] == "after")


class TestOneDeliveryThread:
    """One delivery thread per process, however many channels and logs there are."""

    def test_fifty_channels_share_one_thread(self, database_url: str, tmp_path: Path) -> None:
        program = """
import threading
from NexusCore import API
for number in range(50):
    API.get_status(f"channel {number}")["x"] = number
    API.get_log(f"log {number}").info("x")
print(sorted(thread.name for thread in threading.enumerate()))
API.shutdown(60)
"""
        printed = run(program, main=database_url, home=tmp_path / "home")
        assert printed.strip() == "['MainThread', 'delivery']"


class TestWhatIsNow:
    """`latest` answers what is now without reading history."""

    def test_the_last_value_of_each(self, app: App) -> None:
        one, two = app.get_status("One"), app.get_status("Two")
        for number in range(100):
            one["n"], two["m"] = number, -number
        app.shutdown(LIMIT)
        found = latest(app.database(app.settings.status))
        assert [(sample.channel, sample.name, sample.value) for sample in found] == [
            ("One", "n", "99"),
            ("Two", "m", "-99"),
        ]

    def test_history_is_not_read(self, app: App, database_url: str) -> None:
        app.get_status("One")["n"] = 1
        app.shutdown(LIMIT)
        with app.database(app.settings.status).transaction() as transaction:
            transaction.run("DELETE FROM status_sample")
        assert now(app) == {"n": "1"}

    def test_a_clock_that_is_set_back(self, database_url: str, tmp_path: Path, clock: HandClock) -> None:
        """What was set last is what is now, whatever the clock said; nothing is lost, the order is that of calls."""
        app = app_on(database_url, tmp_path / "home", clock)
        status, log = app.get_status("Module"), app.get_log("Module")
        status["state"] = "before"
        log.info("before")
        eventually(lambda: now(app) == {"state": "before"})
        clock.set_back(3600)
        status["state"] = "after"
        log.info("after")
        eventually(lambda: len(samples(database_url, "Module")) == 2)
        assert now(app) == {"state": "after"}
        status["state"] = "again"
        assert app.shutdown(LIMIT).left == 0
        assert now(app) == {"state": "again"}
        assert rows(database_url, _SAMPLES) == [
            ("state", "before", START, None),
            ("state", "after", START - HOUR, None),
            ("state", "again", START - HOUR, None),
        ]
        assert messages(database_url, "Module") == ["before", "after"]

    def test_what_a_dead_process_left_behind_is_older(
        self, database_url: str, tmp_path: Path, clock: HandClock
    ) -> None:
        """It is delivered after what its successor has said by then, and must not hide it."""
        app = app_on(database_url, tmp_path / "home", clock)
        app.get_status("dead")["state"] = "risen"
        assert app.shutdown(LIMIT).left == 0
        leave(folder_of(app, "status"), [status_payload("state", "dying", ts=START - SECOND)])
        adopt(database_url, tmp_path / "home")
        assert samples(database_url, "dead") == [("state", "risen"), ("state", "dying")]
        found = {one.channel: one.value for one in latest(app.database(app.settings.status))}
        assert found["dead"] == "risen"

    def test_both_sides_of_the_step_in_one_batch(self, database_url: str, tmp_path: Path, clock: HandClock) -> None:
        app = app_on(database_url, tmp_path / "home", clock)
        status = app.get_status("Module")
        status["state"] = "before"
        clock.set_back(3600)
        status["state"] = "after"
        app.shutdown(LIMIT)
        assert now(app) == {"state": "after"}


class TestSeveralProcesses:
    """Eight processes write to the same channels at once: every value arrives once, each process's in order."""

    PROGRAM = """
import sys
from NexusCore import API
own = sys.argv[1]
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    for channel in ("Shared", "Common"):
        API.get_status(channel)[f"p{own}"] = number
        API.get_status(channel)["all"] = f"{own}:{number}"
print(API.shutdown(60))
"""

    def test_values_of_eight_processes_arrive_in_order(self, database_url: str, tmp_path: Path) -> None:
        count = 200
        processes = [start(self.PROGRAM, own, count, main=database_url, home=tmp_path / "home") for own in range(8)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        for process in processes:
            assert ended(process).strip() == f"Report(delivered={4 * count}, left=0, dropped=0)"
        for channel in ("Shared", "Common"):
            found = samples(database_url, channel)
            assert len(found) == 2 * 8 * count
            for own in range(8):
                assert [value for name, value in found if name == f"p{own}"] == [str(n) for n in range(count)]
                of_own = [value for name, value in found if name == "all" and value.startswith(f"{own}:")]
                assert of_own == [f"{own}:{n}" for n in range(count)]
        assert rows(database_url, "SELECT COUNT(*) FROM status_channel") == [(2,)]
        assert rows(database_url, "SELECT COUNT(*) FROM status_item") == [(18,)]


def test_a_line_shows_the_day_without_leading_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """003-52: the day without a leading blank, as TailStatus shows it."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    sample = StatusSample("UnitTest", "runner4", "98", 1_470_138_263 * SECOND, None)
    assert short_line(sample) == "Tue Aug 2 11:44:23 2016 [UnitTest] runner4 = 98"
    monkeypatch.undo()
    time.tzset()
