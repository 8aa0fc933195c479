"""The tables in a database are those of `NexusCore.storage.schema`, however often they are set up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from NexusCore.errors import EXIT_REFUSED, SchemaMismatch, SchemaNewer
from NexusCore.settings import DatabaseURL
from NexusCore.storage import migrate
from NexusCore.storage.revision import SCHEMA_REVISION
from NexusCore.storage.schema import views
from tests.core.tables import connect, differences
from tests.processes import LIMIT, PROJECT, environment_of, execute, rows, run
from tests.server import Server


class TestTheTablesAreThoseOfTheSchema:
    """The migrations lead to the schema, on every database."""

    def test_migrated_tables_equal_the_schema(self, database_url: str) -> None:
        assert differences(database_url) == []

    def test_the_revision_is_the_newest(self) -> None:
        """The code, the migrations and the schema speak of the same tables."""
        scripts = ScriptDirectory.from_config(migrate.config(None))
        assert scripts.get_heads() == [SCHEMA_REVISION]

    def test_text_differs_by_case_and_accent(self, server_database_url: str) -> None:
        """As on SQLite: what MariaDB calls utf8mb4_bin."""
        columns = rows(
            server_database_url,
            """SELECT DISTINCT collation_name FROM information_schema.columns
                WHERE table_schema = DATABASE() AND collation_name IS NOT NULL
                  AND table_name NOT IN ('alembic_version', 'log_view', 'status_view', 'session_log')""",
        )
        assert columns == [("utf8mb4_bin",)]
        engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()"
        assert rows(server_database_url, f"{engines} AND engine IS NOT NULL") == [("InnoDB",)]


class TestSettingUpAgain:
    """Running it again changes nothing, and costs nothing that is in the tables."""

    def test_existing_rows_stay(self, database_url: str) -> None:
        before = rows(database_url, "SELECT * FROM config_parameter")
        assert before, "the default version names itself"
        for _ in range(2):
            migrate.migrate(database_url)
        assert rows(database_url, "SELECT * FROM config_parameter") == before
        assert differences(database_url) == []

    def test_older_tables_are_brought_up_to_date(self, tmp_path: Path, database_server: Server) -> None:
        """What is in them stays; a program that meets them before says what to do."""
        for url in (f"sqlite:///{tmp_path}/old.db", database_server.create_database("old")):
            migrate.migrate(url, "0001")
            with pytest.raises(SchemaMismatch, match=r"revision 0001.*NexusCore\.storage\.migrate"):
                rows(url, "SELECT 1")
            with connect(url).connect() as connection:
                connection.exec_driver_sql("INSERT INTO status_channel (name) VALUES ('kept')")
                connection.commit()
            migrate.migrate(url)
            assert differences(url) == []
            assert rows(url, "SELECT name FROM status_channel") == [("kept",)]
        database_server.drop_database("old")

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


class TestNewerTables:
    """Tables that a newer program made: update this one. Nothing here can migrate them, and nothing says so."""

    @pytest.fixture
    def newer_url(self, database_url: str) -> str:
        execute(database_url, "UPDATE `alembic_version` SET `version_num` = '9999'")
        return database_url

    def test_the_migrate_command_asks_for_an_update(self, newer_url: str, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "NexusCore.storage.migrate"],
            cwd=PROJECT,
            env=environment_of(newer_url, tmp_path),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (done.returncode, done.stdout) == (EXIT_REFUSED, "")
        assert done.stderr == (
            f"The tables in the database at {DatabaseURL.parse(newer_url)} are of revision 9999, newer than this "
            f"program, which knows {SCHEMA_REVISION}. Update NexusCore on this machine.\n"
        )

    def test_a_program_asks_for_an_update(self, newer_url: str) -> None:
        with pytest.raises(SchemaNewer, match=r"revision 9999, newer than this program.* Update NexusCore") as raised:
            rows(newer_url, "SELECT 1")
        assert "migrate" not in str(raised.value)
        assert raised.value.exit_code == EXIT_REFUSED


class TestViews:
    """`log_view`, `status_view` and `session_log` can be read by someone with an SQL client."""

    @pytest.mark.parametrize("view", sorted(views("sqlite")))
    def test_each_view_can_be_read(self, database_url: str, view: str) -> None:
        assert rows(database_url, f"SELECT * FROM {view}") == []
