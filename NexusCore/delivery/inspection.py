"""Inspection of the journals of this machine.

It changes nothing in a journal, and does not delay processes that write or deliver one.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from NexusCore.delivery import refused
from NexusCore.delivery.adoption import abandoned, could_be, written_by_newer
from NexusCore.delivery.frames import Damage, Frame, FrameReader
from NexusCore.storage import Database
from NexusCore.text import readable

MOST_BYTES = 64 * 1024 * 1024
"""How many bytes of a journal `look` counts by default."""
_CURSORS = "SELECT journal, delivered FROM delivery_cursor"
NEWER = "a newer NexusCore wrote it, and delivers it when it runs here again"
"""What is said of a journal in a form to come."""
_READ_CHUNK = 1024 * 1024
_ATTEMPTS = 1000
"""How often a segment may disappear while a journal is read: its process deletes delivered ones."""
_JOURNAL_FILE = re.compile(r"(?P<name>.+?)(-\d{8}\.nxj|\.lock|\.refused|\.damaged)")
_JOURNAL_FOLDER_NAME = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-(?P<began>[0-9a-f]+)-r?\d+")


class JournalOrigin(NamedTuple):
    """The process that created a journal, from its name."""

    host: str
    pid: int
    began: int
    """Microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class LocalJournal:
    """A journal on this machine, or what is left of one."""

    folder: Path
    name: str
    held: bool
    """A living process writes or delivers it."""

    @property
    def role(self) -> str:
        """Kind of its records: ``log`` or ``status``."""
        return self.folder.name.partition("-")[0]

    @property
    def place(self) -> str:
        """UUID of its database, or fingerprint of the place: see `NexusCore.delivery.folders`."""
        return self.folder.name.partition("-")[2]

    @property
    def origin(self) -> JournalOrigin | None:
        """Who created it; None if the name has another form."""
        match = _JOURNAL_FOLDER_NAME.fullmatch(self.name)
        return JournalOrigin(match["host"], int(match["pid"]), int(match["began"], 16)) if match else None

    @property
    def segments(self) -> list[Path]:
        """The files that hold its records, oldest first."""
        return FrameReader(self.folder, self.name).segments()

    @property
    def size(self) -> int:
        """Bytes of its segments, including delivered records."""
        return sum(_size(path) for path in self.segments)

    def beside(self, kind: str) -> Path:
        """Return the path of its ``lock``, or of a side file: ``refused``, ``damaged``."""
        return self.folder / f"{self.name}.{kind}"


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of a journal."""

    records: int
    """Records that wait for delivery."""
    counted: bool
    """Whether all were counted."""
    oldest: int | None
    """Time of the first of them, in microseconds since the epoch, UTC; None if it cannot be read."""
    newest: int | None
    """Time of the last one that was counted."""
    size: int
    """Bytes of its segments, including delivered records."""
    damaged: int
    """Damaged bytes in its segments."""
    kept_damage: int
    """Bytes in its side file of damage."""
    refused: int
    """Records in its side file of refused records."""
    fault: str | None = None
    """Why some of it could not be read."""


def journals(home: Path) -> list[LocalJournal]:
    """Return the journals below a home folder.

    Raises
    ------
    OSError
        If the folders cannot be read.
    """
    local = []
    root = home / "journal"
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []
    for folder in folders:
        files = [match for path in folder.iterdir() if (match := _JOURNAL_FILE.fullmatch(path.name))]
        locked, filled = ({match["name"] for match in files if match[2].endswith(kind)} for kind in (".lock", ".nxj"))
        free = _free(folder)
        for name in sorted({match["name"] for match in files}):
            held = name not in free if name in locked else name in filled and _lives(name)
            local.append(LocalJournal(folder, name, held))
    return local


def _free(folder: Path) -> set[str]:
    """Return the names of journals whose lock is free."""
    names = set()
    for left in abandoned(folder):
        names.add(left.name)
        left.close(delivered=False)
    return names


def _lives(name: str) -> bool:
    """Return whether the process that created a journal may still exist, although the lock does not."""
    match = _JOURNAL_FOLDER_NAME.fullmatch(name)
    return match is not None and match["host"] == socket.gethostname()[:60] and Path("/proc", match["pid"]).exists()


def look(journal: LocalJournal, delivered: int = 0, most: int = MOST_BYTES) -> Contents:
    """Count the contents of a journal.

    Parameters
    ----------
    journal
        The journal.
    delivered
        Number of the last record known to be in the database.
    most
        Stop counting after this many bytes.
    """
    records = damaged = passed = 0
    oldest = newest = None
    fault = None
    counted = True
    try:
        if written_by_newer(journal.folder, journal.name):
            fault = NEWER
        for piece in () if fault else _pieces(journal):
            if isinstance(piece, Damage):
                damaged += len(piece.data)
                passed += len(piece.data)
            else:
                passed += len(piece.payload)
                if piece.sequence > delivered:
                    records += 1
                    oldest = piece if oldest is None else oldest
                    newest = piece
            if passed > most:
                counted = False
                break
        side = len(refusals(journal))
    except OSError as error:
        side, fault = 0, error.strerror or str(error)
    return Contents(
        records=records,
        counted=counted,
        oldest=None if oldest is None else time_of(oldest.payload),
        newest=None if newest is None else time_of(newest.payload),
        size=journal.size,
        damaged=damaged,
        kept_damage=_size(journal.beside("damaged")),
        refused=side,
        fault=fault,
    )


def waiting(journal: LocalJournal, delivered: int = 0) -> Iterator[Frame]:
    """Yield the records that wait for delivery, in order."""
    for piece in _pieces(journal):
        if isinstance(piece, Frame) and piece.sequence > delivered:
            yield piece


def refusals(journal: LocalJournal) -> list[Frame]:
    """Return the refused records, in order, each once."""
    return refused.read(journal.folder, journal.name)[0]


def cursors_of(database: Database) -> dict[str, int]:
    """Return the number of the last delivered record of each journal for a database."""
    with database.reading() as reading:
        rows = reading.all(_CURSORS)
    # A cursor that cannot be read counts as 0, as it does for delivery.
    return {readable(name): delivered if type(delivered) is int else 0 for name, delivered in rows}


def behind(journal: LocalJournal, cursor: int) -> int:
    """Return the number after which records are still to be delivered: the cursor, unless it is impossible.

    See `NexusCore.delivery.adoption.could_be`; not checked if a process holds the journal.
    """
    if journal.held or cursor <= 0:
        return cursor
    try:
        fd = os.open(journal.beside("lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        fd = -1
    try:
        return cursor if could_be(journal.folder, journal.name, cursor, fd) else 0
    finally:
        if fd >= 0:
            os.close(fd)


def program(pid: int) -> str | None:
    """Return what a process of this machine runs; None if unknown or gone."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    if "-m" in words[1:-1]:
        return words[words.index("-m", 1) + 1]
    scripts = [word for word in words[1:] if word and not word.startswith("-")]
    return Path(scripts[0] if scripts and "-c" not in words else words[0]).name or None


def time_of(payload: bytes) -> int | None:
    """Return the time of a record, the first field of all kinds; None if it cannot be read."""
    try:
        first = msgspec.msgpack.decode(payload)[0]
    except (ValueError, TypeError, LookupError):
        return None
    return first if isinstance(first, int) else None


def _pieces(journal: LocalJournal) -> Iterator[Frame | Damage]:
    reader = FrameReader(journal.folder, journal.name)
    for _ in range(_ATTEMPTS):
        try:
            while pieces := reader.read(_READ_CHUNK, complete=not journal.held):
                yield from pieces
        except FileNotFoundError:
            continue  # delivered and deleted meanwhile: the reader continues with the next one
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
