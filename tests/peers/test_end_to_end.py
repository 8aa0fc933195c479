"""A session's whole way through real servers: from START to a record that anybody can read, its reservation in it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.facility import Session, State
from Services.Builder.record.validation import validate
from Services.Builder.sample import make_session
from tests.peers.servers import PeerServer
from tests.peers.uploads import Reader
from tests.services.builder_facility import Facility

NX = {"nx": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}
START = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
"""Half past nine in New York: in the middle of Alice's reservation and usage event, before Bob's."""
PID = "FEI-Titan-TEM"


@pytest.fixture
def reader(cdcs: PeerServer) -> Reader:
    return Reader(cdcs)


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, nemo: PeerServer, cdcs: PeerServer) -> Facility:
    one = Facility(sqlite_url, tmp_path)
    one.files.mkdir()
    days = (datetime.now(UTC) - START).days + 2
    one.configure(
        f"Facility.data_root={tmp_path}",
        f"Instruments.{PID}.filestore_path=./Titan",
        f"Instruments.{PID}.harvester=nemo",
        f"Instruments.{PID}.api_url={nemo.url}/api/tools/?id=1",
        f"Instruments.{PID}.timezone=America/New_York",
        f"Services.Harvester.days_back={days}",
        f"Services.Harvester.nemo.instances.main.url={nemo.url}",
        f"Services.Harvester.nemo.instances.main.token={nemo.tokens['harvester']}",
        "Services.Builder.require_consent=true",
        "Services.Uploader.destinations=directory,cdcs,eln",
        f"Services.Uploader.cdcs.url={cdcs.url}",
        f"Services.Uploader.cdcs.token={cdcs.tokens['nexus']}",
        "Services.Uploader.cdcs.layout=plain",
    )
    return one


@pytest.fixture
def session(facility: Facility) -> Session:
    """A finished session with the files that were taken in it."""
    made = make_session(facility.files, START)
    return facility.session(made.start, made.end)


@pytest.fixture
def short_session(facility: Facility) -> Session:
    """A finished session with one file, for what does not depend on how many there are."""
    note = facility.files / "note.txt"
    note.write_text("grid 1")
    os.utime(note, ((START + timedelta(minutes=5)).timestamp(),) * 2)
    return facility.session(START, START + timedelta(minutes=30))


class TestFromStartToRecord:
    """001-02..05, 001-18..21, 001-51..54: the whole way of a record, with real servers for reservations and records."""

    def test_a_record_that_anybody_can_read(self, facility: Facility, session: Session, reader: Reader) -> None:
        for service in ("Harvester", "Builder", "Uploader"):
            facility.run(f"Services.{service}", "--once")
        assert facility.sessions.get(session.identifier).state is State.COMPLETED
        found = reader.ask(
            "data/query/", user=None, method="POST", json={"query": {"Experiment.id": session.identifier}, "all": True}
        )
        (record,) = found.json()
        seen = reader.ask(f"data/download/{record['id']}/", user=None)
        assert seen.status_code == 200
        assert validate(seen.content) == []
        self.assert_reservation(etree.fromstring(seen.content))
        self.assert_links(etree.fromstring(seen.content), reader)

    def assert_reservation(self, experiment: etree._Element) -> None:
        """What the NEMO knows of Alice's reservation stands in it."""
        summary = experiment.find("nx:summary", NX)
        assert summary is not None
        assert "Alice" in (summary.findtext("nx:experimenter", namespaces=NX) or "")
        start = summary.findtext("nx:reservationStart", namespaces=NX) or ""
        end = summary.findtext("nx:reservationEnd", namespaces=NX) or ""
        # Her usage event, which lies in her reservation and is what really happened, may stand for it.
        assert START - timedelta(hours=1) <= datetime.fromisoformat(start) <= START <= datetime.fromisoformat(end)
        assert summary.findtext("nx:motivation", namespaces=NX)
        assert len(experiment.findall("nx:sample", NX)) == 2

    def assert_links(self, experiment: etree._Element, reader: Reader) -> None:
        """Every preview that it names can be seen without login."""
        links = [one.text or "" for one in experiment.findall(".//nx:preview", NX)]
        assert links
        for link in links:
            picture = reader.ask(link.removeprefix(f"{reader.server.url}/rest/"), user=None)
            assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")

    def test_all_again_changes_nothing(self, facility: Facility, short_session: Session, reader: Reader) -> None:
        """001-55: what has its record keeps it, once."""
        for _ in range(2):
            for service in ("Harvester", "Builder", "Uploader"):
                facility.run(f"Services.{service}", "--once")
        assert len(reader.ask("data/").json()["results"]) == 1
