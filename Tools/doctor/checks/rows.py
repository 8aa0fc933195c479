"""The rows of the tables: whether each value fits its column, and programs can read it.

SQLite accepts any value in any column, and an SQL client can write what no program would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from NexusCore.config import changes
from NexusCore.config.values import DATATYPES, MASK, Limits, decode
from NexusCore.errors import ConfigException, DatabaseDenied, NexusError
from NexusCore.facility.answered import GATEWAY_REQUEST
from NexusCore.facility.calendar_reads import CALENDAR_READ
from NexusCore.facility.file_copy import FILE_COPY
from NexusCore.facility.intake_move import INTAKE_MOVE
from NexusCore.facility.record import RECORD, UPLOAD
from NexusCore.facility.record_booking import RECORD_BOOKING
from NexusCore.facility.reservations import RESERVATION, describes_a_reservation
from NexusCore.facility.session import SESSION_EVENT, SESSION_TABLE
from NexusCore.facility.tokens import TOKEN
from NexusCore.facility.transfer_file import TRANSFER_FILE
from NexusCore.facility.web_users import WEB_SETTING, WEB_USER
from NexusCore.log.store import LOG_RECORD
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.status.store import STATUS_CHANNEL, STATUS_ITEM, STATUS_LATEST, STATUS_SAMPLE
from NexusCore.storage import Database
from NexusCore.storage.dialect import compared
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, shown
from Tools.common.quantities import counted
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.orphans import ORPHANS_CHECKED, orphan_places, orphans
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

ODD_ROWS_SHOWN = 5
"""Odd rows that are listed one by one."""
NEWEST = 1000
"""Newest rows of each table that a plain run checks; `Doctor --rows` checks all."""
ROWS_PER_READ = 2000
"""Rows per statement."""

DELIVERY_CURSOR = Columns("delivery_cursor", {"journal": TEXT, "delivered": WHOLE, "ts": TIME})
FACILITY_IDENTITY = Columns("facility_identity", {"id": WHOLE, "uuid": TEXT, "name": TEXT, "created_ts": TIME})

TABLES: dict[str, tuple[Columns, ...]] = {
    "config": (
        changes.CONFIG_VERSION,
        changes.CONFIG_PARAMETER,
        changes.CONFIG_CHANGE,
        changes.CONFIG_SECRET,
        changes.CONFIG_REVISION,
    ),
    "status": (STATUS_CHANNEL, STATUS_ITEM, STATUS_LATEST, STATUS_SAMPLE, DELIVERY_CURSOR),
    "log": (LOG_RECORD, DELIVERY_CURSOR),
    "main": (
        FACILITY_IDENTITY,
        SESSION_TABLE,
        SESSION_EVENT,
        RESERVATION,
        CALENDAR_READ,
        RECORD,
        RECORD_BOOKING,
        UPLOAD,
        TRANSFER_FILE,
        INTAKE_MOVE,
        FILE_COPY,
        TOKEN,
        WEB_USER,
        WEB_SETTING,
        GATEWAY_REQUEST,
    ),
}
"""All tables, by the role of their database in the settings."""

_SECRETS = frozenset({"value", "old_value", "new_value", "password_hash"})
_SECRET_TABLES = (changes.CONFIG_SECRET, WEB_USER, WEB_SETTING)
"""Tables that only some accounts may read, and whose values are shown to nobody."""
_KEY_COLUMNS = {
    "config_change": "revision",
    "config_secret": "revision",
    "status_latest": "item_id",
    "delivery_cursor": "journal",
    "web_setting": "name",
    "calendar_read": "instrument",
    "record_booking": "session_id",
}


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row with unreadable values."""

    table: str
    key: object
    """Primary key."""
    values: Mapping[str, Any]
    """Stored values, by column."""
    odd: Mapping[str, str]
    """The unreadable columns, each with a sentence."""
    hidden: frozenset[str] = frozenset()
    """Columns whose values are secret."""

    @property
    def sentence(self) -> str:
        """What is wrong with the row."""
        return f"{self.table} {shown(self.key).strip(chr(39))}: {'; '.join(self.odd.values())}."


def key_of(table: str) -> str:
    """Return the primary key column of a table."""
    return _KEY_COLUMNS.get(table, "id")


def places(settings: Settings) -> Iterator[tuple[DatabaseURL, Columns]]:
    """Yield every table with its database, each once."""
    yielded = set()
    for role, tables in TABLES.items():
        url: DatabaseURL = getattr(settings, role)
        for columns in tables:
            if (url, columns.table) not in yielded:
                yielded.add((url, columns.table))
                yield url, columns


def odd_rows(
    database: Database, columns: Columns, *, newest: int | None = None, passed: Callable[[int], object] = lambda _: None
) -> Iterator[OddRow]:
    """Yield the rows of a table that have unreadable values.

    Parameters
    ----------
    database, columns
        The table.
    newest
        Number of rows to check, the newest first; None for all.
    passed
        Called from time to time with the number of rows checked so far.
    """
    key = key_of(columns.table)
    selected = f"SELECT {', '.join(f't.{name}' for name in columns.columns)} FROM {columns.table} t"  # noqa: S608  names from our code
    count = 0
    behind, values = "", dict[str, object]()
    while True:
        order = f"ORDER BY t.{key} {'DESC' if newest is not None else ''} LIMIT {newest or ROWS_PER_READ}"
        try:
            with database.reading() as reading:
                rows = reading.all(f"{selected} {behind} {order}", **values)
        except DatabaseDenied:
            if columns in _SECRET_TABLES:  # only accounts that may read it can check it
                return
            raise
        for row in rows:
            odd_row = examined(columns, row)
            if odd_row is not None:
                yield odd_row
        count += len(rows)
        if newest is not None or len(rows) < ROWS_PER_READ:
            return
        passed(count)
        last = rows[-1][list(columns.columns).index(key)]
        behind, values = f"WHERE t.{key} > {compared('last', last)}", {"last": last}


def examined(columns: Columns, row: Sequence[object]) -> OddRow | None:
    """Return a row as an `OddRow`; None if all of it can be read."""
    stored = dict(zip(columns.columns, row, strict=True))
    _, sentences = columns.read(row)
    odd = {sentence.partition(" ")[0]: sentence for sentence in sentences}
    special = _TABLE_CHECKS.get(columns.table)
    if special is not None and not odd:
        odd = dict(special(stored))
    if not odd:
        return None
    secret = columns in _SECRET_TABLES or ("limits" in stored and Limits.readable(stored["limits"]).secret)
    hidden = _SECRETS if secret else frozenset[str]()
    odd |= {name: f"{name} cannot be read; it is a secret" for name in odd.keys() & hidden}
    return OddRow(columns.table, stored[key_of(columns.table)], stored, odd, hidden)


def _parameter(stored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        # The value of a secret is in config_secret.
        if stored["value"] != MASK or stored["datatype"] not in DATATYPES:
            decode(stored["value"], stored["datatype"])
    except ValueError:
        known = stored["datatype"] in DATATYPES
        column = "value" if known else "datatype"
        what = f"of the datatype {stored['datatype']}" if known else "a datatype"
        yield column, f"{column} is {shown(stored[column])}, which is not {what}"
    try:
        Limits.from_json(stored["limits"])
    except ConfigException:
        yield "limits", f"limits is {shown(stored['limits'])}, which does not describe limits"


def _reservation(stored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not describes_a_reservation(stored["data"]):
        yield "data", f"data is {shown(stored['data'])}, which does not describe a reservation"


_TABLE_CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {
    "config_parameter": _parameter,
    "reservation": _reservation,
}
"""Checks beyond those of single columns."""


def rows(case: Case) -> Iterator[CheckResult]:
    """Check the newest rows of each table."""
    checked = 0
    unreadable: list[OddRow] = []
    failures: dict[str, NexusError] = {}
    for url, columns in places(case.settings):
        try:
            database = case.database(url)
            unreadable += odd_rows(database, columns, newest=NEWEST)
            checked += 1
        except NexusError as error:
            failures.setdefault(str(error), error)
    for row in unreadable[:ODD_ROWS_SHOWN]:
        yield problem(row.sentence, f"To see the correction: Doctor --rows. {_show_session(row)}".rstrip())
    if len(unreadable) > ODD_ROWS_SHOWN:
        more = counted(len(unreadable) - ODD_ROWS_SHOWN, "more row has", "more rows have")
        yield problem(f"{more} unreadable values.", "To list all: Doctor --rows")
    for url, table, column, parent in orphan_places(case.settings):
        with suppress(NexusError):  # reported above
            if sentence := orphans(case.database(url), table, column, parent, ORPHANS_CHECKED):
                yield note(sentence, "Were tables restored one by one? Restore all of them from one backup.")
    if not unreadable and checked:
        yield ok(f"The newest rows of {counted(checked, 'table')} can be read.")
    for failure in failures.values():
        raise failure


def _show_session(row: OddRow) -> str:
    from NexusCore.text import shell_quote

    if row.table == "session" and isinstance(row.values["identifier"], str):
        return f"The session: SessionTool show {shell_quote(row.values['identifier'])}"
    return ""
