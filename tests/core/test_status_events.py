"""Events, callbacks and reporters: who is told of a change of status, and when (003-48..51), without any database."""

from __future__ import annotations

import threading
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

    def test_across_threads(self, status: StatusHolder) -> None:
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
        assert seen == [(element, "a", 5, True)] * 2
        element.remove_callback(note)
        element.set_value(3)
        done = threading.Event()
        element.add_callback(lambda one: done.set())
        element.set_value(4)
        assert done.wait(LIMIT)
        assert len(seen) == 2

    @pytest.mark.parametrize("fault", [LookupError, SystemExit])
    def test_a_fault_stops_no_other(self, status: StatusHolder, fault: type[BaseException]) -> None:
        """Nor does a callback that takes itself for the program and exits."""
        seen: list[Any] = []

        def broken(element: StatusElement) -> None:
            raise fault("broken")

        element = status.new("x", 0)
        element.add_callback(broken)
        element.add_callback(lambda one: seen.append(one.get_value()))
        for number in (1, 2, 3):
            element.set_value(number)
            eventually(lambda number=number: len(seen) == number)  # type: ignore[misc]

    def test_a_slow_one_holds_up_nobody(self, status: StatusHolder) -> None:
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

    def test_periodically_until_told_to_stop(self, status: StatusHolder) -> None:
        seen: list[list[str]] = []
        stop, reported = threading.Event(), threading.Semaphore(0)

        class Page(PeriodicStatusReporter):
            def report(self) -> None:
                seen.append([str(one) for one in self.get_elements()])
                reported.release()
                if len(seen) == 1:
                    raise LookupError("the first one fails, the next one comes")

        status["x"] = 1
        second = StatusHolder("Second")
        second["y"] = 2
        page = Page("page", 0.001, stop_event=stop)
        status.add_reporter(page)
        second.add_reporter(page)
        assert reported.acquire(timeout=LIMIT)
        assert reported.acquire(timeout=LIMIT)
        stop.set()
        eventually(lambda: page.name not in [thread.name for thread in threading.enumerate()])
        assert seen[-1] == ["x=1", "y=2"]
