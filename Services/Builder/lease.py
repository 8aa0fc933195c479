"""Holds a session for its Builder while the record is made, even if a step takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from NexusCore.clock import Clock
from NexusCore.errors import NexusError

RENEWAL_END_SECONDS = 2.0
"""Time limit for a renewal that still runs at the end."""


class Lease:
    """Renews a lease on a thread of its own while a block runs.

    Parameters
    ----------
    renew
        Extends the lease; returns whether it was still held.
    seconds
        How long the lease runs; it is renewed three times in that time.
    clock
        Waits.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float, clock: Clock) -> None:
        self._renew = renew
        self._seconds = seconds
        self._clock = clock
        self._end = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another Builder has taken the session over."""
        return self._lost.is_set()

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(RENEWAL_END_SECONDS)

    def _keep(self) -> None:
        while not self._clock.wait(self._end, self._seconds / 3):
            try:
                if not self._renew():
                    self._lost.set()
                    return
            except NexusError:
                continue  # the database may be back before the lease runs out; if not, `service` notices at the end
