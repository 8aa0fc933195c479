"""Whose turn it is: files that wait to be sent, in four lanes that share the time of the threads.

Promises
--------
* Files of the running session go first; those of earlier ones get a small part of the time even so.
* Files that were begun and new ones share the time: no large file waits until all small ones are sent, nor they for it.
* While server or store does not answer, files wait here; one by one is let out to see whether it does again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import Callable

from Logger.transfer.sending import SendJob
from Logger.transfer.tracked import Blame, FileKey

EARLIER_COSTS = 4.0
"""How much more the time counts that is spent for earlier sessions."""
LEAST_SECONDS = 0.001
"""What a turn counts at least."""
FIRST_HOLD, LONGEST_HOLD = 1.0, 30.0
"""Seconds between two files that are let out while nothing answers: at first, and at most."""


class TurnQueue:
    """Files that take turns among themselves."""

    def __init__(self, cost: float) -> None:
        self.jobs: deque[SendJob] = deque()
        self.cost = cost
        self.used = 0.0
        """Seconds that its files had, as they count."""


class Turns:
    """The files that wait; used by all threads.

    Parameters
    ----------
    monotonic
        Returns seconds that only go forward.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.obstacle = ""
        """Why files wait for server or store, as a sentence; empty while they do not."""
        self._monotonic = monotonic
        self._running = ""
        self._lanes = {
            (running, begun): TurnQueue(1.0 if running else EARLIER_COSTS)
            for running in (True, False)
            for begun in (False, True)
        }  # fmt: skip
        self._taken: dict[FileKey, TurnQueue] = {}
        self._reached = 0.0
        """What the lane had used that had the last turn: who comes later has saved up nothing before that."""
        self._changed = threading.Condition()
        self._next = 0.0
        self._holds = 0
        self._ended = False

    def set_running(self, session: str) -> None:
        """Let the files of a session go first; empty: of none."""
        with self._changed:
            if session == self._running:
                return
            self._running = session
            for begun in (False, True):
                lanes = [self._lanes[running, begun] for running in (True, False)]
                jobs = [job for lane in lanes for job in lane.jobs]
                for lane in lanes:
                    lane.jobs.clear()
                for job in jobs:
                    self._append(job, begun)

    def put(self, job: SendJob, *, begun: bool = False) -> None:
        """Let a file wait for its turn; `begun` if it has had one and is to go on."""
        with self._changed:
            self._append(job, begun or job.file.sent > 0 or job.file.blame is Blame.AWAY)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> SendJob | None:
        """Return the file whose turn it is; None when all is to end.

        Raises
        ------
        queue.Empty
            If there is none within some seconds.
        """
        deadline = float("inf") if timeout is None else self._monotonic() + timeout
        with self._changed:
            while not self._ended:
                now = self._monotonic()
                ready = self._next if any(lane.jobs for lane in self._lanes.values()) else float("inf")
                if ready <= now:
                    return self._take(now)
                if deadline <= now:
                    raise queue.Empty
                wait = min(deadline, ready) - now
                self._changed.wait(None if wait == float("inf") else wait)
        return None

    def used(self, key: FileKey, seconds: float) -> None:
        """Note how long a file was worked at that had its turn."""
        with self._changed:
            lane = self._taken.pop(key)
            lane.used += max(LEAST_SECONDS, seconds) * lane.cost

    def is_awaited(self) -> bool:
        """Return whether a file waits that could have a turn now."""
        with self._changed:
            return not self.obstacle and any(lane.jobs for lane in self._lanes.values())

    def hold(self, sentence: str, asked: float) -> None:
        """Let all wait: server or store does not answer, or asks to wait some seconds."""
        with self._changed:
            self._holds += 1
            self.obstacle = sentence
            self._next = max(self._next, self._monotonic() + max(asked, self._pause()))

    def go_on(self) -> None:
        """Something has got through."""
        with self._changed:
            self.obstacle, self._holds, self._next = "", 0, 0.0
            self._changed.notify_all()

    def end(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # -- private, under the lock ---------------------------------------------------------------------------------------

    def _append(self, job: SendJob, begun: bool) -> None:
        lane = self._lanes[job.file.key.session == self._running, begun]
        if not lane.jobs:
            lane.used = max(lane.used, self._reached)
        lane.jobs.append(job)

    def _take(self, now: float) -> SendJob:
        lane = min((lane for lane in self._lanes.values() if lane.jobs), key=lambda lane: lane.used)
        self._reached = lane.used
        if self.obstacle:  # the others wait for what becomes of this one
            self._next = now + self._pause()
        job = lane.jobs.popleft()
        self._taken[job.file.key] = lane
        return job

    def _pause(self) -> float:
        return min(LONGEST_HOLD, FIRST_HOLD * 2.0 ** min(self._holds - 1, 10))
