"""The folder of records, where others may write too: no link leads a preview, a record or a cache elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from NexusCore.facility import Session, State
from NexusCore.service import Pass
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import extract_job
from Services.Builder.model import Extraction
from Services.Builder.settings import BuilderSettings
from tests.processes import messages
from tests.services.builder_facility import USER, Readers, Stage


class RealReaders(Readers):
    """Reads for real, in this process."""

    def extract_all(
        self, jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        for job in jobs:
            self.asked.append(job.path.name)
            *_, last = extract_job(job)
            yield last


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Have a folder of somebody else's, to which links lead; afterwards it must be as it was."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"secret": "secret"}


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("tests.services.builder_facility.Readers", RealReaders)
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


@pytest.fixture
def session(stage: Stage) -> Session:
    """Have a session with an image in a folder, whose record is built."""
    session = stage.sessions.start("Titan", USER)
    path = stage.put("sub/a.jpg")
    Image.new("L", (32, 32)).save(path)
    moment = (stage.now + timedelta(seconds=20)).timestamp()
    os.utime(path, (moment, moment))
    stage.clock.move(60)
    session = stage.sessions.end(session.identifier, USER)
    assert stage.builder.once() == Pass(done=1)
    return stage.sessions.get(session.identifier)


@pytest.fixture
def xml(stage: Stage, session: Session) -> Path:
    record = stage.records.of_session(session.id)
    assert record is not None
    assert record.path.endswith(".xml")
    return Path(record.path)


def again(stage: Stage, session: Session) -> Session:
    """Build a session's record once more."""
    stage.readers.asked.clear()
    stage.sessions.requeue(session.identifier, USER)
    stage.builder.once()
    return stage.sessions.get(session.identifier)


def put_in_place(path: Path, make: Callable[[Path], None]) -> None:
    if path.exists():
        path.rename(path.parent.parent / "aside")
    make(path)


def test_it_is_built_where_nothing_is_in_the_way(stage: Stage, session: Session, xml: Path) -> None:
    files = sorted(path.relative_to(xml.parent).name for path in xml.with_suffix(".files").rglob("*.*"))
    assert [Path(name).suffix for name in files] == [".json", ".png"]
    again(stage, session)
    assert stage.readers.asked == []


@pytest.mark.parametrize("kind", ["a symbolic link", "a named pipe"])
@pytest.mark.parametrize("suffix", [".files", ".html", ".xml"])
def test_in_place_of_the_record_or_its_files(
    stage: Stage, session: Session, xml: Path, victim: Path, suffix: str, kind: str
) -> None:
    """The session is in ERROR with a sentence that names it; once it is gone, the record is built."""
    place = xml.with_suffix(suffix)
    to = victim if suffix == ".files" else victim / "secret"
    put_in_place(place, (lambda path: path.symlink_to(to)) if "link" in kind else os.mkfifo)
    failed = again(stage, session)
    assert (failed.state, failed.last_error) == (
        State.ERROR,
        f"{place} is in the way: it is {kind}. Remove it, and check who may write to {xml.parent}.",
    )
    place.unlink()
    assert again(stage, session).state is State.BUILT
    assert list(xml.with_suffix(".files").rglob("*.png"))


@pytest.mark.parametrize("below", ["folder", "files"])
def test_links_below_it_are_not_followed(stage: Stage, session: Session, xml: Path, victim: Path, below: str) -> None:
    """The record is built, and says why a dataset has no preview; what lies behind the link is not taken for it.

    No reader is to blame, and the advice is given whole.
    """
    folder = xml.with_suffix(".files") / "sub"
    if below == "folder":
        put_in_place(folder, lambda path: path.symlink_to(victim))
    else:
        for path in list(folder.iterdir()):
            path.unlink()
            path.symlink_to(victim / "secret")
    assert again(stage, session).state is State.BUILT
    assert stage.readers.asked == ["a.jpg"]
    document = stage.document(session)
    for start, suffix in (("No preview could be", ".png"), ("The metadata could not be", ".json")):
        place = folder if below == "folder" else folder / f"a.jpg{suffix}"
        sentence = (
            f"{place} is in the way: it is a symbolic link. Remove it, and check who may write to {place.parent}."
        )
        assert f"Warning: {start} put in place: {sentence}<" in document
    assert "gave up" not in document
    assert "<preview>" not in document


def test_what_was_moved_behind_a_link_is_not_used(stage: Stage, session: Session, xml: Path) -> None:
    """Although it is what was written, to the byte and the moment: tomorrow it may be something else."""
    folder = xml.with_suffix(".files") / "sub"
    put_in_place(folder, lambda path: path.symlink_to(xml.parent / "aside"))
    assert "<preview>" in stage.document(session)
    again(stage, session)
    assert stage.readers.asked == ["a.jpg"]
    assert "<preview>" not in stage.document(session)


def test_in_place_of_the_cache(stage: Stage, session: Session, victim: Path) -> None:
    """All is read again, and the log says why."""
    put_in_place(stage.app.settings.home / "cache/extractions", lambda path: path.symlink_to(victim))
    assert again(stage, session).state is State.BUILT
    assert stage.readers.asked == ["a.jpg"]
    stage.app.shutdown(30)
    place = stage.app.settings.home / "cache/extractions"
    assert any(
        f"cannot be cached: {place} is in the way: it is a symbolic link" in one
        for one in messages(stage.url, "Builder")
    )
