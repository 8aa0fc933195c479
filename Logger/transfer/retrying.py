"""How long a file waits after a failure: longer each time, and never the same on all computers of a facility."""

from __future__ import annotations

from Logger.transfer.tracked import Blame, FileStage, TrackedFile

FIRST_PAUSE = 1.0
"""Seconds after the first failure."""
LONGEST_AWAY, LONGEST_LOCKED, LONGEST_FAILED = 60.0, 30.0, 300.0
"""Seconds between two attempts at most: while nothing answers, while another program has the file, otherwise."""


def pause_after(file: TrackedFile, attempts: int, asked: float, chance: float) -> float:
    """Return the seconds until a file is tried again.

    Parameters
    ----------
    file
        The file, with the stage that the attempt has led to.
    attempts
        How often it has failed in sequence, from 1.
    asked
        Seconds that the server asks to wait; 0: it did not say.
    chance
        A random number from 0 to 1.
    """
    longest = LONGEST_FAILED
    if file.stage is FileStage.LOCKED:
        longest = LONGEST_LOCKED
    elif file.blame is Blame.AWAY:
        longest = LONGEST_AWAY
    pause = min(longest, FIRST_PAUSE * 2.0 ** min(attempts - 1, 10))
    return max(asked, pause * (0.5 + chance / 2))
