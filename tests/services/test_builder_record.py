"""What a record says: all that is known of a session, its reservation, its samples and each of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from NexusCore.clock import SECOND
from NexusCore.facility import Reservation, Reservations, Session, State
from NexusCore.facility.reservations import BookedSample
from Services.Builder.record.document import NAMESPACE
from Services.Builder.record.validation import SCHEMA
from tests.services.builder_facility import USER, Stage

NX = {"nx": NAMESPACE, "xs": "http://www.w3.org/2001/XMLSchema"}

BOOKED = Reservation(
    source="calendar",
    uid="7",
    instrument="Titan",
    start_ts=0,
    end_ts=0,
    title="Rock salt & layers",
    user="Ada Example",
    collaborators=("Ben Example",),
    purpose="Why does it fade?",
    samples=(BookedSample("NMC811", "igsn:1", "Cycled 200 times", ("Ni", "Mn", "Co", "Unobtainium")),),
    project="Cathodes",
    url="https://calendar.example.org/7",
)


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def book(stage: Stage, session: Session, **changes: object) -> None:
    """Have the calendar say that the session was booked."""
    span = {"start_ts": session.start_ts, "end_ts": session.end_ts}
    one = replace(BOOKED, **{**span, **changes})  # type: ignore[arg-type]
    Reservations(stage.app.database(), stage.clock).take_over("calendar", session.start_ts, session.end_ts or 0, [one])


def built(stage: Stage, session: Session) -> etree._Element:
    stage.builder.once()
    found = stage.sessions.get(session.identifier)
    assert found.state is State.BUILT, found.last_error
    return etree.fromstring(stage.document(session).encode())


def texts(record: etree._Element, path: str) -> list[str | None]:
    return [one.text for one in record.findall(path, NX)]


def times(record: etree._Element) -> tuple[datetime, datetime]:
    """Return the times of the experiment, as the summary has them."""
    (start,), (end,) = (texts(record, f"nx:summary/nx:reservation{one}") for one in ("Start", "End"))
    return datetime.fromisoformat(str(start)), datetime.fromisoformat(str(end))


def metadata(dataset: etree._Element) -> dict[str, tuple[str | None, str | None]]:
    return {str(one.get("name")): (one.text, one.get("unit")) for one in dataset.findall("nx:meta", NX)}


class TestTheReservation:
    """001-18..21: who, why, on what, and when, as the calendar has it."""

    def test_everything_it_says(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        book(stage, session)
        record = built(stage, session)
        assert texts(record, "nx:title") == ["Rock salt & layers"]
        assert texts(record, "nx:summary/nx:experimenter") == ["Ada Example"]
        assert texts(record, "nx:summary/nx:collaborator") == ["Ben Example"]
        assert texts(record, "nx:summary/nx:motivation") == ["Why does it fade?"]
        assert record.find("nx:summary", NX).get("ref") == "https://calendar.example.org/7"
        assert texts(record, "nx:project/nx:name") == ["Cathodes"]
        (sample,) = record.findall("nx:sample", NX)
        assert (sample.get("id"), sample.get("ref")) == ("sample-1", "igsn:1")
        assert texts(sample, "nx:description") == ["Cycled 200 times", "Further elements named: Unobtainium"]
        assert [etree.QName(one).localname for one in sample.find("nx:elements", NX)] == ["Mn", "Co", "Ni"]
        assert texts(record, "nx:acquisitionActivity/nx:sampleID") == ["sample-1"]

    def test_without_one_account_and_date_are_used(self, stage: Stage) -> None:
        """001-17, 001-21: instrument, date and time, and the account at the instrument."""
        session = stage.session("a.dm3")
        record = built(stage, session)
        assert times(record) == (session.start, session.end)
        assert texts(record, "nx:title") == ["Experiment on the Titan on 2023-11-14"]
        assert texts(record, "nx:summary/nx:experimenter") == [USER.user]
        assert texts(record, "nx:summary/nx:instrument") == ["Titan"]

    @pytest.mark.parametrize("usage", [False, True])
    def test_times_are_those_of_the_reservation(self, stage: Stage, usage: bool) -> None:
        """Those of the reservation; a use that nobody booked has none, and so the session's."""
        stage.config["Instruments.Titan.timezone"] = "Europe/Oslo"
        session = stage.session("a.dm3")
        book(stage, session, usage=usage, start_ts=session.start_ts - 60 * SECOND)
        record = built(stage, session)
        assert texts(record, "nx:summary/nx:experimenter") == ["Ada Example"]
        assert times(record) == (session.start - timedelta(seconds=0 if usage else 60), session.end)
        (start,) = texts(record, "nx:summary/nx:reservationStart")
        assert str(start).endswith("+01:00")

    def test_refused_consent_ends_as_no_consent(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        book(stage, session, consent=False)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.NO_CONSENT


class TestADataset:
    """001-32, 33, 36..40, 44..46: each file with its place, format, role, and what tells it from any other."""

    def test_its_file_can_be_known_again(self, stage: Stage) -> None:
        """SHA-256, size, and what read it; of each dataset, and never part of the setup that they share."""
        record = built(stage, stage.session("a.dm3", "b.dm3"))
        datasets = record.findall(".//nx:dataset", NX)
        digest = hashlib.sha256(b"content").hexdigest()
        for one in datasets:
            found = metadata(one)
            assert found["SHA-256"] == (digest, None)
            assert found["File Size"] == ("7", "B")
            assert found["Extractor"] == ("test 1", None)
            assert texts(one, "nx:format") == ["a format of tests"]
        setup = {str(one.get("name")) for one in record.findall(".//nx:setup/nx:param", NX)}
        assert setup == {"Dwell Time", "End Time"}

    def test_the_files_that_belong_to_it(self, stage: Stage) -> None:
        """They are named, each has its SHA-256, and the size is that of all."""
        record = built(stage, stage.session("a.emi", "a_1.ser", "a_2.ser"))
        (one,) = record.findall(".//nx:dataset", NX)
        assert texts(one, "nx:description") == ["With a_1.ser, a_2.ser"]
        digest = hashlib.sha256(b"content").hexdigest()
        found = metadata(one)
        assert found["File Size"] == ("21", "B")
        hashes = {name: text for name, (text, _) in found.items() if name.startswith("SHA-256")}
        assert hashes == dict.fromkeys(("SHA-256", "SHA-256 (a_1.ser)", "SHA-256 (a_2.ser)"), digest)

    @pytest.mark.parametrize("acquired", [datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), None])
    def test_when_it_was_made_and_what_it_is(self, stage: Stage, acquired: datetime | None) -> None:
        """001-38..40, traps: its own time, else that of its modification, marked; with each dataset, also if shared."""
        stage.readers.acquired = acquired
        record = built(stage, stage.session("a.dm3", "b.dm3"))
        assert record.findall(".//nx:setup/nx:param[@name='Creation Time']", NX) == []
        assert record.findall(".//nx:setup/nx:param[@name='Data Type']", NX) == []
        wanted = acquired or datetime.fromtimestamp(int((stage.files / "a.dm3").stat().st_mtime), UTC)
        for one in record.findall(".//nx:dataset", NX):
            assert metadata(one)["Data Type"] == ("TEM_Imaging", None)
            (created,) = one.findall("nx:meta[@name='Creation Time']", NX)
            assert datetime.fromisoformat(str(created.text)) == wanted
            assert created.get("warning") == (None if acquired else "true")

    def test_one_alone_keeps_what_is_known_of_it(self, stage: Stage) -> None:
        """001-45, 001-46: what several have in common is their setup; a single one shares nothing."""
        record = built(stage, stage.session("a.dm3"))
        assert [one.get("name") for one in record.findall(".//nx:setup/nx:param", NX)] == ["End Time"]
        (one,) = record.findall(".//nx:dataset", NX)
        assert metadata(one)["Dwell Time"] == ("1.5", "µs")

    @pytest.mark.parametrize(
        ("name", "data_type", "role"),
        [
            ("a.dm3", "TEM_Imaging", "Experimental"),
            ("a_fft.png", "TEM_FFT", "Derived"),
            ("calibration_au.dm3", "TEM_Diffraction", "UserCalibration"),
            ("Calibration/au.dm3", "TEM_Diffraction", "UserCalibration"),
            ("recalibrated.dm3", "TEM_Imaging", "Experimental"),
        ],
    )
    def test_type_and_name_decide_its_role(self, stage: Stage, name: str, data_type: str, role: str) -> None:
        stage.readers.data_type = data_type
        (one,) = built(stage, stage.session(name)).findall(".//nx:dataset", NX)
        assert one.get("role") == role

    def test_a_preview_of_each_signal(self, stage: Stage) -> None:
        stage.readers.signals = 3
        session = stage.session("a.emd")
        (one,) = built(stage, session).findall(".//nx:dataset", NX)
        previews = [str(preview) for preview in texts(one, "nx:preview")]
        assert [preview.rpartition("/")[2] for preview in previews] == ["a.emd.png", "a.emd.2.png", "a.emd.3.png"]
        record = stage.records.of_session(session.id)
        assert record is not None
        assert all((Path(record.path).parent / preview).exists() for preview in previews)

    def test_a_record_names_software_and_configuration(self, stage: Stage) -> None:
        """The software's version and the configuration's revision stand in each record."""
        session = stage.session("a.dm3")
        document = etree.tostring(built(stage, session)).decode()
        record = stage.records.of_session(session.id)
        assert record is not None
        assert f"Made by {record.software} under configuration revision {record.config_revision}." in document


UNKNOWN = {
    "project": {"division", "group", "project_id", "ref"},  # no calendar has them
    "sample": {"notes"},
    "acquisitionActivity": {"notes"},  # remarks belong to the session: they say when they were made
}


class TestNothingKnownIsLeftOut:
    """Every element of the schema is written, but those for which nobody tells the Builder anything."""

    def test_of_the_schema(self, stage: Stage) -> None:
        session = stage.session("a.emi", "a_1.ser", "b.dm3")
        stage.sessions.note(session.identifier, USER, "grid 3")
        book(stage, session)
        record = built(stage, session)
        for parent, wanted in _children(etree.parse(str(SCHEMA)).getroot()).items():
            (written,) = [record] if parent == "Experiment" else record.findall(f".//nx:{parent}", NX)[:1]
            there = {etree.QName(one).localname for one in written}
            assert wanted - there == UNKNOWN.get(parent, set()), parent


def _children(schema: etree._Element) -> dict[str, set[str]]:
    """Return the names of the elements that each element of the schema may hold, by its name."""
    found: dict[str, set[str]] = {}
    for one in schema.iter(f"{{{NX['xs']}}}element"):
        inner = one.findall("xs:complexType/xs:sequence/xs:element", NX)
        if one.get("name") and inner:
            found[str(one.get("name"))] = {str(child.get("name")) for child in inner}
    assert set(found) >= {"Experiment", "summary", "sample", "project", "acquisitionActivity", "dataset"}
    return found


class TestInstrumentProfiles:
    """Corrections for one microscope reach whatever reads its files."""

    def test_from_the_configuration(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.timezone"] = "Europe/Oslo"
        stage.config["Instruments.Titan.profile.warn"] = "Stage Z; Dose"
        built(stage, stage.session("a.dm3"))
        profile = stage.readers.jobs[0].profile
        assert profile is not None
        assert (profile.warn, profile.zone) == ({"Stage Z", "Dose"}, ZoneInfo("Europe/Oslo"))

    def test_from_a_file_of_the_facility(self, stage: Stage) -> None:
        folder = stage.folder / "profiles"
        folder.mkdir()
        (folder / "Titan.toml").write_text('drop = ["Stage Beta"]\n')
        stage.config["Services.Builder.profiles_path"] = str(folder)
        built(stage, stage.session("a.dm3"))
        profile = stage.readers.jobs[0].profile
        assert profile is not None
        assert profile.drop == {"Stage Beta"}

    def test_a_changed_profile_has_the_files_read_again(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        built(stage, session)
        for value in ("Stage Z", "Stage Z", "Dose"):
            stage.config["Instruments.Titan.profile.drop"] = value
            stage.sessions.requeue(session.identifier, USER)
            built(stage, session)
        assert len(stage.readers.asked) == 3

    def test_a_mistake_in_one(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.profile.scale"] = "Camera Length = long"
        session = stage.session("a.dm3")
        stage.builder.once()
        assert stage.sessions.get(session.identifier).last_error == (
            "The profile of the instrument Titan cannot be used: The instrument profile's entry scale is not "
            "understood: 'long' for Camera Length is not a number. It is in Instruments.Titan.profile."
        )


class TestActivities:
    """001-30, 001-47: activities begin with their first file, in the instrument's zone."""

    def test_an_activity_starts_with_its_first_file(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.timezone"] = "Europe/Oslo"
        session = stage.session("a.dm3")
        record = built(stage, session)
        (start,) = texts(record, "nx:acquisitionActivity/nx:startTime")
        assert start is not None
        assert start.endswith("+01:00")
        moment = datetime.fromisoformat(start).astimezone(UTC)
        assert abs((moment - session.start).total_seconds() - 50) < 1
