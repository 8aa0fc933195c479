"""Carries out a plan: each file is claimed in the database, moved, and noted in the history.

Promises
--------
* Of several Intakes on one folder and database, one files each file.
* What could not be filed stays where it is, with a sentence that says why, and is tried again at the next pass.
* A file counts as filed when its new name is on the disk.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.errors import NexusError
from NexusCore.facility.intake_move import IntakeMove, Method, NewMove
from NexusCore.facility.intake_moves import Filed, IntakeMoves
from NexusCore.files import InTheWay
from NexusCore.resources import explained, is_disk_full
from Services.Intake.moving import PART, Carrier, ClaimLost, FilingInterrupted, NotMoved, SourceStays
from Services.Intake.notes import write_note
from Services.Intake.open_folders import OpenFolders
from Services.Intake.planning import Entry, Outcome

BATCH = 500
"""Files that are claimed together."""
STUCK_SECONDS = 45.0
"""Until a file is copied again whose copy had to be taken back: a large one would be copied at each look."""
RENEW_SECONDS = 5.0
"""Claims are held for longer this often."""
_AWAY = (
    errno.ENOENT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
    errno.EROFS, errno.EACCES, errno.ENODEV, errno.ENXIO,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not filed."""

    entry: Entry
    reason: str


@dataclass(slots=True)
class Filing:
    """What came of a plan."""

    filed: list[Filed] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    elsewhere: int = 0
    """Files that another Intake is filing."""


@dataclass(frozen=True, slots=True)
class FilingFacts:
    """Which inbox it is."""

    inbox: str
    path: Path
    instrument: str | None


class Filer:
    """Files what a plan says.

    Parameters
    ----------
    moves
        The history.
    clock
        Measures when claims are to be renewed.
    owner
        Name of this worker, which no other one has.
    lease
        Seconds for which claims are held.
    stop
        Whether the service is to end.
    """

    def __init__(self, moves: IntakeMoves, clock: Clock, owner: str, lease: float, stop: Callable[[], bool]) -> None:
        self._moves = moves
        self._clock = clock
        self.owner = owner
        self._lease = lease
        self._stop = stop
        self._renewed = clock.monotonic()
        self._stuck: dict[tuple[str, tuple[int, int, int]], tuple[float, SourceStays]] = {}
        """Files that could not be removed, with the time until which they are left alone."""
        self.carrier = Carrier(stop, self.renew)

    def renew(self) -> None:
        """Hold the claims for longer, if that is due."""
        now = self._clock.monotonic()
        if now - self._renewed >= min(RENEW_SECONDS, self._lease / 3):
            self._renewed = now
            self._moves.renew(self.owner, self._lease)

    def publishing(self, move: IntakeMove) -> Callable[[int, str | None], bool]:
        """Return what notes that a copy is about to get its name."""
        return lambda inode, sha256: self._moves.publishing(move, self.owner, self._lease, str(inode), sha256)

    def file(self, entries: Sequence[Entry], facts: FilingFacts, roots: Sequence[Path]) -> Filing:
        """File the files of a plan; other entries are passed over.

        Parameters
        ----------
        entries
            The plan.
        facts
            The inbox.
        roots
            All drop folders and targets.
        """
        result = Filing()
        now = self._clock.monotonic()
        self._stuck = {key: value for key, value in self._stuck.items() if now < value[0]}
        due = [entry for entry in entries if entry.outcome in (Outcome.FILE, Outcome.SAME)]
        away: dict[Path, str] = {}
        for first in range(0, len(due), BATCH):
            if self._stop():
                break
            with OpenFolders(roots) as places:
                self._batch(due[first : first + BATCH], facts, places, result, away)
        return result

    def _batch(
        self, entries: Sequence[Entry], facts: FilingFacts, places: OpenFolders, result: Filing, away: dict[Path, str]
    ) -> None:
        by_source = {str(facts.path / entry.found.path): entry for entry in entries}
        claims = self._moves.claim(self.owner, self._lease, [_new(entry, facts) for entry in entries])
        self._renewed = self._clock.monotonic()
        filed: list[Filed] = []
        released: list[IntakeMove] = []
        try:
            for move in claims:
                entry = by_source.get(move.source)
                if entry is None:  # of an earlier pass that failed; it is settled by who looks for such
                    continue
                self.renew()
                if self._stop() or entry.root in away:
                    released.append(move)
                    if entry.root in away:
                        result.failures.append(Failure(entry, away[entry.root]))
                    continue
                try:
                    filed.append(self._one(entry, move, places))
                except FilingInterrupted:
                    released.append(move)
                except ClaimLost:
                    result.elsewhere += 1
                except (NexusError, OSError) as error:
                    released.append(move)
                    reason = reason_of(error)
                    result.failures.append(Failure(entry, reason))
                    if _is_away(error, entry):
                        away[entry.root] = reason
        finally:
            # The names have to be on the disk before the database says so.
            places.sync()
            if filed:
                self._moves.filed(filed)
            self._moves.release(released)
        result.filed += filed
        result.elsewhere += len(entries) - len(claims)
        self._notes(entries, {done.move.source for done in filed}, facts, places, result)

    def _one(self, entry: Entry, move: IntakeMove, places: OpenFolders) -> Filed:
        """Move a file; after an error it is where it was."""
        found = entry.found
        seen = (found.size, found.modified_ns, found.inode)
        until, stays = self._stuck.get((move.source, seen), (0.0, None))
        if stays is not None and self._clock.monotonic() < until:
            raise stays
        source, target = places.spot(Path(move.source)), places.spot(entry.target, create=True)
        if entry.outcome is Outcome.SAME:
            done = self.carrier.drop_duplicate(source, target, seen)
        else:
            try:
                done = self.carrier.carry(source, target, seen, f"{PART}{move.id}", self.publishing(move))
            except SourceStays as error:
                self._stuck[move.source, seen] = (self._clock.monotonic() + STUCK_SECONDS, error)
                raise
        return Filed(move, done.sha256, done.method)

    def _notes(
        self, entries: Sequence[Entry], filed: set[str], facts: FilingFacts, places: OpenFolders, result: Filing
    ) -> None:
        """Write the notes of the files that were filed; the first one of a path counts."""
        notes: dict[tuple[Path, tuple[str, ...]], Entry] = {}
        for entry in entries:
            if entry.note is not None and str(facts.path / entry.found.path) in filed:
                notes.setdefault((entry.root, entry.note.parts), entry)
        for entry in notes.values():
            try:
                write_note(entry, facts.inbox, facts.instrument, places, self._moves, (self.owner, self._lease))
            except (NexusError, OSError) as error:
                result.failures.append(Failure(entry, f"its note was not written: {reason_of(error)}"))


def _new(entry: Entry, facts: FilingFacts) -> NewMove:
    assert entry.rule is not None  # noqa: S101  only a rule proposes a target
    found = entry.found
    return NewMove(
        facts.inbox,
        entry.rule.name,
        entry.rule.sha256,
        facts.instrument,
        str(facts.path / found.path),
        str(entry.target),
        found.size,
        found.modified_ts,
        str(found.inode),
        Method.SAME if entry.outcome is Outcome.SAME else Method.RENAME,
    )


def reason_of(error: NexusError | OSError) -> str:
    """Return why a file was not filed, without its name."""
    shortage = explained(error)
    if shortage is not None:
        return str(shortage)
    if isinstance(error, NotMoved):
        return str(error.facts["reason"])
    if isinstance(error, FileExistsError):
        return "its target has just been taken by another file"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}"
    return str(error)


def _is_away(error: BaseException, entry: Entry) -> bool:
    """Return whether an error is one of the target's file system, so that others would meet it too."""
    if is_disk_full(error):
        return True
    if isinstance(error, InTheWay | NotMoved) or not isinstance(error, OSError) or error.errno not in _AWAY:
        return False
    return str(error.filename or "").startswith(str(entry.root)) and not entry.root.is_dir()
