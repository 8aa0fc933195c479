"""The form of a journal on disk: frames that can be told apart from damage.

A frame is ``marker (4 bytes) | CRC-32 of the rest (4) | payload length (4) | sequence number (8) | payload``, numbers
little-endian. Whatever is cut or flipped, reading goes on at the next marker with a matching checksum, so damage costs
only the frames it touches.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

MARKER = b"\xf5NXJ"
"""No UTF-8 text contains the byte 0xF5, so no message can look like a frame."""
_CHECKSUM = struct.Struct("<I")
_NUMBERS = struct.Struct("<IQ")
HEADER = len(MARKER) + _CHECKSUM.size + _NUMBERS.size
MAX_PAYLOAD = 16 * 1024 * 1024

_pack_checksum = _CHECKSUM.pack
_pack_numbers = _NUMBERS.pack


def encode(sequence: int, payload: bytes) -> bytes:
    """Return a frame."""
    body = _pack_numbers(len(payload), sequence) + payload
    return MARKER + _pack_checksum(crc32(body)) + body


@dataclass(frozen=True, slots=True)
class Frame:
    """A record as read back."""

    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame."""

    data: bytes


def decode(data: bytes, *, complete: bool) -> Iterator[tuple[Frame | Damage, int]]:
    """Yield what `data` holds, each with the offset behind it.

    Parameters
    ----------
    data
        Part of a journal that begins where a frame begins.
    complete
        Nothing will be appended to it: an unfinished frame at its end is damage, not a frame still being written.
    """
    at = 0
    while at < len(data):
        frame = _frame_at(data, at)
        if frame is not None:
            at += HEADER + len(frame.payload)
            yield frame, at
            continue
        following = _next_frame(data, at + 1)
        if following is None and not complete:
            return
        end = len(data) if following is None else following
        yield Damage(data[at:end]), end
        at = end


def _frame_at(data: bytes, at: int) -> Frame | None:
    if not data.startswith(MARKER, at) or len(data) < at + HEADER:
        return None
    start = at + len(MARKER) + _CHECKSUM.size
    length, sequence = _NUMBERS.unpack_from(data, start)
    end = at + HEADER + length
    if length > MAX_PAYLOAD or end > len(data):
        return None
    if crc32(memoryview(data)[start:end]) != _CHECKSUM.unpack_from(data, at + len(MARKER))[0]:
        return None
    return Frame(sequence, data[at + HEADER : end])


def _next_frame(data: bytes, start: int) -> int | None:
    """Return where the next whole frame begins."""
    at = data.find(MARKER, start)
    while at >= 0 and _frame_at(data, at) is None:
        at = data.find(MARKER, at + 1)
    return at if at >= 0 else None


class Reader:
    """Reads the segments of one journal in order, remembering where it stands."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._offset = 0
        self._segment: Path | None = None

    def segments(self) -> list[Path]:
        """Return the journal's files, oldest first."""
        return sorted(self._folder.glob(f"{self._name}-*.nxj"))

    def read(self, size: int, *, complete: bool) -> list[Frame | Damage]:
        """Return what follows, about `size` bytes of it; nothing at the end.

        Parameters
        ----------
        complete
            Nobody writes to the journal any more.
        """
        found: list[Frame | Damage] = []
        while not found:
            segments = self.segments()
            if self._segment not in segments:
                self._segment, self._offset = (segments[0] if segments else None), 0
            if self._segment is None:
                break
            last = self._segment == segments[-1]
            with self._segment.open("rb") as file:
                file.seek(self._offset)
                data = file.read(size)
                rest = os.fstat(file.fileno()).st_size - self._offset - len(data)
            for piece, end in decode(data, complete=rest == 0 and (complete or not last)):
                found.append(piece)
                consumed = end
            if found:
                self._offset += consumed
            elif rest:
                size *= 4  # a frame larger than what was read
            elif not last:
                self._segment, self._offset = segments[segments.index(self._segment) + 1], 0
            else:
                break
        return found

    def drop_read_segments(self) -> None:
        """Delete the segments before the one being read; all that is in them was delivered."""
        for segment in self.segments():
            if self._segment is None or segment >= self._segment:
                break
            segment.unlink(missing_ok=True)
