"""The sessions and their records: what is stuck on its way, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from NexusCore.clock import SECOND
from Tools.checks.case import Case
from Tools.checks.outcome import Outcome, ok, problem
from Tools.checks.quantities import counted
from Tools.moments import local, span
from Tools.terminal import one_line

MOST = 5
"""How many of a kind are told one by one."""
HOUR = 3600 * SECOND
LONG_OPEN = 24 * HOUR
"""Microseconds after which an open session was probably forgotten."""
LONG_WAITING = HOUR
"""Microseconds after which a session that is due should have been taken up."""

NEVER = 10 * 365 * 24 * HOUR
"""Microseconds from now behind which the next attempt means that there is none."""

_NUMBERS = "SELECT state, COUNT(*) FROM session GROUP BY state ORDER BY state"

_OPEN = """
    -- sessions that were begun long ago and have not ended, oldest first
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

_WAITING = """
    -- sessions that a Builder could have taken long ago, oldest first
    SELECT identifier, instrument, COALESCE(next_attempt_ts, end_ts) FROM session
     WHERE state = 'TO_BE_BUILT' AND COALESCE(next_attempt_ts, end_ts) < :before
     ORDER BY end_ts, id
"""

_DROPPED = """
    -- sessions whose Builder fell silent, oldest first
    SELECT identifier, instrument, lease_owner, lease_until FROM session
     WHERE state = 'BUILDING' AND lease_until < :now
     ORDER BY lease_until
"""

_UPLOADS = """
    -- records that a destination did not take, newest first
    SELECT s.identifier, u.destination, u.attempts, u.next_attempt_ts, u.last_error
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE u.state = 'ERROR'
     ORDER BY u.updated_ts DESC, u.id DESC
"""

Row = Sequence[Any]


def sessions(case: Case) -> Iterator[Outcome]:
    """Look for sessions that need somebody."""
    database, now = case.database(case.settings.main), case.clock.now()
    with database.reading() as reading:
        numbers = reading.all(_NUMBERS)
        open_ = reading.all(_OPEN, before=now - LONG_OPEN)
        failed = reading.all(_FAILED)
        waiting = reading.all(_WAITING, before=now - LONG_WAITING)
        dropped = reading.all(_DROPPED, now=now)
    yield ok(f"Sessions: {', '.join(f'{count:,} {state}' for state, count in numbers) or 'none yet'}.")
    yield from _each(failed, "sessions in ERROR", "SessionTool list --state ERROR", lambda row: _failed(row, now))
    yield from _each(open_, "open sessions", "SessionTool list --state WAITING_FOR_END", lambda row: _open(row, now))
    yield from _each(
        waiting, "sessions that wait", "SessionTool list --state TO_BE_BUILT", lambda row: _waits(row, now)
    )
    yield from _each(dropped, "sessions", "SessionTool list --state BUILDING", lambda row: _dropped(row, now))


def uploads(case: Case) -> Iterator[Outcome]:
    """Look for records that a destination did not take."""
    database, now = case.database(case.settings.main), case.clock.now()
    with database.reading() as reading:
        failed = reading.all(_UPLOADS)
    if not failed:
        yield ok("No upload has failed.")
    yield from _each(failed, "uploads that failed", "TailLog --logger Uploader -p error", lambda row: _upload(row, now))


def _each(rows: Sequence[Row], what: str, command: str, make: Callable[[Row], Outcome]) -> Iterator[Outcome]:
    yield from (make(row) for row in rows[:MOST])
    if len(rows) > MOST:
        yield problem(f"There are {len(rows) - MOST:,} more {what}.", command)


def _failed(row: Row, now: int) -> Outcome:
    identifier, instrument, attempts, due, error = row
    return problem(
        f"Session {identifier} at {instrument} is in ERROR after {counted(attempts, 'attempt')}: {_reason(error)}",
        f"{_again(due, now)} When the cause is gone: SessionTool requeue {identifier}",
    )


def _open(row: Row, now: int) -> Outcome:
    identifier, instrument, user, start = row
    return problem(
        f"Session {identifier} of {user} at {instrument} has been open for {span(now - start)}, since {local(start)}.",
        f"Was its end forgotten? SessionTool end {identifier}",
    )


def _waits(row: Row, now: int) -> Outcome:
    identifier, instrument, since = row
    return problem(
        f"Session {identifier} at {instrument} has waited for a Builder for {span(now - since)}.",
        "Does the Builder run, and what is it doing? TailStatus Builder",
    )


def _dropped(row: Row, now: int) -> Outcome:
    identifier, instrument, owner, until = row
    return problem(
        f"The Builder of session {identifier} at {instrument} ({owner}) fell silent; its lease ran out "
        f"{span(now - until)} ago.",
        "The next pass of any Builder takes it up. Does one run? TailStatus Builder",
    )


def _upload(row: Row, now: int) -> Outcome:
    identifier, destination, attempts, due, error = row
    return problem(
        f"The record of session {identifier} is not at '{destination}' after {counted(attempts, 'attempt')}: "
        f"{_reason(error)}",
        f"{_again(due, now)} TailLog --session {identifier} tells more.",
    )


def _reason(error: str | None) -> str:
    reason = one_line((error or "nobody said why").strip())
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."


def _again(due: int | None, now: int) -> str:
    if due is None or due > now + NEVER:
        return "It is not tried again by itself."
    return f"It is tried again in {span(due - now)}." if due > now else "It is due to be tried again."
