"""The process behind a channel: each service shows on its own which process it is, and renews that with its state.

Two processes that report on the same channel overwrite each other's values. What both showed is in the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from NexusCore.clock import SECOND, to_datetime, to_ts
from NexusCore.status.names import Channels
from NexusCore.status.store import StatusSample, changes
from NexusCore.storage import Database

PROCESS = "process"
"""Name of the element."""
FAILED = "failed: "
"""How the element ``state`` of a service begins whose last pass failed."""
STOPPED = "stopped"
"""The state of a service that was stopped."""
LOOK_BACK = 60 * SECOND
"""Microseconds of history in which a running process has shown itself."""
_FORM = re.compile(r"(\d{1,9}) on (\S+) since (\S+), home (.*?)( \(ended\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A process of a service."""

    pid: int
    host: str
    since: int
    """When it began, in microseconds since the epoch, UTC."""
    home: str
    """Its `NEXUSCORE_HOME`."""
    ended: bool = False

    def __str__(self) -> str:
        """Return it as a value of status: ``4711 on server since 2026-11-30T08:14:01+00:00, home /var/lib/x``."""
        since = to_datetime(self.since // SECOND * SECOND).isoformat()
        return f"{self.pid} on {self.host} since {since}, home {self.home}{' (ended)' if self.ended else ''}"

    @classmethod
    def parse(cls, text: str) -> ServiceProcess | None:
        """Return the process of a value of status; None if the value does not describe one."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        try:
            since = datetime.fromisoformat(match[3])
            return cls(int(match[1]), match[2], to_ts(since), match[4], match[5] is not None)
        except ValueError:
            return None


def running(samples: Iterable[StatusSample], now: int) -> list[ServiceProcess]:
    """Return the processes of one channel that are running, the newest last.

    Parameters
    ----------
    samples
        Values of the element in the last `LOOK_BACK`, the oldest first.
    now
        The present time.
    """
    newest: dict[ServiceProcess, StatusSample] = {}
    ended: dict[ServiceProcess, bool] = {}
    for sample in samples:
        process = ServiceProcess.parse(sample.value or "")
        if process is not None:
            same = replace(process, ended=False)
            newest[same], ended[same] = sample, process.ended
    alive = {
        process: sample.ts
        for process, sample in newest.items()
        if not ended[process] and (sample.expires is None or sample.expires >= now)
    }

    def is_replaced(process: ServiceProcess) -> bool:
        # A process that was killed did not say so: it is gone if it is silent since another one began in its place.
        return any(
            (other.host, other.home) == (process.host, process.home) and other.since > alive[process] for other in alive
        )

    return sorted((process for process in alive if not is_replaced(process)), key=lambda process: process.since)


def processes(database: Database, channels: Iterable[str], now: int) -> dict[str, list[ServiceProcess]]:
    """Return the running processes of some channels.

    Parameters
    ----------
    database
        The database of the status.
    channels
        Names of the channels.
    now
        The present time.
    """
    names = tuple(channels)
    by_channel: dict[str, list[StatusSample]] = {name: [] for name in names}
    since = now - LOOK_BACK
    for sample in changes(
        database, channels=Channels(names), wanted=lambda channel, name: name == PROCESS, since=since
    ):
        by_channel.setdefault(sample.channel, []).append(sample)
    return {name: running(samples, now) for name, samples in by_channel.items()}
