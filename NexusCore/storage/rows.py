"""The types of the columns of tables, and the replacements for values that cannot be read.

SQLite accepts any value in any column, and an SQL client can write values that no program would. One odd value must
hide neither its row nor others: rows become objects only here, and each odd value is replaced by one that programs can
use, and reported in a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from NexusCore.clock import UNREADABLE_TS, readable_time
from NexusCore.text import one_line, readable

LONGEST_ODD_VALUE = 60
"""Characters of an odd value shown in a message."""

T = TypeVar("T")

Odd = tuple[str, ...]
"""Messages about the values of a row that cannot be read: ``state is 'BULIT', which is not a state``."""


@dataclass(frozen=True, slots=True)
class Column:
    """Type of a column."""

    what: str
    """Name with its article: "a whole number"."""
    read: Callable[[Any], Any]
    """Converts a stored value; raises ValueError if it cannot be read."""
    instead: Callable[[object], Any]
    """Returns the replacement for a value that cannot be read."""
    nullable: bool = False

    def __call__(self, value: object) -> Any:
        """Convert a stored value.

        Raises
        ------
        ValueError
            If it cannot be read.
        """
        return None if value is None and self.nullable else self.read(value)


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(value)
        return value

    return read


def _time(value: Any) -> int:
    if type(value) is not int or readable_time(value) is None:
        raise ValueError(value)
    return value


def _flag(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _object(value: Any) -> dict[str, Any]:
    try:
        content = json.loads(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(value) from error
    if not isinstance(content, dict):
        raise ValueError(value)
    return content


TEXT = Column("a text", _exactly(str), lambda value: "" if value is None else readable(value))
WHOLE = Column("a whole number", _exactly(int), lambda value: 0)
TIME = Column("a time on the calendar", _time, lambda value: value if type(value) is int else UNREADABLE_TS)
DUE = Column("a time", _exactly(int), lambda value: UNREADABLE_TS)
"""When something is due or expires; never is far beyond the calendar."""
FLAG = Column("yes (1) or no (0)", _flag, lambda value: True)
OBJECT = Column("a JSON object", _object, lambda value: {})


def choice(kind: type[StrEnum], what: str) -> Column:
    """Return a column with the values of an enumeration; others are read as its member ``UNKNOWN``.

    Parameters
    ----------
    kind
        The enumeration.
    what
        Name of a value, with the article.
    """
    unknown = kind("UNKNOWN")
    known = {member.value: member for member in kind if member is not unknown}

    def read(value: Any) -> StrEnum:
        if type(value) is not str or value not in known:
            raise ValueError(value)
        return known[value]

    return Column(what, read, lambda value: unknown)


def optional(column: Column) -> Column:
    """Return a column that may also be NULL."""
    return replace(column, nullable=True)


class Columns:
    """The columns of a table, or those of a query.

    Parameters
    ----------
    table
        Its name.
    columns
        What each column holds, by its name, in order.
    """

    def __init__(self, table: str, columns: dict[str, Column]) -> None:
        self.table = table
        self.columns = columns
        self._readers = list(columns.items())
        self._types: set[tuple[type, ...]] = set()
        """Types of the values of rows without odd values."""

    def only(self, *names: str) -> Columns:
        """Return some of the columns, in this order."""
        return Columns(self.table, {name: self.columns[name] for name in names})

    def read(self, row: Sequence[object]) -> tuple[list[Any], Odd]:
        """Return the values of a row, with replacements, and a message for each value that cannot be read."""
        values: list[Any] = []
        odd: list[str] = []
        for (name, column), value in zip(self._readers, row, strict=True):
            try:
                values.append(column(value))
            except ValueError:
                values.append(column.instead(value))
                odd.append(f"{name} is {shown(value)}, which is not {column.what}")
        return values, tuple(odd)

    def make(self, kind: Callable[..., T], row: Sequence[object]) -> T:
        """Return an object from a row: `kind` gets the values in order, and the messages as `odd`."""
        values, odd = self.read(row)
        return kind(*values, odd=odd)

    def typed(self, row: Sequence[object]) -> tuple[Sequence[Any], Odd]:
        """Do the same as `read`, faster, for columns whose values need no conversion.

        A number outside the calendar is accepted as a time: the caller must check it.
        """
        if (types := tuple(map(type, row))) in self._types:
            return row, ()
        values, odd = self.read(row)
        if not odd:
            self._types.add(types)
        return values, odd

    def all_typed(self, rows: Iterable[Sequence[object]]) -> Iterator[Sequence[Any]]:
        """Yield the values of rows as `typed` returns them, without the messages."""
        known = self._types
        for row in rows:
            yield row if tuple(map(type, row)) in known else self.typed(row)[0]


def shown(value: object) -> str:
    """Return an odd value as shown in a message."""
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return repr(value)
    text = one_line(readable(value))
    text = text if len(text) <= LONGEST_ODD_VALUE else f"{text[:LONGEST_ODD_VALUE]}…"
    return f"'{text}'"
