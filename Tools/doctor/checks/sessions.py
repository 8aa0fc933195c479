"""The sessions and their records: which ones are stuck, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from NexusCore.clock import SECOND
from NexusCore.errors import NexusError
from NexusCore.facility.attention import ATTEMPTS_ALONE, AttentionRow, refused_uploads, sessions_in_need
from NexusCore.facility.record_booking import BookingState, RecordBookings
from NexusCore.text import shell_quote
from Tools.common.quantities import counted
from Tools.common.terminal import brief
from Tools.common.time_parser import local, span
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.credentials import destination_names
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

SESSIONS_SHOWN = 5
"""Results of a kind that are listed one by one."""
HOUR_MICROSECONDS = 3600 * SECOND
LONG_OPEN = 24 * HOUR_MICROSECONDS
"""Microseconds after which an open session was probably forgotten."""
LONG_ON_THE_WAY = 12 * HOUR_MICROSECONDS
"""Microseconds after its end for which a session may wait for its files."""
LONG_WAITING = HOUR_MICROSECONDS
"""Microseconds after which a Builder should have started on a session that is due."""
LATE_DAYS = 30
"""Days in which a reservation may come late, where the Harvester has not set how many."""
NO_NEXT_ATTEMPT = 10 * 365 * 24 * HOUR_MICROSECONDS
"""Microseconds from now beyond which a next attempt stands for none."""


def sessions(case: Case) -> Iterator[CheckResult]:
    """Report sessions that need attention."""
    with case.database(case.settings.main).reading() as reading:
        now = reading.now()  # the clock of leases and attempts
        found = sessions_in_need(
            reading,
            started_before=now - LONG_OPEN,
            ended_before=now - LONG_ON_THE_WAY,
            waiting_before=now - LONG_WAITING,
            now=now,
        )
    states = ", ".join(f"{count:,} {state}" for state, count in found.numbers)
    yield ok(f"Sessions: {states or 'none yet'}.")
    for rows, what, state, make in (
        (found.failed, ("session in ERROR", "sessions in ERROR"), "ERROR", _failed),
        (found.open, ("open session", "open sessions"), "WAITING_FOR_END", _open),
        (
            found.awaiting_files,
            ("session without its files", "sessions without their files"),
            "WAITING_FOR_END",
            _awaits_files,
        ),
        (found.waiting, ("waiting session", "waiting sessions"), "TO_BE_BUILT", _waits),
        (found.expired, ("session", "sessions"), "BUILDING", _expired),
    ):
        yield from _each(rows, what, f"SessionTool list --state {state}", now, make)


def uploads(case: Case) -> Iterator[CheckResult]:
    """Report records that a destination in use refused."""
    with case.database(case.settings.main).reading() as reading:
        now = reading.now()
        failed = refused_uploads(reading)
    with suppress(NexusError):  # without the configuration, all count as in use
        used = destination_names(case.configuration())
        failed = [row for row in failed if row[1] in used or not used]
    if not failed:
        yield ok("No upload has failed.")
    yield from _each(failed, ("failed upload", "failed uploads"), "TailLog --logger Uploader -p error", now, _upload)


def reservations(case: Case) -> Iterator[CheckResult]:
    """Report records that lack their reservation, as far as is known."""
    database = case.database(case.settings.main)
    days = case.configuration()["Services.Harvester.late_days"]
    late = int(days if isinstance(days, int | float) else LATE_DAYS) * 24 * HOUR_MICROSECONDS
    with database.reading() as reading:
        since = reading.now() - late
    marked = RecordBookings(database).marked(since)
    if not marked:
        yield ok("No record lacks a reservation that its calendar may have.")
    for known, session in marked[:SESSIONS_SHOWN]:
        quoted = shell_quote(session.identifier)
        yield problem(
            f"The record of session {session.identifier} at {session.instrument} was {_reason(known.remark)}",
            "It is made again when a reservation comes. Can the calendar be read? TailStatus Harvester"
            if known.calendar is BookingState.UNREAD
            else f"It could not be made again. To see why: TailLog --session {quoted}",
        )
    if len(marked) > SESSIONS_SHOWN:
        more = counted(len(marked) - SESSIONS_SHOWN, "more record lacks", "more records lack")
        yield problem(f"{more} a reservation that its calendar may have.", "To list them: SessionTool list")


def _each(
    rows: Sequence[AttentionRow],
    nouns: tuple[str, str],
    command: str,
    now: int,
    make: Callable[[AttentionRow, int], CheckResult],
) -> Iterator[CheckResult]:
    yield from (make(row, now) for row in rows[:SESSIONS_SHOWN])
    if len(rows) > SESSIONS_SHOWN:
        singular, plural = (f"more {noun}" for noun in nouns)
        yield problem(f"{counted(len(rows) - SESSIONS_SHOWN, singular, plural)}.", f"To list them: {command}")


def _failed(row: AttentionRow, now: int) -> CheckResult:
    identifier, instrument, attempts, due, error = row
    return _unless_retried(attempts, due, now)(
        f"Session {identifier} at {instrument} is in ERROR after {counted(attempts, 'attempt')}: {_reason(error)}",
        f"{_next_attempt(due, now)} When the cause is fixed: SessionTool requeue {shell_quote(identifier)}",
    )


def _open(row: AttentionRow, now: int) -> CheckResult:
    identifier, instrument, user, start = row
    return problem(
        f"Session {identifier} of {user} at {instrument} has been open for {span(now - start)}, since {local(start)}.",
        f"Did the user forget to end it? SessionTool end {shell_quote(identifier)}",
    )


def _awaits_files(row: AttentionRow, now: int) -> CheckResult:
    identifier, instrument, end = row
    return problem(
        f"Session {identifier} at {instrument} ended {span(now - end)} ago, but its files are still on their way.",
        f"To list them: SessionTool transfer {shell_quote(identifier)}. Does the session logger run on its PC? "
        f"To have the record built without them: SessionTool close {shell_quote(identifier)}",
    )


def _waits(row: AttentionRow, now: int) -> CheckResult:
    identifier, instrument, since = row
    return problem(
        f"Session {identifier} at {instrument} has been waiting for a Builder for {span(now - since)}.",
        "Is the Builder running, and what is it doing? TailStatus Builder",
    )


def _expired(row: AttentionRow, now: int) -> CheckResult:
    identifier, instrument, owner, until = row
    return note(
        f"The Builder of session {identifier} at {instrument} ({owner}) stopped responding; its lease expired "
        f"{span(now - until)} ago.",
        "The next pass of any Builder retries it. Is a Builder running? TailStatus Builder",
    )


def _upload(row: AttentionRow, now: int) -> CheckResult:
    identifier, destination, attempts, due, error = row
    return _unless_retried(attempts, due, now)(
        f"The record of session {identifier} was not sent to '{destination}' after {counted(attempts, 'attempt')}: "
        f"{_reason(error)}",
        f"{_next_attempt(due, now)} For details: TailLog --session {shell_quote(identifier)}",
    )


def _unless_retried(attempts: int, due: int | None, now: int) -> Callable[[str, str], CheckResult]:
    """Return how to report a failure: as a note while the next attempts may help by themselves."""
    alone = attempts < ATTEMPTS_ALONE and due is not None and due <= now + NO_NEXT_ATTEMPT
    return note if alone else problem


def _reason(error: str | None) -> str:
    reason = brief((error or "no reason was given").strip())
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."


def _next_attempt(due: int | None, now: int) -> str:
    if due is None or due > now + NO_NEXT_ATTEMPT:
        return "It is not retried automatically."
    return f"The next attempt is in {span(due - now)}." if due > now else "The next attempt is due."
