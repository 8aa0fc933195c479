"""What goes on at each instrument now: its open session, its last record, what went wrong, and files on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from NexusCore.facility.attention import ATTEMPTS_ALONE
from NexusCore.facility.record import NEVER
from NexusCore.facility.session import SESSION_TABLE, Session, State
from NexusCore.facility.transfer_file import TRANSFER_FILE, FileState
from NexusCore.facility.transitions import SELECT_SESSIONS, open_on, session_of
from NexusCore.storage import Transaction
from NexusCore.storage.rows import Columns
from NexusCore.text import readable

_OPEN = "SELECT instrument FROM session WHERE open_on IS NOT NULL"
_NEWEST_RECORD = """
    -- the newest session of an instrument that has a record
    SELECT s.identifier, s.state, r.built_ts
      FROM session s
      JOIN record r ON r.session_id = s.id
     WHERE s.instrument = :instrument
     ORDER BY s.start_ts DESC, s.id DESC
     LIMIT 1
"""
_FAILED = f"""
    -- the newest session of an instrument whose record could not be built
    {SELECT_SESSIONS}
     WHERE instrument = :instrument AND state = 'ERROR'
     ORDER BY start_ts DESC, id DESC
     LIMIT 1
"""
_GIVEN_UP = """
    -- sessions whose record could not be built several times, or is not tried again, by instrument
    SELECT instrument, COUNT(*) FROM session
     WHERE state = 'ERROR' AND (attempts >= :attempts OR next_attempt_ts IS NULL OR next_attempt_ts >= :never)
     GROUP BY instrument
"""
_FILES = """
    -- files that are not in a store yet, or not as they were, by instrument
    SELECT s.instrument, f.state, COUNT(*), MIN(f.changed_ts)
      FROM transfer_file f
      JOIN session s ON s.id = f.session_id
     WHERE f.state IN ('waiting', 'growing', 'locked', 'sending', 'checking', 'held', 'failed', 'damaged')
     GROUP BY s.instrument, f.state
"""
_RECORD_COLUMNS = Columns(
    "record", {**SESSION_TABLE.only("identifier", "state").columns, "built_ts": SESSION_TABLE.columns["start_ts"]}
)
_FILE_COLUMNS = Columns(
    "transfer_file",
    {"instrument": SESSION_TABLE.columns["instrument"], "state": TRANSFER_FILE.columns["state"]},
)


@dataclass(frozen=True, slots=True)
class LastRecord:
    """The newest record of an instrument."""

    identifier: str
    """Of its session."""
    state: State
    built_ts: int
    """Microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class InstrumentState:
    """State of an instrument."""

    pid: str
    open: Session | None
    record: LastRecord | None
    failed: Session | None
    """The newest session whose record could not be built."""
    given_up: int = 0
    """Sessions in ERROR that trying again has not helped, or that are not tried again."""
    files: dict[FileState, int] = field(default_factory=dict)
    """Files that are not in a store yet, or damaged there, by state."""
    oldest_ts: int | None = None
    """Since when the file on its way that has waited longest has not changed."""


def instrument_states(reading: Transaction, pids: Sequence[str]) -> list[InstrumentState]:
    """Return the state of some instruments, and of others with an open session.

    Parameters
    ----------
    reading
        A transaction on the facility's tables.
    pids
        Instruments of the configuration.
    """
    others = sorted({readable(pid) for (pid,) in reading.all(_OPEN)} - set(pids))
    counts = reading.all(_GIVEN_UP, attempts=ATTEMPTS_ALONE, never=NEVER)
    given_up = {readable(pid): int(count) for pid, count in counts}
    files: dict[str, dict[FileState, int]] = {}
    oldest: dict[str, int] = {}
    for instrument, text, count, changed_ts in reading.all(_FILES):
        (pid, state), _ = _FILE_COLUMNS.read((instrument, text))
        files.setdefault(pid, {})[state] = int(count)
        if isinstance(changed_ts, int) and state not in (FileState.HELD, FileState.DAMAGED):
            oldest[pid] = min(changed_ts, oldest.get(pid, changed_ts))
    return [
        InstrumentState(
            pid,
            open_on(reading, pid),
            _last_record(reading, pid),
            _failed(reading, pid),
            given_up.get(pid, 0),
            files.get(pid, {}),
            oldest.get(pid),
        )
        for pid in (*pids, *others)
    ]


def _last_record(reading: Transaction, pid: str) -> LastRecord | None:
    row = reading.one(_NEWEST_RECORD, instrument=pid)
    return None if row is None else LastRecord(*_RECORD_COLUMNS.read(row)[0])


def _failed(reading: Transaction, pid: str) -> Session | None:
    row = reading.one(_FAILED, instrument=pid)
    return None if row is None else session_of(row)
