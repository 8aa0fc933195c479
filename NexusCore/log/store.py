"""Log records in the database: how they get in, and how a reader finds them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from NexusCore.log.record import LogRecord
from NexusCore.storage import Database, Transaction
from NexusCore.tail import Source

COLUMNS = (
    "ts", "level", "logger", "module", "line", "function", "host", "pid", "thread", "message", "traceback", "session",
)  # fmt: skip
NAME_LENGTH = 128
SESSION_LENGTH = 255

NAMED_LATELY = 20_000
"""Records, from the newest back, whose modules count as known: the table has no index by module."""

_LOGGERS = "SELECT DISTINCT logger FROM log_record ORDER BY logger"

_MODULES = """
    -- modules that logged lately
    SELECT DISTINCT module
      FROM (SELECT module FROM log_record ORDER BY id DESC LIMIT :count) lately
     ORDER BY module
"""

_decode = msgspec.msgpack.Decoder(tuple).decode


class LogSink:
    """Puts records from a journal into `log_record`."""

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Do nothing: a log record refers to no other table."""

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the records."""
        rows = []
        for payload in payloads:
            ts, level, logger, module, line, function, host, pid, thread, message, traceback, session = _decode(payload)
            rows.append(
                (
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
            )
        transaction.insert_many("log_record", COLUMNS, rows)

    def expendable(self, payload: bytes) -> bool:
        """Let DEBUG and INFO go before what is worse, and what cannot be read with them."""
        try:
            return bool(_decode(payload)[1] < logging.WARNING)
        except (ValueError, LookupError, TypeError):
            return True


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records a reader wants; what is not given does not restrict."""

    loggers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    """Words that must all stand in the message, whatever the case."""
    session: str | None = None
    level: int = 0
    """At least this level."""

    def condition(self) -> tuple[str, dict[str, object]]:
        """Return an SQL condition and the values in it."""
        parts: list[str] = []
        values: dict[str, object] = {}
        for column, names in (("logger", self.loggers), ("module", self.modules)):
            if names:
                marks = [f":{column}_{number}" for number in range(len(names))]
                parts.append(f"{column} IN ({', '.join(marks)})")
                values.update({mark[1:]: name for mark, name in zip(marks, names, strict=True)})
        for number, word in enumerate(self.keywords):
            parts.append(f"LOWER(message) LIKE :word_{number} ESCAPE '!'")
            values[f"word_{number}"] = f"%{escape_like(word.lower())}%"
        if self.session is not None:
            parts.append("session = :session")
            values["session"] = self.session
        if self.level:
            parts.append("level >= :level")
            values["level"] = self.level
        return " AND ".join(parts) or "1 = 1", values


def escape_like(text: str) -> str:
    """Return `text` so that LIKE ... ESCAPE '!' finds it as it stands."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


FIELDS = f"{', '.join(COLUMNS)}, id"


def record_of(row: Sequence[object]) -> LogRecord:
    """Return the record of a row with the columns of `FIELDS`."""
    return LogRecord(*row)  # type: ignore[arg-type]


def newest(database: Database, wanted: LogFilter, count: int, up_to: int | None = None) -> list[LogRecord]:
    """Return the newest records that match, oldest first. The filter comes before the count.

    Parameters
    ----------
    database, wanted, count
        Where to look, for what, and how many at most.
    up_to
        Pass over records with higher ids: a follower hands those out.
    """
    condition, values = wanted.condition()
    if up_to is not None:
        condition, values = f"{condition} AND id <= :up_to", {**values, "up_to": up_to}
    with database.reading() as reading:
        rows = reading.all(
            f"SELECT {FIELDS} FROM log_record WHERE {condition} ORDER BY id DESC LIMIT :count",  # noqa: S608  columns and placeholders only
            count=count,
            **values,
        )
    return [record_of(row) for row in reversed(rows)]


def arriving(wanted: LogFilter) -> Source[LogRecord]:
    """Return what a `NexusCore.tail.Tail` needs to hand out the records that match."""
    condition, values = wanted.condition()
    return Source("log_record", FIELDS, record_of, condition=condition, values=values)


def loggers(database: Database) -> list[str]:
    """Return the names of all loggers."""
    with database.reading() as reading:
        return [name for (name,) in reading.all(_LOGGERS)]


def modules(database: Database) -> list[str]:
    """Return the names of the modules that logged lately."""
    with database.reading() as reading:
        return [name for (name,) in reading.all(_MODULES, count=NAMED_LATELY)]
