"""A SQLite file of this computer, shared by its users: the outbox, and what is known about files.

Promises
--------
* A damaged file is put aside and never deleted; a new one is begun. One of a newer logger is left alone.
* Nothing is open between two transactions.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping

BUSY_SECONDS = 10.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileFormat:
    """The tables of such a file."""

    version: int
    tables: str
    """Statements that make them, with semicolons."""
    upgrades: Mapping[int, str] = field(default_factory=dict)
    """By an earlier version: the statements that lead from it to the next one."""
    what: str = "file of this computer"
    """What it is, in the sentences about it."""
    durable: bool = True
    """Whether each transaction is on the disk when it ends; otherwise the last ones may be lost with the power."""
    checked_always: bool = True
    """Whether it is checked each time that it is opened, as a small one can be; otherwise once by each program."""


class LocalFileError(Exception):
    """The file cannot be used; the text is a sentence for the user."""


class LocalFile:
    """A SQLite file.

    Parameters
    ----------
    path
        Its place; folders are created.
    format_
        Its tables.
    error
        What is raised if it cannot be used.
    """

    def __init__(self, path: Path, format_: FileFormat, error: type[LocalFileError] = LocalFileError) -> None:
        self.path = path
        self._format = format_
        self._error = error
        self._checked = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a transaction, which is committed at the end unless an exception passes.

        Raises
        ------
        LocalFileError
            If the file cannot be used.
        """
        try:
            with closing(self._open()) as database:
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                    database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise self._error(
                f"The {self._format.what}, {self.path}, cannot be used ({error}). Tell the facility's staff."
            ) from error

    # -- private -------------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        new = not self.path.exists()
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        database = self._connect()
        try:
            self._prepare(database)
        except sqlite3.DatabaseError as error:
            database.close()
            if isinstance(error, sqlite3.OperationalError):  # busy, read-only, full, newer: the file itself is right
                raise
            self._put_aside(error)
            database = self._connect()
            self._prepare(database)
        if new:
            share(self.path)
        return database

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self.path), BUSY_SECONDS, isolation_level=None)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute(f"PRAGMA synchronous = {'EXTRA' if self._format.durable else 'NORMAL'}")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > self._format.version:
            raise sqlite3.OperationalError(f"it is of a newer logger, with format {version}")
        if version < self._format.version:
            self._upgrade(database)
        if self._format.checked_always or not self._checked:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            self._checked = True

    def _upgrade(self, database: sqlite3.Connection) -> None:
        """Make the tables, or lead those of an earlier version up to ours, in one transaction."""
        database.execute("BEGIN IMMEDIATE")
        version = database.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
        if version == 0:
            _run(database, self._format.tables)
        for number in range(version or self._format.version, self._format.version):
            _run(database, self._format.upgrades[number])
        if version < self._format.version:
            database.execute(f"PRAGMA user_version = {self._format.version}")
        database.execute("COMMIT")

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        self.path.replace(aside)
        _LOG.error("The %s was damaged (%s). It is kept as %s.", self._format.what, error, aside)


def share(path: Path) -> None:
    """Let all users of this computer write a file and its folder; on Windows, ProgramData gives such rights."""
    if os.name == "nt":
        return
    everybody = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
    for target, mode in ((path, everybody & ~0o111), (path.parent, everybody)):
        with suppress(OSError):  # another user's; it was shared when it was made
            target.chmod(mode)


def _run(database: sqlite3.Connection, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        database.execute(statement)
