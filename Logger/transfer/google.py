"""Sending a file to Google Cloud Storage, by a resumable session whose address the Gateway has made.

https://cloud.google.com/storage/docs/performing-resumable-uploads: chunks are multiples of 256 KiB but for the last
one; ``308`` says with ``Range`` how much has arrived, so that at most one chunk is sent again after a cut.
"""

from __future__ import annotations

import re

from Logger.transfer.kinds import Target, UploadExpired, check_answer, refused
from Logger.transfer.link import Lie, StoreAnswer, TransferLink
from Logger.transfer.source import FileSource

MULTIPLE = 256 * 1024
RESUME_INCOMPLETE = 308
_RANGE = re.compile(r"bytes=0-(\d+)")


class GoogleResumable:
    """A resumable session."""

    def send(self, link: TransferLink, target: Target, source: FileSource) -> None:
        """Send what has not arrived yet."""
        upload = target.upload
        if not upload.address and upload.received == source.size:
            return  # the object is there: the answer to its last chunk was lost
        size = max(MULTIPLE, upload.chunk_size // MULTIPLE * MULTIPLE)
        # Asked like this, an upload without a byte is completed by the question itself.
        received = _received(link.put(upload.address, {"Content-Range": f"bytes */{source.size}"}, b""), source)
        while received is not None:
            content = source.read(received, size)
            last = received + len(content) - 1
            headers = {"Content-Range": f"bytes {received}-{last}/{source.size}"}
            now = _received(link.put(upload.address, headers, source.body(content)), source)
            if now is not None and not received <= now <= last + 1:
                raise Lie("The facility's store says that it has received what was not sent, or less.", f"{now} bytes")
            if now == received and content:
                raise Lie("The facility's store takes nothing of the file.", f"{now} bytes")
            received = now
            source.progress(source.size if received is None else received)


def _received(answer: StoreAnswer, source: FileSource) -> int | None:
    """Return how many bytes have arrived; None if the object is complete."""
    check_answer(answer)
    if answer.status in (200, 201):
        return None
    if answer.status in (404, 410):
        raise UploadExpired("The facility's store has given the upload up.", f"the store answers {answer.status}")
    if answer.status != RESUME_INCOMPLETE:
        raise refused(answer)
    header = answer.headers.get("Range", "")
    match = _RANGE.fullmatch(header)
    if header and match is None:
        raise Lie("The facility's store gives an answer that cannot be right.", f"Range: {header}")
    received = int(match[1]) + 1 if match else 0
    if received > source.size:
        raise Lie("The facility's store says that it has received what was not sent.", f"{received} bytes")
    # Google keeps whole units. An emulator keeps any bytes, and says "0-0" for none.
    return 0 if received == 1 else received
