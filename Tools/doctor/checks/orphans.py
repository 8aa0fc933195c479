"""Rows that belong to a row that does not exist, as after a restore of some tables: programs pass over them."""

from __future__ import annotations

from collections.abc import Iterator

from NexusCore.errors import DatabaseDenied
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.storage import Database
from Tools.common.quantities import counted

ORPHANS_CHECKED = 1000
"""Newest rows of each table that a plain run checks; `Doctor --rows` checks all."""
PARENTS = (
    ("config", "config_parameter", "version_id", "config_version"),
    ("status", "status_item", "channel_id", "status_channel"),
    ("main", "session_event", "session_id", "session"),
    ("main", "record", "session_id", "session"),
    ("main", "upload", "record_id", "record"),
    ("main", "transfer_file", "session_id", "session"),
    ("main", "file_copy", "move_id", "intake_move"),
)
"""Role of the database, table, column, and the table of the row that it names."""
_COUNT = """
    -- rows whose parent is missing
    SELECT COUNT(*) FROM (SELECT {column} FROM {table} ORDER BY id DESC {limit}) t
      LEFT JOIN {parent} p ON p.id = t.{column}
     WHERE p.id IS NULL
"""


def orphan_places(settings: Settings) -> Iterator[tuple[DatabaseURL, str, str, str]]:
    """Yield the database, table and column of each reference, and the table that it is to."""
    for role, table, column, parent in PARENTS:
        url: DatabaseURL = getattr(settings, role)
        yield url, table, column, parent


def orphans(database: Database, table: str, column: str, parent: str, newest: int | None = None) -> str:
    """Return a sentence about the rows of a table that belong to none of another; an empty text if there are none.

    Parameters
    ----------
    database, table, column, parent
        What to check.
    newest
        Number of rows to check, the newest first; None for all.
    """
    limit = "" if newest is None else f"LIMIT {newest}"
    try:
        with database.reading() as reading:
            row = reading.one(_COUNT.format(table=table, column=column, parent=parent, limit=limit))
    except DatabaseDenied:  # accounts that may read it check it
        return ""
    number = int(row[0]) if row is not None else 0
    if not number:
        return ""
    belong = "row belongs" if number == 1 else "rows belong"
    rows = f"{counted(number, belong, belong)} to a row of {parent} that does not exist"
    return f"{table}: {rows}; programs pass over {'it' if number == 1 else 'them'}."
