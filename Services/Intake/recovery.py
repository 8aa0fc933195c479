"""Settles what an Intake was moving when it died: each file exists whole, once, and its row says where."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.facility.intake_move import IntakeMove, Method, MoveState
from NexusCore.facility.intake_moves import Filed, IntakeMoves
from NexusCore.log import Log
from Services.Intake.moving import PART, Carrier, FilingInterrupted, Spot
from Services.Intake.open_folders import OpenFolders


@dataclass(frozen=True, slots=True)
class Recovery:
    """Takes over claims of Intakes that have died.

    Only names and bytes on disk decide what happened: the row says what was to be done, not how far it came.
    """

    moves: IntakeMoves
    carrier: Carrier
    """Reads files."""
    owner: str
    """Name under which claims are taken over; it has no others."""
    lease: float
    """Seconds."""
    log: Log

    def run(self, roots: Sequence[Path], dead: Collection[str] = ()) -> int:
        """Settle what was abandoned; return how many files.

        Parameters
        ----------
        roots
            All drop folders and targets.
        dead
            Names of workers that are known to be dead, and of this process's own that have ended.
        """
        settled = 0
        for move in self.moves.abandoned(dead):
            if not self.moves.take_over(move, self.owner, self.lease):
                continue
            with OpenFolders(roots) as places:
                try:
                    self._settle(move, places)
                    settled += 1
                except FilingInterrupted:
                    return settled
                except OSError as error:
                    # Its file system may be away: the claim ends again, and the next pass looks.
                    # No warning: it would be mailed for each file, and what is away is named by who files.
                    self.log.info("What became of %s is not known yet: %s", move.source or move.target, error)
        return settled

    def _settle(self, move: IntakeMove, places: OpenFolders) -> None:
        source_path, target_path = move.source or move.target, move.target
        if move.state is MoveState.UNDOING:
            source_path, target_path = move.target, move.source or move.target
        source, target = _spot(places, Path(source_path)), _spot(places, Path(target_path))
        if target is not None:
            target.folder.remove(f"{PART}{move.id}")
        if move.method is Method.NOTE:
            self._settle_note(move, target)
        elif move.state is MoveState.UNDOING:
            self._settle_undo(move, source, target)
        else:
            self._settle_move(move, source, target)

    def _settle_move(self, move: IntakeMove, source: Spot | None, target: Spot | None) -> None:
        at_source, at_target = _state(source), _state(target)
        if at_source is not None and at_target is not None and source is not None and target is not None:
            ours = str(at_target.st_ino) in (move.copy_inode, move.inode) and move.method is not Method.SAME
            if not ours or not self._completed_or_taken_back(source, target):
                self.moves.release([move])
                return
        elif at_target is None or target is None:
            if at_source is None:
                self.log.warning("%s is gone: another program has removed it", move.source)
            self.moves.release([move])
            return
        elif not self._is_ours(move, at_target):
            self.log.warning("%s is gone, and %s is another file", move.source, move.target)
            self.moves.release([move])
            return
        method = move.method if move.copy_inode is None else Method.COPY
        self.moves.filed([Filed(move, self._sum(target), method)])
        self.log.info("%s was filed as %s when an Intake died; its row is complete now", move.source, move.target)

    def _settle_undo(self, move: IntakeMove, source: Spot | None, target: Spot | None) -> None:
        """Settle a file that was being moved back: here the source is where it was filed."""
        at_source, at_target = _state(source), _state(target)
        back = at_target is not None and target is not None
        if back and target is not None and self._sum(target) != move.sha256:
            back = False
        if (
            back
            and at_source is not None
            and source is not None
            and target is not None
            and (
                move.method is not Method.SAME  # its other copy belongs to another file
            )
        ):
            back = self._completed(source, target)
        # `undone` and `not_undone` change only what is still being undone.
        (self.moves.undone if back else self.moves.not_undone)([move])

    def _settle_note(self, move: IntakeMove, target: Spot | None) -> None:
        there = _state(target) is not None
        if move.state is MoveState.UNDOING:
            (self.moves.not_undone if there else self.moves.undone)([move])
        elif there and target is not None:
            self.moves.filed([Filed(move, self._sum(target), Method.NOTE)])
        else:
            self.moves.release([move])

    def _completed_or_taken_back(self, source: Spot, target: Spot) -> bool:
        """Remove the source of a copy, or the copy if the source cannot be removed; return whether it is filed."""
        try:
            return self._completed(source, target)
        except OSError:
            one, other = source.state(), target.state()
            if one is None:
                return True
            # Only a copy that is known to be one: the sums are compared once more.
            if other is None or os.path.samestat(one, other) or self._sum(source) != self._sum(target):
                raise
            target.folder.remove(target.name)
            target.folder.sync()
            return False

    def _completed(self, source: Spot, target: Spot) -> bool:
        """Remove the source of a file that has got its new name, if both are the same; return whether they are."""
        one, other = source.state(), target.state()
        if one is None or other is None:
            return one is None
        if not os.path.samestat(one, other) and self._sum(source) != self._sum(target):
            return False
        source.folder.remove(source.name)
        source.folder.sync()
        return True

    def _is_ours(self, move: IntakeMove, state: os.stat_result) -> bool:
        if move.method is Method.SAME:
            return state.st_size == move.size
        inode = move.copy_inode or move.inode
        return str(state.st_ino) == inode and state.st_size == move.size

    def _sum(self, spot: Spot) -> str:
        descriptor = os.open(spot.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spot.folder.descriptor)
        try:
            return self.carrier.sum(descriptor)
        finally:
            os.close(descriptor)


def _spot(places: OpenFolders, path: Path) -> Spot | None:
    """Return a path as a name in its folder; None if the folder does not exist."""
    try:
        return places.spot(path)
    except FileNotFoundError:
        return None


def _state(spot: Spot | None) -> os.stat_result | None:
    return None if spot is None else spot.state()
