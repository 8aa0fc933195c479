"""Reading the journals of this machine for people.

Looking changes nothing in a journal, and holds up no process that writes or delivers one.
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
from NexusCore.delivery.adoption import abandoned, could_be
from NexusCore.delivery.frames import Damage, Frame, FrameReader

MOST_BYTES = 64 * 1024 * 1024
"""How far `look` counts in a journal, where nothing else is said."""
_READ_CHUNK = 1024 * 1024
_ATTEMPTS = 1000
"""How often a segment may vanish while a journal is read; its process deletes those that were delivered."""
_JOURNAL_FILE = re.compile(r"(?P<name>.+?)(-\d{8}\.nxj|\.lock|\.refused|\.damaged)")
_JOURNAL_FOLDER_NAME = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-(?P<began>[0-9a-f]+)-r?\d+")


class JournalOrigin(NamedTuple):
    """Who began a journal, as its name says."""

    host: str
    pid: int
    began: int
    """Microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class LocalJournal:
    """A journal of this machine, or what is left of one."""

    folder: Path
    name: str
    held: bool
    """A living process writes or delivers it."""

    @property
    def role(self) -> str:
        """What it holds: ``log`` or ``status``."""
        return self.folder.name.partition("-")[0]

    @property
    def place(self) -> str:
        """Identity of the database it is for, or fingerprint of its place: see `NexusCore.delivery.folders`."""
        return self.folder.name.partition("-")[2]

    @property
    def origin(self) -> JournalOrigin | None:
        """Who began it; None where the name is another's make."""
        found = _JOURNAL_FOLDER_NAME.fullmatch(self.name)
        return JournalOrigin(found["host"], int(found["pid"]), int(found["began"], 16)) if found else None

    @property
    def segments(self) -> list[Path]:
        """The files that hold its records, oldest first."""
        return FrameReader(self.folder, self.name).segments()

    def beside(self, kind: str) -> Path:
        """Return the path of its ``lock``, or of a side file: ``refused``, ``damaged``."""
        return self.folder / f"{self.name}.{kind}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a journal."""

    records: int
    """How many wait to be delivered."""
    counted: bool
    """That is all of them; otherwise there are more."""
    oldest: int | None
    """When the first of them was made, in microseconds since the epoch, UTC; None where it cannot be read."""
    newest: int | None
    """The same of the last one that was counted."""
    size: int
    """Bytes of its segments, those of records included that are delivered already."""
    damaged: int
    """Bytes in its segments that are no records."""
    kept_damage: int
    """Bytes in its side file for damage."""
    refused: int
    """Records in its side file that the database refused."""
    fault: str | None = None
    """Why not all of it could be read."""


def journals(home: Path) -> list[LocalJournal]:
    """Return the journals below a home folder.

    Raises
    ------
    OSError
        If the folders cannot be read.
    """
    found = []
    root = home / "journal"
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []
    for folder in folders:
        files = [match for path in folder.iterdir() if (match := _JOURNAL_FILE.fullmatch(path.name))]
        locked, filled = ({match["name"] for match in files if match[2].endswith(kind)} for kind in (".lock", ".nxj"))
        free = _free(folder)
        for name in sorted({match["name"] for match in files}):
            held = name not in free if name in locked else name in filled and _lives(name)
            found.append(LocalJournal(folder, name, held))
    return found


def _free(folder: Path) -> set[str]:
    """Return the names of those whose lock no process holds."""
    names = set()
    for left in abandoned(folder):
        names.add(left.name)
        left.close(delivered=False)
    return names


def _lives(name: str) -> bool:
    """Tell whether the process that began a journal may still be there, though its lock is not."""
    found = _JOURNAL_FOLDER_NAME.fullmatch(name)
    return found is not None and found["host"] == socket.gethostname()[:60] and Path("/proc", found["pid"]).exists()


def look(journal: LocalJournal, delivered: int = 0, most: int = MOST_BYTES) -> Contents:
    """Count what is in a journal.

    Parameters
    ----------
    journal
        Which.
    delivered
        Number of the last record known to be in the database.
    most
        Bytes after which counting ends.
    """
    records = damaged = passed = 0
    oldest = newest = None
    fault = None
    counted = True
    try:
        for piece in _pieces(journal):
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
        size=sum(_size(path) for path in journal.segments),
        damaged=damaged,
        kept_damage=_size(journal.beside("damaged")),
        refused=side,
        fault=fault,
    )


def waiting(journal: LocalJournal, delivered: int = 0) -> Iterator[Frame]:
    """Yield the records that wait to be delivered, in order."""
    for piece in _pieces(journal):
        if isinstance(piece, Frame) and piece.sequence > delivered:
            yield piece


def refusals(journal: LocalJournal) -> list[Frame]:
    """Return the records that the database refused, in order and each once."""
    return refused.read(journal.folder, journal.name)[0]


def behind(journal: LocalJournal, cursor: int) -> int:
    """Return after which record a journal is still to be delivered: the cursor's, unless it is one that cannot be.

    See `NexusCore.delivery.adoption.could_be`; the process that holds a journal knows by itself.
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
    """Return what a process of this machine is running; None if that cannot be told, or it is gone."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    if "-m" in words[1:-1]:
        return words[words.index("-m", 1) + 1]
    scripts = [word for word in words[1:] if word and not word.startswith("-")]
    return Path(scripts[0] if scripts and "-c" not in words else words[0]).name or None


def time_of(payload: bytes) -> int | None:
    """Return when a record was made: all kinds begin with that. None if it cannot be read."""
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
            continue  # delivered and deleted meanwhile: the reader goes on with the next one
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
