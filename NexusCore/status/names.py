"""Channels and items by name: creating new ones, many at once, and selecting those a reader wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from NexusCore.storage import Database, Transaction
from NexusCore.storage.patterns import LIKE_ESCAPE, escape_like, marks

NAMES_PER_STATEMENT = 500
"""Names in one statement."""

Name = tuple[str, str]
"""Channel and item."""
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Channels:
    """Which channels a reader wants."""

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """How their names begin. A reader that needs exact case must check again: not every database compares it."""

    def condition(self, column: str) -> tuple[str, dict[str, object]]:
        """Return the SQL condition on a channel's name, and its values."""
        if "" in self.prefixes:
            return "1 = 1", {}
        placeholders, values = marks("channel", self.names)
        parts = [f"{column} IN ({placeholders})"] if self.names else []
        for number, prefix in enumerate(self.prefixes):
            parts.append(f"{column} LIKE :prefix_{number} {LIKE_ESCAPE}")
            values[f"prefix_{number}"] = f"{escape_like(prefix)}%"
        return f"({' OR '.join(parts)})" if parts else "1 = 0", values


def learn(database: Database, wanted: Collection[Name]) -> dict[Name, int]:
    """Return the ids of items, created if they do not exist.

    Existing items are looked up without locks, so that processes that report the same ones block each other only for
    new items; these are created in the order of their names, so that no two processes deadlock.
    """
    names = sorted({channel for channel, _ in wanted})
    channels = _look_up(database, names, _channels)
    if missing := [name for name in names if name not in channels]:
        database.write(partial(_add, "status_channel", ("name",), [(name,) for name in missing]))
        # Only after the commit: an id of a transaction that was rolled back must not be remembered.
        channels |= _look_up(database, missing, _channels)
    pairs = sorted((channels[channel], name) for channel, name in wanted)
    # Another process may have added items to a new channel meanwhile; adding them again is harmless.
    new = {channels[name] for name in missing}
    items = _look_up(database, [pair for pair in pairs if pair[0] not in new], _items)
    if absent := [pair for pair in pairs if pair not in items]:
        database.write(partial(_add, "status_item", ("channel_id", "name"), absent))
        items |= _look_up(database, sorted(new), _items_of_channels)
        items |= _look_up(database, [pair for pair in absent if pair[0] not in new], _items)
    return {(channel, name): items[channels[channel], name] for channel, name in wanted}


def _look_up(
    database: Database, keys: Sequence[K], find: Callable[[Transaction, Sequence[K]], dict[T, int]]
) -> dict[T, int]:
    ids: dict[T, int] = {}
    rest = iter(keys)
    while some := list(islice(rest, NAMES_PER_STATEMENT)):
        with database.reading() as reading:
            ids |= find(reading, some)
    return ids


def _add(table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]], transaction: Transaction) -> None:
    transaction.insert_new(table, columns, rows)


def _channels(reading: Transaction, names: Sequence[str]) -> dict[str, int]:
    placeholders, values = marks("name", names)
    rows = reading.all(
        f"SELECT `name`, `id` FROM `status_channel` WHERE `name` IN ({placeholders})",  # noqa: S608  placeholders
        **values,
    )
    return {str(name): int(number) for name, number in rows}


def _items(reading: Transaction, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], int]:
    by_channel: dict[int, list[str]] = {}
    for channel, name in pairs:
        by_channel.setdefault(channel, []).append(name)
    parts: list[str] = []
    values: dict[str, object] = {}
    for channel, names in by_channel.items():
        placeholders, some = marks(f"of_{channel}", names)
        parts.append(f"(`channel_id` = {channel} AND `name` IN ({placeholders}))")
        values |= some
    return _select_items(reading, " OR ".join(parts), values)


def _items_of_channels(reading: Transaction, channels: Sequence[int]) -> dict[tuple[int, str], int]:
    """Return all items of channels; for new channels that is quicker than asking for each item."""
    return _select_items(reading, f"`channel_id` IN ({', '.join(map(str, channels))})", {})


def _select_items(reading: Transaction, condition: str, values: dict[str, object]) -> dict[tuple[int, str], int]:
    rows = reading.all(
        f"SELECT `channel_id`, `name`, `id` FROM `status_item` WHERE {condition}",  # noqa: S608  placeholders, numbers
        **values,
    )
    return {(int(channel), str(name)): int(number) for channel, name, number in rows}
