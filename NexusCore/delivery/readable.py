"""Reading a journal and handling its files: for the process that writes it, and for one that adopts it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from NexusCore.delivery.frames import Damage, Frame, FrameReader, decode

_LOG = logging.getLogger("NexusCore.delivery")


class ReadableJournal:
    """A journal as seen by the shipper."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.delivered = 0
        """Number of the last record known to be in the database."""
        self.disbelieved: int | None = None
        """The database's cursor, if it is impossible."""
        self.doubtful = False
        """The side file may contain a record that the cursor has not passed."""
        self._reader = FrameReader(folder, name)

    def read(self, size: int) -> list[Frame]:
        """Return undelivered records in order, about `size` bytes of them; [] at the end.

        Continues where it stopped: after a failed delivery call `rewind` first.
        """
        while pieces := self._reader.read(size, complete=self._complete(), written=self._written()):
            frames = keep_frames(pieces, self.folder, self.name)
            frames = [frame for frame in frames if frame.sequence > self.delivered]
            if frames:
                return frames
        return []

    def rewind(self) -> None:
        """Read again from the oldest segment; delivered records are skipped."""
        self._reader = FrameReader(self.folder, self.name)

    def resume(self, cursor: int) -> bool:
        """Continue after the last record that the database acknowledged; return whether its cursor is possible.

        A cursor ahead of all records ever sent is wrong, and using it would lose records. Delivery then continues after
        the last record that was acknowledged to this process.
        """
        believed = self._can_be(cursor)
        self.disbelieved = None if believed else cursor
        if believed:
            self.delivered = cursor
        return believed

    def _can_be(self, cursor: int) -> bool:
        """Return whether the journal may have been delivered up to a cursor."""
        raise NotImplementedError

    def hand_over(self, sequence: int) -> None:
        """Note that records up to `sequence` are about to be sent."""

    def those_in_it(self, frames: Collection[Frame]) -> set[Frame]:
        """Return those of the records that are in the journal on disk."""
        wanted = set(frames)
        return {frame for path in self._reader.segments() for frame in frames_in(path) if frame in wanted}

    def acknowledge(self, sequence: int) -> None:
        """Note that records up to `sequence` are in the database, and free their space."""
        self.delivered, self.disbelieved = max(self.delivered, sequence), None
        self._reader.drop_read_segments()

    def _complete(self) -> bool:
        """Return whether the journal has no writer any more."""
        return True

    def _written(self) -> tuple[int, int] | None:
        """Return the number of the segment being written, and how many of its bytes are records, if known."""
        return None


def frames_in(segment: Path) -> Iterator[Frame]:
    """Yield the complete frames of a segment; nothing if it is gone."""
    try:
        data = segment.read_bytes()
    except FileNotFoundError:
        return
    for piece, _ in decode(data, complete=True):
        if isinstance(piece, Frame):
            yield piece


def keep_frames(pieces: list[Frame | Damage], folder: Path, name: str) -> list[Frame]:
    """Return the frames; damaged bytes go to a side file, and the loss is logged."""
    damaged = [piece for piece in pieces if isinstance(piece, Damage)]
    if damaged:
        side = folder / f"{name}.damaged"
        with suppress(OSError), side.open("ab") as file:
            file.writelines(piece.data for piece in damaged)
        count = sum(len(piece.data) for piece in damaged)
        _LOG.warning("%d damaged bytes in journal %s were skipped; they are kept in %s", count, name, side)
    return [piece for piece in pieces if isinstance(piece, Frame)]


def remove(folder: Path, name: str) -> None:
    """Delete a journal's segments, then its lock: in this order, a crash in between leaves nothing undeliverable."""
    for path in (*sorted(folder.glob(f"{name}-*.nxj")), folder / f"{name}.lock"):
        with suppress(OSError):
            path.unlink()


def relocate_files(folder: Path, name: str, target: Path) -> None:
    """Move a journal's files to another folder, the lock last: without it no process adopts them."""
    with suppress(OSError):
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(folder.glob(f"{name}[-.]*"), key=lambda path: path.suffix == ".lock"):
            path.replace(target / path.name)
