"""The side file of records that a database refused, next to their journal, for inspection and another attempt.

A record is written there before the cursor passes it, so that nothing is lost in between. Until then it does not count
as refused: the database may have gone away, and may accept the record at the next attempt. `settle` removes what was
written too early.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from NexusCore.delivery.frames import Damage, Frame, decode
from NexusCore.files import replace_file


def side_file(folder: Path, name: str) -> Path:
    """Return the path of a journal's file of refused records."""
    return folder / f"{name}.refused"


def keep(folder: Path, name: str, frame: Frame) -> None:
    """Add a record."""
    # As frames, since a payload may contain any byte: so they can be separated and delivered again.
    with suppress(OSError), side_file(folder, name).open("ab") as file:
        file.write(frame.encode())


def read(folder: Path, name: str) -> tuple[list[Frame], bytes]:
    """Return the refused records, in order, each once; and the damaged bytes of the file."""
    with suppress(FileNotFoundError):
        pieces = [piece for piece, _ in decode(side_file(folder, name).read_bytes(), complete=True)]
        frames = {piece.sequence: piece for piece in pieces if isinstance(piece, Frame)}
        damage = b"".join(piece.data for piece in pieces if isinstance(piece, Damage))
        return [frames[sequence] for sequence in sorted(frames)], damage
    return [], b""


def settle(folder: Path, name: str, delivered: int, still_there: Collection[Frame]) -> None:
    """Remove the records that the journal itself will still deliver.

    Parameters
    ----------
    folder, name
        The journal.
    delivered
        Number of the last record that the cursor has passed.
    still_there
        Those of the records that are also in the journal.
    """
    frames, damage = read(folder, name)
    remaining = [frame for frame in frames if frame.sequence <= delivered or frame not in still_there]
    if len(remaining) < len(frames):
        if remaining or damage:
            replace(side_file(folder, name), remaining, damage)
        else:
            side_file(folder, name).unlink(missing_ok=True)


def replace(path: Path, frames: Iterable[Frame], damage: bytes = b"") -> None:
    """Replace a file of frames, completely or not at all."""
    replace_file(path, damage + b"".join(map(Frame.encode, frames)), sync=True)
