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
from NexusCore.facility.records import Tally, UploadState
from NexusCore.facility.reservations import BookedSample
from NexusCore.facility.sessions import Client
from NexusCore.storage import Database, open_database
from tests.clocks import START, SetClock, databases_follow
from tests.processes import LIMIT, app_on

HOUR = 3600 * SECOND
BUILDER = Client("Builder", "server")


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


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
        """001-20: which shares most time with it, the user's own where several share about as much.

        None is no error (001-21).
        """
        both = [booked("1", 0, 3, user="Ada", user_id="ada"), booked("2", 2, 6, user="Ben", user_id="ben")]
        reservations.take_over("nemo", START, START + 9 * HOUR, both)
        span = (START + HOUR, START + 5 * HOUR)
        for user, uid in ((None, "2"), ("microscope", "2"), ("ada", "1"), ("Ada", "1"), ("ben", "2")):
            found = reservations.for_session("A", *span, user)
            assert found is not None
            assert found.uid == uid
        for_ada = reservations.for_session("A", START + 2 * HOUR, START + 6 * HOUR, "ada")
        assert for_ada is not None
        assert for_ada.uid == "2", "hers shares an hour of four"
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

    def test_the_last_upload_completes_the_session(self, sessions: Sessions, records: Records, clock: SetClock) -> None:
        record = self.built(sessions, records)
        assert not records.complete(record, ["folder", "cdcs"])
        assert records.uploaded(record, "folder", "é.xml", "file:///é.xml")
        assert records.failed(record, "cdcs", "it does not answer", 60)
        assert records.due("me") == {}, "not yet"
        assert not records.complete(record, ["folder", "cdcs"])
        clock.move(61)
        assert records.due("me") == {"cdcs": [record]}
        assert records.failed(record, "cdcs", "refused", None)
        clock.move(1e6)
        assert records.due("me") == {}, "never by itself"
        assert records.uploaded(record, "cdcs", "id-1", "https://cdcs/1")
        assert records.complete(record, ["folder", "cdcs"])
        assert sessions.newest()[0].state is State.COMPLETED
        assert records.to_upload() == []
        states = [(one.destination, one.state, one.attempts, one.remote_id) for one in records.uploads(record)]
        assert states == [("cdcs", UploadState.DONE, 3, "id-1"), ("folder", UploadState.DONE, 1, "é.xml")]

    def test_a_rebuilt_record_is_uploaded_again(self, sessions: Sessions, records: Records) -> None:
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


class TestOneUploaderAtATime:
    """Who sends a record to a destination holds a lease on that; whoever comes late spoils nothing."""

    @pytest.fixture
    def records(self, database: Database, clock: SetClock) -> Records:
        return Records(database, clock)

    @pytest.fixture
    def record(self, database: Database, clock: SetClock, records: Records) -> Record:
        sessions = Sessions(database, clock)
        session = sessions.start("A", BUILDER)
        sessions.end(session.identifier, BUILDER)
        sessions.claim(BUILDER, "one", 60)
        write = records.writer(
            session.id,
            path="/a.xml",
            title="A",
            sha256="a" * 64,
            config_revision=1,
            software="1",
            files=1,
            activities=1,
        )
        assert sessions.finish(session, "one", State.BUILT, also=write)
        (record,) = records.to_upload()
        return record

    @pytest.fixture(autouse=True)
    def expected(self, records: Records, record: Record) -> None:
        records.expect([(record, "cdcs")])

    def test_it_waits_from_the_start(self, records: Records, record: Record) -> None:
        records.expect([(record, "cdcs"), (record, "eln")])
        found = [(one.destination, one.state, one.attempts) for one in records.uploads(record)]
        assert found == [("cdcs", UploadState.WAITING, 0), ("eln", UploadState.WAITING, 0)]
        assert records.due("x") == {"cdcs": [record], "eln": [record]}
        assert records.tallies() == {"cdcs": Tally(1, 0), "eln": Tally(1, 0)}

    def test_one_of_two(self, records: Records, record: Record, clock: SetClock) -> None:
        assert records.claim(record, "cdcs", "first", 60) is not None
        assert records.claim(record, "cdcs", "second", 60) is None
        assert records.due("second") == {}
        records.away("cdcs", "it is down", "second")
        assert records.uploads(record)[0].state is UploadState.WAITING, "it is no business of the second's"
        clock.move(50)
        records.renew("cdcs", "first", 60)
        clock.move(50)
        assert records.claim(record, "cdcs", "second", 60) is None
        assert records.uploaded(record, "cdcs", "1", None, owner="first")
        assert records.claim(record, "cdcs", "second", 60) is None, "it is there"

    def test_one_that_falls_silent(self, records: Records, record: Record, clock: SetClock) -> None:
        """Its lease runs out; what it had begun may still be carried out."""
        records.claim(record, "cdcs", "first", 60)
        clock.move(61)
        taken = records.claim(record, "cdcs", "second", 60)
        assert taken is not None
        assert taken.unanswered_ts == clock.now()
        assert not records.uploaded(record, "cdcs", "1", None, owner="first"), "it is the second's now"
        assert not records.failed(record, "cdcs", "too late", 60, owner="first")
        assert records.uploaded(record, "cdcs", "2", None, owner="second", look_seconds=10)
        assert records.uploads(record)[0].remote_id == "2"

    def test_one_that_died(self, records: Records, record: Record) -> None:
        """Whoever knows it need not wait for its lease."""
        records.claim(record, "cdcs", "first", 60)
        records.abandon("another")
        assert records.due("second") == {}
        records.abandon("first")
        assert records.claim(record, "cdcs", "second", 60) is not None

    @pytest.mark.parametrize("unanswered", [False, True])
    def test_a_late_error(self, records: Records, record: Record, unanswered: bool) -> None:
        """What arrived stays so, and its session COMPLETED; at the most it is looked at again."""
        records.uploaded(record, "cdcs", "1", "https://cdcs/1", owner="second")
        assert records.complete(record, ["cdcs"])
        assert not records.failed(record, "cdcs", "it did not answer", 60, owner="first", unanswered=unanswered)
        (upload,) = records.uploads(record)
        assert (upload.state, upload.remote_id, upload.last_error) == (UploadState.DONE, "1", None)
        assert (upload.next_attempt_ts is not None) == unanswered

    def test_completion_is_reported_only_once(self, records: Records, record: Record) -> None:
        """One of two that see the last destination have it says so."""
        records.uploaded(record, "cdcs", "1", None)
        assert [records.complete(record, ["cdcs"]) for _ in range(2)] == [True, False]

    def test_looked_at_again(self, records: Records, record: Record, clock: SetClock) -> None:
        """Also when its session is complete, until nothing can come of what went unanswered."""
        records.claim(record, "cdcs", "one", 60)
        assert records.failed(record, "cdcs", "it fell silent", 60, owner="one", unanswered=True)
        clock.move(60)
        again = records.claim(record, "cdcs", "one", 60)
        assert again is not None
        assert again.unanswered_ts is not None
        records.uploaded(record, "cdcs", "1", None, owner="one", look_seconds=10)
        records.complete(record, ["cdcs"])
        assert records.due("one", there=True) == {}
        clock.move(10)
        assert records.due("one") == {}
        assert records.due("one", there=True) == {"cdcs": [record]}
        assert records.claim(record, "cdcs", "one", 60) is not None
        assert records.uploaded(record, "cdcs", "1", None, owner="one")
        (upload,) = records.uploads(record)
        assert (upload.attempts, upload.next_attempt_ts, upload.unanswered_ts) == (2, None, None)

    @pytest.mark.parametrize("at_work", [False, True])
    def test_what_is_still_at_work_is_left_alone(self, records: Records, record: Record, at_work: bool) -> None:
        """By others, for as long as the lease runs: two at once could store it twice."""
        records.claim(record, "cdcs", "one", 60)
        records.failed(record, "cdcs", "it fell silent", 0, owner="one", unanswered=True, at_work=at_work)
        assert (records.claim(record, "cdcs", "another", 60) is None) == at_work

    def test_what_went_unanswered_outlives_a_newer_record(self, records: Records, record: Record) -> None:
        records.claim(record, "cdcs", "one", 60)
        records.failed(record, "cdcs", "it fell silent", 60, owner="one", unanswered=True)
        records._database.write(records.resend(record))
        again = records.claim(record, "cdcs", "one", 60)
        assert again is not None
        assert (again.attempts, again.unanswered_ts is not None) == (0, True)

    def test_not_of_a_session_that_may_not_be_sent(self, database: Database, records: Records, record: Record) -> None:
        with database.transaction() as transaction:
            transaction.run("UPDATE session SET state = 'NO_CONSENT'")
        assert records.due("one") == {}
        assert records.claim(record, "cdcs", "one", 60) is None

    def test_a_destination_that_is_wanted_no_more(self, records: Records, record: Record) -> None:
        """What it refused stays to be seen."""
        records.expect([(record, "eln")])
        records.failed(record, "eln", "it is salty", None)
        records.drop([(record.id, "cdcs"), (record.id, "eln")])
        assert [one.destination for one in records.uploads(record)] == ["eln"]


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

    def test_all_configured_instruments_are_listed(self, instruments: Instruments) -> None:
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

    def test_folders_follow_the_configuration(self, app: App, instruments: Instruments, tmp_path: Path) -> None:
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
