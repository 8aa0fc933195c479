"""Keeps a journal within its size while its database is away: the oldest, least important records go first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from NexusCore.delivery.frames import Frame, decode
from NexusCore.files import replace_file


def thin(segments: Iterable[Path], limit: int, expendable: Callable[[bytes], bool], delivered: int = 0) -> int:
    """Drop records from the oldest of a journal's finished segments until all take at most `limit` bytes.

    Parameters
    ----------
    segments
        The journal's finished files, oldest first.
    limit
        Bytes that they may take together.
    expendable
        Returns whether a record may be dropped first: DEBUG and INFO in a log. Others are dropped, by whole segments,
        only if that is not enough.
    delivered
        Number of the last record known to be in the database; up to it nothing is lost.

    Returns
    -------
    int
        How many undelivered records were dropped.
    """
    files = list(segments)
    size = sum(path.stat().st_size for path in files)
    dropped = 0
    for path in files:
        if size <= limit:
            return dropped
        before = path.stat().st_size
        frames = _frames(path)
        remaining = [frame for frame in frames if not expendable(frame.payload)]
        if len(remaining) < len(frames):
            _replace(path, remaining)
            dropped += _undelivered(frames, delivered) - _undelivered(remaining, delivered)
            size -= before - path.stat().st_size
    for path in files:
        if size <= limit:
            break
        dropped += _undelivered(_frames(path), delivered)
        size -= path.stat().st_size
        path.unlink()
    return dropped


def _undelivered(frames: list[Frame], delivered: int) -> int:
    return sum(frame.sequence > delivered for frame in frames)


def _frames(path: Path) -> list[Frame]:
    return [piece for piece, _ in decode(path.read_bytes(), complete=True) if isinstance(piece, Frame)]


def _replace(path: Path, frames: list[Frame]) -> None:
    replace_file(path, b"".join(map(Frame.encode, frames)))
