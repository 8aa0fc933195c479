"""What this computer knows about files: a small SQLite file in the logger's home, shared by its users.

It saves work, and decides which files are new since the last scan. Whether the store has a file is never taken from
here: MD5 decides, of the object in the store.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from Logger.local_file import FileFormat, LocalFile
from Logger.transfer.scanning import Signature
from Logger.transfer.tracked import FileKey, FileStage, TrackedFile

# Paths are bytes: not every name of a file is a text.
_TABLES = """
    CREATE TABLE seen (
        folder TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        identity TEXT NOT NULL, PRIMARY KEY (folder, path)
    ) WITHOUT ROWID;
    CREATE TABLE file (
        session TEXT NOT NULL, folder TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, identity TEXT NOT NULL, stage TEXT NOT NULL, md5 TEXT NOT NULL, reason TEXT NOT NULL,
        sent INTEGER NOT NULL, attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, released INTEGER NOT NULL,
        PRIMARY KEY (session, folder, path)
    ) WITHOUT ROWID;
    CREATE TABLE session (
        session TEXT PRIMARY KEY, looked INTEGER NOT NULL, closed INTEGER NOT NULL, unread TEXT NOT NULL
    );
"""
_FORMAT = FileFormat(
    1, _TABLES, what="file of transfers on this computer", durable=False, checked_always=False
)  # fmt: skip


@dataclass(frozen=True)
class ScanRecord:
    """What has been scanned for a session."""

    session: str
    looked: bool = False
    """Whether its first scan is done: what was there before is known."""
    closed: bool = False
    """Whether the first scan after its END is done: what comes later is held back."""
    unread: tuple[tuple[str, str], ...] = ()
    """Folders that no scan of it could read yet: name, and path in it. For them the first scan is still to come."""


@dataclass
class KnownFiles:
    """All of it, in memory."""

    seen: dict[str, dict[str, Signature]] = field(default_factory=dict)
    """By folder and path: what the last scan saw."""
    files: dict[FileKey, TrackedFile] = field(default_factory=dict)
    records: dict[str, ScanRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class StateChanges:
    """What is to be written."""

    seen: Mapping[tuple[str, str], Signature | None] = field(default_factory=dict)
    """By folder and path; None: it is gone."""
    files: Sequence[TrackedFile] = ()
    records: Sequence[ScanRecord] = ()
    forgotten: Sequence[str] = ()
    """Sessions of which nothing is kept."""


class TransferState:
    """The file.

    Parameters
    ----------
    path
        Its place; folders are created.
    """

    def __init__(self, path: Path) -> None:
        self._file = LocalFile(path, _FORMAT)

    def load(self) -> KnownFiles:
        """Return all that is known."""
        known = KnownFiles()
        with self._file.transaction() as database:
            for folder, path, *signature in database.execute("SELECT * FROM seen"):
                known.seen.setdefault(folder, {})[os.fsdecode(path)] = Signature(*signature)
            for row in database.execute("SELECT * FROM file"):
                file = _file(row)
                known.files[file.key] = file
            for session, looked, closed, unread in database.execute("SELECT * FROM session"):
                places = tuple((str(folder), str(path)) for folder, path in json.loads(unread))
                known.records[session] = ScanRecord(session, bool(looked), bool(closed), places)
        return known

    def save(self, changes: StateChanges) -> None:
        """Write changes, all or none."""
        with self._file.transaction() as database:
            gone = [(folder, os.fsencode(path)) for (folder, path), new in changes.seen.items() if new is None]
            database.executemany("DELETE FROM seen WHERE folder = ? AND path = ?", gone)
            database.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
                [(folder, os.fsencode(path), *new) for (folder, path), new in changes.seen.items() if new is not None],
            )
            database.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(changes.files)
            )
            database.executemany(
                "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?)",
                [
                    (record.session, int(record.looked), int(record.closed), json.dumps(record.unread))
                    for record in changes.records
                ],
            )
            for session in changes.forgotten:
                database.execute("DELETE FROM file WHERE session = ?", (session,))
                database.execute("DELETE FROM session WHERE session = ?", (session,))


def _rows(files: Iterable[TrackedFile]) -> list[tuple[object, ...]]:
    return [
        (
            file.key.session, file.key.folder, os.fsencode(file.key.path), *file.signature, file.stage.value, file.md5,
            file.reason, file.sent, file.attempts, file.next_try, int(file.released),
        )
        for file in files
    ]  # fmt: skip


def _file(row: tuple[Any, ...]) -> TrackedFile:
    session, folder, path, size, mtime, identity, stage, md5, reason, sent, attempts, next_try, released = row
    return TrackedFile(
        FileKey(session, folder, os.fsdecode(path)), Signature(size, mtime, identity), FileStage(stage), md5, reason,
        sent, attempts, next_try, bool(released),
    )  # fmt: skip
