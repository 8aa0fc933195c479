"""Putting journals in order that processes left behind, and having refused records delivered once more.

Promises
--------
* What a living process holds is left alone.
* What is taken out of a journal is kept in its side file first. Killed half-way, a repair has lost nothing, and can be
  done again.
* A refused record that is tried once more arrives once, or is refused again and kept.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.delivery import Journal, Shipper, Sink
from NexusCore.delivery.frames import Damage, Frame, decode, encode
from NexusCore.delivery.inspection import LocalJournal, program, refusals_and_damage
from NexusCore.delivery.journal import Abandoned, abandoned
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.settings import JOURNAL_SIZE
from NexusCore.storage import Database

_UNFINISHED = (".part", ".thinned")
"""Suffixes of files that are written beside another and then take its place."""
LOOK_SECONDS = 0.02
"""Between two looks at how far the delivery has come."""
STOP_SECONDS = 1.0
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


def repair(journal: LocalJournal, clock: Clock) -> Repaired:
    """Make a journal that was left behind one that can be delivered whole.

    Bytes that are no record go to its side file for damage. Records that the database refused become a journal of their
    own, so that whoever adopts journals delivers them; what is refused again is then in that one's side file.

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
        return _queue(journal, damaged, clock)
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


def _take(journal: LocalJournal) -> Abandoned | None:
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
        _replace(segment, [piece for piece in pieces if isinstance(piece, Frame)])
    return len(damage)


def _queue(journal: LocalJournal, damaged: int, clock: Clock) -> Repaired:
    """Make the refused records a journal."""
    refused = journal.beside("refused")
    frames, damage = refusals_and_damage(journal)
    if damage:
        _keep(journal.beside("damaged"), damage)
    if not frames:
        refused.unlink(missing_ok=True)
        return Repaired(damaged + len(damage), 0, None)
    _replace(refused, frames)
    name = f"{socket.gethostname()[:60]}-{os.getpid()}-{clock.now():x}-r{next(_numbers)}"
    held = _take(LocalJournal(journal.folder, name, held=False))
    if held is None:
        raise BlockingIOError(errno.EAGAIN, f"the lock of {name} was taken by another process; try again")
    # One step: the records are either still refused, or in a journal that anybody adopts.
    refused.replace(journal.folder / f"{name}-00000001.nxj")
    held.close(delivered=False)
    return Repaired(damaged + len(damage), len(frames), name)


def _keep(side: Path, data: bytes) -> None:
    """Append to a side file, unless an attempt that was cut short has done so."""
    with open(os.open(side, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:  # noqa: PTH123  a descriptor
        if not file.read().endswith(data):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _replace(path: Path, frames: list[Frame]) -> None:
    """Replace a file, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
        file.writelines(encode(frame.sequence, frame.payload) for frame in frames)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


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
    folder: Path, names: Collection[str], database: Database, sink: Sink, clock: Clock, seconds: float
) -> list[str]:
    """Deliver the journals of a folder that were left behind, as any program does that finds them.

    Parameters
    ----------
    folder
        Where they lie; all in it are for the same database.
    names
        Those to wait for.
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
    shipper = Shipper(clock, JOURNAL_SIZE)
    journal = Journal(folder, clock, shipper.wake)  # empty, and without files: it stands for this process
    shipper.add(journal, database, sink)
    try:
        shipper.wake()
        end, never = clock.monotonic() + seconds, threading.Event()
        while clock.monotonic() < end and any((folder / f"{name}.lock").exists() for name in names):
            clock.wait(never, LOOK_SECONDS)
        shipper.stop(STOP_SECONDS)
    finally:
        log.removeHandler(heard)
    return heard.sentences
