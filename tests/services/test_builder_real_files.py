"""From files to the record by the processes that read them: what only the real readers can show."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.facility import Session, State
from Services.Builder.grouping import activities
from Services.Builder.record.document import NAMESPACE
from Services.Builder.record.names import LONGEST_FILE_NAME, beside
from Services.Builder.service import Builder
from tests.services.builder_facility import USER, Stage
from tests.services.signal_files import date, image, several

NX = {"nx": NAMESPACE}


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    one.builder.close()
    one.builder = Builder(one.app)
    yield one
    one.close()


def session_with(stage: Stage, *paths: Path) -> Session:
    """Let a session pass in which these were made."""
    one = stage.sessions.start("Titan", USER)
    stage.clock.move(60)
    for path in paths:
        date(path, stage.now.timestamp() - 10)
    return stage.sessions.end(one.identifier, USER)


def built(stage: Stage, session: Session) -> dict[str, etree._Element]:
    """Build a session's record; return its datasets by name."""
    stage.builder.once()
    found = stage.sessions.get(session.identifier)
    assert found.state is State.BUILT, found.last_error
    datasets = etree.fromstring(stage.document(session).encode()).findall(".//nx:dataset", NX)
    return {str(one.findtext("nx:name", namespaces=NX)): one for one in datasets}


def links(stage: Stage, session: Session, dataset: etree._Element) -> list[Path]:
    """Return the previews and the metadata that a dataset links to."""
    record = stage.records.of_session(session.id)
    assert record is not None
    found = [
        one.text for one in (*dataset.findall("nx:preview", NX), *dataset.findall("nx:meta[@name='Metadata']", NX))
    ]
    return [Path(record.path).parent / str(one) for one in found]


def not_read_again(stage: Stage, session: Session) -> int:
    """Build a session's record again; return how many of its files were taken from the cache."""
    stage.sessions.requeue(session.identifier, USER)
    built(stage, session)
    stage.app.shutdown(5)
    said = [str(row[10]) for row in stage.tables()["log_record"]]
    counts = [line.split()[0] for line in said if line.endswith("taken from the cache")]
    return int(counts[-1]) if counts else 0


class TestAFileOfSeveralSignals:
    """001-33, 001-43: each signal's preview stands in the record and is kept with the file's extraction."""

    def test_the_record_shows_them_all(self, stage: Stage) -> None:
        session = session_with(stage, several(stage.files / "map.hspy"))
        (dataset,) = built(stage, session).values()
        found = links(stage, session, dataset)
        assert [one.name for one in found] == ["map.hspy.png", "map.hspy.1.png", "map.hspy.2.png", "map.hspy.json"]
        assert all(one.read_bytes().startswith(b"\x89PNG") for one in found[:3])

    @pytest.mark.parametrize("lost", [None, "map.hspy.1.png"])
    def test_one_that_is_lost_has_the_file_read_again(self, stage: Stage, lost: str | None) -> None:
        session = session_with(stage, several(stage.files / "map.hspy"))
        (dataset,) = built(stage, session).values()
        for one in links(stage, session, dataset):
            if one.name == lost:
                one.unlink()
        assert not_read_again(stage, session) == (lost is None)
        assert all(one.is_file() for one in links(stage, session, dataset))


class TestAFolderThatIsOneDataset:
    """001-25, 001-32: HyperSpy's Zarr folders are datasets like others."""

    @pytest.mark.parametrize("strategy", ["exclusive", "inclusive"])
    def test_in_the_record(self, stage: Stage, strategy: str) -> None:
        stage.config["Services.Builder.strategy"] = strategy
        path = image(stage.files / "map.zspy")
        session = session_with(stage, path)
        ((name, dataset),) = built(stage, session).items()
        assert (name, dataset.get("type")) == ("map.zspy", "Image")
        size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        assert dataset.findtext("nx:meta[@name='File Size']", namespaces=NX) == str(size)
        assert len(str(dataset.findtext("nx:meta[@name='SHA-256']", namespaces=NX))) == 64
        assert all(one.is_file() for one in links(stage, session, dataset))

    @pytest.mark.parametrize("changed", [False, True])
    def test_a_changed_chunk_has_it_read_again(self, stage: Stage, changed: bool) -> None:
        path = image(stage.files / "map.zspy")
        session = session_with(stage, path)
        built(stage, session)
        if changed:
            chunk = max((one for one in path.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
            moment = chunk.stat().st_mtime_ns
            chunk.write_bytes(chunk.read_bytes())
            os.utime(chunk, ns=(moment, moment + 1000))
        assert not_read_again(stage, session) == (not changed)

    def test_the_activities_shown_are_those_of_its_newest_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = image(tmp_path / "map.zspy")
        date(path, 1_700_000_000)
        chunk = next(one for one in path.rglob("*") if one.is_file())
        os.utime(chunk, (1_700_000_100, 1_700_000_100))
        os.utime(path, (1, 1))
        assert activities.main([str(path)]) == 0
        newest = datetime.fromtimestamp(1_700_000_100).astimezone()
        assert f"{newest:%Y-%m-%d %H:%M:%S} to " in capsys.readouterr().out


class TestALongName:
    """001-42, 001-43: whatever a file is called, its preview and metadata have a place, and the record names it."""

    def test_as_long_as_a_file_system_takes(self, stage: Stage) -> None:
        names = ["µ" * 120 + f"{number}.txt" for number in range(2)] + ["a" * 240 + ".txt", "b" * 251 + ".txt"]
        for name in names:
            (stage.files / name).write_text("grid 3\n")
        session = session_with(stage, *(stage.files / name for name in names))
        datasets = built(stage, session)
        assert set(datasets) == set(names)
        found = {name: links(stage, session, one) for name, one in datasets.items()}
        assert len({path for paths in found.values() for path in paths}) == 8
        for name, (preview, metadata) in found.items():
            assert preview.read_bytes().startswith(b"\x89PNG")
            assert json.loads(metadata.read_text())["file"] == name
            assert (preview.stem, preview.suffix) == (metadata.stem, ".png")

    def test_others_stay_as_they_are(self) -> None:
        assert beside("0001.dm3", ".png") == "0001.dm3.png"
        assert beside("a" * LONGEST_FILE_NAME, ".png") == "a" * LONGEST_FILE_NAME + ".png"
        cut = beside("a" * (LONGEST_FILE_NAME + 1), ".png")
        digest = hashlib.sha256(b"a" * (LONGEST_FILE_NAME + 1)).hexdigest()[:8]
        assert cut == f"{'a' * (LONGEST_FILE_NAME - 9)}-{digest}.png"
        assert len(os.fsencode(beside("\udce9" + "µ" * 120, ".json"))) <= LONGEST_FILE_NAME + 5
