"""The sessions and their records: which ones are stuck, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from NexusCore.clock import SECOND
from NexusCore.facility.record import UPLOAD
from NexusCore.facility.session import SESSION_TABLE
from NexusCore.storage.rows import TEXT, Columns
from NexusCore.text import readable, shell_quote
from Tools.common.quantities import counted
from Tools.common.terminal import brief
from Tools.common.time_parser import local, span
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, ok, problem

SESSIONS_SHOWN = 5
"""Results of a kind that are listed one by one."""
HOUR_MICROSECONDS = 3600 * SECOND
LONG_OPEN = 24 * HOUR_MICROSECONDS
"""Microseconds after which an open session was probably forgotten."""
LONG_WAITING = HOUR_MICROSECONDS
"""Microseconds after which a Builder should have started on a session that is due."""

NO_NEXT_ATTEMPT = 10 * 365 * 24 * HOUR_MICROSECONDS
"""Microseconds from now beyond which a next attempt stands for none."""

_NUMBERS_BY_STATE = "SELECT state, COUNT(*) FROM session GROUP BY state ORDER BY state"

_OPEN = """
    -- sessions that started long ago and have not ended, oldest first
    SELECT identifier, instrument, user, start_ts FROM session
     WHERE open_on IS NOT NULL AND start_ts < :before
     ORDER BY start_ts
"""

_FAILED = """
    -- sessions whose record could not be built, newest first
    SELECT identifier, instrument, attempts, next_attempt_ts, last_error FROM session
     WHERE state = 'ERROR'
     ORDER BY end_ts DESC, id DESC
"""

_WAITING_LONG = """
    -- sessions that a Builder should have started on long ago, oldest first
    SELECT identifier, instrument, COALESCE(next_attempt_ts, end_ts) FROM session
     WHERE state = 'TO_BE_BUILT' AND COALESCE(next_attempt_ts, end_ts) < :before
     ORDER BY end_ts, id
"""

_LEASES_EXPIRED = """
    -- sessions whose Builder stopped responding, oldest first
    SELECT identifier, instrument, lease_owner, lease_until FROM session
     WHERE state = 'BUILDING' AND lease_until < :now
     ORDER BY lease_until
"""

_UPLOADS_REFUSED = """
    -- records that a destination refused, newest first
    SELECT s.identifier, u.destination, u.attempts, u.next_attempt_ts, u.last_error
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE u.state = 'ERROR'
     ORDER BY u.updated_ts DESC, u.id DESC
"""

SessionRow = Sequence[Any]

_OF_OPEN = SESSION_TABLE.only("identifier", "instrument", "user", "start_ts")
_OF_FAILED = SESSION_TABLE.only("identifier", "instrument", "attempts", "next_attempt_ts", "last_error")
_OF_WAITING = SESSION_TABLE.only("identifier", "instrument", "next_attempt_ts")
_OF_DROPPED = SESSION_TABLE.only("identifier", "instrument", "lease_owner", "lease_until")
_OF_UPLOADS = Columns(
    "upload", {"identifier": TEXT, **UPLOAD.only("destination", "attempts", "next_attempt_ts", "last_error").columns}
)
"""Columns that the queries select."""


def sessions(case: Case) -> Iterator[CheckResult]:
    """Report sessions that need attention."""
    with case.database(case.settings.main).reading() as reading:
        now = reading.now()  # the clock of leases and attempts
        numbers = reading.all(_NUMBERS_BY_STATE)
        open_ = reading.all(_OPEN, before=now - LONG_OPEN)
        failed = reading.all(_FAILED)
        waiting = reading.all(_WAITING_LONG, before=now - LONG_WAITING)
        dropped = reading.all(_LEASES_EXPIRED, now=now)
    states = ", ".join(f"{count:,} {readable(state)}" for state, count in numbers)
    yield ok(f"Sessions: {states or 'none yet'}.")
    yield from _each(failed, "sessions in ERROR", "SessionTool list --state ERROR", lambda row: _failed(row, now))
    yield from _each(open_, "open sessions", "SessionTool list --state WAITING_FOR_END", lambda row: _open(row, now))
    yield from _each(waiting, "waiting sessions", "SessionTool list --state TO_BE_BUILT", lambda row: _waits(row, now))
    yield from _each(dropped, "sessions", "SessionTool list --state BUILDING", lambda row: _dropped(row, now))


def uploads(case: Case) -> Iterator[CheckResult]:
    """Report records that a destination refused."""
    with case.database(case.settings.main).reading() as reading:
        now = reading.now()
        failed = reading.all(_UPLOADS_REFUSED)
    if not failed:
        yield ok("No upload has failed.")
    yield from _each(failed, "failed uploads", "TailLog --logger Uploader -p error", lambda row: _upload(row, now))


def _each(
    rows: Sequence[SessionRow], what: str, command: str, make: Callable[[SessionRow], CheckResult]
) -> Iterator[CheckResult]:
    yield from (make(row) for row in rows[:SESSIONS_SHOWN])
    if len(rows) > SESSIONS_SHOWN:
        yield problem(f"{len(rows) - SESSIONS_SHOWN:,} more {what}.", f"To list them: {command}")


def _failed(row: SessionRow, now: int) -> CheckResult:
    (identifier, instrument, attempts, due, error), _ = _OF_FAILED.read(row)
    return problem(
        f"Session {identifier} at {instrument} is in ERROR after {counted(attempts, 'attempt')}: {_reason(error)}",
        f"{_next_attempt(due, now)} When the cause is fixed: SessionTool requeue {shell_quote(identifier)}",
    )


def _open(row: SessionRow, now: int) -> CheckResult:
    (identifier, instrument, user, start), _ = _OF_OPEN.read(row)
    return problem(
        f"Session {identifier} of {user} at {instrument} has been open for {span(now - start)}, since {local(start)}.",
        f"Did the user forget to end it? SessionTool end {shell_quote(identifier)}",
    )


def _waits(row: SessionRow, now: int) -> CheckResult:
    (identifier, instrument, since), _ = _OF_WAITING.read(row)
    return problem(
        f"Session {identifier} at {instrument} has been waiting for a Builder for {span(now - since)}.",
        "Is the Builder running, and what is it doing? TailStatus Builder",
    )


def _dropped(row: SessionRow, now: int) -> CheckResult:
    (identifier, instrument, owner, until), _ = _OF_DROPPED.read(row)
    return problem(
        f"The Builder of session {identifier} at {instrument} ({owner}) stopped responding; its lease expired "
        f"{span(now - until)} ago.",
        "The next pass of any Builder retries it. Is a Builder running? TailStatus Builder",
    )


def _upload(row: SessionRow, now: int) -> CheckResult:
    (identifier, destination, attempts, due, error), _ = _OF_UPLOADS.read(row)
    return problem(
        f"The record of session {identifier} was not sent to '{destination}' after {counted(attempts, 'attempt')}: "
        f"{_reason(error)}",
        f"{_next_attempt(due, now)} For details: TailLog --session {shell_quote(identifier)}",
    )


def _reason(error: str | None) -> str:
    reason = brief((error or "no reason was given").strip())
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."


def _next_attempt(due: int | None, now: int) -> str:
    if due is None or due > now + NO_NEXT_ATTEMPT:
        return "It is not retried automatically."
    return f"The next attempt is in {span(due - now)}." if due > now else "The next attempt is due."
