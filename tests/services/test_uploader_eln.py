"""The destination ``eln``: archives that other programs read, whole or not there, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from rocrate.rocrate import ROCrate  # type: ignore[import-untyped]  # it has no types

from NexusCore.facility import Record, State
from NexusCore.files import UNFINISHED
from NexusCore.service import Pass
from Services.Uploader.destinations import Destination, NotTaken, atomic_files
from Services.Uploader.destinations.atomic_files import UPLOADERS_FOLDER, writing_into
from Services.Uploader.destinations.eln.destination import ELN
from Services.Uploader.service import Uploader
from tests.services.uploading import Facility, facility_on

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        yield one


@pytest.fixture
def target(tmp_path: Path) -> ELN:
    (tmp_path / "archives").mkdir()
    return ELN(tmp_path / "archives", "Our facility", "https://creativecommons.org/licenses/by/4.0/")


def graph_of(archive: Path) -> dict[str, dict[str, Any]]:
    """Return the entities that an archive describes, by their ids."""
    with zipfile.ZipFile(archive) as opened:
        reported = json.loads(opened.read(f"{archive.stem}/ro-crate-metadata.json"))
    assert reported["@context"] == CONTEXT
    return {entity["@id"]: entity for entity in reported["@graph"]}


class TestTheFormat:
    """That of The ELN Consortium: one folder in a ZIP archive, which is an RO-Crate 1.1."""

    def test_one_folder_named_like_the_archive(self, facility: Facility, target: ELN) -> None:
        record = facility.experiment()
        target.put(record)
        (archive,) = target.path.glob("*.eln")
        assert archive.name == f"{record.session}.eln"
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            assert opened.namelist() == [
                f"{record.session}/ro-crate-metadata.json",
                f"{record.session}/experiment/{record.session}.xml",
                f"{record.session}/experiment/{record.session}.html",
                f"{record.session}/experiment/{record.session}.files/a.png",
            ], "the record names its preview relative to itself"

    def test_it_describes_all_that_is_in_it(self, facility: Facility, target: ELN) -> None:
        record = facility.experiment("To see <em>all</em>", None, "größe 1.png")
        (Path(record.path).with_suffix(".files") / "größe 1.png").write_bytes(b"x" * 100)
        archive = target.path / target.put(record).remote_id
        graph = graph_of(archive)
        assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
        assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
        root, experiment = graph["./"], graph["./experiment/"]
        assert root["@type"] == experiment["@type"] == "Dataset"
        assert {"name", "description", "datePublished", "license"} <= root.keys(), "RO-Crate 1.1, root data entity"
        assert experiment["name"] == "Größe & <Form>"
        assert experiment["identifier"] == record.session
        assert "To see &lt;em&gt;all&lt;/em&gt;" in experiment["text"]
        assert [graph[one["@id"]]["name"] for one in experiment["author"]] == ["Alice Möller"]
        files = {one["@id"]: one for one in graph.values() if one["@type"] == "File"}
        assert {one["@id"] for one in root["hasPart"]} == {"./experiment/", *files}
        with zipfile.ZipFile(archive) as opened:
            for name, described in files.items():
                content = opened.read(f"{archive.stem}/{unquote(name).removeprefix('./')}")
                assert hashlib.sha256(content).hexdigest() == described["sha256"]
                assert str(len(content)) == described["contentSize"]
            assert len(files) == len(opened.namelist()) - 1

    def test_every_reference_leads_somewhere(self, facility: Facility, target: ELN) -> None:
        graph = graph_of(target.path / target.put(facility.experiment()).remote_id)

        def references(value: Any) -> Iterator[str]:
            if isinstance(value, list):
                for one in value:
                    yield from references(one)
            elif isinstance(value, dict):
                assert value.keys() == {"@id"}, "flattened"
                yield value["@id"]

        for entity in graph.values():
            assert {"@id", "@type"} <= entity.keys()
            for name, value in entity.items():
                if name != "conformsTo" and isinstance(value, (list, dict)):
                    assert set(references(value)) <= graph.keys()

    def test_the_librarys_own_reader(self, facility: Facility, target: ELN, tmp_path: Path) -> None:
        record = facility.experiment()
        archive = target.path / target.put(record).remote_id
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "extracted")
        crate = ROCrate(str(tmp_path / "extracted" / archive.stem))
        assert crate.name == record.title
        found = {entity.id for entity in crate.data_entities}
        assert found == {
            "experiment/",
            f"experiment/{record.session}.xml",
            f"experiment/{record.session}.html",
            f"experiment/{record.session}.files/a.png",
        }
        assert str(crate.publisher["name"]) == "Our facility"


class TestPutting:
    """Whole or not at all; the same record is the same bytes."""

    def test_through_the_uploader(self, facility: Facility) -> None:
        facility.config["Services.Uploader.destinations"] = "eln, directory"
        record = facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=2)
        assert facility.state(record) is State.COMPLETED
        assert (facility.home / "eln" / f"{record.session}.eln").exists()
        assert (facility.uploaded / f"{record.session}.xml").exists()

    def test_the_same_bytes_each_time(self, facility: Facility, target: ELN, tmp_path: Path) -> None:
        record = facility.experiment()
        (tmp_path / "other").mkdir()
        other = replace(target, path=tmp_path / "other")
        for one in (target, target, other):
            name = one.put(record).remote_id
            Path(record.path).touch()
        assert (target.path / name).read_bytes() == (other.path / name).read_bytes()

    def test_a_newer_version_replaces_the_older(self, facility: Facility, target: ELN) -> None:
        record = facility.experiment("first")
        assert target.put(record).remark is None
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        receipt = target.put(record)
        assert receipt.remark == "it replaces the archive that was there"
        assert target.fetch(receipt) == Path(record.path).read_bytes()
        assert [one.name for one in target.path.glob("*.eln")] == [receipt.remote_id]

    @pytest.mark.parametrize("content", [b"", b"theirs", b"PK\x05\x06" + bytes(18)])
    def test_somebody_elses_is_left_alone(self, facility: Facility, target: ELN, content: bytes) -> None:
        record = facility.experiment()
        (target.path / f"{record.session}.eln").write_bytes(content)
        with pytest.raises(NotTaken, match="is not an archive of its session"):
            target.put(record)
        assert (target.path / f"{record.session}.eln").read_bytes() == content

    def test_another_sessions_is_left_alone(self, facility: Facility, target: ELN) -> None:
        record = facility.experiment()
        target.put(record)
        with pytest.raises(NotTaken, match="is not an archive of its session"):
            target.put(replace(record, session="another"))

    def test_a_full_disk_keeps_the_old(self, facility: Facility, target: ELN, monkeypatch: pytest.MonkeyPatch) -> None:
        record = facility.experiment("first")
        before = target.fetch(target.put(record))
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        with monkeypatch.context() as full:

            def fsync(descriptor: int) -> None:
                raise OSError(28, "No space left on device")

            full.setattr("os.fsync", fsync)
            with pytest.raises(NotTaken, match="No space left on device"):
                target.put(record)
        (archive,) = target.path.glob("*.eln")
        with zipfile.ZipFile(archive) as opened:
            assert opened.read(f"{archive.stem}/experiment/{archive.stem}.xml") == before

    def test_what_a_killed_uploader_left(self, facility: Facility, target: ELN) -> None:
        (target.path / f"{UNFINISHED}0123").write_text("half")
        receipt = target.put(facility.experiment())
        assert sorted(one.name for one in target.path.iterdir()) == sorted([UPLOADERS_FOLDER, receipt.remote_id])

    def test_two_uploaders_at_once(self, facility: Facility, target: ELN, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(atomic_files, "FOLDER_WAIT_SECONDS", 0.1)
        record = facility.experiment()
        with writing_into(target.path) as first:
            assert first
            with pytest.raises(NotTaken, match="another Uploader is writing into"):
                target.put(record)
        target.put(record)

    def test_a_share_that_is_not_mounted(self, tmp_path: Path) -> None:
        nowhere: Destination = ELN(tmp_path / "share", "x")
        assert nowhere.check() == [f"the folder {tmp_path}/share does not exist (is the share mounted?)"]

    def test_a_record_that_is_no_xml(self, facility: Facility, record_of_text: Record) -> None:
        """Told in a sentence; the others go on."""
        facility.config["Services.Uploader.destinations"] = "eln, directory"
        assert Uploader(facility.app).once() == Pass(done=1, failed=1)
        assert "XMLSyntaxError" in (facility.upload(record_of_text, "eln").last_error or "")


@pytest.fixture
def record_of_text(facility: Facility) -> Record:
    return facility.built(content="no XML")
