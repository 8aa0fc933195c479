"""The bytes of a file on their way out: read from one version, slowed down to what the facility allows."""

from __future__ import annotations

from typing import BinaryIO, Callable, Iterator

from Logger.transfer.bandwidth import Bandwidth

PIECE = 64 * 1024


class ChangedMeanwhile(Exception):
    """The file is not what it was when its MD5 was computed."""


class Yielded(Exception):
    """Other files wait longer: this one goes on later."""


class PacedBody:
    """Bytes of a request that leave no faster than they may.

    Parameters
    ----------
    content
        The bytes.
    bandwidth
        What is allowed.
    """

    def __init__(self, content: bytes, bandwidth: Bandwidth) -> None:
        self._content = memoryview(content)
        self._bandwidth = bandwidth
        self._place = 0

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        while self._place < len(self._content):
            yield self.read(PIECE)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, once they may be sent."""
        left = len(self._content) - self._place
        count = min(left, PIECE if size < 0 else min(size, PIECE))
        if count:
            self._bandwidth.take(count)
        piece = bytes(self._content[self._place : self._place + count])
        self._place += count
        return piece

    def rewind(self) -> None:
        """Begin again, for another request."""
        self._place = 0


class FileSource:
    """An open file whose content is sent.

    Parameters
    ----------
    file
        The file.
    size
        Its bytes, when its MD5 was computed.
    bandwidth
        What may be sent.
    progress
        Called with the bytes that have arrived, after each answer; may raise to end the sending.
    """

    def __init__(
        self, file: BinaryIO, size: int, bandwidth: Bandwidth, progress: Callable[[int], None] = lambda sent: None
    ) -> None:
        self._file = file
        self.size = size
        self._bandwidth = bandwidth
        self.progress = progress

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes of the file.

        Raises
        ------
        ChangedMeanwhile
            If there are fewer than there were.
        """
        self._file.seek(offset)
        pieces = []
        left = min(count, self.size - offset)
        while left:
            piece = self._file.read(left)
            if not piece:
                raise ChangedMeanwhile
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def body(self, content: bytes) -> PacedBody:
        """Return bytes as the body of a request."""
        return PacedBody(content, self._bandwidth)
