"""When the transfer of a session that has ended is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from Logger.transfer.tracked import SETTLED, Blame, FileStage, TrackedFile

PATIENCE = 600.0
"""Seconds that files which are locked, grow or cannot be read have after the END, and a user to release what is held.
What waits for server, store or network waits as long as it has to."""


@dataclass
class EndWatch:
    """How long a session has been waiting for nothing but files with trouble; by a monotonic clock."""

    since: float | None = None
    without: bool = False
    """Whether a user has decided to finish without them."""

    def is_over(self, files: Sequence[TrackedFile], now: float, patience: float) -> bool:
        """Return whether nothing more is to be waited for.

        Parameters
        ----------
        files
            The files of the session, after a scan that found nothing more to be sent.
        now
            Seconds of the clock.
        patience
            Seconds that files with trouble have.
        """
        left = [file for file in files if file.stage not in SETTLED]
        if not left:
            return True
        if not all(_is_troubled(file, at_once=self.without) for file in left):
            self.since = None
            return False
        if self.since is None:
            self.since = now
        return self.without or now - self.since >= patience


def _is_troubled(file: TrackedFile, *, at_once: bool) -> bool:
    """Return whether a file is kept by its own fault; if a user does not want to wait, by any."""
    if file.stage in (FileStage.HELD, FileStage.GROWING, FileStage.LOCKED):
        return True
    return file.stage is FileStage.FAILED and (at_once or file.blame is Blame.FILE)
