"""File stores that tests of the file search make: files with times relative to the start of a session."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Services.Builder.finding.files import FileSearch, TimeRange

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
END = START + timedelta(hours=2)
SESSION = TimeRange("session", START, END)
SECOND = 10**9
T0 = int(START.timestamp()) * SECOND
"""Start of the session in nanoseconds since the epoch."""
PROJECT = Path(__file__).resolve().parents[2]

needs_find = pytest.mark.skipif(shutil.which("find") is None, reason="GNU find is missing: it has nothing to be like")
BOTH = [pytest.param("find", id="find", marks=needs_find), pytest.param(None, id="python")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def put(path: Path | bytes, seconds: float = 60, *, nanoseconds: int = 0, size: int = 0) -> Path:
    """Make a file that was modified so long after the start of the session."""
    path = Path(os.fsdecode(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    moment = T0 + round(seconds * SECOND) + nanoseconds
    os.utime(path, ns=(moment, moment))
    return path


def names(search: FileSearch, identifier: str = "session") -> list[str]:
    return [file.path.name for file in search.files[identifier]]
