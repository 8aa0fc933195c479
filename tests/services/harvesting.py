"""A facility for tests of the Harvester: a clock that is set, instruments, and what was found of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SystemClock, to_ts
from NexusCore.config import NamedConfiguration
from NexusCore.facility import Records, Reservation, Reservations, Session, Sessions
from NexusCore.facility.session import Client, State
from Services.Harvester.service import Harvester
from Services.Harvester.sources import kinds
from tests.clocks import databases_follow
from tests.processes import app_on, eventually, messages, rows
from tests.services.test_harvester_ical import ics

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class SetClock(SystemClock):
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        return to_ts(self.time)


@dataclass
class Facility:
    """Calendars as files, a Harvester, and what it found."""

    url: str
    home: Path
    app: App
    clock: SetClock
    config: NamedConfiguration

    def instrument(self, pid: str, *events: str) -> Path:
        """Have an instrument with a calendar; return the calendar."""
        path = self.home / f"{pid}.ics"
        path.write_bytes(ics(*events))
        self.config[f"Instruments.{pid}.harvester"] = "ical"
        self.config[f"Instruments.{pid}.api_url"] = str(path)
        return path

    def found(self, pid: str = "Titan") -> dict[str, Reservation]:
        """Return the live reservations of an instrument, by UID."""
        reservations = Reservations(self.app.database(), self.clock)
        live = reservations.overlapping(pid, 0, to_ts(NOW + timedelta(days=4000)))
        return {one.uid: one for one in live}

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.app.database(), self.clock)

    @property
    def records(self) -> Records:
        return Records(self.app.database(), self.clock)

    @property
    def reservations(self) -> Reservations:
        return Reservations(self.app.database(), self.clock)

    def booking(self, pid: str, start: str, end: str, user: str | None = None) -> Reservation | None:
        """Return what a session between two moments (ISO, with offset) belongs to."""
        first, last = (to_ts(datetime.fromisoformat(moment)) for moment in (start, end))
        return self.reservations.for_session(pid, first, last, user)

    def refused(self, pid: str, start: str, end: str) -> Session:
        """Have a session that the Builder gave up for want of consent."""
        return self.finished(pid, start, end, State.NO_CONSENT)

    def finished(self, pid: str, start: str, end: str, state: State) -> Session:
        """Have a session that the Builder left in a state; one that is BUILT has a record."""
        first, last = (to_ts(datetime.fromisoformat(moment)) for moment in (start, end))
        client = Client("user", "pc")
        self.sessions.end(self.sessions.start(pid, client, ts=first).identifier, client, ts=last)
        claimed = self.sessions.claim(client, "a Builder", 60)
        assert claimed is not None
        record = self.records.writer(
            claimed.id, path="/r.xml", title="R", sha256="0" * 64, config_revision=1, software="test", files=1,
            activities=1,
        )  # fmt: skip
        self.sessions.finish(claimed, "a Builder", state, also=record if state is State.BUILT else None)
        return self.sessions.get(claimed.identifier)

    def cancelled(self) -> set[str]:
        return {uid for (uid,) in rows(self.url, "SELECT uid FROM reservation WHERE cancelled = 1")}

    def said(self) -> list[str]:
        """Return what was logged so far."""
        self.app.get_log("test").info("done")
        eventually(lambda: messages(self.url, "test"))
        return messages(self.url, "Harvester")


@contextmanager
def facility_on(url: str, folder: Path) -> Iterator[Facility]:
    """Lend a facility on a database, whose Harvester tries once and does not wait."""
    clock = SetClock()
    home = folder / "nexuscore"
    home.mkdir()
    app = app_on(url, home, clock)
    config = app.get_config()
    for kind in kinds():
        config[f"Services.Harvester.{kind}.first_wait"] = 0.0
        config[f"Services.Harvester.{kind}.attempts"] = 1
    with databases_follow(clock):
        yield Facility(url, home, app, clock, config)
    app.shutdown()


@pytest.fixture
def facility(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    """Lend a facility on each kind of database."""
    monkeypatch.setenv("NO_PROXY", "*")
    with facility_on(database_url, tmp_path) as one:
        yield one


@pytest.fixture
def embedded_facility(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    """Lend a facility for what is between the Harvester and a calendar: the kind of database has no part in it."""
    monkeypatch.setenv("NO_PROXY", "*")
    with facility_on(sqlite_url, tmp_path) as one:
        yield one


def status_of(harvester: Harvester, name: str) -> object:
    return harvester.status[name].get_value()
