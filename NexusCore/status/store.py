"""Status in the database: how changes get in, and how a reader finds what is now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from NexusCore.clock import SECOND
from NexusCore.storage import Database, Transaction
from NexusCore.storage.history import Place, Search, Strand, read
from NexusCore.tail import Source

_ITEMS = """
    -- the items of a channel
    SELECT i.name, i.id FROM status_item i JOIN status_channel c ON c.id = i.channel_id WHERE c.name = :channel
"""

_ALL_ITEMS = """
    SELECT c.name, i.name, i.id FROM status_item i JOIN status_channel c ON c.id = i.channel_id
"""

_CHANGE = """
    (SELECT c.name FROM status_item i JOIN status_channel c ON c.id = i.channel_id WHERE i.id = t.item_id),
    (SELECT i.name FROM status_item i WHERE i.id = t.item_id),
    t.value, t.expires
"""
FEW = 30
"""Items whose changes are looked up one by one; those of more are picked out of all."""

_LATEST = """
    -- what is now, without reading history
    SELECT c.name, i.name, l.value, l.ts, l.expires
      FROM status_latest l
      JOIN status_item i ON i.id = l.item_id
      JOIN status_channel c ON c.id = i.channel_id
     ORDER BY c.name, i.name
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
    """Return a sample as one line, in local time: ``Tue Aug 2 11:44:23 2016 [UnitTest] runner4 = 98`` (003-52)."""
    when = time.localtime(sample.ts // SECOND)
    date = f"{time.strftime('%a %b', when)} {when.tm_mday} {time.strftime('%H:%M:%S %Y', when)}"
    return f"{date} [{sample.channel}] {sample.name} = {sample.value}"


class StatusSink:
    """Puts changes from a journal into `status_sample` and `status_latest`."""

    def __init__(self) -> None:
        import msgspec  # here, since who only reads status does without it

        self._decode = msgspec.msgpack.Decoder(tuple).decode
        self._items: dict[tuple[str, str], int] = {}

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Make the channels and items that are new, and learn their ids."""
        unknown = {(channel, name) for _, channel, name, _, _ in map(self._decode, payloads)} - self._items.keys()
        for channel in sorted({channel for channel, _ in unknown}):
            names = sorted(name for one, name in unknown if one == channel)
            self._learn(database, channel, names)

    def _learn(self, database: Database, channel: str, names: Sequence[str]) -> None:
        def learn(transaction: Transaction) -> list[tuple[str, int]]:
            known: dict[str, int] = dict(transaction.all(_ITEMS, channel=channel))
            missing = [name for name in names if name not in known]
            if missing:
                transaction.insert_new("status_channel", ("name",), [(channel,)])
                row = transaction.one("SELECT id FROM status_channel WHERE name = :channel", channel=channel)
                assert row is not None, "the channel was made just now"  # noqa: S101
                rows = [(row[0], name) for name in missing]
                transaction.insert_new("status_item", ("channel_id", "name"), rows)
                known = dict(transaction.all(_ITEMS, channel=channel))
            return [(name, known[name]) for name in names]

        # Only after the commit: an id of a transaction that was rolled back must not be remembered.
        self._items.update({(channel, name): item for name, item in database.write(learn)})

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the changes; the last of each item becomes what is now."""
        rows = [
            (self._items[channel, name], ts, value, expires)
            for ts, channel, name, value, expires in map(self._decode, payloads)
        ]
        columns = ("item_id", "ts", "value", "expires")
        transaction.insert_many("status_sample", columns, rows)
        # In the order of items, so that processes writing the same ones wait for each other instead of deadlocking.
        latest = sorted({row[0]: row for row in rows}.values())
        # By the order of arrival, since the clock may have been set back; but what a dead process left is delivered
        # after what its successor said, so there the time decides.
        transaction.upsert("status_latest", columns, ("item_id",), latest, newer="ts" if left_behind else None)

    def forget(self) -> None:
        """Forget the items' ids: in tables restored from a copy, they may be other items'."""
        self._items.clear()

    def expendable(self, payload: bytes) -> bool:
        """Let the oldest values go: a newer one tells what is."""
        return True


def latest(database: Database) -> list[StatusSample]:
    """Return the newest value of every item."""
    with database.reading() as reading:
        return [StatusSample(*row) for row in reading.all(_LATEST)]


def changes(
    database: Database,
    *,
    wanted: Callable[[str, str], bool] | None = None,
    since: int | None = None,
    until: int | None = None,
    behind: Place | None = None,
) -> Iterator[StatusSample]:
    """Yield the changes there were, in the order of their times.

    Parameters
    ----------
    database
        Where to look.
    wanted
        Tells by channel and name which items are; all if not given.
    since, until
        First and last time, in microseconds since the epoch.
    behind
        Go on behind the change of this time and id.
    """
    strands: tuple[Strand, ...] = (Strand("ix_status_sample_ts"),)
    condition = ""
    if wanted is not None:
        with database.reading() as reading:
            items = [item for channel, name, item in reading.all(_ALL_ITEMS) if wanted(channel, name)]
        if len(items) <= FEW:
            index, place = "ix_status_sample_item_id_ts", "t.item_id = :of_item"
            strands = tuple(Strand(index, place, {"of_item": item}) for item in items)
        else:
            condition = f"t.item_id IN ({', '.join(map(str, items))})"
    search = Search("status_sample", _CHANGE, strands, condition, since=since, until=until)
    for ts, number, channel, name, value, expires in read(database, search, behind=behind):
        yield StatusSample(channel, name, value, ts, expires, number)


def arriving() -> Source[StatusSample]:
    """Return what a `NexusCore.tail.Tail` needs to hand out every change."""
    return Source(
        table="status_sample",
        columns="c.name, i.name, t.value, t.ts, t.expires, t.id",
        join="JOIN status_item i ON i.id = t.item_id JOIN status_channel c ON c.id = i.channel_id",
        make=lambda row: StatusSample(*row),
    )
