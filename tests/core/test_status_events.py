"""Events, callbacks and reporters: who is told of a change of status, and when (003-48..51), without any database."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from typing import Any

import pytest

from NexusCore.status import (
    OnChangeStatusReporter,
    PeriodicStatusReporter,
    StatusElement,
    StatusHolder,
)
from tests.processes import LIMIT, eventually


@pytest.fixture
def status() -> StatusHolder:
    return StatusHolder("Module")


class Kept(OnChangeStatusReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("kept")
        self.seen: list[tuple[str, Any]] = []

    def report(self, element: StatusElement) -> None:
        self.seen.append((element.name, element.get_value()))


class TestEvents:
    """Events are set before `set_value` returns (003-48..51)."""

    def test_the_sequence_of_the_text(self, status: StatusHolder) -> None:
        """003-50."""
        changed, idle = threading.Event(), threading.Event()
        status["state"] = "initializing"
        status["state"].add_event_on_change(changed, once=True)
        status["state"].add_event_on_value("idle", idle)
        fired = []
        for value in ("working", "idle", "working", "idle"):
            status["state"] = value
            fired.append((changed.is_set(), idle.is_set()))
            changed.clear()
            idle.clear()
        assert fired == [(True, False), (False, True), (False, False), (False, True)]

    def test_on_each_change(self, status: StatusHolder) -> None:
        """003-48: an event on change fires only when something changed."""
        event = threading.Event()
        status["x"] = 1
        status["x"].add_event_on_change(event, once=False)
        fired = []
        for value in (1, 2, 2, "2", 3):
            status["x"] = value
            fired.append(event.is_set())
            event.clear()
        assert fired == [False, True, False, True, True]

    def test_each_change_sets_it_unless_once_is_given(self, status: StatusHolder) -> None:
        """003-48."""
        each, first = threading.Event(), threading.Event()
        status["x"] = 0
        status["x"].add_event_on_change(each)
        status["x"].add_event_on_change(first, once=True)
        fired = []
        for value in (1, 2, 3):
            status["x"] = value
            fired.append((each.is_set(), first.is_set()))
            each.clear()
            first.clear()
        assert fired == [(True, True), (True, False), (True, False)]

    def test_once_on_a_value(self, status: StatusHolder) -> None:
        """003-49."""
        once, each, at_once = threading.Event(), threading.Event(), threading.Event()
        status["x"] = 0
        status["x"].add_event_on_value(5, once, once=True)
        status["x"].add_event_on_value(5, each, once=False)
        status["x"].add_event_on_value(0, at_once, once=True)
        assert at_once.is_set(), "it has that value"
        at_once.clear()
        fired = []
        for value in (4, 5, 5, 0, 5):
            status["x"] = value
            fired.append((once.is_set(), each.is_set()))
            once.clear()
            each.clear()
        assert fired == [(False, False), (True, True), (False, True), (False, False), (False, True)]
        assert not at_once.is_set()

    def test_on_a_value_that_it_has(self, status: StatusHolder) -> None:
        """003-49: at registration, and each time it is set, changed or not."""
        event = threading.Event()
        status["state"] = "idle"
        status["state"].add_event_on_value("idle", event)
        assert event.is_set()
        event.clear()
        status["state"] = "idle"
        assert event.is_set()

    def test_one_that_was_taken_away(self, status: StatusHolder) -> None:
        event = threading.Event()
        element = status.new("x", 1)
        element.add_event_on_change(event, once=False)
        element.add_event_on_value(2, event)
        element.remove_event(event)
        element.set_value(2)
        assert not event.is_set()

    def test_taken_away_one_by_one(self, status: StatusHolder) -> None:
        event, other = threading.Event(), threading.Event()
        element = status.new("x", 0)

        def fired_by(value: int) -> tuple[bool, bool]:
            event.clear()
            other.clear()
            element.set_value(value)
            return event.is_set(), other.is_set()

        for one in (event, other):
            element.add_event_on_change(one)
            element.add_event_on_value(2, one)
            element.add_event_on_value(3, one)
        element.remove_event_on_change(event)
        assert [fired_by(value) for value in (1, 2, 3)] == [(False, True), (True, True), (True, True)]
        element.remove_event_on_value(2, event)
        element.remove_event_on_value(99, event)
        assert [fired_by(value) for value in (1, 2, 3)] == [(False, True), (False, True), (True, True)]
        element.remove_event(event)
        assert [fired_by(value) for value in (1, 2, 3)] == [(False, True)] * 3

    def test_an_event_wakes_another_thread(self, status: StatusHolder) -> None:
        """003-51."""
        event, seen = threading.Event(), threading.Event()
        status["state"] = "busy"
        status["state"].add_event_on_value("idle", event)

        def wait() -> None:
            if event.wait(LIMIT):
                seen.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        status["state"] = "idle"
        waiting.join(LIMIT)
        assert seen.is_set()


class TestCallbacks:
    """Callbacks run on a thread of their own, after each change, with their arguments."""

    def test_on_its_own_thread_with_arguments(self, status: StatusHolder) -> None:
        seen: list[tuple[Any, ...]] = []

        def note(*given: Any) -> None:
            seen.append((*given, threading.current_thread() is not threading.main_thread()))

        element = status.new("x", 0)
        element.add_callback(note, "a", 5)
        for value in (1, 1, 2):
            element.set_value(value)
        eventually(lambda: len(seen) == 2)
        assert seen == [(1, "a", 5, True), (2, "a", 5, True)]
        element.remove_callback(note)
        element.set_value(3)
        done = threading.Event()
        element.add_callback(lambda one: done.set())
        element.set_value(4)
        assert done.wait(LIMIT)
        assert len(seen) == 2

    @pytest.mark.parametrize("fault", [LookupError, SystemExit, KeyboardInterrupt, CancelledError, GeneratorExit])
    def test_a_fault_stops_no_other(
        self, status: StatusHolder, fault: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nor does a callback that takes itself for the program and exits, or says that it was cancelled."""
        seen: list[Any] = []

        def broken(element: StatusElement) -> None:
            raise fault("broken")

        element = status.new("x", 0)
        element.add_callback(broken)
        element.add_callback(lambda one: seen.append(one.get_value()))
        for number in (1, 2, 3):
            element.set_value(number)
            eventually(lambda number=number: len(seen) == number)  # type: ignore[misc]
        assert caplog.text.count("broken failed") + caplog.text.count("broken at") >= 3

    def test_each_is_given_what_was_set(self, status: StatusHolder) -> None:
        """However late it is called, and whatever has happened to the element since."""
        go = threading.Event()
        seen: list[tuple[Any, ...]] = []

        def note(element: StatusElement, *more: Any) -> None:
            go.wait(LIMIT)
            seen.append((element.get_value(), str(element), element.get_name(), element.get_timestamp(), *more))

        status["state"] = "starting"
        status["state"].add_callback(note)
        status["state"].add_callback(note, "again")
        for number, state in enumerate(("running", "idle")):
            status["state"].set_value(state, timestamp=number)
        grid = status.new2d("map", (1, 2))
        grid.add_callback(lambda element: seen.append((element[0, 1], element.get_value((0, 0)), element.get_value())))
        grid[0, 1] = 5
        grid[0, 1] = 6
        go.set()
        eventually(lambda: len(seen) == 6)
        assert seen == [
            ("running", "state=running", "state", 0),
            ("running", "state=running", "state", 0, "again"),
            ("idle", "state=idle", "state", 1),
            ("idle", "state=idle", "state", 1, "again"),
            (5, 0, [[0, 5]]),
            (6, 0, [[0, 6]]),
        ]

    def test_what_one_does_to_the_element_is_done(self, status: StatusHolder) -> None:
        done, fired = threading.Event(), threading.Event()

        def once(element: StatusElement) -> None:
            element.remove_callback(once)
            element.add_event_on_value(3, fired)
            element.set_value(2)
            element.inc()
            done.set()

        grids: list[Any] = []

        def grow(element: Any) -> None:
            element.remove_callback(grow)
            element.inc((0, 0))
            element[0, 1] = 7
            grids.append(element.get_value())

        status["x"] = 0
        status["x"].add_callback(once)
        status["x"] = 1
        assert done.wait(LIMIT)
        assert (status["x"].get_value(), fired.is_set()) == (3, True)
        grid = status.new2d("map", (1, 2))
        grid.add_callback(grow)
        grid[0, 0] = 4
        eventually(lambda: grids)
        assert (grid.get_value(), grids) == ([[5, 7]], [[[4, 0]]])

    def test_changes_of_all_threads_arrive_in_order(self, status: StatusHolder) -> None:
        seen: list[Any] = []
        status["n"] = 0
        status["n"].add_callback(lambda element: seen.append(element.get_value()))

        def count() -> None:
            for _ in range(200):
                status["n"].inc()

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        eventually(lambda: len(seen) == 800)
        assert seen == list(range(1, 801))

    def test_taken_away_with_its_arguments(self, status: StatusHolder) -> None:
        seen: list[Any] = []

        def note(element: StatusElement, *more: Any) -> None:
            seen.append((element.get_value(), *more))

        element = status.new("x", 0)
        for more in ((), ("a",), ("b",)):
            element.add_callback(note, *more)
        element.remove_callback(note, "a")
        element.set_value(1)
        eventually(lambda: len(seen) == 2)
        assert seen == [(1,), (1, "b")]
        element.remove_callback(note)
        done = threading.Event()
        element.add_callback(lambda one: done.set())
        element.set_value(2)
        assert done.wait(LIMIT)
        assert len(seen) == 2

    def test_a_slow_one_delays_no_change(self, status: StatusHolder) -> None:
        release = threading.Event()
        status["x"] = 0
        status["x"].add_callback(lambda one: release.wait(LIMIT))
        for value in range(1, 10):
            status["x"] = value
        assert status["x"] == 9
        release.set()

    def test_one_thread_for_all(self, status: StatusHolder) -> None:
        names: set[str] = set()
        called = threading.Semaphore(0)

        def note(element: StatusElement) -> None:
            names.add(threading.current_thread().name)
            called.release()

        for number in range(20):
            StatusHolder(f"channel {number}").new("x").add_callback(note)
            element = status.new(f"e{number}")
            element.add_callback(note)
            element.set_value(number)
        for _ in range(20):
            assert called.acquire(timeout=LIMIT)
        assert len(names) == 1


class TestReporters:
    """Reporters are told of the elements of a channel, those that come later too."""

    def test_on_change_before_the_call_returns(self, status: StatusHolder) -> None:
        kept = Kept()
        status["early"] = 1
        status.add_reporter(kept)
        status.add_reporter(kept)  # it is told once all the same
        status["early"] = 2
        status["early"] = 2
        status["late"] = 3
        status["late"].inc()
        status.new2d("map", (1, 1))[0, 0] = 5
        assert kept.seen == [("early", 2), ("late", 3), ("late", 4), ("map", [[5]])]

    def test_a_fault_of_one_stops_neither_the_value_nor_the_next(
        self, status: StatusHolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(OnChangeStatusReporter):
            def report(self, element: StatusElement) -> None:
                raise LookupError("broken reporter")

        kept = Kept()
        status.add_reporter(Broken("broken"))
        status.add_reporter(kept)
        status["x"] = 1
        assert kept.seen == [("x", 1)]
        assert "The status reporter broken failed" in caplog.text

    def test_one_may_set_other_elements(self, status: StatusHolder) -> None:
        class Sum(OnChangeStatusReporter):
            def report(self, element: StatusElement) -> None:
                if element.name != "sum":
                    status["sum"] = sum(one.get_value() for one in status.get_elements() if one.name != "sum")

        status.add_reporter(Sum("sum"))
        status["a"], status["b"] = 1, 2
        assert status["sum"] == 3

    def test_two_that_set_each_others_element_do_not_lock_up(self, status: StatusHolder) -> None:
        """A length in mm and in µm, each following the other, set by two threads at once."""
        both_inside = threading.Barrier(2, timeout=LIMIT)
        first = threading.local()

        class Mirror(OnChangeStatusReporter):
            def report(self, element: StatusElement) -> None:
                if not getattr(first, "done", False):
                    first.done = True
                    both_inside.wait()
                other = "um" if element.name == "mm" else "mm"
                status[other] = element.get_value()

        status["mm"], status["um"] = 0, 0
        status.add_reporter(Mirror("mirror"))
        threads = [threading.Thread(target=status[name].set_value, args=(5,), daemon=True) for name in ("mm", "um")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        assert (status["mm"].get_value(), status["um"].get_value()) == (5, 5)

    def test_a_periodic_reporter_runs_until_stopped(self, status: StatusHolder) -> None:
        seen: list[list[str]] = []
        stop, reported = threading.Event(), threading.Semaphore(0)

        class Page(PeriodicStatusReporter):
            def report(self) -> None:
                seen.append([str(one) for one in self.get_elements()])
                reported.release()
                if len(seen) == 1:
                    raise CancelledError("the first one fails, the next one comes")

        status["x"] = 1
        second = StatusHolder("Second")
        second["y"] = 2
        page = Page("page", 0.001, stop_event=stop)
        status.add_reporter(page)
        second.add_reporter(page)
        second.add_reporter(page)  # it is told once all the same
        assert reported.acquire(timeout=LIMIT)
        assert reported.acquire(timeout=LIMIT)
        eventually(lambda: seen[-1] == ["x=1", "y=2"])
        stop.set()
        eventually(lambda: page.name not in [thread.name for thread in threading.enumerate()])
