"""New values for rows with unreadable values.

A state becomes ERROR, the type of an event NOTE, text its readable part, and a required time the first of 1970, which
cannot be mistaken for a real one; an optional value becomes NULL. A token is revoked, a transferred file has failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from NexusCore.clock import readable_time
from NexusCore.facility.record import NEVER
from NexusCore.facility.record_booking import BookingState
from NexusCore.facility.tokens import TokenKind
from NexusCore.facility.transfer_file import REASON_LENGTH, FileState
from NexusCore.storage import Transaction
from NexusCore.storage.rows import TEXT, Column
from NexusCore.text import readable
from Tools.doctor.checks.rows import TABLES, OddRow

NewValues = dict[str, Any]
"""New values, by column."""

_TABLE_COLUMNS: dict[str, dict[str, Column]] = {
    columns.table: columns.columns for tables in TABLES.values() for columns in tables
}


def corrected_values(odd_row: OddRow, reading: Transaction) -> NewValues:
    """Return the new values that make a row readable.

    Parameters
    ----------
    odd_row
        The row.
    reading
        Reads what else is needed.
    """
    values = {name: _plain(_TABLE_COLUMNS[odd_row.table][name], odd_row.values[name]) for name in odd_row.odd}
    special = _SPECIAL.get(odd_row.table)
    return special(odd_row, values, reading) if special is not None else values


def _plain(column: Column, value: object) -> Any:
    if column.read is TEXT.read:
        return None if value is None and column.nullable else readable(value) if value is not None else ""
    return None if column.nullable else 0


def _session(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # A session with an unreadable state or time is in ERROR; SessionTool requeue continues it.
    if not {"state", "start_ts", "end_ts"} & odd_row.odd.keys():
        return values
    times = [odd_row.values[name] for name in ("start_ts", "end_ts") if readable_time(odd_row.values[name]) is not None]
    known = times[0] if times else 0
    for name in ("start_ts", "end_ts"):
        if name in odd_row.odd or (name == "end_ts" and odd_row.values[name] is None):
            values[name] = known
    error = f"This could not be read: {'; '.join(odd_row.odd.values())}."
    return {**values, "state": "ERROR", "last_error": error, "open_on": None, "lease_owner": None,
            "lease_until": None, "next_attempt_ts": None}  # fmt: skip


def _event(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    if "event_type" in odd_row.odd:
        values["event_type"] = "NOTE"
        detail = "" if odd_row.values["detail"] is None else f" {readable(odd_row.values['detail'])}"
        values["detail"] = f"({odd_row.odd['event_type']}){detail}"
    return values


def _upload(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # An upload with an unreadable state has failed for good; SessionTool requeue --upload sends it again.
    if "state" in odd_row.odd:
        error = f"This could not be read: {odd_row.odd['state']}."
        values |= {"state": "ERROR", "last_error": error, "next_attempt_ts": NEVER}
    return values


def _reservation(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # The consent of its user is not known, so it counts as no; the Harvester stores the answer again.
    if "data" in odd_row.odd:
        values["data"] = json.dumps({"consent": False, "unreadable": readable(odd_row.values["data"])})
    if {"start_ts", "end_ts", "cancelled"} & odd_row.odd.keys():
        values["cancelled"] = 1
    return values


def _token(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # What a token was for, or until when, is not known: it stays refused. SessionTool token make makes a new one.
    if "kind" in odd_row.odd:
        values["kind"] = TokenKind.PC.value
    if "instruments" in odd_row.odd:
        values["instruments"] = "[]"
    return {**values, "revoked_ts": reading.now(), "active_name": None}


def _transferred(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # Whether such a file was in the store is not known. While its session runs, its PC reports it again.
    if "state" in odd_row.odd:
        error = f"This could not be read: {odd_row.odd['state']}."
        values |= {"state": FileState.FAILED.value, "reason": error[:REASON_LENGTH]}
    return values


def _revision(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    if "revision" in odd_row.odd:
        row = reading.one("SELECT MAX(revision) FROM config_change")
        values["revision"] = row[0] if row is not None and type(row[0]) is int else 0
    return values


def _move(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # It counts as filed: undoing compares the file with its checksum before it is moved.
    if "state" in odd_row.odd:
        values |= {"state": "filed", "claim": None, "owner": None, "lease_until": None}
    if "method" in odd_row.odd:
        values["method"] = "rename"
    return values


def _copy(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # It is made again, unless it is there and right.
    return {**values, "state": "waiting"} if "state" in odd_row.odd else values


def _booking(odd_row: OddRow, values: NewValues, reading: Transaction) -> NewValues:
    # The calendar is compared with the record again.
    return {**values, "calendar": BookingState.UNREAD.value} if "calendar" in odd_row.odd else values


_SPECIAL: dict[str, Callable[[OddRow, NewValues, Transaction], NewValues]] = {
    "session": _session,
    "session_event": _event,
    "upload": _upload,
    "reservation": _reservation,
    "token": _token,
    "transfer_file": _transferred,
    "intake_move": _move,
    "file_copy": _copy,
    "record_booking": _booking,
    "config_revision": _revision,
}
