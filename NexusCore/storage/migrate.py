"""Create the tables, or bring them up to date: ``python -m NexusCore.storage.migrate``.

The only part that runs DDL. Needs the extra ``[setup]`` (SQLAlchemy, Alembic) and, on a server, a user that may create
tables; services and tools need neither.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from NexusCore import settings
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.settings import DatabaseURL
from NexusCore.storage.dialect import dialect_of

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")


class SetupMissing(NexusError):
    """The tables cannot be created: the package {package} is not installed. ./install.sh installs it, or in the
    project's folder: pip install '.[setup]'
    """  # noqa: D205, D400  the docstring is the message


def migrate(url: DatabaseURL | str, revision: str = "head") -> None:
    """Bring the tables of a database to a revision; a SQLite file is made if it isn't there.

    Parameters
    ----------
    url
        The database. On a server it must exist, and its user must be allowed to create tables.
    revision
        Alembic's name of the revision.

    Raises
    ------
    SetupMissing, DatabaseUnreachable, DatabaseDenied, DatabaseRefused
        With a sentence that says what to do.
    """
    url = DatabaseURL.parse(url) if isinstance(url, str) else url
    try:
        import sqlalchemy
        from alembic import command
    except ImportError as error:
        raise SetupMissing(package=error.name) from None
    dialect = dialect_of(url)
    if url.kind == "sqlite":
        _create_file(url)
    engine = sqlalchemy.create_engine(
        "sqlite://" if url.kind == "sqlite" else "mysql+mysqlconnector://",
        creator=lambda: _connect(dialect, url),
        poolclass=sqlalchemy.pool.NullPool,
    )
    try:
        with engine.connect() as connection:
            command.upgrade(config(connection), revision)
            _make_views(connection, url.kind)
            connection.commit()
    except sqlalchemy.exc.DBAPIError as error:
        raise dialect.translate(error.orig or error, str(url)) from error
    finally:
        engine.dispose()


def config(connection: object) -> Config:
    """Return Alembic's configuration for one open connection."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["connection"] = connection
    return alembic


def _make_views(connection: sqlalchemy.Connection, kind: str) -> None:
    """Make the views anew: they hold nothing, so they need no migrations."""
    from sqlalchemy import text

    from NexusCore.storage.schema import views

    for name, select in views(kind).items():
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}".replace("%", "%%" if kind == "mysql" else "%"))


def _connect(dialect: Any, url: DatabaseURL) -> Any:
    try:
        raw = dialect.connect(url)
    except dialect.errors as error:
        raise dialect.translate(error, str(url)) from error
    if url.kind == "mysql":
        raw.autocommit = False
    return raw


def _create_file(url: DatabaseURL) -> None:
    import sqlite3

    path = Path(url.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path, timeout=10) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.close()
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnreachable(where=url, reason=error) from error
    with suppress(OSError):
        path.chmod(0o600)


def main(argv: Sequence[str] | None = None) -> int:
    """Migrate the databases named in the settings, or one given."""
    parser = argparse.ArgumentParser(
        prog="python -m NexusCore.storage.migrate",
        description="Create NexusCore's tables, or bring them up to date, in every database that the settings name.",
    )
    parser.parse_args(argv)
    try:
        for url in settings.load().databases:
            migrate(url)
            print(f"The tables in {url} are up to date.")  # noqa: T201  this is a command
    except NexusError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
