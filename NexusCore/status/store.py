"""Status in the database: storing changes, and reading current values and history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from NexusCore.clock import EARLIEST, LATEST, SECOND
from NexusCore.status.names import Channels, learn
from NexusCore.storage import Database, Transaction
from NexusCore.storage.pagination import PagePosition, Search, Strand, read
from NexusCore.storage.patterns import LIKE_ESCAPE, escape_like
from NexusCore.storage.payloads import Payloads
from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Columns, optional
from NexusCore.tail import TailSource

_ITEMS = """
    SELECT c.`name`, i.`name`, i.`id` FROM `status_item` i JOIN `status_channel` c ON c.`id` = i.`channel_id`
     WHERE {}
"""

_CHANGE_SOURCE = """
    (SELECT c.name FROM status_item i JOIN status_channel c ON c.id = i.channel_id WHERE i.id = t.item_id),
    (SELECT i.name FROM status_item i WHERE i.id = t.item_id),
    t.value, t.expires
"""
EVERY = Channels(prefixes=("",))
FEW_ITEMS = 30
"""Up to this many items are looked up one by one; for more, all changes are filtered."""
REMOVED_TOGETHER = 1000
"""Changes that are deleted in one transaction, which delays others."""

_LATEST = """
    -- current values, without reading the history
    SELECT c.name, i.name, l.value, l.ts, l.expires, 0
      FROM status_latest l
      JOIN status_item i ON i.id = l.item_id
      JOIN status_channel c ON c.id = i.channel_id
     WHERE {}
     ORDER BY c.name, i.name
"""

_CONTAINING = """
    -- changes of some channels whose value contains a text, in the order in which they were stored
    SELECT c.name, i.name, t.value, t.ts, t.expires, t.id
      FROM status_channel c
      JOIN status_item i ON i.channel_id = c.id
      JOIN status_sample t ON t.item_id = i.id
     WHERE c.name IN ({}) AND t.ts >= :since AND t.value LIKE :wanted {}
     ORDER BY t.id
"""


_OLDEST = """
    -- the oldest changes before a time
    SELECT id FROM status_sample WHERE ts < :before ORDER BY ts LIMIT :count
"""


@dataclass(frozen=True, slots=True)
class StatusSample:
    """A value of a status element at a time."""

    channel: str
    name: str
    value: str | None
    ts: int
    """Microseconds since the epoch, UTC."""
    expires: int | None
    """When the value counts as stale, in the same unit; None for never."""
    id: int = 0
    """Number of the change in the database; 0 where it is not known."""


def short_line(sample: StatusSample) -> str:
    """Return a sample as one line, in local time: ``Tue Aug 2 11:44:23 2016 [UnitTest] runner4 = 98``."""
    date = "unreadable time"
    if EARLIEST <= sample.ts < LATEST:
        when = time.localtime(sample.ts // SECOND)
        date = f"{time.strftime('%a %b', when)} {when.tm_mday} {time.strftime('%H:%M:%S %Y', when)}"
    return f"{date} [{sample.channel}] {sample.name} = {sample.value}"


STATUS_CHANNEL = Columns("status_channel", {"id": WHOLE, "name": TEXT})
STATUS_ITEM = Columns("status_item", {"id": WHOLE, "channel_id": WHOLE, "name": TEXT})
STATUS_SAMPLE = Columns(
    "status_sample", {"id": WHOLE, "item_id": WHOLE, "ts": TIME, "value": optional(TEXT), "expires": optional(DUE)}
)
STATUS_LATEST = Columns("status_latest", STATUS_SAMPLE.only("item_id", "ts", "value", "expires").columns)

_SAMPLE_COLUMNS = Columns(
    "status_sample",
    {"channel": TEXT, "name": TEXT, "value": optional(TEXT), "ts": TIME, "expires": optional(DUE), "id": WHOLE},
)


def _sample(row: Sequence[object]) -> StatusSample:
    values, _ = _SAMPLE_COLUMNS.typed(row)
    return StatusSample(*values)


_Change = tuple[int, str, str, str | None, int | None]
"""Time, channel, item, value and expiry, as stored in the journal."""


class StatusSink:
    """Puts changes from a journal into `status_sample` and `status_latest`."""

    table = "status_sample"

    def __init__(self) -> None:
        self._payloads: Payloads[_Change] = Payloads(_Change)
        self._items: dict[tuple[str, str], int] = {}

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Create new channels and items, and get their ids."""
        unknown = {(channel, name) for _, channel, name, _, _ in self._changes(payloads)} - self._items.keys()
        if unknown:
            self._items |= learn(database, unknown)

    def _changes(self, payloads: Sequence[bytes]) -> Sequence[_Change]:
        changes = self._payloads.rows(payloads)
        return changes if changes is not None else [self._payloads.decode(payload) for payload in payloads]

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the changes; the last one of each item becomes its current value."""
        items = self._items
        rows = [
            (items[channel, name], ts, value, expires) for ts, channel, name, value, expires in self._changes(payloads)
        ]
        columns = ("item_id", "ts", "value", "expires")
        transaction.insert_many("status_sample", columns, rows)
        # In the order of items, so that processes writing the same ones wait for each other instead of deadlocking.
        latest = sorted({row[0]: row for row in rows}.values())
        # In order of arrival, since the clock may have been set back; but changes of a dead process are delivered after
        # those of its successor, so there the time decides.
        transaction.upsert("status_latest", columns, ("item_id",), latest, newer="ts" if left_behind else None)

    def forget(self) -> None:
        """Forget the ids of items: in restored tables they may belong to other items."""
        self._items.clear()

    def expendable(self, payload: bytes) -> bool:
        """Return True: any value may be dropped, since newer ones replace it."""
        return True


def latest(database: Database, channels: Channels = EVERY) -> list[StatusSample]:
    """Return the newest value of every item, or of those of some channels."""
    condition, values = channels.condition("c.`name`")
    with database.reading() as reading:
        return [_sample(row) for row in reading.all(_LATEST.format(condition), **values)]


def changes(
    database: Database,
    *,
    channels: Channels = EVERY,
    wanted: Callable[[str, str], bool] | None = None,
    since: int | None = None,
    until: int | None = None,
    behind: PagePosition | None = None,
) -> Iterator[StatusSample]:
    """Yield the stored changes in the order of their times.

    Parameters
    ----------
    database
        Where to look.
    channels
        Of which channels.
    wanted
        Returns whether an item, given by channel and name, is wanted; all are if not given.
    since, until
        First and last time, in microseconds since the epoch.
    behind
        Continue after the change with this time and id.
    """
    strands: tuple[Strand, ...] = (Strand("ix_status_sample_ts"),)
    condition = ""
    if wanted is not None or channels != EVERY:
        items = _items(database, channels, wanted)
        if len(items) <= FEW_ITEMS:
            index, place = "ix_status_sample_item_id_ts", "t.item_id = :of_item"
            strands = tuple(Strand(index, place, {"of_item": item}) for item in items)
        else:
            condition = f"t.item_id IN ({', '.join(map(str, items))})"
    search = Search("status_sample", _CHANGE_SOURCE, strands, condition, since=since, until=until)
    for ts, number, channel, name, value, expires in read(database, search, behind=behind):
        yield _sample((channel, name, value, ts, expires, number))


def containing(database: Database, channels: Sequence[str], text: str, since: int) -> list[StatusSample]:
    """Return the changes whose value contains a text.

    Parameters
    ----------
    database
        Where the status is.
    channels
        Names of the channels to search.
    text
        What the value must contain.
    since
        First time, in microseconds since the epoch.
    """
    names: dict[str, object] = {f"channel_{number}": name for number, name in enumerate(channels)}
    sql = _CONTAINING.format(", ".join(f":{name}" for name in names), LIKE_ESCAPE)
    with database.reading() as reading:
        rows = reading.all(sql, since=since, wanted=f"%{escape_like(text)}%", **names)
    return list(map(_sample, rows))


def remove(database: Database, before: int) -> Iterator[int]:
    """Delete the changes before a time, oldest first; yield how many were deleted after each transaction.

    The current values stay. The transactions are short, so that writers are not delayed.
    """

    def delete(transaction: Transaction) -> int:
        # By their keys: a range would lock what others are about to insert.
        numbers = transaction.all(_OLDEST, before=before, count=REMOVED_TOGETHER)
        if not numbers:
            return 0
        ids = ", ".join(str(int(number)) for (number,) in numbers)
        return transaction.run(f"DELETE FROM status_sample WHERE id IN ({ids})")  # noqa: S608  numbers

    gone = 0
    while deleted := database.write(delete):
        gone += deleted
        yield gone


def _items(database: Database, channels: Channels, wanted: Callable[[str, str], bool] | None) -> list[int]:
    condition, values = channels.condition("c.`name`")
    with database.reading() as reading:
        known = reading.all(_ITEMS.format(condition), **values)
    return [item for channel, name, item in known if wanted is None or wanted(channel, name)]


def arriving(channels: Channels = EVERY) -> TailSource[StatusSample]:
    """Return the source for a `NexusCore.tail.Tail` of all changes, or those of some channels."""
    condition, values = channels.condition("c.`name`")
    return TailSource(
        table="status_sample",
        columns="c.name, i.name, t.value, t.ts, t.expires, t.id",
        join="JOIN status_item i ON i.id = t.item_id JOIN status_channel c ON c.id = i.channel_id",
        make=_sample,
        condition=condition,
        values=values,
    )
