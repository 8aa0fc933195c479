"""Log records in the database: storing and finding them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Annotated, Any

from NexusCore import sizes
from NexusCore.log.record import LogRecord
from NexusCore.storage import Database, Transaction
from NexusCore.storage.dialect import compared
from NexusCore.storage.pagination import FIRST, PagePosition, Search, Strand, names, read, size
from NexusCore.storage.patterns import LIKE_ESCAPE, escape_like
from NexusCore.storage.payloads import Payloads
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, optional
from NexusCore.storage.transaction import Row
from NexusCore.tail import EVERY_ROW, TailSource
from NexusCore.text import readable

LOG_COLUMNS = (
    "ts", "level", "logger", "module", "line", "function", "host", "pid", "thread", "message", "traceback", "session",
)  # fmt: skip
NAME_LENGTH = sizes.NAME
SESSION_LENGTH = sizes.IDENTIFIER
REMOVED_AT_ONCE = 1000
MANY = 5000
"""When choosing the column to look records up by, counts stop here: larger ones count as equal."""


LOG_RECORD = Columns(
    "log_record",
    {
        "id": WHOLE,
        "ts": TIME,
        "level": WHOLE,
        "logger": TEXT,
        "module": TEXT,
        "line": WHOLE,
        "function": TEXT,
        "host": TEXT,
        "pid": WHOLE,
        "thread": TEXT,
        "message": TEXT,
        "traceback": optional(TEXT),
        "session": optional(TEXT),
    },
)
_LOG_READ = LOG_RECORD.only(*LOG_COLUMNS, "id")


class LogSink:
    """Writes records from a journal to `log_record`."""

    table = "log_record"

    def __init__(self) -> None:
        import msgspec  # here, since a program that only reads the log does not need it

        name = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]
        session = Annotated[str, msgspec.Meta(max_length=SESSION_LENGTH)] | None
        self._payloads: Payloads[Row] = Payloads(
            tuple[int, int, name, name, int, name, name, int, name, str, str | None, session]
        )

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Do nothing: a log record refers to no other table."""

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the records."""
        rows = self._payloads.rows(payloads)
        if rows is None:
            rows = [_fitted(record) for record in map(self._payloads.decode, payloads)]
        transaction.insert_many("log_record", LOG_COLUMNS, rows)

    def forget(self) -> None:
        """Do nothing."""

    def expendable(self, payload: bytes) -> bool:
        """Return whether a record is below WARNING, or cannot be read."""
        try:
            return bool(self._payloads.decode(payload)[1] < logging.WARNING)
        except (ValueError, LookupError, TypeError):
            return True


def _fitted(record: Sequence[Any]) -> Row:
    """Return the row of a record, with missing fields replaced and long names cut."""
    ts, level, logger, module, line, function, host, pid, thread, message, traceback, session = record
    return (
        ts,
        level,
        logger[:NAME_LENGTH],
        module[:NAME_LENGTH],
        line,
        (function or "")[:NAME_LENGTH],
        host[:NAME_LENGTH],
        pid or 0,
        (thread or "")[:NAME_LENGTH],
        message,
        traceback,
        session and session[:SESSION_LENGTH],
    )


Part = tuple[str, dict[str, object]]
"""An SQL condition, and the values in it."""

NAMES = {"logger": "loggers", "module": "modules", "host": "hosts"}
"""Columns with names to look records up by, and their fields of `LogFilter`."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records a reader wants; fields that are not set do not restrict."""

    loggers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    """Texts that must all occur in the message or its traceback, ignoring case."""
    excluded: tuple[str, ...] = ()
    """Texts that must not occur there."""
    session: str | None = None
    level: int = 0
    """At least this level."""
    highest: int | None = None
    """At most this level."""
    since: int | None = None
    """Not before this time, in microseconds since the epoch."""
    until: int | None = None
    """Not after this time."""

    def parts(self) -> dict[str, Part]:
        """Return the conditions by column, without those on the time."""
        parts: dict[str, Part] = {}
        for column, ours in NAMES.items():
            wanted = getattr(self, ours)
            if wanted:
                values: dict[str, object] = {f"{column}_{number}": name for number, name in enumerate(wanted)}
                parts[column] = (f"t.{column} IN ({', '.join(f':{mark}' for mark in values)})", values)
        if self.session is not None:
            parts["session"] = ("t.session = :session", {"session": self.session})
        if self.level or self.highest is not None:
            highest = 2**31 - 1 if self.highest is None else self.highest
            parts["level"] = ("t.level BETWEEN :lowest AND :highest", {"lowest": self.level, "highest": highest})
        for number, word in enumerate(self.keywords):
            fold, pattern = _folded(word)
            like = f"LIKE :word_{number} {LIKE_ESCAPE}"
            parts[f"word {number}"] = (
                f"({fold}(t.message) {like} OR {fold}(t.traceback) {like})",
                {f"word_{number}": pattern},
            )
        for number, word in enumerate(self.excluded):
            fold, pattern = _folded(word)
            unlike = f"NOT LIKE :not_{number} {LIKE_ESCAPE}"
            parts[f"excluded {number}"] = (
                f"({fold}(t.message) {unlike} AND (t.traceback IS NULL OR {fold}(t.traceback) {unlike}))",
                {f"not_{number}": pattern},
            )
        return parts


def _folded(word: str) -> tuple[str, str]:
    """Return the SQL function that makes case not matter, and the pattern of a word for what it returns."""
    # SQLite has an UPPER of its own, for the letters of ASCII; LOWER is ours, for all letters, and five times slower.
    fold, folded = ("UPPER", word.upper()) if word.isascii() else ("LOWER", word.lower())
    return fold, f"%{escape_like(folded)}%"


LOG_FIELDS = f"t.{', t.'.join(LOG_COLUMNS)}, t.id"


def record_of(row: Sequence[object]) -> LogRecord:
    """Return the record of a row with the columns of `LOG_FIELDS`."""
    values, odd = _LOG_READ.typed(row)
    return tuple.__new__(LogRecord, (*values, odd))


def _all_of(parts: Iterable[Part]) -> Part:
    values: dict[str, object] = {}
    conditions = []
    for condition, more in parts:
        conditions.append(condition)
        values |= more
    return " AND ".join(conditions), values


def arriving(wanted: LogFilter) -> TailSource[LogRecord]:
    """Return the source for a `NexusCore.tail.Tail` of the records that match."""
    parts = wanted.parts()
    if wanted.since is not None:
        parts["since"] = ("t.ts >= :since", {"since": wanted.since})
    if wanted.until is not None:
        parts["until"] = ("t.ts <= :until", {"until": wanted.until})
    condition, values = _all_of(parts.values())
    return TailSource("log_record", LOG_FIELDS, record_of, condition=condition or EVERY_ROW, values=values)


# -- reading the log by time ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogQuery:
    """How to read the records that match: see `NexusCore.storage.pagination.read`."""

    wanted: LogFilter
    backwards: bool = False
    """The newest first."""
    behind: PagePosition | None = None
    """Continue after the record with this time and id."""
    first: int = FIRST
    """How many the reader probably takes."""
    passed: Callable[[int], None] = lambda ts: None
    """Called from time to time with the time up to which the log has been searched."""


def records(database: Database, how: LogQuery) -> Iterator[LogRecord]:
    """Yield the records that match, in the order of their times."""
    for row in _rows(database, how, LOG_FIELDS):
        yield record_of(row[2:])


def newest(database: Database, wanted: LogFilter, count: int) -> list[LogRecord]:
    """Return the newest records that match, oldest first. The filter comes before the count."""
    matches = list(islice(records(database, LogQuery(wanted, backwards=True, first=count)), count))
    matches.reverse()
    return matches


def values(database: Database, column: str, how: LogQuery) -> Iterator[Any]:
    """Yield the distinct values of a column in the records that match.

    Parameters
    ----------
    database, how
        What to read.
    column
        One that an index begins with: level, logger, module, host, session.
    """
    if how.wanted == LogFilter():
        with database.reading(patient=True) as reading:
            yield from names(reading, "log_record", column)
        return
    yielded = {None}
    for _, _, value in _rows(database, how, f"t.{column}"):
        if value not in yielded:
            yielded.add(value)
            yield value


def last_id(database: Database) -> int:
    """Return the highest id of a record, 0 without records."""
    with database.reading(patient=True) as reading:
        row = reading.one("SELECT MAX(id) FROM log_record")
    return int(row[0] or 0) if row is not None else 0


@dataclass(frozen=True, slots=True)
class Extent:
    """Size of the log."""

    lines: int
    """Upper limit of the number of records: deleted ones between others are counted."""
    oldest: int | None
    newest: int | None
    """Times in microseconds since the epoch; None without records."""
    bytes: int
    """Bytes of the table; on SQLite, of the whole file."""
    free: int
    """Bytes of those that are free for reuse."""


def extent(database: Database) -> Extent:
    """Return the size of the log without reading it."""
    with database.reading(patient=True) as reading:
        lines = reading.one("SELECT MAX(id) - MIN(id) + 1 FROM log_record")
        times = reading.one("SELECT MIN(ts), MAX(ts) FROM log_record")
        room = reading.one(reading.dialect.size, name="log_record")
    oldest, newest = times or (None, None)
    taken, free = room or (0, 0)
    return Extent(int(lines[0] or 0) if lines else 0, oldest, newest, int(taken or 0), int(free or 0))


def levels_by_time(database: Database, how: LogQuery) -> Iterator[tuple[int, int]]:
    """Yield time and level of each record that matches, in the order of their times."""
    for ts, _, level in _rows(database, how, "t.level"):
        if isinstance(ts, int) and isinstance(level, int):  # SQLite may store a text there
            yield ts, level


def count(database: Database, wanted: LogFilter, most: int) -> int:
    """Return how many records match, or `most` if there are more."""
    return sum(1 for _ in islice(_rows(database, LogQuery(wanted, first=most), "t.id"), most))


def remove(database: Database, wanted: LogFilter) -> Iterator[int]:
    """Delete the records that match, oldest first; yield how many were deleted after each transaction.

    The transactions are short, so that writers are not delayed.
    """
    gone = 0
    matches = _rows(database, LogQuery(wanted, first=REMOVED_AT_ONCE), "t.id")
    while ids := [int(row[1]) for row in islice(matches, REMOVED_AT_ONCE)]:
        gone += database.write(partial(_delete, ids))
        yield gone


def _delete(ids: Sequence[int], transaction: Transaction) -> int:
    return transaction.run(f"DELETE FROM log_record WHERE id IN ({', '.join(map(str, ids))})")  # noqa: S608  numbers


def _rows(database: Database, how: LogQuery, columns: str) -> Iterator[Row]:
    wanted = how.wanted
    with database.reading(patient=True) as reading:
        strands, met = _strands(reading, wanted)
    condition, values = _all_of(part for column, part in wanted.parts().items() if column not in met)
    return read(
        database,
        Search("log_record", columns, strands, condition, values, wanted.since, wanted.until),
        backwards=how.backwards, behind=how.behind, first=max(FIRST, how.first), passed=how.passed,
    )  # fmt: skip


def _strands(reading: Transaction, wanted: LogFilter) -> tuple[tuple[Strand, ...], set[str]]:
    """Return the parts of the indexes to read, and the columns whose conditions these already meet."""
    if wanted.session is not None:
        strand = Strand("ix_log_record_session_ts", "t.session = :of_session", {"of_session": wanted.session})
        return (strand,), {"session"}
    columns = [column for column, ours in NAMES.items() if getattr(wanted, ours)]
    if not columns and not wanted.level and wanted.highest is None:
        return (Strand("ix_log_record_ts"),), set()
    there = names(reading, "log_record", "level")
    numbers = [level for level in there if isinstance(level, int)]  # SQLite may store a text there
    highest = wanted.highest
    levels = [level for level in numbers if wanted.level <= level and (highest is None or level <= highest)]
    if columns:
        strands_by_column = {column: _of_names(column, getattr(wanted, NAMES[column]), levels) for column in columns}
        column = columns[0]
        if len(columns) > 1:
            column = min(columns, key=lambda name: _size(reading, strands_by_column[name], wanted))
        return strands_by_column[column], {column, "level"}
    if levels == there:
        return (Strand("ix_log_record_ts"),), set()
    strands = [Strand("ix_log_record_level_ts", "t.level = :of_level", {"of_level": level}) for level in levels]
    return tuple(strands), {"level"}


def _of_names(column: str, wanted: Sequence[str], levels: Sequence[int]) -> tuple[Strand, ...]:
    index, condition = f"ix_log_record_{column}_level_ts", f"t.{column} = :of_name AND t.level = :of_level"
    return tuple(
        Strand(index, condition, {"of_name": name, "of_level": level})
        for name in dict.fromkeys(wanted)
        for level in levels
    )


def _size(reading: Transaction, strands: tuple[Strand, ...], wanted: LogFilter) -> int:
    return size(reading, Search("log_record", "", strands, since=wanted.since, until=wanted.until), MANY)


def loggers(database: Database) -> list[str]:
    """Return the names of all loggers."""
    with database.reading(patient=True) as reading:
        return list(map(readable, names(reading, "log_record", "logger")))


def modules(database: Database) -> list[str]:
    """Return the names of all modules that logged."""
    with database.reading(patient=True) as reading:
        return list(map(readable, names(reading, "log_record", "module")))


def hosts(database: Database) -> list[str]:
    """Return the names of all machines that logged."""
    with database.reading(patient=True) as reading:
        return list(map(readable, names(reading, "log_record", "host")))


def sessions_beginning(database: Database, text: str, most: int) -> list[str]:
    """Return the sessions of the log whose identifiers begin with a text, at most `most`, in alphabetical order."""
    found: list[str] = []
    with database.reading(patient=True) as reading:
        row = reading.one("SELECT MIN(session) FROM log_record WHERE session >= :text", text=text)
        while row is not None and row[0] is not None and readable(row[0]).startswith(text) and len(found) < most:
            found.append(readable(row[0]))
            last = compared("last", row[0])
            row = reading.one(f"SELECT MIN(session) FROM log_record WHERE session > {last}", last=row[0])  # noqa: S608
    return found


def session_at(database: Database, text: str) -> str | None:
    """Return the first session, in alphabetical order, that is `text` or comes after it."""
    with database.reading(patient=True) as reading:
        row = reading.one("SELECT MIN(session) FROM log_record WHERE session >= :text", text=text)
    return readable(row[0]) if row is not None and row[0] is not None else None
