"""A facility whose records are built, and destinations that do as a test says: what the tests of the Uploader share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SystemClock, to_ts
from NexusCore.config import NamedConfiguration
from NexusCore.facility import Record, Records, Session, Sessions, State, Upload
from NexusCore.facility.sessions import Client
from Services.Builder.model import Activity, Dataset, Experiment
from Services.Builder.record.document import to_xml
from Services.Uploader.destinations import Destination, MakeDestination, Nowhere, Receipt, kinds
from Services.Uploader.service import Uploader
from tests.clocks import databases_follow
from tests.processes import app_on, eventually, messages, rows

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
USER = Client("alice", "titan-pc")


class SetClock(SystemClock):
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        return to_ts(self.time)

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Facility:
    """Records as a Builder leaves them, in a database and a folder."""

    url: str
    home: Path
    app: App
    clock: SetClock
    config: NamedConfiguration
    sessions: Sessions
    records: Records

    @property
    def uploaded(self) -> Path:
        return self.home / "uploaded"

    def built(self, instrument: str = "Titan", content: str = "<Experiment/>") -> Record:
        """Have a session with its record, which names no files."""
        return self.build(self.ended(instrument), content)

    def ended(self, instrument: str = "Titan") -> str:
        """Have a session that waits for its record; return its identifier."""
        session = self.sessions.start(instrument, USER)
        self.sessions.end(session.identifier, USER)
        return session.identifier

    def build(self, identifier: str, content: str, title: str = "Rock salt") -> Record:
        """Build the record of a session that waits."""
        session = self.sessions.claim(USER, "the Builder", 60)
        assert session is not None
        assert session.identifier == identifier
        xml = self.home / "records" / f"{identifier}.xml"
        files = xml.with_suffix(".files")
        files.mkdir(parents=True, exist_ok=True)
        if f"{files.name}/a.png" in content:
            (files / "a.png").write_text("picture")
        xml.write_text(content)
        write = self.records.writer(
            session.id,
            path=str(xml),
            title=title,
            sha256=hashlib.sha256(content.encode()).hexdigest(),
            config_revision=1,
            software="test",
            files=1,
            activities=1,
        )
        assert self.sessions.finish(session, "the Builder", State.BUILT, also=write)
        return self.record(session)

    def experiment(self, motivation: str = "To see", identifier: str | None = None, *further: str) -> Record:
        """Build a record that the schema allows, which names its preview, and further ones that the caller writes."""
        name = identifier or self.ended()
        return self.build(name, experiment_xml(name, motivation, *further), f"2026-03-10_Titan_{name[:8]}")

    def again(self, record: Record, content: str) -> Record:
        """Build a session's record anew."""
        self.wait_again(record)
        return self.build(record.session, content, record.title)

    def wait_again(self, record: Record) -> None:
        """Have a session wait for its record once more."""
        with self.app.database().transaction() as transaction:
            transaction.run("UPDATE session SET state = 'TO_BE_BUILT' WHERE id = :id", id=record.session_id)

    def record(self, session: Session) -> Record:
        record = self.records.of_session(session.id)
        assert record is not None
        return record

    def state(self, record: Record) -> State:
        return self.sessions.get(record.session).state

    def upload(self, record: Record, destination: str = "directory") -> Upload:
        (found,) = (one for one in self.records.uploads(record) if one.destination == destination)
        return found

    def said(self) -> list[tuple[str, str | None]]:
        """Return what was logged so far, with the session it belongs to."""
        self.app.get_log("test").info("done")
        eventually(lambda: messages(self.url, "test"))
        return rows(self.url, "SELECT message, session FROM log_record WHERE logger = 'Uploader' ORDER BY id")


@contextmanager
def facility_on(url: str, tmp_path: Path) -> Iterator[Facility]:
    """Lend a facility on a database, its home below a folder."""
    clock = SetClock()
    home = tmp_path / "nexuscore"
    app = app_on(url, home, clock)
    database = app.database()
    try:
        with databases_follow(clock):
            yield Facility(url, home, app, clock, app.get_config(), Sessions(database, clock), Records(database, clock))
    finally:
        app.shutdown()


class Fickle(Nowhere):
    """A destination that does as the test says."""

    def __init__(self, name: str = "fickle") -> None:
        super().__init__()
        self.name = name
        self.problems: list[str] = []
        self.failure: Exception | None = None
        self.spoil = False
        self.put_so_far: list[str] = []
        self.checked = 0

    def check(self) -> list[str]:
        self.checked += 1
        return self.problems

    def put(self, record: Record) -> Receipt:
        self.put_so_far.append(record.session)
        if self.failure is not None:
            raise self.failure
        super().put(record)
        return Receipt(self.name, "remote-1", "https://cdcs.example.org/1")

    def fetch(self, receipt: Receipt) -> bytes:
        return b"spoilt" if self.spoil else super().fetch(receipt)


def give(monkeypatch: pytest.MonkeyPatch, *destinations: Destination) -> None:
    """Have these kinds of destination besides those that there are."""

    def making(one: Destination) -> MakeDestination:
        return lambda config, home: one

    known = {**kinds(), **{one.name: making(one) for one in destinations}}
    monkeypatch.setattr("Services.Uploader.destinations.kinds", lambda: known)


def status_of(uploader: Uploader, name: str) -> object:
    return uploader.status[name].get_value()


def experiment_xml(session: str, motivation: str, *further: str) -> str:
    """Return a record with one dataset, whose preview lies beside it, and further ones of these names."""
    previews = tuple(f"{session}.files/{name}" for name in ("a.png", *further))
    dataset = Dataset("a.dm3", "Titan/a.dm3", "dm3", "Image", preview=previews[0], further_previews=previews[1:])
    return to_xml(
        Experiment(
            title="Größe & <Form>",
            identifier=session,
            instrument_pid="Titan",
            instrument_name="FEI Titan",
            activities=(Activity(0, NOW, (dataset,)),),
            experimenters=("Alice Möller",),
            motivation=motivation,
        )
    ).decode()
