"""``./install.sh mysql`` makes a database whose users may do what they need, and keeps passwords to itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mysql.connector
import pytest

from NexusCore import settings
from NexusCore.settings import DatabaseURL
from tests.certificates import Authority
from tests.mariadb import MariaDB

LIMIT = 60.0
"""Seconds that one set-up may take."""
ACCESS_DENIED = (1044, 1142, 1143, 1227)
"""Numbers of the server's refusals: of a database, a table, a column, and of what only an administrator may do."""
LOGS = ("--general-log=1", "--slow-query-log=1", "--long-query-time=0", "--log-bin=binary", "--server-id=1")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def talkative_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Lend a server that keeps every log it has, and has a certificate."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    certificate = authority.issue("server", addresses=["127.0.0.1"])
    with MariaDB((*LOGS, f"--ssl-cert={certificate.cert}", f"--ssl-key={certificate.key}")) as server:
        yield server


@pytest.fixture
def server(talkative_server: MariaDB) -> Iterator[MariaDB]:
    """Lend the server without the set-up's database and users."""
    yield talkative_server
    talkative_server.drop_database("nexuscore")
    for user, host in talkative_server.execute("SELECT user, host FROM mysql.user WHERE user LIKE 'nexus%'"):
        talkative_server.execute(f"DROP USER '{user}'@'{host}'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name the folder in which the settings files come to lie."""
    return tmp_path / "etc" if os.geteuid() == 0 else tmp_path / "home/.config/nexuscore"


@pytest.fixture
def run(project_copy: Path, server: MariaDB) -> Run:
    """Lend a function that runs ``./install.sh mysql`` against the server."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [project_copy / "install.sh", "mysql", *arguments],
            env={**os.environ, **(environment or {"NEXUSCORE_MYSQL_SOCKET": str(server.socket)})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    return run


def url(file: Path) -> DatabaseURL:
    return settings.load({}, (file,)).main


def connect(server: MariaDB, file: Path) -> Any:
    """Log in with a settings file's user and password, through the socket."""
    found = url(file)
    return mysql.connector.connect(
        unix_socket=str(server.socket), user=found.user, password=found.password, database=found.name, autocommit=True
    )


class TestSetUp:
    """003-14: one command makes the database, its tables, its users and the settings that lead there."""

    def test_settings_lead_to_the_tables(self, run: Run, server: MariaDB, folder: Path) -> None:
        done = run()
        assert done.returncode == 0, done.stderr
        users = {"nexuscore": "nexuscore", "nexuscore-gateway": "nexusgateway", "nexuscore-report": "nexusreport"}
        assert {path.stem for path in folder.glob("*.toml")} == users.keys()
        for name, user in ((f"{stem}.toml", user) for stem, user in users.items()):
            assert url(folder / name).user == user
            with closing(connect(server, folder / name)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM alembic_version")
                assert cursor.fetchone() == (1,)

    def test_the_database_is_binary_utf8mb4(self, run: Run, server: MariaDB) -> None:
        run()
        query = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'nexuscore'"
        assert server.execute(query) == [("utf8mb4_bin",)]

    def test_services_go_through_the_socket_and_reports_over_the_network(
        self, run: Run, server: MariaDB, folder: Path
    ) -> None:
        run()
        reports = url(folder / "nexuscore-report.toml")
        for name in ("nexuscore.toml", "nexuscore-gateway.toml"):
            assert url(folder / name).options == (("unix_socket", str(server.socket)),)
        assert reports.options == (("ssl_mode", "required"),)
        assert reports.port == server.port

    def test_the_settings_of_the_gateway_are_declared(self, run: Run, server: MariaDB) -> None:
        """Its own account may not do that."""
        run()
        paths = server.execute("SELECT path FROM nexuscore.config_parameter WHERE path LIKE 'Services.Gateway.%'")
        assert {"Services.Gateway.interval", "Services.Gateway.tls_certificate"} <= {path for (path,) in paths}

    def test_a_second_run_keeps_passwords(self, run: Run, folder: Path) -> None:
        first_said = run().stdout
        first = {path: path.read_text() for path in folder.glob("*.toml")}
        again = run()
        assert again.returncode == 0
        assert {path: path.read_text() for path in folder.glob("*.toml")} == first
        assert "Keeping" in again.stdout
        assert "Writing" not in again.stdout
        assert "is new" not in first_said + again.stdout

    def test_new_passwords_when_asked_for(self, run: Run, server: MariaDB, folder: Path) -> None:
        run()
        first = {path: url(path).password for path in folder.glob("*.toml")}
        assert run("--new-passwords").returncode == 0
        for path, password in first.items():
            assert url(path).password != password
            connect(server, path).close()

    def test_a_lost_settings_file_is_made_again(self, run: Run, server: MariaDB, folder: Path) -> None:
        run()
        (folder / "nexuscore.toml").unlink()
        again = run()
        assert "The password of nexuscore is new" in again.stdout
        assert "The password of nexusgateway is new" not in again.stdout
        connect(server, folder / "nexuscore.toml").close()

    def test_what_else_the_file_says_stays(self, run: Run, server: MariaDB, folder: Path) -> None:
        run()
        file = folder / "nexuscore-report.toml"
        password = url(file).password
        text = f'# our database\nNEXUSCORE_HOME = "/data"\nNEXUSCORE_DATABASE = "{server.url("nexuscore")}"\n'
        file.write_text(text.replace("tester:tester@127.0.0.1", f"nexusreport:{password}@db.example.org"))
        assert run("--new-passwords").returncode == 0
        assert file.read_text().startswith('# our database\nNEXUSCORE_HOME = "/data"\n')
        assert url(file).host == "db.example.org"
        connect(server, file).close()


class TestPasswordsStayPrivate:
    """Passwords are in the settings files, which only their owner can read, and nowhere else."""

    def test_files_are_closed_to_others(self, run: Run, folder: Path) -> None:
        run()
        assert {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.toml")} == {
            "nexuscore.toml": 0o600,
            "nexuscore-gateway.toml": 0o600,
            "nexuscore-report.toml": 0o600,
        }

    def test_nothing_is_said_or_logged(self, run: Run, server: MariaDB, folder: Path) -> None:
        done = run()
        server.execute("FLUSH LOGS")
        written = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
        assert b"CREATE USER IF NOT EXISTS 'nexusgateway'" in written
        for path in folder.glob("*.toml"):
            password = url(path).password
            assert len(password) > 30
            assert password not in done.stdout + done.stderr
            assert password.encode() not in written

    def test_no_password_reaches_a_command_line(
        self, run: Run, project_copy: Path, tmp_path: Path, folder: Path
    ) -> None:
        # Each program of the environment that set-up calls writes down how it was called.
        seen = tmp_path / "seen"
        real = (project_copy / ".venv/bin").resolve()
        (project_copy / ".venv/bin").unlink()
        (project_copy / ".venv/bin").mkdir()
        python = project_copy / ".venv/bin/python"
        python.write_text(f'#!/bin/sh\necho "$@" >>"{seen}"\nexec "{real}/python" "$@"\n')
        python.chmod(0o755)
        assert run().returncode == 0
        assert "set_up_mysql.py" in seen.read_text()
        assert not any(url(path).password in seen.read_text() for path in folder.glob("*.toml"))

    def test_a_file_that_others_can_read_is_refused(self, run: Run, folder: Path) -> None:
        run()
        (folder / "nexuscore.toml").chmod(0o644)
        done = run()
        assert done.returncode == 4
        assert "chmod 600" in done.stderr


class TestRefusals:
    """What cannot be done is said in one sentence, and nothing is changed."""

    def test_settings_of_another_database_are_left_alone(self, run: Run, server: MariaDB, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nexuscore.toml").write_text('NEXUSCORE_DATABASE = "sqlite:////data/nexus.db"\n')
        done = run()
        assert done.returncode == 1
        assert "already has another database (sqlite:////data/nexus.db)" in done.stderr
        assert server.execute("SHOW DATABASES LIKE 'nexuscore'") == []

    def test_no_server_at_the_socket(self, run: Run, tmp_path: Path) -> None:
        done = run(NEXUSCORE_MYSQL_SOCKET=str(tmp_path / "none.sock"))
        assert done.returncode == 3
        assert "does not answer" in done.stderr
        assert "Traceback" not in done.stderr

    def test_an_unknown_argument(self, run: Run) -> None:
        done = run("--password=secret")
        assert done.returncode == 2


class TestAdministratorsFile:
    """Where root has no socket, a defaults file of MySQL's holds the administrator's login."""

    @pytest.fixture
    def file(self, server: MariaDB, tmp_path: Path) -> Path:
        path = tmp_path / "admin.cnf"
        path.write_text(f"[client]\nuser=tester\npassword='tester'\nhost=127.0.0.1\nport={server.port}\n")
        path.chmod(0o600)
        return path

    def test_its_login_sets_up_the_database(self, run: Run, file: Path, folder: Path) -> None:
        done = run(NEXUSCORE_MYSQL_ADMIN=str(file))
        assert done.returncode == 0, done.stderr
        services = url(folder / "nexuscore.toml")
        assert (services.host, services.options) == ("127.0.0.1", ())
        with closing(
            mysql.connector.connect(
                host=services.host, port=services.port, user=services.user, password=services.password
            )
        ) as connection:
            assert connection.is_connected()

    def test_is_refused_when_others_can_read_it(self, run: Run, file: Path) -> None:
        file.chmod(0o640)
        done = run(NEXUSCORE_MYSQL_ADMIN=str(file))
        assert done.returncode == 4
        assert "chmod 600" in done.stderr

    def test_a_wrong_password_in_it(self, run: Run, file: Path) -> None:
        file.write_text(file.read_text().replace("password='tester'", "password='sesame'"))
        done = run(NEXUSCORE_MYSQL_ADMIN=str(file))
        assert done.returncode == 1
        assert "refuses its administrator" in done.stderr
        assert "sesame" not in done.stderr

    @pytest.mark.parametrize("text", ["", "nonsense", "[mysqld]\nuser=x\n"])
    def test_is_refused_when_it_is_none(self, run: Run, file: Path, text: str) -> None:
        file.write_text(text)
        done = run(NEXUSCORE_MYSQL_ADMIN=str(file))
        assert done.returncode == 2
        assert "it is not a MySQL option file" in done.stderr
        assert "Traceback" not in done.stderr


class TestLeastPrivilege:
    """Each user may do what its programs need, and nothing else."""

    NOBODYS = (
        "CREATE TABLE mine (id INT)",
        "DROP TABLE log_record",
        "ALTER TABLE log_record ADD mine INT",
        "CREATE USER mallory",
        "GRANT SELECT ON session TO nexusreport@localhost",
        "SELECT * FROM mysql.user",
    )
    NOT_THE_GATEWAYS = (
        "SELECT * FROM log_record",
        "SELECT * FROM status_sample",
        "SELECT * FROM upload",
        "SELECT * FROM config_secret",
        "UPDATE config_parameter SET value = '1'",
        "UPDATE config_revision SET revision = 1",
        "INSERT INTO config_change (revision) VALUES (1)",
        "UPDATE session SET start_ts = 0",
        "UPDATE session SET instrument = 'x'",
        "UPDATE session SET user = 'x'",
        "UPDATE session_event SET ts = 0",
        "DELETE FROM session_event",
        "DELETE FROM session",
        "DELETE FROM log_record",
        "DELETE FROM transfer_file",
        "SELECT * FROM web_user",
        "SELECT * FROM web_setting",
        "UPDATE web_user SET password_hash = ''",
        "SELECT * FROM intake_move",
        "SELECT * FROM file_copy",
        "INSERT INTO token (id) VALUES (1)",
        "UPDATE token SET instruments = '[]'",
        "UPDATE token SET revoked_ts = NULL",
        "DELETE FROM token",
        "UPDATE gateway_request SET answer = ''",
        "INSERT INTO reservation (id) VALUES (1)",
        "UPDATE record SET path = ''",
    )
    NOT_THE_REPORTS = (
        "SELECT * FROM config_secret",
        "SELECT * FROM token",
        "SELECT * FROM gateway_request",
        "SELECT upload_ref FROM transfer_file",
        "SELECT * FROM web_user",
        "SELECT * FROM web_setting",
        "SELECT * FROM config_revision LOCK IN SHARE MODE",
        "UPDATE session SET state = 'COMPLETED'",
        "DELETE FROM session_event",
        "INSERT INTO session_event (session_id) VALUES (1)",
        "INSERT INTO log_record (ts) VALUES (1)",
        "UPDATE delivery_cursor SET delivered = 1",
        "DELETE FROM status_latest",
        "UPDATE config_parameter SET value = '1'",
        "LOCK TABLES session WRITE",
    )

    @pytest.fixture
    def accounts(self, run: Run, folder: Path) -> dict[str, Path]:
        done = run()
        assert done.returncode == 0, done.stderr
        return {
            "services": folder / "nexuscore.toml",
            "gateway": folder / "nexuscore-gateway.toml",
            "reports": folder / "nexuscore-report.toml",
        }

    def test_services_handle_all_rows(self, accounts: dict[str, Path], server: MariaDB) -> None:
        tables = [row[0] for row in server.execute("SHOW FULL TABLES FROM nexuscore WHERE table_type = 'BASE TABLE'")]
        assert "session" in tables
        with closing(connect(server, accounts["services"])) as connection, connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"SELECT * FROM {table} WHERE FALSE")
                cursor.fetchall()
                cursor.execute(f"DELETE FROM {table} WHERE FALSE")

    @pytest.mark.parametrize("user", ["services", "gateway", "reports"])
    def test_no_user_changes_tables_or_users(self, accounts: dict[str, Path], server: MariaDB, user: str) -> None:
        self.check_refused(server, accounts[user], self.NOBODYS)

    def test_neither_gateway_nor_reports_do_what_is_not_theirs(
        self, accounts: dict[str, Path], server: MariaDB
    ) -> None:
        self.check_refused(server, accounts["gateway"], self.NOT_THE_GATEWAYS)
        self.check_refused(server, accounts["reports"], self.NOT_THE_REPORTS)

    def test_reports_read_all_that_is_no_secret(self, accounts: dict[str, Path], server: MariaDB) -> None:
        names = [row[0] for row in server.execute("SHOW TABLES FROM nexuscore")]
        withheld = {"config_secret", "config_revision", "token", "gateway_request", "transfer_file"}
        withheld |= {"web_user", "web_setting"}
        assert withheld < set(names)
        with closing(connect(server, accounts["reports"])) as connection, connection.cursor() as cursor:
            for name in set(names) - withheld:
                cursor.execute(f"SELECT * FROM {name} WHERE FALSE")
                cursor.fetchall()
            cursor.execute("SELECT path, state, object FROM transfer_file WHERE FALSE")
            cursor.fetchall()

    @staticmethod
    def check_refused(server: MariaDB, file: Path, statements: tuple[str, ...]) -> None:
        with closing(connect(server, file)) as connection, connection.cursor() as cursor:
            for statement in statements:
                with pytest.raises(mysql.connector.Error) as refused:
                    cursor.execute(statement)
                assert refused.value.errno in ACCESS_DENIED, (statement, refused.value)
