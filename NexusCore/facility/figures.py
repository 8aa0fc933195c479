"""Figures of the facility for its monitoring: how many sessions there are, and how long the oldest ones wait."""

from __future__ import annotations

from dataclasses import dataclass

from NexusCore.facility.session import State
from NexusCore.storage import Database, Transaction

_STATES = "SELECT state, COUNT(*) FROM session GROUP BY state"
_TO_BE_BUILT = "SELECT COUNT(*), MIN(end_ts) FROM session WHERE state = 'TO_BE_BUILT'"
_TO_BE_SENT = """
    -- records that are not at all destinations, and when the oldest was built
    SELECT COUNT(*), MIN(r.built_ts) FROM record r JOIN session s ON s.id = r.session_id WHERE s.state = 'BUILT'
"""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """A queue."""

    length: int
    oldest_ts: int | None
    """Since when its oldest entry waits, in microseconds since the epoch, UTC; None if it is empty."""


@dataclass(frozen=True, slots=True)
class FacilityFigures:
    """Numbers of sessions by state, and the queues of Builder and Uploader."""

    sessions: dict[State, int]
    to_be_built: QueueFigures
    to_be_sent: QueueFigures


def figures_of(database: Database) -> FacilityFigures:
    """Return the present figures of the facility's own database."""

    def read(reading: Transaction) -> FacilityFigures:
        sessions = dict.fromkeys(State, 0)
        for text, count in reading.all(_STATES):
            # A value that somebody wrote by hand must not make a new series.
            state = State(text) if text in set(State) else State.UNKNOWN
            sessions[state] += int(count)
        queues = [QueueFigures(0, None), QueueFigures(0, None)]
        for place, sql in enumerate((_TO_BE_BUILT, _TO_BE_SENT)):
            row = reading.one(sql)
            if row is not None:
                queues[place] = QueueFigures(int(row[0]), row[1] if isinstance(row[1], int) else None)
        return FacilityFigures(sessions, *queues)

    return database.read(read)
