"""An END that only the facility could store is stored here as soon as that is possible, unless the logger ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from Logger import direct
from Logger.facility import EventKind
from Logger.outbox import OutboxError
from tests.processes import eventually


class FullDisk:
    """An outbox that cannot store anything until there is room."""

    def __init__(self) -> None:
        self.room = threading.Event()
        self.tries: list[EventKind] = []

    def add(self, kind: EventKind, *_: object, **__: object) -> None:
        self.tries.append(kind)
        if not self.room.is_set():
            raise OutboxError("the disk is full")

    def transfers(self, session: str) -> bool:
        return False

    def token(self, session: str) -> str:
        return ""


class Facility:
    """Takes everything."""

    def deliver(self, event: object, token: str) -> None:
        pass


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "end"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(direct, "RETRY_SECONDS", 0.01)
    return FullDisk()


def end(outbox: Any, later: Any, closed: threading.Event) -> None:
    direct.store(outbox, Facility(), EventKind.END, "s", "Titan", "jane", later=later, closed=closed)  # type: ignore[arg-type]


def test_it_is_stored_when_there_is_room(full: FullDisk) -> None:
    stored, closed = threading.Event(), threading.Event()
    end(full, stored.set, closed)
    eventually(lambda: len(full.tries) > 3)
    assert not stored.is_set()
    full.room.set()
    assert stored.wait(30)
    eventually(lambda: not threads())


def test_the_attempts_end_with_the_logger(full: FullDisk) -> None:
    stored, closed = threading.Event(), threading.Event()
    end(full, stored.set, closed)
    eventually(lambda: len(full.tries) > 3)
    closed.set()
    eventually(lambda: not threads())
    full.room.set()
    assert not stored.is_set()
