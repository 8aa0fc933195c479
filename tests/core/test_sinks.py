"""Records in batches, odd ones among them: each becomes the row that it would become by itself, or is set aside."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from NexusCore.delivery.refused import side_file
from NexusCore.log.store import LOG_COLUMNS, LogSink
from NexusCore.status import names
from NexusCore.storage import Database, open_database
from tests.journals import folder_of, leave, log_payload, status_payload
from tests.processes import adopt, app_on, ended, line_of, messages, rows, samples, start, tell

_encode = msgspec.msgpack.encode
PLAIN = (1_700_000_000_000_000, 20, "logger", "module", 7, "f", "host", 1, "thread", "message", None, None)


def with_(**fields: Any) -> bytes:
    """Return a record of the log with some fields of another kind."""
    return _encode(tuple(fields.get(column, value) for column, value in zip(LOG_COLUMNS, PLAIN, strict=True)))


ODD = (
    with_(level=True, line=False),
    with_(function=None, pid=None, thread=None),
    with_(logger="l" * 300, module="\U0001f52c" * 129, function="é" * 128, host="", thread="t" * 129),
    with_(session="s" * 300, traceback="t" * 300),
    with_(message="\x00 \U0001f52c delimiter ; it's"),
    with_(message=""),
    with_(message="x" * 200_000, traceback="\U0001f52c" * 1000),
    with_(ts=-(2**62), pid=2**31 - 1, level=-5),
)
BROKEN = {
    "nothing": b"",
    "no MessagePack": b"\xc1",
    "cut at its end": log_payload("cut")[:-1],
    "cut": log_payload("cut")[:9],
    "with something behind it": log_payload("x") + b"\xc0",
    "a field short": _encode(PLAIN[:-1]),
    "a number": _encode(7),
}
STORED = f"SELECT {', '.join(LOG_COLUMNS)} FROM log_record ORDER BY id"


def written(database: Database, batches: list[list[bytes]]) -> list[tuple[Any, ...]]:
    """Return what the table holds after these batches, and empty it."""
    sink = LogSink()
    with database.transaction() as transaction:
        for batch in batches:
            sink.write(transaction, batch)
        found = transaction.all(STORED)
        transaction.run("DELETE FROM log_record")
    return found


class TestRecordsOfTheLog:
    """The batch that a record comes in makes no difference."""

    def test_odd_ones_among_others(self, database_url: str) -> None:
        database = open_database(database_url)
        chance = random.Random(7)
        payloads = [log_payload(f"{number}") for number in range(300)]
        for odd in ODD:
            payloads.insert(chance.randrange(300), odd)
        together = written(database, [payloads])
        assert together == written(database, [[payload] for payload in payloads])
        assert len(together) == 300 + len(ODD)
        lengths = {
            column: len(row[place])
            for place, column in enumerate(LOG_COLUMNS)
            for row in written(database, [[ODD[2]]])
            if column in ("logger", "module", "function", "thread")
        }
        assert lengths == {"logger": 128, "module": 128, "function": 128, "thread": 128}

    @pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
    def test_one_that_is_none(self, database_url: str, tmp_path: Path, broken: bytes) -> None:
        """It is found by halves and set aside; all others arrive once and in order."""
        app = app_on(database_url, tmp_path / "home")
        folder = folder_of(app, "log")
        payloads = [log_payload(f"{number}") for number in range(100)]
        payloads.insert(61, broken)
        name = leave(folder, payloads)
        app.shutdown(5)
        adopt(database_url, tmp_path / "home")
        assert messages(database_url, "dead") == [f"{number}" for number in range(100)]
        assert side_file(folder, name).exists()


LEARN = """
import json, os, random, sys
from NexusCore.status import names
from NexusCore.storage import open_database
database = open_database(os.environ["NEXUSCORE_DATABASE"])
with database.reading() as reading:
    reading.one("SELECT 1")
wanted = [(f"channel {n % 40}", f"item {n}") for n in range(1200)]
mine = random.Random(int(sys.argv[1])).sample(wanted, 900)
print("ready", flush=True)
sys.stdin.readline()
found = names.learn(database, mine)
print(json.dumps([(item, channel, name) for (channel, name), item in found.items()]))
"""


class TestNewItems:
    """Many new names in one batch."""

    def test_several_processes_make_the_same(self, database_url: str, tmp_path: Path) -> None:
        processes = [start(LEARN, number, main=database_url, home=tmp_path / "home") for number in range(3)]
        for process in processes:
            assert line_of(process) == "ready"
        for process in processes:
            tell(process)
        learned = [{tuple(item) for item in json.loads(ended(process))} for process in processes]
        stored = "SELECT i.id, c.name, i.name FROM status_item i JOIN status_channel c ON c.id = i.channel_id"
        there = set(rows(database_url, stored))
        for found in learned:
            assert len(found) == 900
            assert there.issuperset(found)
        assert len({(channel, name) for _, channel, name in there}) == len(there)

    def test_another_process_puts_an_item_into_a_channel_that_was_just_made(self, database_url: str) -> None:
        database, other = open_database(database_url), open_database(database_url)
        wanted = {("new", f"item {number}") for number in range(5)}
        theirs: list[dict[names.Name, int]] = []

        class Overtaken(Database):
            def write(self, work: Any, **how: Any) -> Any:
                result = super().write(work, **how)
                if not theirs:
                    theirs.append(names.learn(other, {("new", "item 3"), ("new", "their own")}))
                return result

        found = names.learn(Overtaken(database.url), wanted)
        assert found.keys() == wanted
        assert found["new", "item 3"] == theirs[0]["new", "item 3"]
        assert len(rows(database_url, "SELECT id FROM status_item")) == 6

    def test_names_that_a_server_takes_for_the_same(self, database_url: str, tmp_path: Path) -> None:
        """Spaces at the end of a name count on SQLite alone. Such names are refused, and hold up no neighbour."""
        app = app_on(database_url, tmp_path / "home")
        numbers = range(60)
        payloads = [status_payload(f"item {number}", f"{number}") for number in numbers]
        payloads.insert(20, status_payload("item 7 ", "with a space"))
        payloads.insert(40, _encode((PLAIN[0], "dead ", "item 1", "channel with a space", None)))
        leave(folder_of(app, "status"), payloads)
        app.shutdown(5)
        adopt(database_url, tmp_path / "home")
        assert [value for _, value in samples(database_url, "dead") if "space" not in value] == [
            f"{n}" for n in numbers
        ]
        refused = list((tmp_path / "home/journal").rglob("*.refused"))
        assert len(refused) == (0 if database_url.startswith("sqlite") else 1)
