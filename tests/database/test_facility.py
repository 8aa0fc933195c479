"""Reservations, records and their uploads, instruments: `NexusCore.facility`, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SECOND
from NexusCore.errors import ConfigException, NoInstrumentForHost, NoSuchInstrument
from NexusCore.facility import Instruments, Record, Records, Reservation, Reservations, Sessions, State
from NexusCore.facility.records import UploadState
from NexusCore.facility.reservations import BookedSample
from NexusCore.facility.sessions import Client
from NexusCore.storage import Database, open_database
from tests.clocks import START, SetClock
from tests.processes import LIMIT, app_on

HOUR = 3600 * SECOND
BUILDER = Client("Builder", "server")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def booked(uid: str, start: float, end: float, instrument: str = "A", **more: object) -> Reservation:
    """Return a reservation, in hours from a fixed moment."""
    return Reservation(
        "nemo", uid, instrument, START + int(start * HOUR), START + int(end * HOUR), **more  # type: ignore[arg-type]
    )  # fmt: skip


class TestReservations:
    """The table holds what the calendars say; what a source no longer has in a span is cancelled."""

    @pytest.fixture
    def reservations(self, database: Database, clock: SetClock) -> Reservations:
        return Reservations(database, clock)

    def test_all_comes_back(self, reservations: Reservations) -> None:
        full = booked(
            "1", 0, 1, title="Gold on carbon — it's 5 %", user="Ada Lovelace", user_id="ada@x.org",
            collaborators=("Ben", "Cläre"), purpose="Strain \U0001f52c", project="P-1", url="https://x", consent=False,
            samples=(BookedSample("S1", "pid:1", "a film", ("Au", "C")), BookedSample(name="S2")),
        )  # fmt: skip
        assert reservations.take_over("nemo", START, START + 2 * HOUR, [full]) == (1, 0)
        assert reservations.overlapping("A", START, START + HOUR) == [full]

    def test_overlap_is_half_open(self, reservations: Reservations) -> None:
        reservations.take_over("nemo", START, START + 9 * HOUR, [booked("1", 1, 2), booked("2", 2, 3)])
        for start, end, uids in (
            (0, 1, []), (0, 1.001, ["1"]), (1.5, 2, ["1"]), (1.5, 2.5, ["1", "2"]), (2, 3, ["2"]), (3, 4, []),
        ):  # fmt: skip
            found = reservations.overlapping("A", START + int(start * HOUR), START + int(end * HOUR))
            assert [one.uid for one in found] == uids
        assert reservations.overlapping("B", START, START + 9 * HOUR) == []

    def test_what_a_source_no_longer_has_is_cancelled(self, reservations: Reservations) -> None:
        """Only within the span that was asked for, and only its own."""
        reservations.take_over("ical", START, START + 9 * HOUR, [replace(booked("1", 1, 2), source="ical")])
        reservations.take_over("nemo", START, START + 9 * HOUR, [booked("1", 1, 2), booked("2", 5, 6)])
        assert reservations.take_over("nemo", START, START + 4 * HOUR, []) == (0, 1)
        found = reservations.overlapping("A", START, START + 9 * HOUR)
        assert [(one.source, one.uid) for one in found] == [("ical", "1"), ("nemo", "2")]
        assert reservations.take_over("nemo", START, START + 4 * HOUR, []) == (0, 0)

    def test_one_that_moves_or_comes_back(self, reservations: Reservations) -> None:
        reservations.take_over("nemo", START, START + 9 * HOUR, [booked("1", 1, 2, title="old")])
        moved = booked("1", 7, 8, title="new")
        assert reservations.take_over("nemo", START, START + 9 * HOUR, [moved]) == (1, 0)
        assert reservations.overlapping("A", START, START + 9 * HOUR) == [moved]
        reservations.take_over("nemo", START, START + 9 * HOUR, [])
        assert reservations.overlapping("A", START, START + 9 * HOUR) == []
        reservations.take_over("nemo", START, START + 9 * HOUR, [moved])
        assert reservations.overlapping("A", START, START + 9 * HOUR) == [moved]
        reservations.take_over("nemo", START, START + 9 * HOUR, [replace(moved, cancelled=True)])
        assert reservations.overlapping("A", START, START + 9 * HOUR) == []

    def test_the_one_of_a_session(self, reservations: Reservations) -> None:
        """001-20: the user's own first, else the one that shares most time with it; none is no error (001-21)."""
        both = [booked("1", 0, 2, user="Ada", user_id="ada"), booked("2", 2, 6, user="Ben", user_id="ben")]
        reservations.take_over("nemo", START, START + 9 * HOUR, both)
        span = (START + HOUR, START + 5 * HOUR)
        for user, uid in ((None, "2"), ("microscope", "2"), ("ada", "1"), ("Ada", "1"), ("ben", "2")):
            found = reservations.for_session("A", *span, user)
            assert found is not None
            assert found.uid == uid
        assert reservations.for_session("B", *span) is None


class TestRecords:
    """A session has one record; each destination's upload is noted; with the last the session is COMPLETED (001-54)."""

    @pytest.fixture
    def sessions(self, database: Database, clock: SetClock) -> Sessions:
        return Sessions(database, clock)

    @pytest.fixture
    def records(self, database: Database, clock: SetClock) -> Records:
        return Records(database, clock)

    def built(self, sessions: Sessions, records: Records, sha256: str = "a" * 64) -> Record:
        """Build the session's record, the first time or anew."""
        known = sessions.newest("A")
        identifier = known[0].identifier if known else sessions.start("A", BUILDER).identifier
        if known:
            sessions.requeue(identifier, BUILDER)
        sessions.end(identifier, BUILDER)
        session = sessions.claim(BUILDER, "one", 60)
        assert session is not None
        write = records.writer(
            session.id, path="/records/é.xml", title="Gold", sha256=sha256, config_revision=7, software="1.0", files=3,
            activities=2,
        )  # fmt: skip
        assert sessions.finish(session, "one", State.BUILT, also=write)
        record = records.of_session(session.id)
        assert record is not None
        return record

    def test_one_of_each_session(self, sessions: Sessions, records: Records) -> None:
        record = self.built(sessions, records)
        assert (record.path, record.title, record.files, record.activities) == ("/records/é.xml", "Gold", 3, 2)
        assert record.built_ts == START
        assert record.session == sessions.newest()[0].identifier
        assert records.to_upload() == [record]
        again = self.built(sessions, records, "b" * 64)
        assert (again.id, again.sha256) == (record.id, "b" * 64)
        assert records.to_upload() == [again]
        assert records.of_session(999) is None

    def test_uploads(self, sessions: Sessions, records: Records, clock: SetClock) -> None:
        record = self.built(sessions, records)
        assert not records.complete(record, ["folder", "cdcs"])
        assert records.uploaded(record, "folder", "é.xml", "file:///é.xml")
        assert records.failed(record, "cdcs", "it does not answer", 60)
        assert records.put_off(record) == {"cdcs"}
        assert not records.complete(record, ["folder", "cdcs"])
        clock.move(61)
        assert records.put_off(record) == set()
        assert records.failed(record, "cdcs", "refused", None)
        clock.move(1e6)
        assert records.put_off(record) == {"cdcs"}
        assert records.uploaded(record, "cdcs", "id-1", "https://cdcs/1")
        assert records.complete(record, ["folder", "cdcs"])
        assert sessions.newest()[0].state is State.COMPLETED
        assert records.to_upload() == []
        states = [(one.destination, one.state, one.attempts, one.remote_id) for one in records.uploads(record)]
        assert states == [("cdcs", UploadState.DONE, 3, "id-1"), ("folder", UploadState.DONE, 1, "é.xml")]

    def test_one_that_was_built_anew_goes_anew(self, sessions: Sessions, records: Records) -> None:
        """What became of the older one says nothing about it."""
        old = self.built(sessions, records)
        records.uploaded(old, "folder", "1", None)
        new = self.built(sessions, records, "b" * 64)
        assert [one.state for one in records.uploads(new)] == [UploadState.WAITING]
        assert not records.complete(new, ["folder"])
        assert not records.uploaded(old, "folder", "1", None)
        assert not records.complete(old, ["folder"])
        assert records.uploaded(new, "folder", "1", None)
        assert records.complete(new, ["folder"])

    def test_the_same_content_need_not_go_again(self, sessions: Sessions, records: Records) -> None:
        record = self.built(sessions, records)
        records.uploaded(record, "folder", "1", None)
        again = self.built(sessions, records)
        assert [one.state for one in records.uploads(again)] == [UploadState.DONE]
        assert records.complete(again, ["folder"])


class TestInstruments:
    """The configuration is the one place where instruments are described; a change needs no restart (001-22..24)."""

    @pytest.fixture
    def app(self, database_url: str, tmp_path: Path) -> Iterator[App]:
        app = app_on(database_url, tmp_path / "home")
        cfg = app.get_config("Instruments")
        cfg["FEI-Titan-TEM.filestore_path"] = "./Titan"
        cfg["FEI-Titan-TEM.computer_name"] = "TITAN-PC.facility.example"
        cfg["FEI-Titan-TEM.timezone"] = "Europe/Oslo"
        cfg["JEOL.name"] = "JEOL 3010"
        cfg["JEOL.property_tag"] = 12345
        yield app
        app.shutdown(LIMIT)

    @pytest.fixture
    def instruments(self, app: App) -> Instruments:
        return Instruments(app.get_config())

    def test_all(self, instruments: Instruments) -> None:
        titan, jeol = instruments.all()
        assert (titan.pid, titan.name, str(titan.zone)) == ("FEI-Titan-TEM", "FEI-Titan-TEM", "Europe/Oslo")
        assert (jeol.pid, jeol.name, jeol.property_tag, jeol.zone) == ("JEOL", "JEOL 3010", "12345", None)
        assert instruments.get("JEOL") == jeol
        with pytest.raises(NoSuchInstrument, match="Did you mean 'FEI-Titan-TEM'"):
            instruments.get("FEI-Titan-TM")

    @pytest.mark.parametrize("host", ["titan-pc", "TITAN-PC", "Titan-PC.local"])
    def test_by_host_name(self, instruments: Instruments, host: str) -> None:
        """000-27, 000-45: a domain and the case don't matter."""
        assert instruments.of_host(host).pid == "FEI-Titan-TEM"

    @pytest.mark.parametrize("host", ["titan", "titan-pc2", "", ".facility.example"])
    def test_an_unknown_host(self, instruments: Instruments, host: str) -> None:
        with pytest.raises(NoInstrumentForHost, match="computer_name"):
            instruments.of_host(host)

    def test_folders(self, app: App, instruments: Instruments, tmp_path: Path) -> None:
        cfg = app.get_config()
        cfg["Facility.data_root"] = str(tmp_path)
        assert instruments.folder(instruments.get("FEI-Titan-TEM")) == tmp_path / "Titan"
        cfg["Instruments.FEI-Titan-TEM.filestore_path"] = "./Titan2"
        assert instruments.folder(instruments.get("FEI-Titan-TEM")) == tmp_path / "Titan2"
        cfg["Instruments.FEI-Titan-TEM.filestore_path"] = "/elsewhere"
        assert instruments.folder(instruments.get("FEI-Titan-TEM")) == Path("/elsewhere")
        with pytest.raises(ConfigException, match=r"Instruments\.JEOL\.filestore_path is not set"):
            instruments.folder(instruments.get("JEOL"))

    def test_no_such_zone(self, app: App, instruments: Instruments) -> None:
        app.get_config()["Instruments.JEOL.timezone"] = "Mars/Olympus"
        with pytest.raises(ConfigException, match="Mars/Olympus"):
            print(instruments.get("JEOL").zone)
