"""The tables in a database are those of `NexusCore.storage.schema`, however often they are set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from NexusCore.errors import SchemaMismatch
from NexusCore.settings import DatabaseURL
from NexusCore.storage import engine, migrate
from NexusCore.storage.dialect import dialect_of
from NexusCore.storage.schema import METADATA, views
from tests.mariadb import MariaDB
from tests.processes import rows, run


def connect(url: str) -> sqlalchemy.Engine:
    parsed = DatabaseURL.parse(url)
    dialect = dialect_of(parsed)
    name = "sqlite://" if parsed.kind == "sqlite" else "mysql+mysqlconnector://"
    return sqlalchemy.create_engine(
        name, creator=lambda: dialect.connect(parsed), poolclass=sqlalchemy.pool.NullPool
    )  # fmt: skip


def differences(url: str) -> list[Any]:
    """Return what Alembic would change to make the tables what the schema says, types included."""
    with connect(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))


class TestTheTablesAreThoseOfTheSchema:
    """The migrations lead to the schema, on every database."""

    def test_nothing_differs(self, database_url: str) -> None:
        assert differences(database_url) == []

    def test_the_revision_is_the_newest(self) -> None:
        """The code, the migrations and the schema speak of the same tables."""
        scripts = ScriptDirectory.from_config(migrate.config(None))
        assert scripts.get_heads() == [engine.SCHEMA_REVISION]

    def test_text_is_told_apart_by_case_and_accent(self, mariadb_url: str) -> None:
        """As on SQLite: what MariaDB calls utf8mb4_bin."""
        columns = rows(
            mariadb_url,
            """SELECT DISTINCT collation_name FROM information_schema.columns
                WHERE table_schema = DATABASE() AND collation_name IS NOT NULL
                  AND table_name NOT IN ('alembic_version', 'log_view', 'status_view', 'session_log')""",
        )
        assert columns == [("utf8mb4_bin",)]
        engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()"
        assert rows(mariadb_url, f"{engines} AND engine IS NOT NULL") == [("InnoDB",)]


class TestSettingUpAgain:
    """Running it again changes nothing, and costs nothing that is in the tables."""

    def test_rows_stay(self, database_url: str) -> None:
        before = rows(database_url, "SELECT * FROM config_parameter")
        assert before, "the default version names itself"
        for _ in range(2):
            migrate.migrate(database_url)
        assert rows(database_url, "SELECT * FROM config_parameter") == before
        assert differences(database_url) == []

    def test_older_tables_are_brought_up_to_date(self, tmp_path: Path, mariadb: MariaDB) -> None:
        """What is in them stays; a program that meets them before says what to do."""
        for url in (f"sqlite:///{tmp_path}/old.db", mariadb.create_database("old")):
            migrate.migrate(url, "0001")
            with pytest.raises(SchemaMismatch, match=r"revision 0001.*NexusCore\.storage\.migrate"):
                rows(url, "SELECT 1")
            with connect(url).connect() as connection:
                connection.exec_driver_sql("INSERT INTO status_channel (name) VALUES ('kept')")
                connection.commit()
            migrate.migrate(url)
            assert differences(url) == []
            assert rows(url, "SELECT name FROM status_channel") == [("kept",)]
        mariadb.drop_database("old")

    def test_as_a_command(self, database_url: str, tmp_path: Path) -> None:
        program = "import sys; from NexusCore.storage.migrate import main; sys.exit(main([]))"
        printed = run(program, main=database_url, home=tmp_path)
        assert printed == f"The tables in {DatabaseURL.parse(database_url)} are up to date.\n"
        assert "tester:tester" not in printed

    def test_what_is_there_from_the_start(self, database_url: str) -> None:
        """003-18."""
        parameters = "SELECT path, value, datatype FROM config_parameter"
        assert ("default_version", "default", "string") in rows(database_url, parameters)
        assert rows(database_url, "SELECT name FROM config_version") == [("default",)]


class TestViews:
    """`log_view`, `status_view` and `session_log` can be read by someone with an SQL client."""

    @pytest.mark.parametrize("view", sorted(views("sqlite")))
    def test_each(self, database_url: str, view: str) -> None:
        assert rows(database_url, f"SELECT * FROM {view}") == []
