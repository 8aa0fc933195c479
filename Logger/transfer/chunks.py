"""Sending a file to the Gateway itself, chunk by chunk.

After a cut, the Gateway says how much has arrived: at most the chunk that was on its way is sent again.
"""

from __future__ import annotations

from Logger.gateway_connection import GatewayProblem
from Logger.transfer.hashing import content_md5
from Logger.transfer.kinds import DAMAGED_AT_MOST, Damaged, Target
from Logger.transfer.link import Lie, TransferLink
from Logger.transfer.source import FileSource

WRONG_OFFSETS = 2
"""How often the Gateway can correct us in one go, for example when two requests have overtaken each other."""


class GatewayChunks:
    """Chunks that the Gateway takes."""

    def send(self, link: TransferLink, target: Target, source: FileSource) -> None:
        """Send what has not arrived yet."""
        upload = target.upload
        received, damaged, corrected = upload.received, 0, 0
        while received < source.size:
            content = source.read(received, upload.chunk_size)
            try:
                now = link.put_chunk(
                    target.session, target.token, upload.identifier, received, source.body(content),
                    content_md5(content),
                )  # fmt: skip
                least = received + len(content)
            except GatewayProblem as problem:
                if problem.kind == "damaged-in-transit":
                    damaged += 1
                    if damaged == DAMAGED_AT_MOST:
                        raise Damaged("The network damages what is sent.", problem.detail) from problem
                    continue
                if problem.kind != "wrong-offset" or corrected == WRONG_OFFSETS:
                    raise
                corrected += 1
                now, least = _offset(problem), 0
            if not least <= now <= source.size:
                raise Lie("The facility's server says that it has received what was not sent, or less.", f"{now} bytes")
            received, damaged = now, 0
            source.progress(received)


def _offset(problem: GatewayProblem) -> int:
    received = problem.content.get("received")
    if isinstance(received, bool) or not isinstance(received, int) or received < 0:
        raise Lie("The facility's server gives an answer that cannot be right.", f"received {received!r}")
    return received
