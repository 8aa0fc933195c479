"""When the transfer of a session that has ended is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from Logger.transfer.tracked import SETTLED, Blame, FileKey, FileStage, TrackedFile

PATIENCE = 600.0
"""Seconds that files which are locked, grow or cannot be read have after the END, and a user to release what is held.
They count for each file from its first trouble after the END; that it is tried again meanwhile does not renew them.
What waits for server, store or network waits as long as it has to."""


@dataclass
class EndWatch:
    """How long the files of a session that has ended have had trouble; by a monotonic clock."""

    since: dict[FileKey, float] = field(default_factory=dict)
    without: bool = False
    """Whether a user has decided to finish without them."""

    def is_over(self, files: Sequence[TrackedFile], now: float, patience: float, *, nothing_sent: bool = False) -> bool:
        """Return whether nothing more is to be waited for.

        Parameters
        ----------
        files
            The files of the session, after a scan that found nothing more to be sent.
        now
            Seconds of the clock.
        patience
            Seconds that files with trouble have.
        nothing_sent
            Whether all files wait for server or store.
        """
        left = [file for file in files if file.stage not in SETTLED]
        troubled = [file.key for file in left if _is_troubled(file, at_once=self.without)]
        self.since = {file.key: self.since[file.key] for file in left if file.key in self.since}
        for key in troubled:
            self.since.setdefault(key, now)
        if self.without and nothing_sent:
            return True
        if len(troubled) < len(left):
            return False
        return self.without or all(now - self.since[key] >= patience for key in troubled)


def _is_troubled(file: TrackedFile, *, at_once: bool) -> bool:
    """Return whether a file is kept by its own fault; if a user does not want to wait, by any."""
    if file.stage in (FileStage.HELD, FileStage.GROWING, FileStage.LOCKED):
        return True
    return file.stage is FileStage.FAILED and (at_once or file.blame is Blame.FILE)
