"""Small files that a rule writes beside the files that it files, such as ``runInfo.yaml``; the first one counts."""

from __future__ import annotations

import hashlib
import os
import stat

from NexusCore.errors import NexusError
from NexusCore.facility.intake_move import Method, NewMove
from NexusCore.facility.intake_moves import Filed, IntakeMoves
from Services.Intake.moving import PART, Spot
from Services.Intake.open_folders import OpenFolders
from Services.Intake.planning import NOTE_IN_THE_WAY, Entry
from Services.Intake.renaming import rename_new

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NoteInTheWay(NexusError):
    """{path} cannot be written: {reason}."""


def write_note(
    entry: Entry, inbox: str, instrument: str | None, places: OpenFolders, moves: IntakeMoves, claim: tuple[str, float]
) -> None:
    """Write the note of a file that was filed, unless there is one; it is in the history, like the files.

    Parameters
    ----------
    entry
        The file.
    inbox, instrument
        Where it came from.
    places
        The folders.
    moves
        The history.
    claim
        Owner and lease.
    """
    assert entry.note is not None  # noqa: S101  only such files are given
    assert entry.rule is not None  # noqa: S101  only a rule has notes
    path = entry.root.joinpath(*entry.note.parts)
    spot = places.spot(path, create=True)
    there = spot.state()
    if there is not None:
        if stat.S_ISREG(there.st_mode):
            return
        raise NoteInTheWay(path=path, reason=NOTE_IN_THE_WAY)
    content = entry.note.text.encode()
    rule = entry.rule
    new = NewMove(inbox, rule.name, rule.sha256, instrument, "", str(path), len(content), 0, "0", Method.NOTE)
    claimed = [move for move in moves.claim(*claim, [new]) if move.target == str(path)]
    for move in claimed:
        try:
            _write(spot, content, move.id)
        except FileExistsError:
            moves.release([move])
        except BaseException:
            moves.release([move])
            raise
        else:
            moves.filed([Filed(move, hashlib.sha256(content).hexdigest(), Method.NOTE)])


def _write(spot: Spot, content: bytes, number: int) -> None:
    part = f"{PART}{number}"
    spot.folder.remove(part)
    descriptor = os.open(part, _NEW, 0o666, dir_fd=spot.folder.descriptor)
    try:
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        rename_new(spot.folder, part, spot.folder, spot.name)
    except BaseException:
        spot.folder.remove(part)
        raise
    spot.folder.sync()
