"""Sending a file to an S3 store in parts; the Gateway signs the address of each part, with the MD5 that it must have.

Parts that the store has already, as the Gateway says, are not sent again.
"""

from __future__ import annotations

from Logger.transfer.hashing import content_md5
from Logger.transfer.kinds import DAMAGED_AT_MOST, Damaged, Target, check_answer, refused
from Logger.transfer.link import Lie, TransferLink
from Logger.transfer.source import FileSource

_DAMAGED = (b"BadDigest", b"InvalidDigest", b"IncompleteBody", b"RequestTimeout")
"""Codes of errors of a part that has not arrived as it was sent."""


class S3Parts:
    """Parts of a multipart upload."""

    def send(self, link: TransferLink, target: Target, source: FileSource) -> None:
        """Send the parts that the store does not have."""
        size = target.upload.chunk_size
        if size <= 0:
            raise Lie("The facility's server gives an answer that cannot be right.", f"parts of {size} bytes")
        there = {part.number: part.size for part in target.upload.parts}
        # An empty file is one empty part: an upload without a part cannot be completed.
        count = max(1, -(-source.size // size))
        sent = 0
        for number in range(1, count + 1):
            offset = (number - 1) * size
            length = min(size, source.size - offset)
            if there.get(number) != length:
                self._send_part(link, target, source, number, source.read(offset, length))
            sent += length
            source.progress(sent)

    def _send_part(self, link: TransferLink, target: Target, source: FileSource, number: int, content: bytes) -> None:
        md5 = content_md5(content)
        expired = False
        damaged = 0
        while True:
            address, headers = link.sign_part(
                target.session, target.token, target.upload.identifier, number, len(content), md5
            )
            answer = check_answer(link.put(address, headers, source.body(content)))
            if answer.status in (200, 201, 204):
                return
            if answer.status == 403 and not expired:  # its time is over: with a slow line, signing takes a part of it
                expired = True
            elif answer.status == 400 and any(code in answer.content for code in _DAMAGED):
                damaged += 1
                if damaged == DAMAGED_AT_MOST:
                    raise Damaged("The network damages what is sent.", f"part {number}")
            else:
                raise refused(answer)
