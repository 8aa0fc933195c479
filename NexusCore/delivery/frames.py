"""The format of a journal on disk: frames that can be distinguished from damage.

A frame is ``marker (4 bytes) | CRC-32 of the rest (4) | payload length (3) | payload version (1) | sequence number (8)
| payload``, numbers little-endian. After damage, reading continues at the next marker with a matching checksum, so only
the damaged frames are lost. Zeros after the last frame are allocated, unused space.

Two versions are in each frame: the last byte of the marker is that of the frame, and the payload version that of the
fields in it. A journal with a later one is that of a newer NexusCore: `is_newer` distinguishes it from damage, and it
waits for a program that can read it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

MARKER = b"\xf5NXJ"
"""No UTF-8 text contains the byte 0xF5, so no message can look like a frame."""
LATER_MARKERS = (b"\xf5NXM", b"\xf5NXQ", b"\xf5NXT")
"""Markers of frames to come. Each differs in two bits at least, so that no flipped bit turns one into another."""
PAYLOAD_VERSION = 0
"""Version of the fields of log and status records. To be raised when they change; earlier ones must stay readable."""
_CHECKSUM = struct.Struct("<I")
_NUMBERS_LAYOUT = struct.Struct("<IQ")
_NO_MARKER = bytes(len(MARKER))
_CHECKED = len(MARKER) + _CHECKSUM.size
"""Offset of the part of a frame that the checksum covers."""
HEADER = _CHECKED + _NUMBERS_LAYOUT.size
MAX_PAYLOAD = (1 << 24) - 1
_VERSION = 24
"""Bit of the payload's version in the number that begins with its length."""

_unpack_header = struct.Struct("<4sIIQ").unpack_from
pack_checksum = _CHECKSUM.pack
pack_numbers = _NUMBERS_LAYOUT.pack
WRITTEN_VERSION = PAYLOAD_VERSION << _VERSION
"""To be added to the length of a payload of the present version."""


def encode(sequence: int, payload: bytes, version: int = PAYLOAD_VERSION) -> bytes:
    """Return a frame."""
    body = pack_numbers(version << _VERSION | len(payload), sequence) + payload
    return MARKER + pack_checksum(crc32(body)) + body


class Frame(NamedTuple):  # not a dataclass: millions are created
    """A record read from a journal."""

    sequence: int
    payload: bytes
    version: int = PAYLOAD_VERSION

    def encode(self) -> bytes:
        """Return it as it is on disk."""
        return encode(*self)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that do not form a frame."""

    data: bytes


def decode(data: bytes, *, complete: bool) -> Iterator[tuple[Frame | Damage, int]]:
    """Yield the frames and damage in `data`, each with the offset of its end.

    Parameters
    ----------
    data
        Part of a journal that begins with a frame.
    complete
        Nothing will be appended: an incomplete frame at the end is damage, not a frame being written.
    """
    at = 0
    while at < len(data):
        frame = _frame_at(data, at)
        if frame is not None:
            at += HEADER + len(frame.payload)
            yield frame, at
            continue
        following = _next_frame(data, at + 1)
        if following is None and (not complete or data.startswith(_NO_MARKER, at)):
            return  # being written, or its writer was killed before accepting it
        end = len(data) if following is None else following
        if spoiled := data[at:end] if following is not None else data[at:].rstrip(b"\0"):
            yield Damage(spoiled), end
        at = end


def _frame_at(data: bytes, at: int) -> Frame | None:
    start = at + HEADER
    if len(data) < start:
        return None
    marker, checksum, length, sequence = _unpack_header(data, at)
    end = start + (length & MAX_PAYLOAD)
    if marker != MARKER or end > len(data):
        return None
    if crc32(data[at + _CHECKED : end]) != checksum:
        return None
    return Frame(sequence, data[start:end], length >> _VERSION)


def _next_frame(data: bytes, start: int) -> int | None:
    """Return the offset of the next complete frame."""
    at = data.find(MARKER, start)
    while at >= 0 and _frame_at(data, at) is None:
        at = data.find(MARKER, at + 1)
    return at if at >= 0 else None


def is_newer(data: bytes) -> bool:
    """Return whether a file of frames was written by a newer NexusCore, in a form that this one cannot read."""
    first = next((piece for piece, _ in decode(data, complete=True) if isinstance(piece, Frame)), None)
    return data.startswith(LATER_MARKERS) if first is None else first.version > PAYLOAD_VERSION


def number_of(segment: Path) -> int:
    """Return the number of a segment, which its name ends with."""
    return int(segment.stem.rpartition("-")[2])


class FrameReader:
    """Reads the segments of one journal in order, remembering where it stands."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._offset = 0
        self._segment: Path | None = None

    def segments(self) -> list[Path]:
        """Return the journal's files, oldest first."""
        return sorted(self._folder.glob(f"{self._name}-*.nxj"))

    def read(self, size: int, *, complete: bool, written: tuple[int, int] | None = None) -> list[Frame | Damage]:
        """Return what follows, about `size` bytes of it; nothing at the end.

        Parameters
        ----------
        size
            Bytes to read; more if a frame is larger.
        complete
            The journal has no writer any more.
        written
            Number of the segment being written, and how many of its bytes are records, if known.
        """
        pieces: list[Frame | Damage] = []
        while not pieces:
            segments = self.segments()
            if self._segment not in segments:
                # A removed segment was empty or has been read, as have those before it.
                later = [segment for segment in segments if self._segment is None or segment > self._segment]
                if not later:
                    break
                self._segment, self._offset = later[0], 0
            being_written = written is not None and number_of(self._segment) == written[0]
            # It may have been finished and followed by another since `written` was found: there is more in it.
            last = being_written or self._segment == segments[-1]
            try:
                file = self._segment.open("rb")
            except FileNotFoundError:  # it was empty, and has been removed since
                continue
            with file:
                end = os.fstat(file.fileno()).st_size
                if written is not None and being_written:
                    end = min(end, written[1])  # the rest is not used yet
                file.seek(self._offset)
                data = file.read(max(0, min(size, end - self._offset)))
                rest = end - self._offset - len(data)
            for piece, behind in decode(data, complete=rest == 0 and (complete or not last)):
                pieces.append(piece)
                consumed = behind
            if pieces:
                self._offset += consumed
            elif rest:
                size *= 4  # a frame larger than what was read
            elif not last:
                self._segment, self._offset = segments[segments.index(self._segment) + 1], 0
            else:
                break
        return pieces

    def drop_read_segments(self) -> None:
        """Delete the segments before the one being read; they were delivered."""
        for segment in self.segments():
            if self._segment is None or segment >= self._segment:
                break
            segment.unlink(missing_ok=True)
