"""Repairing journals that processes left behind, and retrying refused records.

Promises
--------
* A journal that a running process holds is not touched.
* Damage is written to the side file before it is removed from the journal. A repair that is killed loses nothing, and
  can be repeated.
* A retried record arrives once, or is refused again and kept. Before a retry the cursor in the database is read:
  a refused record that was delivered from the journal since is not sent again.
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
from NexusCore.delivery.adoption import AbandonedJournal, abandoned, written_by_newer
from NexusCore.delivery.frames import Damage, Frame, decode
from NexusCore.delivery.inspection import LocalJournal, program
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.settings import JOURNAL_SIZE
from NexusCore.storage import Database

_UNFINISHED = (".part", ".thinned")
"""Suffixes of temporary files that replace another file when they are complete."""
DELIVERY_POLL_SECONDS = 0.02
"""Interval of checking the progress of the delivery."""
DELIVERY_END_SECONDS = 1.0
"""Seconds that stopping the delivery may take."""
_numbers = itertools.count(1)


class JournalHeld(NexusError):
    """The journal {name} is in use{process}. Repair it when that process has ended."""

    exit_code = EXIT_REFUSED


class JournalOfNewer(NexusError):
    """A newer NexusCore wrote the journal {name}. Repair it with that one: this one would take it for damaged."""

    exit_code = EXIT_REFUSED


class JournalOfAnother(NexusError):
    """The journals in {folder} belong to the user {owner}. Repair them as that user."""

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class Repaired:
    """The result of a repair."""

    damaged: int
    """Damaged bytes that were moved to the side file."""
    queued: int
    """Refused records that are queued for another attempt."""
    queue: str | None
    """The journal that holds the queued records."""
    unknown: int = 0
    """Refused records that stay aside: it is not known whether they have been delivered since."""


def repair(journal: LocalJournal, clock: Clock, cursor: Callable[[], int | None] = lambda: None) -> Repaired:
    """Repair a journal that was left behind, so that all of it can be delivered.

    Damaged bytes go to its side file. Refused records become a journal of their own, which any program adopts and
    delivers; those refused again are then in the side file of that journal.

    Parameters
    ----------
    journal, clock
        The journal, and a clock.
    cursor
        Returns how far the journal is delivered, or None if the database does not answer. Called when no other process
        can deliver the journal any more.

    Raises
    ------
    JournalHeld
        If a running process holds it.
    JournalOfAnother
        If it belongs to another user.
    JournalOfNewer
        If this NexusCore cannot read it.
    OSError
        If a file of it cannot be read or written.
    """
    _check_owner(journal.folder)
    if journal.held or (left := _take(journal)) is None:
        raise JournalHeld(name=journal.name, process=_holder(journal))
    try:
        if written_by_newer(journal.folder, journal.name):
            raise JournalOfNewer(name=journal.name)
        for path in journal.folder.glob(f"{journal.name}[-.]*"):
            if path.suffix in _UNFINISHED:
                path.unlink(missing_ok=True)
        damaged = sum(_clean(journal, path) for path in journal.segments)
        return _queue(journal, damaged, clock, left, cursor)
    finally:
        left.close(delivered=not journal.segments)


def _holder(journal: LocalJournal) -> str:
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
    """Lock a journal for this process, or return None. A missing lock file is created: journals are found by it."""
    journal.beside("lock").touch(mode=0o600)
    for left in abandoned(journal.folder):
        if left.name == journal.name:
            return left
        left.close(delivered=False)
    return None


def _clean(journal: LocalJournal, segment: Path) -> int:
    """Move damage from a segment to the side file; return the number of bytes."""
    pieces = [piece for piece, _ in decode(segment.read_bytes(), complete=True)]
    damage = b"".join(piece.data for piece in pieces if isinstance(piece, Damage))
    if damage:
        _keep(journal.beside("damaged"), damage)
        refused.replace(segment, [piece for piece in pieces if isinstance(piece, Frame)])
    return len(damage)


def _queue(
    journal: LocalJournal, damaged: int, clock: Clock, left: AbandonedJournal, cursor: Callable[[], int | None]
) -> Repaired:
    """Make the refused records a journal, except those that are still delivered from their own."""
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
        raise BlockingIOError(errno.EAGAIN, f"another process has the lock of {name}; try again")
    # Atomic: the records are either still refused, or in a journal that any program adopts.
    side.replace(journal.folder / f"{name}-00000001.nxj")
    held.close(delivered=False)
    return Repaired(damaged, len(frames), name)


def _keep(side: Path, data: bytes) -> None:
    """Append to a side file, unless an interrupted repair has done so already."""
    with open(os.open(side, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:  # noqa: PTH123  a descriptor
        if not file.read().endswith(data):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


# -- delivering --------------------------------------------------------------------------------------------------------


class _WarningCollector(logging.Handler):
    """Collects the warnings of the delivery."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
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
    """Deliver the journals of a folder that were left behind, as any program that finds them does.

    Parameters
    ----------
    folder, names
        The journals to wait for.
    folders
        Folders of the journals for the database.
    database, sink
        Target of the delivery.
    clock
        Clock for the wait.
    seconds
        Longest wait; the next program delivers what is left then.

    Returns
    -------
    list of str
        Warnings of the delivery.
    """
    collector, log = _WarningCollector(), logging.getLogger("NexusCore.delivery")
    log.addHandler(collector)
    shipper = Shipper(clock, JOURNAL_SIZE * 1024 * 1024)
    journal = Journal(
        folders.own(), clock, shipper.wake
    )  # empty and without files; the shipper needs one of this process
    shipper.add(journal, database, sink, folders)
    try:
        shipper.wake()
        end, never = clock.monotonic() + seconds, threading.Event()
        while clock.monotonic() < end and any((folder / f"{name}.lock").exists() for name in names):
            clock.wait(never, DELIVERY_POLL_SECONDS)
        shipper.stop(DELIVERY_END_SECONDS)
    finally:
        log.removeHandler(collector)
    return collector.sentences
