"""A record's whole way: session, files, Builder, Uploader, by the real programs on both databases."""

from __future__ import annotations

import os
import re
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.facility import Session, State
from NexusCore.facility.sessions import EventType
from NexusCore.storage import open_database
from Services.Builder.record.validation import validate
from Services.Builder.sample import SampleSession, make_session
from tests.processes import messages
from tests.services.builder_facility import PROJECT, Facility, wait_for
from tests.services.instrument_files import DATA

REFERENCE = Path(os.environ.get("NEXUSCORE_TEST_REFERENCE") or PROJECT.parent / "shared/reference")
NX = {"nx": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}


def configured(url: str, folder: Path) -> Facility:
    one = Facility(url, folder)
    one.files.mkdir()
    one.configure(f"Facility.data_root={folder}", "Instruments.FEI-Titan-TEM.filestore_path=./Titan")
    return one


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Facility:
    return configured(database_url, tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSession]:
    """Sample files, a corrupt one among them, and what there is to know of them."""
    folder = tmp_path_factory.mktemp("sample")
    return folder, make_session(folder, datetime(2026, 3, 4, 9, tzinfo=UTC), corrupt=True)


@pytest.fixture
def sample(facility: Facility, made: tuple[Path, SampleSession]) -> Session:
    """A finished session with these files."""
    shutil.copytree(made[0], facility.files, dirs_exist_ok=True)
    return facility.session(made[1].start, made[1].end)


@pytest.fixture
def survey(facility: Facility, made: tuple[Path, SampleSession]) -> Session:
    """A finished session with the files of the sample's first activity."""
    folder, session = made
    for path in session.bursts[0]:
        copy = facility.files / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return facility.session(session.start, session.end)


@pytest.fixture
def short_session(facility: Facility) -> Session:
    """A finished session with one file, for what does not depend on how many there are."""
    start = datetime(2026, 3, 4, 9, tzinfo=UTC)
    note = facility.files / "note.txt"
    note.write_text("grid 1")
    os.utime(note, ((start + timedelta(minutes=5)).timestamp(),) * 2)
    return facility.session(start, start + timedelta(hours=1))


def published_faults(document: bytes) -> list[str]:
    schema = REFERENCE / "nexus-experiment.xsd"
    if not schema.exists():
        pytest.skip(f"the published schema is not in {REFERENCE}")
    return validate(document, schema)


class TestTheFirstRecord:
    """001-02..05, 001-54: from START and END to a valid record that its destination has."""

    def test_a_session_with_one_corrupt_file(self, facility: Facility, sample: Session) -> None:
        """001-16, 42, 49: a bad file is a dataset with a warning; it costs no other file and no session."""
        facility.run("Services.Builder", "--once")
        assert facility.sessions.get(sample.identifier).state is State.BUILT
        record = facility.record(sample)
        document = Path(record.path).read_bytes()
        assert validate(document) == []
        experiment = etree.fromstring(document)
        datasets = experiment.findall(".//nx:dataset", NX)
        assert len(datasets) == record.files
        assert record.activities == len(experiment.findall("nx:acquisitionActivity", NX)) == 5
        unknown = [one for one in datasets if one.get("type") == "Unknown"]
        assert len(unknown) == 1
        assert "Warning:" in unknown[0].findtext("nx:description", namespaces=NX)
        for one in datasets:
            location = one.findtext("nx:location", namespaces=NX)
            assert (facility.folder / location).exists()
            if one is not unknown[0]:
                preview = Path(record.path).parent / one.findtext("nx:preview", namespaces=NX)
                assert preview.read_bytes().startswith(b"\x89PNG")
                linked = one.findtext("nx:meta[@name='Metadata']", namespaces=NX)
                assert Path(record.path).parent / linked == preview.with_suffix(".json")
                assert preview.with_suffix(".json").exists()
        kinds = [event.type for event in facility.sessions.events(sample)]
        assert kinds == [EventType.START, EventType.END, EventType.RECORD_GENERATION], "one for each attempt"
        facility.deliver()
        with open_database(facility.url).reading() as reading:
            found = reading.all("SELECT message FROM log_record WHERE session = :one", one=sample.identifier)
        assert any("5 activities" in message for (message,) in found), "all lines of a session carry its identifier"
        facility.run("Services.Uploader", "--once")
        assert facility.sessions.get(sample.identifier).state is State.COMPLETED
        assert published_faults(document) == []

    def test_the_reservation_stands_in_the_record(self, facility: Facility, short_session: Session) -> None:
        """001-19..21: who, why and when are taken from the calendar."""
        calendar = facility.folder / "calendar.ics"
        calendar.write_text(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1@test\r\n"
            "DTSTAMP:20260301T000000Z\r\nDTSTART:20260304T083000Z\r\nDTEND:20260304T120000Z\r\n"
            "SUMMARY:Rock salt & layers\r\nDESCRIPTION:Why <here>?\r\nORGANIZER;CN=Ada Example:mailto:a@example.org\r\n"
            "END:VEVENT\r\nEND:VCALENDAR\r\n",
            newline="",
        )
        days = (datetime.now(UTC) - datetime(2026, 3, 1, tzinfo=UTC)).days + 1
        facility.configure(
            "Instruments.FEI-Titan-TEM.harvester=ical",
            f"Instruments.FEI-Titan-TEM.api_url={calendar}",
            f"Services.Harvester.days_back={days}",
        )
        facility.run("Services.Harvester", "--once")
        facility.run("Services.Builder", "--once")
        experiment = etree.fromstring(Path(facility.record(short_session).path).read_bytes())
        assert experiment.findtext("nx:title", namespaces=NX) == "Rock salt & layers"
        assert experiment.findtext("nx:summary/nx:experimenter", namespaces=NX) == "Ada Example"
        assert experiment.findtext("nx:summary/nx:motivation", namespaces=NX) == "Why <here>?"
        start = experiment.findtext("nx:summary/nx:reservationStart", namespaces=NX)
        assert datetime.fromisoformat(start) == datetime(2026, 3, 4, 8, 30, tzinfo=UTC)


class TestRealFiles:
    """The files that real instruments wrote go the same way."""

    @pytest.fixture
    def facility(self, sqlite_url: str, tmp_path: Path) -> Facility:
        """What is in the files goes into the record; the database gets a line about it, as in the other tests."""
        return configured(sqlite_url, tmp_path)

    @pytest.mark.timeout(600)
    def test_each_becomes_a_dataset(self, facility: Facility) -> None:
        if not DATA.is_dir():
            pytest.skip(f"no real instrument files in {DATA}")
        shutil.copytree(DATA, facility.files, dirs_exist_ok=True)
        start = datetime(2026, 3, 4, 9, tzinfo=UTC)
        for number, path in enumerate(sorted(path for path in facility.files.rglob("*") if path.is_file())):
            moment = (start + timedelta(seconds=20 * number)).timestamp()
            os.utime(path, (moment, moment))
        session = facility.session(start, start + timedelta(hours=2))
        facility.run("Services.Builder", "--once")
        document = Path(facility.record(session).path).read_bytes()
        assert validate(document) == []
        assert published_faults(document) == []
        named = {one.text for one in etree.fromstring(document).findall(".//nx:dataset/nx:name", NX)}
        there = {path.name for path in facility.files.rglob("*")}
        assert named <= there, "none is invented"
        for must in (
            "test_corrupted.dm3",
            "fei_emd_si.emd",
            "Hitachi_TM3030Plus.bcf",
            "3D_EELS_SI.dm4",
            "example1.msa",
        ):
            assert must in named


class TestNothingToDo:
    """``--once`` with nothing to do is no failure."""

    @pytest.mark.parametrize("service", ["Builder", "Harvester", "Uploader"])
    def test_a_pass_without_work_returns_0(self, facility: Facility, service: str) -> None:
        facility.run(f"Services.{service}", "--once")

    def test_a_session_without_files(self, facility: Facility) -> None:
        """001-29."""
        start = datetime(2026, 3, 4, 9, tzinfo=UTC)
        session = facility.session(start, start + timedelta(hours=1))
        facility.run("Services.Builder", "--once")
        assert facility.sessions.get(session.identifier).state is State.NO_FILES_FOUND


class TestFailures:
    """What cannot be built says why, is tried again later, and holds up nothing."""

    def test_an_instrument_without_a_folder(self, facility: Facility) -> None:
        start = datetime(2026, 3, 4, 9, tzinfo=UTC)
        session = facility.session(start, start + timedelta(hours=1))
        facility.files.rmdir()
        facility.run("Services.Builder", "--once", code=1)
        found = facility.sessions.get(session.identifier)
        assert found.state is State.ERROR
        assert str(facility.files) in (found.last_error or "")
        assert "filestore_path" in (found.last_error or "")

    def test_a_schema_of_the_facility_that_is_none(self, facility: Facility, short_session: Session) -> None:
        facility.configure("Services.Builder.schema_path=/nowhere/own.xsd")
        facility.run("Services.Builder", "--once", code=1)
        found = facility.sessions.get(short_session.identifier)
        assert found.state is State.ERROR
        assert "schema_path" in (found.last_error or "")


class TestARunningBuilder:
    """A service takes its settings as they are now, and ends when told to."""

    def test_a_changed_path_holds_from_the_next_session_on(self, facility: Facility) -> None:
        """003-08: no restart; the service logs that it saw the change."""
        facility.configure("Services.Builder.interval=0.2")
        other = facility.folder / "Titan2"
        other.mkdir()
        running = facility.start("Builder")
        try:
            wait_for(lambda: any("starts" in message for message in facility.messages()))
            facility.configure("Instruments.FEI-Titan-TEM.filestore_path=./Titan2")
            wait_for(
                lambda: any(
                    re.search(r"Instruments\.FEI-Titan-TEM\.filestore_path is now './Titan2'", message)
                    for message in facility.messages()
                )
            )
            start = datetime(2026, 3, 4, 9, tzinfo=UTC)
            (other / "note.txt").write_text("moved here")
            os.utime(other / "note.txt", ((start + timedelta(minutes=5)).timestamp(),) * 2)
            session = facility.session(start, start + timedelta(hours=1))
            wait_for(lambda: facility.sessions.get(session.identifier).state is State.BUILT)
            assert b"Titan2/note.txt" in Path(facility.record(session).path).read_bytes()
        finally:
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate(timeout=20)
        assert running.returncode == 0, errors
        facility.deliver()
        assert messages(facility.url, "Builder")[-1] == "Builder ends"

    def test_a_session_interrupted_by_sigterm_is_built_later(self, facility: Facility, survey: Session) -> None:
        """The session waits for the next Builder, which makes its one record."""
        running = facility.start("Builder")
        try:
            wait_for(lambda: facility.sessions.get(survey.identifier).state is State.BUILDING)
        finally:
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate(timeout=20)
        assert running.returncode == 0, errors
        assert facility.sessions.get(survey.identifier).state in (State.TO_BE_BUILT, State.BUILT)
        facility.run("Services.Builder", "--once")
        assert facility.sessions.get(survey.identifier).state is State.BUILT
