"""Names read from a database, kept for a moment in files of this user: who presses Tab again is answered from there.

The files are in the folder ``cache`` of `NEXUSCORE_HOME`, for their owner's eyes only. While a database does not
answer, that is kept too, so that only the first who presses Tab waits for it. Losing them costs nothing.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from NexusCore.files import replace_file
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.storage.engine import Database

CACHE_SECONDS = 20.0
"""Seconds for which what was read is good enough."""
SILENT = 5.0
"""Seconds after which a database that did not answer is asked again."""

T = TypeVar("T")


def remembered(what: str, url: DatabaseURL, settings: Settings, read: Callable[[Database], T], nothing: T) -> T:
    """Return what `read` returns, or what it returned a moment ago.

    Parameters
    ----------
    what
        What it reads.
    url
        The database that it reads from.
    settings
        Where files may be kept.
    read
        Asks the database; returns what can be written as JSON.
    nothing
        What to return while the database does not answer.
    """
    key = f"{what} of {url.user} at {url.place}"
    file = settings.home / "cache" / f"tab-{zlib.crc32(key.encode()):08x}.json"
    found = _load(file, key)
    if found is not None:
        return found[0] if found else nothing
    # A database that is silent, not only down, is told by this, too: then nobody comes to write more.
    _save(file, key, [])
    answer = read(Database(url))
    _save(file, key, [answer])
    return answer


def forget(settings: Settings) -> None:
    """Remember nothing any more: something was changed here, and the next Tab is to know."""
    with suppress(OSError):
        for file in (settings.home / "cache").glob("tab-*.json"):
            file.unlink()


def _load(file: Path, key: str) -> list[Any] | None:
    """Return the answer in a list, an empty one where the database was asked and did not answer; None to ask it."""
    try:
        with file.open("rb") as stream:
            age = time.time() - os.fstat(stream.fileno()).st_mtime
            if not 0 <= age < CACHE_SECONDS:
                return None
            kept = json.load(stream)
        found: list[Any] | None = kept["found"] if kept["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None if found == [] and age > SILENT else found


def _save(file: Path, key: str, found: list[Any]) -> None:
    with suppress(OSError):  # a folder that cannot be written to costs only the speed
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, json.dumps({"key": key, "found": found}).encode())
