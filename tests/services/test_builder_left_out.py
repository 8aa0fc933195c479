"""What was made in a session and is no file is named, in the record, among its events and in the log (001-28)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import State
from Services.Builder.finding.searching import SessionFiles
from Services.Builder.record.left_out import MOST_NAMED, left_out
from tests.processes import rows
from tests.services.builder_facility import Stage
from tests.services.test_builder_growing import look, notes, state


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def test_links_and_pipes_are_named(stage: Stage) -> None:
    session = stage.session("a.dm3")
    folder = stage.put("a.dm3", ago=1).parent
    moment = (folder / "a.dm3").stat().st_mtime_ns
    (folder / "latest.dm3").symlink_to("a.dm3")
    os.mkfifo(folder / "pipe")
    for name in ("latest.dm3", "pipe"):
        os.utime(folder / name, ns=(moment, moment), follow_symlinks=False)
    look(stage)
    sentence = (
        "Not in the record, because links, pipes and devices are not followed: latest.dm3 (a link), pipe (a pipe)."
    )
    assert state(stage, session) is State.BUILT
    assert f"Warning: {sentence}" in stage.document(session)
    assert notes(stage, session) == [sentence]
    stage.app.shutdown(5)
    logged = [text for (text,) in rows(stage.url, "SELECT message FROM log_record WHERE level = 30")]
    assert any(sentence in text for text in logged)


def test_of_many_the_number_is_said() -> None:
    entries = tuple((Path(f"/srv/{number}"), "a link") for number in range(1000 + MOST_NAMED))
    (sentence,) = left_out(SessionFiles((), (), unfollowed=entries))
    assert sentence.endswith(f"{MOST_NAMED - 1} (a link) and 1,000 more.")
