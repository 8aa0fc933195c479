"""A session whose files take too long gets its record all the same; what was not read is named, and read later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from NexusCore.errors import ConfigException
from NexusCore.facility.sessions import Client, EventType
from Services.Builder.extraction.jobs import Job, TimeLimit, unread
from Services.Builder.extraction.pools import Pools
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import Extraction
from Services.Builder.settings import BuilderSettings
from tests.processes import rows
from tests.services.builder_facility import Stage
from tests.services.test_builder_record import NX, built, texts

PC = Client("ada", "titan-pc")
HANGS = """
import time
from Services.Builder.extraction.jobs import unknown

def work(job):
    if "slow" in job.path.name:
        yield unknown(job, "the metadata")
        time.sleep(600)
    yield unknown(job, "all")
"""


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def too_slow(stage: Stage, most: int) -> Callable[..., Generator[Extraction, None, None]]:
    """Return a reader that has time for so many files only."""
    extract_all = stage.readers.extract_all

    def extract_some(
        jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        yield from extract_all(jobs[:most], settings, stop)
        yield from (unread(job, TimeLimit.of(settings.session_time)) for job in jobs[most:])

    return extract_some


class TestTheTimeOfASession:
    """Services.Builder.session_time bounds the reading of all its files."""

    def test_the_record_is_made_and_says_that_it_is_not_whole(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage.config["Services.Builder.session_time"] = 90.0
        monkeypatch.setattr(stage.readers, "extract_all", too_slow(stage, 1))
        session = stage.session("a.dm3", "b.dm3", "c.dm3")
        record = built(stage, session)
        kinds = {
            str(one.findtext("nx:name", namespaces=NX)): one.get("type") for one in record.findall(".//nx:dataset", NX)
        }
        assert kinds == {"a.dm3": "Image", "b.dm3": "Unknown", "c.dm3": "Unknown"}
        late = "Not read within 90 s, the time for all files of a session."
        assert sum(late in str(one) for one in texts(record, ".//nx:dataset/nx:description")) == 2
        sentence = (
            "This record is not whole: 2 of 3 files could not be read within 90 s (Services.Builder.session_time): "
            "b.dm3, c.dm3. Building it again reads them."
        )
        assert f"Warning: {sentence}" in texts(record, ".//nx:notes/nx:entry/nx:p")
        notes = [event.detail for event in stage.sessions.events(session) if event.type is EventType.NOTE]
        assert notes == [sentence]
        stage.app.shutdown(5)
        warnings = [text for (text,) in rows(stage.url, "SELECT message FROM log_record WHERE level = 30")]
        assert [text for text in warnings if "dm3" in text] == [f"Session {session.identifier}: {sentence}"]

    def test_building_it_again_reads_what_is_left(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = stage.session("a.dm3", "b.dm3", "c.dm3")
        with monkeypatch.context() as patched:
            patched.setattr(stage.readers, "extract_all", too_slow(stage, 1))
            built(stage, session)
        first, stage.readers.asked[:] = list(stage.readers.asked), []
        stage.sessions.requeue(session.identifier, PC)
        record = built(stage, session)
        assert (first, sorted(stage.readers.asked)) == (["a.dm3"], ["b.dm3", "c.dm3"])
        assert "not whole" not in stage.document(session)
        assert [one.get("type") for one in record.findall(".//nx:dataset", NX)] == ["Image"] * 3

    def test_it_has_limits(self, stage: Stage) -> None:
        with pytest.raises(ConfigException):
            stage.config["Services.Builder.session_time"] = 0.0

    def test_processes_that_read_are_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "hangs_of_test_session_time.py").write_text(HANGS)
        monkeypatch.syspath_prepend(str(tmp_path))
        function = "hangs_of_test_session_time:work"
        monkeypatch.setattr(Workers.__init__, "__defaults__", (2, 60.0, 2048, function))
        settings = replace(BuilderSettings.read(Unset(), tmp_path), workers=1, session_time=3.0)
        pools = Pools(logging.getLogger("test of the time"))
        names = ("a.dat", "slow.dat", "z.dat")
        try:
            found = {
                one.path.name: one
                for one in pools.extract_all([Job(tmp_path / name) for name in names], settings, lambda: False)
            }
        finally:
            pools.close()
        assert sorted(found) == sorted(names)
        assert "within 3 s, the time for all files of a session." in found["slow.dat"].warnings[-1]
        assert found["z.dat"].warnings == ("Not read within 3 s, the time for all files of a session.",)
        assert not found["z.dat"].in_time


class Unset:
    """A configuration without any parameter."""

    def __getitem__(self, name: str) -> None:
        return None
