"""A user who has left is reminded of the session that is still running."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from Logger.facility import OpenSession, Station
from Logger.reminder import LOOK_SECONDS, Reminder
from Logger.states import Running

RUNNING = Running(
    Station("Titan", "Titan", reminder_minutes=30.0), OpenSession("1", "ada", datetime(2026, 11, 30, tzinfo=UTC))
)


class Room:
    """A PC, and whoever sits before it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.last_input: float | None = 1000.0
        self.asked = 0
        self.reminder = Reminder(self._idle, lambda: self.now)

    def _idle(self) -> float | None:
        self.asked += 1
        return None if self.last_input is None else self.now - self.last_input

    def after(self, minutes: float, running: Running | None = RUNNING) -> list[str]:
        """Return what is said within some minutes."""
        said = []
        for _ in range(round(minutes * 60 / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            sentence = self.reminder.look(running)
            if sentence is not None:
                said.append(sentence)
        return said


def test_after_the_time_that_is_set() -> None:
    room = Room()
    assert room.after(29) == []
    assert len(room.after(3)) == 1
    assert room.after(27) == []
    (again,) = room.after(4)
    assert "60 minutes" in again or "61 minutes" in again


def test_who_works_is_left_alone() -> None:
    room = Room()
    for _ in range(20):
        room.last_input = room.now
        assert room.after(20) == []


def test_it_is_over_when_somebody_is_back() -> None:
    room = Room()
    assert len(room.after(31)) == 1
    room.last_input = room.now + 5
    assert room.after(1) == [""]
    assert room.after(25) == []


def test_new_files_are_a_sign_of_work() -> None:
    """An instrument may work on its own for hours."""
    room = Room()
    for number in range(10):
        running = replace(RUNNING, transfer=number)  # any other state of the files
        assert room.after(25, running) == []


def test_not_while_paused_nor_without_a_session_nor_unless_switched_on() -> None:
    room = Room()
    assert room.after(120, replace(RUNNING, paused=True)) == []
    assert room.after(120, None) == []
    assert room.after(120, replace(RUNNING, station=Station("Titan", "Titan"))) == []
    assert room.asked == 0


def test_nobody_is_reminded_where_input_is_not_known() -> None:
    room = Room()
    room.last_input = None
    assert room.after(300) == []
