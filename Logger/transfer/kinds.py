"""What all ways of sending a file have in common; there is a module for each kind of upload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from Logger.facility import FacilityError, Unreachable
from Logger.transfer.link import STORE_AWAY, FileUpload, StoreAnswer, TransferLink
from Logger.transfer.source import FileSource

DAMAGED_AT_MOST = 3
"""How often in sequence a chunk is sent that arrives damaged, before its file waits."""
STORE_BUSY = "The facility's store is busy or being serviced."


class Damaged(Unreachable):
    """A chunk has arrived damaged several times in sequence."""


class UploadExpired(FacilityError):
    """The store does not know this upload any more: it has to begin again."""


@dataclass(frozen=True)
class Target:
    """Where a file goes."""

    session: str
    token: str
    """The session's; empty for a repair."""
    upload: FileUpload


class SendingKind(Protocol):
    """A way of sending."""

    def send(self, link: TransferLink, target: Target, source: FileSource) -> None:
        """Send what has not arrived yet. Raises `FacilityError`, and what `source` raises."""
        ...


def check_answer(answer: StoreAnswer) -> StoreAnswer:
    """Return a store's answer, unless it says that it is busy or has failed; then it is tried again later.

    Raises
    ------
    Unreachable
        If the store is busy.
    """
    if answer.status in (408, 429) or answer.status >= 500:
        raise Unreachable(STORE_BUSY, f"the store answers {answer.status}", answer.wait)
    if 300 <= answer.status < 400 and answer.status != 308:
        raise Unreachable(STORE_AWAY, f"the store answers {answer.status}")
    return answer


def refused(answer: StoreAnswer) -> FacilityError:
    """Return the error for an answer that the kind does not know."""
    detail = answer.content[:300].decode("utf-8", "replace")
    return FacilityError("The facility's store refuses the file.", f"the store answers {answer.status}: {detail}")
