"""What the tests of the tools share: a facility whose database the tools find by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.status.store import StatusSink
from NexusCore.storage import Database, open_database


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Lend the database that the tools find, on each kind."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
    monkeypatch.setenv("TZ", "UTC")
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def embedded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Lend a database for what does not depend on its kind."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    monkeypatch.setenv("TZ", "UTC")
    opened = open_database(sqlite_url)
    yield opened
    opened.close()


def configure(database: Database, *edits: Edit) -> None:
    """Make changes of the configuration, as somebody else."""
    store = ConfigStore(database, SYSTEM_CLOCK)
    store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test", "to begin with"))


def log(
    database: Database,
    message: str,
    *,
    level: int = 20,
    logger: str = "Builder",
    module: str = "build",
    line: int = 7,
    ts: int | None = None,
    traceback: str | None = None,
    session: str | None = None,
    host: str = "desk",
) -> None:
    """Put one line of log into the database, in a transaction of its own."""
    row = (
        SYSTEM_CLOCK.now() if ts is None else ts, level, logger, module, line, "work", host, 1, "MainThread", message,
        traceback, session,
    )  # fmt: skip
    with database.transaction() as transaction:
        transaction.insert_many("log_record", LOG_COLUMNS, [row])


def report(database: Database, *changes: tuple[int, str, str, str | None, int | None]) -> None:
    """Put changes into the database: time, channel, name, value, expiry."""
    payloads = [msgspec.msgpack.encode(change) for change in changes]
    sink = StatusSink()
    sink.prepare(database, payloads)
    with database.transaction() as transaction:
        sink.write(transaction, payloads)


@pytest.fixture
def logged(database: Database) -> Database:
    """Lend a database with log lines of several kinds."""
    log(database, "looking for files", level=10)
    log(database, "Session ended at Titan", session="s-1")
    log(database, "50% of Titan's files are done", level=30, session="s-1", module="record")
    log(database, "Timeout at the Titan", level=40, logger="Harvester", module="ical", host="pc")
    log(database, "Ended", logger="Uploader")
    return database
