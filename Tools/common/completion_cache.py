"""A short-lived cache of names from a database, so that pressing Tab again is fast.

The files are in the folder ``cache`` of `NEXUSCORE_HOME`, readable only by their owner. That a database does not answer
is cached too, so that only the first Tab waits for it. The files can be deleted at any time.
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
"""Seconds for which a cached answer is used."""
RETRY_SECONDS = 5.0
"""Seconds after which a database that did not answer is tried again."""

T = TypeVar("T")


def cached(what: str, url: DatabaseURL, settings: Settings, read: Callable[[Database], T], nothing: T) -> T:
    """Return what `read` returns, or its cached result.

    Parameters
    ----------
    what
        Name of the result in the cache.
    url
        The database to read from.
    settings
        Settings with the folder for files.
    read
        Reads from the database; its result must be writable as JSON.
    nothing
        Result while the database does not answer.
    """
    key = f"{what} of {url.user} at {url.place}"
    file = settings.home / "cache" / f"tab-{zlib.crc32(key.encode()):08x}.json"
    entry = _load(file, key)
    if entry is not None:
        return entry[0] if entry else nothing
    # An empty entry first: if the database is silent, the read below never returns.
    _save(file, key, [])
    answer = read(Database(url))
    _save(file, key, [answer])
    return answer


def forget(settings: Settings) -> None:
    """Delete the cache, so that the next Tab shows what was changed here."""
    with suppress(OSError):
        for file in (settings.home / "cache").glob("tab-*.json"):
            file.unlink()


def _load(file: Path, key: str) -> list[Any] | None:
    """Return the cached answer in a list, empty if the database did not answer; None without a valid entry."""
    try:
        with file.open("rb") as stream:
            age = time.time() - os.fstat(stream.fileno()).st_mtime
            if not 0 <= age < CACHE_SECONDS:
                return None
            content = json.load(stream)
        entry: list[Any] | None = content["found"] if content["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None if entry == [] and age > RETRY_SECONDS else entry


def _save(file: Path, key: str, entry: list[Any]) -> None:
    with suppress(OSError):  # without a writable folder, there is just no cache
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, json.dumps({"key": key, "found": entry}).encode())
