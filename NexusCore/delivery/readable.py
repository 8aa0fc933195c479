"""Reading a journal back, and what becomes of its files: for the process that writes it, and for who adopts it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from NexusCore.delivery.frames import Damage, Frame, FrameReader, decode

_LOG = logging.getLogger("NexusCore.delivery")


class ReadableJournal:
    """What the shipper knows of a journal."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.delivered = 0
        """Number of the last record known to be in the database."""
        self.disbelieved: int | None = None
        """What the database's cursor says, where that cannot be true."""
        self.doubtful = False
        """The side file may hold a record that the cursor has not stepped over."""
        self._reader = FrameReader(folder, name)

    def read(self, size: int) -> list[Frame]:
        """Return undelivered records in order, about `size` bytes of them; [] when there are no more.

        Goes on where it stopped: after a failed delivery call `rewind` first.
        """
        while pieces := self._reader.read(size, complete=self._complete(), written=self._written()):
            frames = keep_frames(pieces, self.folder, self.name)
            frames = [frame for frame in frames if frame.sequence > self.delivered]
            if frames:
                return frames
        return []

    def rewind(self) -> None:
        """Read again from the oldest segment; what was delivered is passed over."""
        self._reader = FrameReader(self.folder, self.name)

    def resume(self, cursor: int) -> bool:
        """Go on after the last record that the database acknowledged; return whether its cursor can be believed.

        One that is ahead of all that the journal has ever handed over is a mistake of somebody's: going by it would
        lose records. Delivery then goes on after the last record that was acknowledged to this process.
        """
        believed = self._can_be(cursor)
        self.disbelieved = None if believed else cursor
        if believed:
            self.delivered = cursor
        return believed

    def _can_be(self, cursor: int) -> bool:
        """Return whether a journal may have been delivered so far."""
        raise NotImplementedError

    def hand_over(self, sequence: int) -> None:
        """Note that records up to `sequence` are about to be sent; whether they arrive may never be known."""

    def those_in_it(self, frames: Collection[Frame]) -> set[Frame]:
        """Return those of some records that are on disk in the journal itself."""
        wanted = set(frames)
        return {frame for path in self._reader.segments() for frame in frames_in(path) if frame in wanted}

    def acknowledge(self, sequence: int) -> None:
        """Note that records up to `sequence` are in the database, and give their room back."""
        self.delivered, self.disbelieved = max(self.delivered, sequence), None
        self._reader.drop_read_segments()

    def _complete(self) -> bool:
        """Tell whether nobody writes to the journal any more."""
        return True

    def _written(self) -> tuple[int, int] | None:
        """Return the number of the segment that is written to, and how many bytes of it hold records, if known."""
        return None


def frames_in(segment: Path) -> Iterator[Frame]:
    """Yield the whole frames of a segment; none of one that is gone."""
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
    """Move a journal's files to another folder, its lock last: without it nobody takes them."""
    with suppress(OSError):
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(folder.glob(f"{name}[-.]*"), key=lambda path: path.suffix == ".lock"):
            path.replace(target / path.name)
