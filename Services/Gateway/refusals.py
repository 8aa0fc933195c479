"""Requests that were refused, in the log: somebody may be trying tokens, and a PC with an old one needs help.

A scan of the network sends thousands: each address has a few records a minute, and all together have not many.
"""

from __future__ import annotations

from NexusCore.clock import Clock
from NexusCore.log import Log
from Services.Gateway.limits import Allowance

LOGGED = frozenset({401, 403, 429})
"""Statuses of refusals that say something about who asks."""
PER_ADDRESS, OF_ALL = 4, 60
"""Records in a minute."""
_ALL = ""


class RefusalLog:
    """Logs refusals, not too many.

    Parameters
    ----------
    log
        The Gateway's.
    clock
        Measures the minute.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._records = Allowance(clock)
        self._left_out = 0

    def add(self, address: str, method: str, path: str, status: int, kind: str) -> None:
        """Log that a request was refused.

        Parameters
        ----------
        address
            Where it came from.
        method, path
            What it asked.
        status, kind
            HTTP status, and name of the problem.
        """
        if status not in LOGGED:
            return
        if self._records.take(address or "?", PER_ADDRESS) or self._records.take(_ALL, OF_ALL):
            self._left_out += 1
            return
        more = f"; {self._left_out} more were refused and not logged" if self._left_out else ""
        self._left_out = 0
        self._log.warning("Refused %s %s from %s: %d %s%s", method, path[:100], address or "?", status, kind, more)
