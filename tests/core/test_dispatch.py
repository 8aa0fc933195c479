"""Callbacks that hang: they hold up themselves and nobody else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from NexusCore import dispatch
from NexusCore.API import App
from NexusCore.config.parameter import ConfigParameter
from NexusCore.dispatch import Dispatcher
from tests.clocks import HandClock
from tests.processes import LIMIT, eventually


class Hanging:
    """A callback that does not return before it is released."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.seen: list[object] = []

    def __call__(self, *arguments: object) -> None:
        self.entered.release()
        self.release.wait(LIMIT)
        self.seen.extend(arguments)


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


@pytest.fixture
def dispatcher(hand: HandClock) -> Iterator[Dispatcher]:
    lent = Dispatcher("callbacks", hand)
    yield lent
    lent.close(LIMIT)


@pytest.fixture
def hanging(dispatcher: Dispatcher) -> Iterator[Hanging]:
    """Lend a callback that hangs; it returns at the end of the test."""
    lent = Hanging()
    yield lent
    lent.release.set()


def stick(dispatcher: Dispatcher, hand: HandClock, callback: Hanging, argument: object = 0) -> None:
    """Have a callback hang for so long that another thread takes the lead."""
    called = threading.Event()
    dispatcher.call(callback, argument)
    assert callback.entered.acquire(timeout=LIMIT)
    dispatcher.call(called.set)
    hand.advance(dispatch.STUCK_SECONDS)
    assert called.wait(LIMIT)


class TestOneThatHangs:
    """Others are called all the same; its own further calls wait, and come in their order."""

    def test_others_are_called(self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging) -> None:
        seen: list[int] = []
        dispatcher.call(hanging, 0)
        for number in range(100):
            dispatcher.call(seen.append, number)
        assert hanging.entered.acquire(timeout=LIMIT)
        assert seen == [], "within its time, the order among all is kept"
        hand.advance(dispatch.STUCK_SECONDS)
        eventually(lambda: len(seen) == 100)
        assert seen == list(range(100))

    def test_its_own_calls_come_later_and_in_order(
        self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging
    ) -> None:
        seen: list[int] = []
        dispatcher.call(hanging, 0)
        dispatcher.call(hanging, 1)  # waits already when it is found to hang
        stick(dispatcher, hand, hanging, 2)
        for number in range(3, 50):
            dispatcher.call(hanging, number)
            dispatcher.call(seen.append, number)
        eventually(lambda: len(seen) == 47)
        assert hanging.seen == []
        hanging.release.set()
        eventually(lambda: len(hanging.seen) == 50)
        dispatcher.call(hanging, 50)
        eventually(lambda: len(hanging.seen) == 51)
        assert hanging.seen == list(range(51))

    def test_the_log_names_it_once(
        self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "NexusCore.callbacks")

        def camera_changed(argument: object) -> None:
            hanging(argument)

        dispatcher.call(camera_changed, 0)
        assert hanging.entered.acquire(timeout=LIMIT)
        hand.advance(75)
        for number in range(20):
            dispatcher.call(camera_changed, number)
        eventually(lambda: "camera_changed has been running for 75." in caplog.text)
        hand.advance(10)
        hanging.release.set()
        eventually(lambda: "camera_changed has returned, after 85." in caplog.text)
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]

    def test_of_its_calls_the_newest_are_kept(
        self,
        dispatcher: Dispatcher,
        hand: HandClock,
        hanging: Hanging,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(dispatch, "MOST_WAITING", 10)
        stick(dispatcher, hand, hanging)
        for number in range(1, 26):
            dispatcher.call(hanging, number)
        hanging.release.set()
        eventually(lambda: hanging.seen[-1:] == [25])
        assert hanging.seen == [0, *range(16, 26)]
        eventually(lambda: "15 calls were dropped" in caplog.text)

    def test_one_that_is_slow_but_not_stuck_misses_none(
        self, dispatcher: Dispatcher, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatch, "MOST_WAITING", 10)
        for number in range(500):
            dispatcher.call(hanging, number)
        hanging.release.set()
        eventually(lambda: len(hanging.seen) == 500)
        assert hanging.seen == list(range(500))

    def test_methods_and_objects_of_any_kind(self, dispatcher: Dispatcher, hand: HandClock) -> None:
        """Two objects' methods are two callbacks; an object that has no hash is one, too."""
        first, second = Unhashable(), Unhashable()
        stick(dispatcher, hand, first)
        dispatcher.call(first.note, 1)
        dispatcher.call(second.note, 2)
        dispatcher.call(first, 3)
        eventually(lambda: (first.noted, second.noted) == ([1], [2]))
        first.release.set()
        eventually(lambda: first.seen == [0, 3])


class Unhashable(Hanging):
    """Equal to all of its kind, and so without a hash."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[object] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]

    def note(self, argument: object) -> None:
        self.noted.append(argument)


class TestManyThatHang:
    """The number of threads that wait for them has a limit; none is lost when one of them returns."""

    def test_up_to_the_limit(self, dispatcher: Dispatcher, hand: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatch, "MOST_STUCK", 3)
        monkeypatch.setattr(dispatch, "MOST_WAITING", 10)
        threads = threading.active_count()
        many = [Hanging() for _ in range(4)]
        for one in many[:3]:
            stick(dispatcher, hand, one)
        dispatcher.call(many[3], 0)
        assert many[3].entered.acquire(timeout=LIMIT)
        seen: list[int] = []
        hand.advance(100)
        for number in range(30):
            dispatcher.call(seen.append, number)
        eventually(lambda: threading.active_count() <= threads + 4)
        assert seen == [], "all threads there may be are waiting"
        many[1].release.set()
        eventually(lambda: seen[-1:] == [29])
        assert seen == list(range(20, 30)), "memory has a limit, too: the newest are kept"
        for one in many:
            one.release.set()
        eventually(lambda: [one.seen for one in many] == [[0]] * 4)
        eventually(lambda: threading.active_count() <= threads + 1)


class TestTheEnd:
    """`close` calls what is due, except for what would have to wait for one that hangs; it takes a limited time."""

    def test_those_behind_one_that_hangs_are_called(self, dispatcher: Dispatcher, hanging: Hanging) -> None:
        seen: list[int] = []
        dispatcher.call(hanging, 0)
        assert hanging.entered.acquire(timeout=LIMIT)
        for number in range(5):
            dispatcher.call(seen.append, number)
        dispatcher.close(0.2)
        assert seen == list(range(5))

    def test_what_comes_later_is_called_by_new_threads(
        self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging
    ) -> None:
        stick(dispatcher, hand, hanging)
        dispatcher.close(0)
        called = threading.Event()
        dispatcher.call(called.set)
        assert called.wait(LIMIT)

    def test_by_a_callback(self, dispatcher: Dispatcher) -> None:
        seen: list[int] = []
        dispatcher.call(dispatcher.close, LIMIT)
        dispatcher.call(seen.append, 1)
        eventually(lambda: seen)


class TestWhereTheyAreUsed:
    """Configuration and status: one callback that hangs does not end those of all others in the process."""

    def test_other_callbacks_of_a_parameter_go_on(self, app: App, hanging: Hanging) -> None:
        cfg, seen = app.get_config(), []

        def note(parameter: ConfigParameter) -> None:
            seen.append(parameter.value)

        cfg.add_callback("x", hanging)
        cfg.add_callback("x", note)
        for number in range(5):
            cfg["x"] = number
        eventually(lambda: len(seen) == 5)
        assert seen == list(range(5))
        hanging.release.set()
        eventually(lambda: len(hanging.seen) == 5)
        assert [one.value for one in hanging.seen] == list(range(5))  # type: ignore[attr-defined]

    def test_other_callbacks_of_an_element_go_on(self, app: App, hanging: Hanging) -> None:
        status, seen = app.get_status("Camera"), []
        status["x"] = -1
        status["x"].add_callback(hanging)
        status["x"].add_callback(lambda element: seen.append(element.get_value()))
        for number in range(5):
            status["x"] = number
        eventually(lambda: len(seen) == 5)
        assert seen == list(range(5))


class TestNoMoreThreads:
    """Where the system starts none, calls are made all the same; those that hang are left when it does again."""

    def test_calls_are_made(
        self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        begun = threading.Event()
        dispatcher.call(begun.set)  # its thread starts
        assert begun.wait(LIMIT)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            dispatcher.call(hanging, 0)
            assert hanging.entered.acquire(timeout=LIMIT)
            for number in range(3):
                dispatcher.call(seen.append, number)
            hanging.release.set()
            eventually(lambda: len(seen) == 3)
        assert (hanging.seen, seen) == ([0], [0, 1, 2])

    def test_the_lead_is_taken_later(
        self, dispatcher: Dispatcher, hand: HandClock, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        refused = threading.Event()

        def refuse_and_tell(thread: threading.Thread) -> None:
            refused.set()
            refuse(thread)

        dispatcher.call(hanging, 0)
        assert hanging.entered.acquire(timeout=LIMIT)
        dispatcher.call(seen.append, 1)  # the watcher starts
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse_and_tell)
            hand.advance(dispatch.STUCK_SECONDS)
            assert refused.wait(LIMIT)
        hand.advance(dispatch.STUCK_SECONDS)
        eventually(lambda: seen == [1])


def refuse(thread: threading.Thread) -> None:
    """Do as a system does that has no room for a thread."""
    raise RuntimeError("can't start new thread")
