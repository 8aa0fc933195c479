"""The rows of the tables: whether each value is of its column's kind, and can be read by programs.

SQLite takes any value in any column, and with an SQL client anybody can write what no program would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from NexusCore.config import changes
from NexusCore.config.parameter import DATATYPES, MASK, Limits, decode
from NexusCore.errors import ConfigException, DatabaseDenied, NexusError
from NexusCore.facility.record import RECORD, UPLOAD
from NexusCore.facility.reservations import RESERVATION, describes_a_reservation
from NexusCore.facility.session import SESSION_EVENT, SESSION_TABLE
from NexusCore.log.store import LOG_RECORD
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.status.store import STATUS_CHANNEL, STATUS_ITEM, STATUS_LATEST, STATUS_SAMPLE
from NexusCore.storage import Database
from NexusCore.storage.dialect import compared
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, shown
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, ok, problem

ODD_ROWS_SHOWN = 5
"""How many odd rows are told one by one."""
NEWEST = 1000
"""Rows of a table, the newest, that are looked at in passing; `Doctor --rows` looks at all."""
ROWS_PER_READ = 2000
"""Rows that one statement reads."""

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
    "main": (FACILITY_IDENTITY, SESSION_TABLE, SESSION_EVENT, RESERVATION, RECORD, UPLOAD),
}
"""All tables, by the database of the settings that they are used in."""

_SECRETS = frozenset({"value", "old_value", "new_value"})
_KEY_COLUMNS = {
    "config_change": "revision",
    "config_secret": "revision",
    "status_latest": "item_id",
    "delivery_cursor": "journal",
}


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row with values that cannot be read."""

    table: str
    key: object
    """Its primary key."""
    values: Mapping[str, Any]
    """As they are stored."""
    odd: Mapping[str, str]
    """The columns that cannot be read, each with a sentence."""
    hidden: frozenset[str] = frozenset()
    """Columns whose values are shown to nobody."""

    @property
    def sentence(self) -> str:
        """What is wrong with it."""
        return f"{self.table} {shown(self.key).strip(chr(39))}: {'; '.join(self.odd.values())}."


def key_of(table: str) -> str:
    """Return the column of a table's primary key."""
    return _KEY_COLUMNS.get(table, "id")


def places(settings: Settings) -> Iterator[tuple[DatabaseURL, Columns]]:
    """Yield every table with the database that it is in, each once."""
    seen = set()
    for role, tables in TABLES.items():
        url: DatabaseURL = getattr(settings, role)
        for columns in tables:
            if (url, columns.table) not in seen:
                seen.add((url, columns.table))
                yield url, columns


def odd_rows(
    database: Database, columns: Columns, *, newest: int | None = None, passed: Callable[[int], object] = lambda _: None
) -> Iterator[OddRow]:
    """Yield the rows of a table with values that cannot be read.

    Parameters
    ----------
    database, columns
        Where it is, and what it holds.
    newest
        How many rows to look at, the newest; None for all.
    passed
        Told how many rows have been looked at, every now and then.
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
            if columns is changes.CONFIG_SECRET:  # not everybody may read it, and whoever may sees to it
                return
            raise
        for row in rows:
            found = examined(columns, row)
            if found is not None:
                yield found
        count += len(rows)
        if newest is not None or len(rows) < ROWS_PER_READ:
            return
        passed(count)
        last = rows[-1][list(columns.columns).index(key)]
        behind, values = f"WHERE t.{key} > {compared('last', last)}", {"last": last}


def examined(columns: Columns, row: Sequence[object]) -> OddRow | None:
    """Return what is odd about a row; None if nothing is."""
    stored = dict(zip(columns.columns, row, strict=True))
    _, sentences = columns.read(row)
    odd = {sentence.partition(" ")[0]: sentence for sentence in sentences}
    more = _MORE.get(columns.table)
    if more is not None and not odd:
        odd = dict(more(stored))
    if not odd:
        return None
    secret = columns is changes.CONFIG_SECRET or ("limits" in stored and Limits.readable(stored["limits"]).secret)
    hidden = _SECRETS if secret else frozenset[str]()
    odd |= {name: f"{name} cannot be read; it is a secret" for name in odd.keys() & hidden}
    return OddRow(columns.table, stored[key_of(columns.table)], stored, odd, hidden)


def _parameter(stored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        # The value of a secret, which is of its type, stands in config_secret.
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


_MORE: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {
    "config_parameter": _parameter,
    "reservation": _reservation,
}
"""What columns alone do not tell."""


def rows(case: Case) -> Iterator[CheckResult]:
    """Look at the newest rows of each table."""
    looked_at = 0
    found = []
    failures: dict[str, NexusError] = {}
    for url, columns in places(case.settings):
        try:
            database = case.database(url)
            found += list(odd_rows(database, columns, newest=NEWEST))
            looked_at += 1
        except NexusError as error:
            failures.setdefault(str(error), error)
    for row in found[:ODD_ROWS_SHOWN]:
        yield problem(row.sentence, f"To see what can be done: Doctor --rows. {_of(row)}".rstrip())
    if len(found) > ODD_ROWS_SHOWN:
        yield problem(
            f"There are {len(found) - ODD_ROWS_SHOWN:,} more rows with values that cannot be read.", "Doctor --rows"
        )
    if not found and looked_at:
        yield ok(f"What was stored last in each of {looked_at} tables can be read.")
    for failure in failures.values():
        raise failure


def _of(row: OddRow) -> str:
    from NexusCore.text import shell_quote

    if row.table == "session" and isinstance(row.values["identifier"], str):
        return f"What is known of it: SessionTool show {shell_quote(row.values['identifier'])}"
    return ""
