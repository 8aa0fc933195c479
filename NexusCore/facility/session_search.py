"""Finding sessions by what they are: instrument, user, state and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from NexusCore.facility.session import Session, State
from NexusCore.facility.transitions import SELECT_SESSIONS, session_of
from NexusCore.storage import Transaction


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions are wanted; fields that are not set do not restrict."""

    instrument: str | None = None
    """Pid."""
    user: str | None = None
    """Account at the instrument's PC."""
    states: Sequence[State] = ()
    """Any of these."""
    since: int | None = None
    """Started at this time or later; microseconds since the epoch, UTC."""
    until: int | None = None
    """Started at this time or earlier."""


def newest_sessions(reading: Transaction, wanted: SessionFilter, count: int) -> list[Session]:
    """Return the newest sessions that are wanted, the newest first, at most `count`."""
    limits: dict[str, tuple[str, str | int | None]] = {
        "instrument = :instrument": ("instrument", wanted.instrument),
        "user = :user": ("user", wanted.user),
        "start_ts >= :since": ("since", wanted.since),
        "start_ts <= :until": ("until", wanted.until),
    }
    parts = [part for part, (_, value) in limits.items() if value is not None]
    values: dict[str, object] = {name: value for name, value in limits.values() if value is not None}
    if wanted.states:
        states = {f"state_{number}": str(state) for number, state in enumerate(wanted.states)}
        parts.append(f"state IN ({', '.join(f':{name}' for name in states)})")
        values |= states
    sql = f"{SELECT_SESSIONS} WHERE {' AND '.join(parts) or '1 = 1'} ORDER BY id DESC LIMIT :count"
    return [session_of(row) for row in reading.all(sql, count=count, **values)]
