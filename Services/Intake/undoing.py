"""Puts filed files back where they were, under their names, if they have not changed since.

Promises
--------
* Names and bytes are what they were before; what has changed since, or whose place is taken, stays, with a sentence.
* A file that was put back stays until it changes, or the rule that filed it does.
* After a crash each file is in one of the two places, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.facility.intake_move import IntakeMove, Method
from NexusCore.facility.intake_moves import IntakeMoves
from Services.Intake.filing import BATCH, Filer, reason_of
from Services.Intake.moving import PART, FilingInterrupted, NotMoved, Spot
from Services.Intake.open_folders import OpenFolders
from Services.Intake.stability import seen_of


@dataclass(slots=True)
class Undone:
    """What came of undoing."""

    files: list[IntakeMove] = field(default_factory=list)
    kept: list[tuple[IntakeMove, str]] = field(default_factory=list)
    """What stays where it is, each with the reason."""


class Undoer:
    """Undoes filings, the newest first.

    Parameters
    ----------
    moves
        The history.
    filer
        Holds the claims and moves the files.
    lease
        Seconds for which a claim is held.
    roots
        All drop folders and targets.
    stop
        Whether to end.
    """

    def __init__(
        self, moves: IntakeMoves, filer: Filer, lease: float, roots: Sequence[Path], stop: Callable[[], bool]
    ) -> None:
        self._moves = moves
        self._filer = filer
        self._lease = lease
        self._roots = roots
        self._stop = stop

    def undo(self, since: int, until: int, rule: str | None = None) -> Undone:
        """Undo the filings of a time.

        Parameters
        ----------
        since, until
            From this time on, and before this one; microseconds since the epoch, UTC.
        rule
            Only those of this rule.
        """
        result = Undone()
        folders: set[Path] = set()
        for notes in (False, True):
            for moves in self._due(since, until, rule, notes=notes):
                if self._stop():
                    return result
                with OpenFolders(self._roots) as places:
                    self._batch(moves, places, result)
                folders |= {Path(move.target).parent for move in moves}
        with OpenFolders(self._roots) as places:
            for folder in sorted(folders, key=lambda path: -len(path.parts)):
                places.remove_empty(folder)
        return result

    def _due(self, since: int, until: int, rule: str | None, *, notes: bool) -> Iterator[Sequence[IntakeMove]]:
        before = 1 << 62
        while found := self._moves.to_undo(since, until, rule, before=before, notes=notes):
            before = found[-1].id
            for first in range(0, len(found), BATCH):
                yield found[first : first + BATCH]

    def _batch(self, moves: Sequence[IntakeMove], places: OpenFolders, result: Undone) -> None:
        claimed = self._moves.undoing(moves, self._filer.owner, self._lease)
        undone: list[IntakeMove] = []
        kept: list[IntakeMove] = []
        try:
            for move in claimed:
                self._filer.renew()
                if self._stop():
                    kept.append(move)
                    continue
                try:
                    if move.method is Method.NOTE:
                        self._remove_note(move, places)
                    else:
                        self._put_back(move, places)
                except FilingInterrupted:
                    kept.append(move)
                except (NexusError, OSError) as error:
                    kept.append(move)
                    result.kept.append((move, reason_of(error)))
                else:
                    undone.append(move)
        finally:
            # The names have to be on the disk before the database says so.
            places.sync()
            self._moves.undone(undone)
            self._moves.not_undone(kept)
        result.files += [move for move in undone if move.method is not Method.NOTE]

    def _put_back(self, move: IntakeMove, places: OpenFolders) -> None:
        filed = places.spot(Path(move.target))
        state = filed.state()
        if state is None:
            raise NotMoved(path=move.target, reason="it is not there any more")
        if state.st_size != move.size:
            raise NotMoved(path=move.target, reason="it has changed since it was filed")
        back = places.spot(Path(move.source), create=True)
        if back.state() is not None:
            raise NotMoved(path=move.target, reason=f"there is another file at {move.source}")
        part = f"{PART}{move.id}"
        if move.method is Method.SAME:
            self._filer.carrier.duplicate(filed, back, part, str(move.sha256))
        else:
            publishing = self._filer.publishing(move)
            self._filer.carrier.carry(
                filed, back, seen_of(state), part, publishing, check_writers=False, sha256=move.sha256
            )

    def _remove_note(self, move: IntakeMove, places: OpenFolders) -> None:
        """Remove a note that has not changed, if nothing is left beside it."""
        note = places.spot(Path(move.target))
        if note.state() is None:
            return
        places.remove_empty_below(Path(move.target).parent)
        if note.folder.names() != [note.name]:
            raise NotMoved(path=move.target, reason="there are other files beside it")
        if self._sum(note) != move.sha256:
            raise NotMoved(path=move.target, reason="it has changed since it was written")
        note.folder.remove(note.name)

    def _sum(self, spot: Spot) -> str:
        with spot.folder.open_file(spot.name) as file:
            return self._filer.carrier.sum(file.fileno())
