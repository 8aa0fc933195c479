"""Create the tables, or bring them up to date: ``python -m NexusCore.storage.migrate``.

The only part that runs DDL. Needs the extra ``[setup]`` (SQLAlchemy, Alembic) and, on a server, a user that may create
tables; services and tools need neither.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from NexusCore import plugins, settings
from NexusCore.errors import NexusError, SchemaNewer
from NexusCore.resources import complain, reported, sentence_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage.database_file import mode_in, unusable
from NexusCore.storage.dialect import Dialect, dialect_of, with_names_quoted
from NexusCore.storage.hosts import Hosts
from NexusCore.storage.revision import MIGRATIONS, SCHEMA_REVISION

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config


class SetupMissing(NexusError):
    """The tables cannot be created: the package {package} is not installed. ./install.sh installs it, or in the
    project's folder: pip install -c Install/constraints.txt '.[setup]'
    """  # noqa: D205, D400  the docstring is the message


class MigrationFailed(NexusError):
    """The tables in the database at {where} could not be brought up to date: {reason}."""


def migrate(url: DatabaseURL | str, revision: str = "head") -> bool:
    """Bring the tables of a database to a revision; create a missing SQLite file. Return whether they are all new.

    On SQLite all of it happens or nothing. On a server the next run finishes a migration that was killed (see
    `NexusCore.storage.repeatable`). Concurrent threads and processes wait for each other.

    Parameters
    ----------
    url
        The database. On a server it must exist, and its user must be allowed to create tables.
    revision
        Alembic's name of the revision.

    Raises
    ------
    SetupMissing, SchemaNewer, DatabaseUnreachable, DatabaseBusy, DatabaseDenied, DatabaseRefused, MigrationFailed
        With a message that says what to do.
    """
    url = DatabaseURL.parse(url) if isinstance(url, str) else url
    try:
        import alembic.util
        import sqlalchemy
    except ImportError as error:
        raise SetupMissing(package=str(error.name).partition(".")[0]) from None
    from NexusCore.storage import migration_lock

    dialect = dialect_of(url)
    try:
        with migration_lock.among_threads(url):
            if url.kind == "sqlite":
                _make_folder(url)
                with migration_lock.on_file(url):
                    _create_file(url)
                    return _upgrade(url, dialect, revision)
            return _upgrade(url, dialect, revision)
    except sqlalchemy.exc.DBAPIError as error:
        raise dialect.translate(error.orig or error, str(url)) from error
    except dialect.errors as error:
        raise dialect.translate(error, str(url)) from error
    except alembic.util.CommandError as error:
        raise MigrationFailed(where=url, reason=error) from error


def _upgrade(url: DatabaseURL, dialect: Dialect, revision: str) -> bool:
    import sqlalchemy
    from alembic import command

    engine = sqlalchemy.create_engine(
        "sqlite://" if url.kind == "sqlite" else "mysql+mysqlconnector://",
        creator=lambda: _connect(dialect, url),
        poolclass=sqlalchemy.pool.NullPool,
    )
    if url.kind == "sqlite":
        # The driver does not begin a transaction for DDL, which SQLite would roll back, too.
        sqlalchemy.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        # Alembic does not commit a transaction that its caller began.
        with engine.begin() as connection:
            before = _known_revisions(connection, url)
            command.upgrade(config(connection), revision)
            _make_views(connection, url.kind)
            return not before
    finally:
        engine.dispose()


def _known_revisions(connection: sqlalchemy.Connection, url: DatabaseURL) -> tuple[str, ...]:
    """Return the revisions of a database's tables; refuse newer ones than this code knows."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config(connection)).walk_revisions()}
    heads = MigrationContext.configure(connection).get_current_heads()
    for head in heads:
        if head not in known:
            raise SchemaNewer(where=url, found=head, needed=SCHEMA_REVISION)
    return tuple(heads)


def config(connection: object) -> Config:
    """Return Alembic's configuration for one open connection."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["connection"] = connection
    return alembic


def _make_views(connection: sqlalchemy.Connection, kind: str) -> None:
    """Create the views again: they hold no data, so they need no migrations."""
    from NexusCore.storage.schema import views

    for name, written in views(kind).items():
        select = with_names_quoted(written)
        if kind == "sqlite":
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS `{name}`")
            connection.exec_driver_sql(f"CREATE VIEW `{name}` AS {select}")
        else:
            # In one statement, so that the view always exists.
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW `{name}` AS {select}".replace("%", "%%"))


def _connect(dialect: Dialect, url: DatabaseURL) -> Any:
    raw, _, _ = Hosts(url, dialect).connect(patient=True)
    if url.kind == "sqlite":
        return raw
    from NexusCore.storage import migration_lock

    try:
        migration_lock.on_server(raw, url)
        raw.autocommit = False
    except BaseException:
        raw.close()
        raise
    return raw


def _make_folder(url: DatabaseURL) -> None:
    try:
        Path(url.name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(url, error) from error


def _create_file(url: DatabaseURL) -> None:
    """Create the file if it does not exist, closed to others. In a folder shared by a group it keeps its mode."""
    import sqlite3

    path = Path(url.name)
    mode, new = mode_in(path.parent), False
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            new = True
        with suppress(OSError):
            if new or not mode & 0o060:
                path.chmod(mode)  # the umask may have taken away what the group needs
        with sqlite3.connect(path, timeout=10) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.close()
    except (OSError, sqlite3.Error) as error:
        raise unusable(url, error) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Migrate the databases named in the settings, or one given."""
    parser = argparse.ArgumentParser(
        prog="python -m NexusCore.storage.migrate",
        description="Create NexusCore's tables, or bring them up to date, in every database that the settings name, "
        "and declare the parameters that programs read from the configuration.",
    )
    parser.parse_args(argv)
    try:
        loaded = settings.load()
        for url in loaded.databases:
            created = migrate(url)
            print(f"The tables in {url} {'were created' if created else 'are up to date'}.")  # noqa: T201  this is a command
        plugins.after_migration(loaded.config)
    except NexusError as error:
        complain(sentence_of(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
