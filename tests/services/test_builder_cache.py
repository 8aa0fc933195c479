"""A file that has not changed is not read again, and one that has always is."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Session
from Services.Builder.extraction.cache import DAY, ExtractionCache, software_version, stamps
from Services.Builder.extraction.jobs import Job, unknown
from Services.Builder.model import Extraction, Quantity
from tests.services.builder_facility import USER, Stage

NAMES = ("a.dm3", "b.dm3", "c.emi", "c_1.ser")
LOG = logging.getLogger("test")


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def again(stage: Stage, session: Session) -> list[str]:
    """Build a session's record once more; return the files that were read for it."""
    stage.readers.asked.clear()
    stage.sessions.requeue(session.identifier, USER)
    assert stage.builder.once().done == 1
    return sorted(stage.readers.asked)


def caches(stage: Stage) -> list[Path]:
    return list((stage.app.settings.home / "cache/extractions").iterdir())


class TestASecondBuild:
    """A build of unchanged files uses what was extracted, and comes to the same record."""

    def test_unchanged_files_are_not_read_again(self, stage: Stage) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        first = stage.document(session)
        assert again(stage, session) == []
        assert stage.document(session) == first

    @pytest.mark.parametrize(
        ("name", "change", "read"),
        [
            ("a.dm3", lambda path: path.write_text("longer content"), ["a.dm3"]),
            ("a.dm3", lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)), ["a.dm3"]),
            ("c_1.ser", lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)), ["c.emi"]),
            ("c_1.ser", lambda path: path.unlink(), ["c.emi"]),
        ],
    )
    def test_reads_what_has_changed(
        self, stage: Stage, name: str, change: Callable[[Path], None], read: list[str]
    ) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        path = stage.files / name
        before = path.stat().st_mtime
        change(path)
        if path.exists() and path.stat().st_mtime - before > 1:
            os.utime(path, (before, before))  # the session's, not the test's
        assert again(stage, session) == read
        assert again(stage, session) == []

    @pytest.mark.parametrize("suffix", [".png", ".2.png", ".json"])
    @pytest.mark.parametrize("how", ["removed", "cut"])
    def test_reads_what_has_lost_its_preview_or_metadata(self, stage: Stage, suffix: str, how: str) -> None:
        stage.readers.signals = 2
        session = stage.session(*NAMES)
        stage.builder.once()
        (output,) = stage.app.settings.home.glob(f"records/*.files/b.dm3{suffix}")
        output.unlink() if how == "removed" else output.write_text("")
        assert again(stage, session) == ["b.dm3"]

    def test_reads_everything_for_another_folder(self, stage: Stage) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        stage.config["Services.Builder.records_path"] = str(stage.folder / "elsewhere")
        assert again(stage, session) == ["a.dm3", "b.dm3", "c.emi"]
        assert "elsewhere" in str(stage.records.of_session(session.id))

    def test_the_log_counts_unchanged_files(self, stage: Stage) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        again(stage, session)
        stage.app.shutdown(5)
        messages = [str(row[10]) for row in stage.tables()["log_record"]]
        assert "3 of 3 files taken from the cache" in messages


class TestADamagedCache:
    """What cannot be used is read anew; no damage costs a session or brings anything false."""

    def test_wherever_it_is_cut_or_flipped(self, stage: Stage) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        (path,) = caches(stage)
        whole, chance = path.read_bytes(), random.Random(5)
        for number in range(30):
            place = chance.randrange(len(whole))
            cut = whole[:place] + (b"" if number % 2 else bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            path.write_bytes(cut)
            assert set(again(stage, session)) <= {"a.dm3", "b.dm3", "c.emi"}
            assert again(stage, session) == [], "mended"

    def test_of_something_else(self, stage: Stage) -> None:
        session = stage.session(*NAMES)
        stage.builder.once()
        (path,) = caches(stage)
        path.write_bytes(b"<html>")
        assert len(again(stage, session)) == 3

    def test_that_cannot_be_written(self, stage: Stage) -> None:
        (stage.app.settings.home / "cache").write_text("a file, where a folder should be")
        session = stage.session(*NAMES)
        assert stage.builder.once().done == 1
        assert len(again(stage, session)) == 3


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = tmp_path / "a\udce9 µ.dm3"  # a name in Latin-1
    path.write_text("content")
    (tmp_path / "out").mkdir()
    return Job(path, tmp_path / "out/a.png", tmp_path / "out/a.json", (path,))


def extraction(job: Job) -> Extraction:
    assert job.preview is not None and job.metadata is not None
    job.preview.write_text("png")
    job.metadata.write_text("{}")
    meta = {
        "Voltage": Quantity(200.0, "kV"),
        "Frames": Quantity(3),
        "Infinite": Quantity(float("inf")),
        "Mode": Quantity("STEM", warning=True),
        "Drift": Quantity(False),
    }
    acquired = datetime(2026, 11, 20, 9, 0, 0, 17, UTC)
    return Extraction(
        job.path, "F", "Image", "TEM_Imaging", meta, acquired, job.preview, (), job.metadata, ("w",), "x 1", "00", 7
    )


class TestAnEntry:
    """It comes back as it was, and holds for the software that made it only."""

    def test_comes_back_as_it_was(self, tmp_path: Path, job: Job) -> None:
        found = extraction(job)
        ExtractionCache(tmp_path / "c", LOG).of_session("s").put(job, stamps(job), found)
        back = ExtractionCache(tmp_path / "c", LOG).of_session("s").get(job)
        assert back == found
        assert [type(one.value) for one in back.meta.values()] == [float, int, float, str, bool]
        assert ExtractionCache(tmp_path / "c", LOG).of_session("another").get(job) is None

    def test_does_not_hold_for_other_software(self, tmp_path: Path, job: Job) -> None:
        ExtractionCache(tmp_path / "c", LOG, lambda: "1.0").of_session("s").put(job, stamps(job), extraction(job))
        assert ExtractionCache(tmp_path / "c", LOG, lambda: "1.0").of_session("s").get(job) is not None
        assert ExtractionCache(tmp_path / "c", LOG, lambda: "1.1").of_session("s").get(job) is None

    def test_what_other_software_left_is_deleted(self, tmp_path: Path, job: Job) -> None:
        ExtractionCache(tmp_path / "c", LOG, lambda: "1.0").of_session("s").put(job, stamps(job), extraction(job))
        ExtractionCache(tmp_path / "c", LOG, lambda: "1.1").of_session("s")
        assert list((tmp_path / "c").iterdir()) == []

    def test_the_software_is_named_with_its_readers(self) -> None:
        assert "NexusCore " in software_version() and "rosettasciio " in software_version()

    def test_a_file_that_changed_while_it_was_read(self, tmp_path: Path, job: Job) -> None:
        before = stamps(job)
        found = extraction(job)
        job.path.write_text("changed meanwhile")
        cache = ExtractionCache(tmp_path / "c", LOG).of_session("s")
        cache.put(job, before, found)
        assert cache.get(job) is None

    def test_what_another_attempt_may_better_is_not_kept(self, tmp_path: Path, job: Job) -> None:
        """A time limit, a lack of memory, a full disk."""
        found = extraction(job)
        cache = ExtractionCache(tmp_path / "c", LOG).of_session("s")
        for worse in (
            unknown(job, "Reading took too long"),
            replace(found, whole=False),
            replace(found, metadata_json=None),
        ):
            cache.put(job, stamps(job), worse)
            assert cache.get(job) is None

    def test_a_huge_number_is_read_again(self, tmp_path: Path, job: Job) -> None:
        found = replace(extraction(job), meta={"Huge": Quantity(10**30)})
        ExtractionCache(tmp_path / "c", LOG).of_session("s").put(job, stamps(job), found)
        assert ExtractionCache(tmp_path / "c", LOG).of_session("s").get(job) is None


class TestOldCaches:
    """What was not used for `cache_days` is deleted; it can be read again."""

    def test_an_unused_cache_is_deleted(self, stage: Stage) -> None:
        stage.session(*NAMES)
        stage.builder.once()
        (path,) = caches(stage)
        now = stage.clock.now()
        os.utime(path, ns=(0, (now - 29 * DAY) * 1000))
        stage.clock.move(DAY / SECOND + 1)
        stage.builder.once()
        assert not path.exists()
        stage.builder.once()
