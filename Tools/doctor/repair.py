"""Putting journals in order that processes left behind, and having refused records delivered once more.

Promises
--------
* What a living process holds is left alone.
* What is taken out of a journal is kept in its side file first. Killed half-way, a repair has lost nothing, and can be
  done again.
* A refused record that is tried once more arrives once, or is refused again and kept. What was set aside, but delivered
  from the journal since, is not sent again: the database's cursor is asked first.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.delivery import Folders, Journal, Shipper, Sink, refused
from NexusCore.delivery.adoption import AbandonedJournal, abandoned
from NexusCore.delivery.frames import Damage, Frame, decode
from NexusCore.delivery.inspection import LocalJournal, program
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.settings import JOURNAL_SIZE
from NexusCore.storage import Database

_UNFINISHED = (".part", ".thinned")
"""Suffixes of files that are written beside another and then take its place."""
DELIVERY_POLL_SECONDS = 0.02
"""Between two looks at how far the delivery has come."""
DELIVERY_END_SECONDS = 1.0
"""How long the end of the delivery may take."""
_numbers = itertools.count(1)


class JournalHeld(NexusError):
    """The journal {name} is in use{process}, so it is left alone."""

    exit_code = EXIT_REFUSED


class JournalOfAnother(NexusError):
    """The journals in {folder} are those of the user {owner}, who could not read them afterwards."""

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a journal."""

    damaged: int
    """Bytes that were moved into its side file."""
    queued: int
    """Refused records that are to be delivered once more."""
    queue: str | None
    """The journal that these are in now."""
    unknown: int = 0
    """Refused records that are left aside, since nobody says whether they have been delivered since."""


def repair(journal: LocalJournal, clock: Clock, cursor: Callable[[], int | None] = lambda: None) -> Repaired:
    """Make a journal that was left behind one that can be delivered whole.

    Bytes that are no record go to its side file for damage. Records that the database refused become a journal of their
    own, so that whoever adopts journals delivers them; what is refused again is then in that one's side file.

    Parameters
    ----------
    journal, clock
        Which, and what tells the time.
    cursor
        Asks the database how far the journal is delivered; None where it does not say. Called when no other process can
        deliver the journal any more.

    Raises
    ------
    JournalHeld
        If a living process holds it.
    JournalOfAnother
        If it belongs to another user.
    OSError
        If a file of it cannot be read or written.
    """
    _check_owner(journal.folder)
    if journal.held or (left := _take(journal)) is None:
        raise JournalHeld(name=journal.name, process=_by_whom(journal))
    try:
        for path in journal.folder.glob(f"{journal.name}[-.]*"):
            if path.suffix in _UNFINISHED:
                path.unlink(missing_ok=True)
        damaged = sum(_clean(journal, path) for path in journal.segments)
        return _queue(journal, damaged, clock, left, cursor)
    finally:
        left.close(delivered=not journal.segments)


def _by_whom(journal: LocalJournal) -> str:
    origin = journal.origin
    running = program(origin.pid) if origin is not None else None
    return f" by {running}, process {origin.pid}" if origin is not None and running else ""


def _check_owner(folder: Path) -> None:
    owner = folder.stat().st_uid
    if hasattr(os, "geteuid") and owner != os.geteuid():
        import pwd

        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"number {owner}"
        raise JournalOfAnother(folder=folder, owner=name)


def _take(journal: LocalJournal) -> AbandonedJournal | None:
    """Lock a journal for this process, or return None. A lock that is missing is made: nobody finds it without."""
    journal.beside("lock").touch(mode=0o600)
    for left in abandoned(journal.folder):
        if left.name == journal.name:
            return left
        left.close(delivered=False)
    return None


def _clean(journal: LocalJournal, segment: Path) -> int:
    """Move damage from a segment into the side file; return how many bytes."""
    pieces = [piece for piece, _ in decode(segment.read_bytes(), complete=True)]
    damage = b"".join(piece.data for piece in pieces if isinstance(piece, Damage))
    if damage:
        _keep(journal.beside("damaged"), damage)
        refused.replace(segment, [piece for piece in pieces if isinstance(piece, Frame)])
    return len(damage)


def _queue(
    journal: LocalJournal, damaged: int, clock: Clock, left: AbandonedJournal, cursor: Callable[[], int | None]
) -> Repaired:
    """Make the refused records a journal, but for those that are to be delivered from their own."""
    side = refused.side_file(journal.folder, journal.name)
    frames, damage = refused.read(journal.folder, journal.name)
    if damage:
        _keep(journal.beside("damaged"), damage)
        damaged += len(damage)
    if still_there := left.those_in_it(frames):
        delivered = cursor()
        if delivered is None:
            return Repaired(damaged, 0, None, unknown=len(frames))
        refused.settle(journal.folder, journal.name, delivered, still_there)
        frames, _ = refused.read(journal.folder, journal.name)
    if not frames:
        side.unlink(missing_ok=True)
        return Repaired(damaged, 0, None)
    refused.replace(side, frames)
    name = f"{socket.gethostname()[:60]}-{os.getpid()}-{clock.now():x}-r{next(_numbers)}"
    held = _take(LocalJournal(journal.folder, name, held=False))
    if held is None:
        raise BlockingIOError(errno.EAGAIN, f"the lock of {name} was taken by another process; try again")
    # One step: the records are either still refused, or in a journal that anybody adopts.
    side.replace(journal.folder / f"{name}-00000001.nxj")
    held.close(delivered=False)
    return Repaired(damaged, len(frames), name)


def _keep(side: Path, data: bytes) -> None:
    """Append to a side file, unless an attempt that was cut short has done so."""
    with open(os.open(side, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:  # noqa: PTH123  a descriptor
        if not file.read().endswith(data):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


# -- delivering --------------------------------------------------------------------------------------------------------


class _Heard(logging.Handler):
    """Collects what the delivery complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a complaint."""
        self.sentences.append(record.getMessage())


def deliver(
    folder: Path,
    names: Collection[str],
    folders: Folders,
    database: Database,
    sink: Sink,
    clock: Clock,
    seconds: float,
) -> list[str]:
    """Deliver the journals of a folder that were left behind, as any program does that finds them.

    Parameters
    ----------
    folder, names
        Those to wait for, and where they lie.
    folders
        Which journals the database gets.
    database, sink
        Where they go.
    clock
        Tells the time and waits.
    seconds
        How long to wait; what is left then is delivered by whoever comes next.

    Returns
    -------
    list of str
        What the delivery complained of.
    """
    heard, log = _Heard(), logging.getLogger("NexusCore.delivery")
    log.addHandler(heard)
    shipper = Shipper(clock, JOURNAL_SIZE * 1024 * 1024)
    journal = Journal(folders.own(), clock, shipper.wake)  # empty, and without files: it stands for this process
    shipper.add(journal, database, sink, folders)
    try:
        shipper.wake()
        end, never = clock.monotonic() + seconds, threading.Event()
        while clock.monotonic() < end and any((folder / f"{name}.lock").exists() for name in names):
            clock.wait(never, DELIVERY_POLL_SECONDS)
        shipper.stop(DELIVERY_END_SECONDS)
    finally:
        log.removeHandler(heard)
    return heard.sentences
