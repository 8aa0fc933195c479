"""What a person must see on standard error: that records are refused, or cannot be delivered however long one waits."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from NexusCore.storage.migrate import migrate
from tests.journals import refuse
from tests.mariadb import MariaDB
from tests.processes import LIMIT, execute, start

PROGRAM = """
from NexusCore import API
log, status = API.get_log("here"), API.get_status("here")
for number in range(3):
    log.info("%d", number)
    status["n"] = number
API.shutdown(60)
log.info("after the end")
"""
MEANWHILE = """
import logging, threading
from NexusCore import API
logged = threading.Event()
class Meanwhile(logging.Handler):
    def emit(self, record):
        if not logged.is_set():
            API.get_log("here").info("logged while delivery complains")
            logged.set()
logging.getLogger("NexusCore.delivery").addHandler(Meanwhile())
API.get_log("here")
logged.wait(60)
API.shutdown(60)
"""
ONLY_STATUS = """
from NexusCore import API
status = API.get_status("here")
for number in range(3):
    status["n"] = number
API.shutdown({seconds})
"""
SERVICE = """
import sys
from NexusCore import service
class Small(service.Service):
    name = "Small"
    def once(self):
        self.log.info("a pass")
        return service.Pass()
sys.exit(service.main(Small, ["--once"]))
"""


def errors_of(program: str, url: str, home: Path) -> str:
    """Return what a program writes to standard error."""
    process = start(program, main=url, home=home)
    _, err = process.communicate(timeout=LIMIT)
    return err.decode()


class TestRefused:
    """One sentence, once per process; the side file keeps the records."""

    def test_a_refused_record_is_reported_once(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.level > 0")
        (sentence,) = errors_of(PROGRAM, database_url, tmp_path).splitlines()
        assert sentence.startswith("NexusCore: A record of this program is kept in ")
        assert ".refused, since it was refused. The database at " in sentence

    def test_not_twice_where_the_log_is_on_the_terminal(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.message = 'a pass'")
        err = errors_of(SERVICE, database_url, tmp_path)
        assert "NexusCore: A record" not in err
        assert err.count("A record was refused") == 1


class TestNeverDelivered:
    """For a reason that waiting does not mend."""

    def test_missing_tables_are_reported_with_the_remedy(self, mariadb: MariaDB, tmp_path: Path) -> None:
        url = mariadb.create_database("no_tables_here")
        (sentence,) = errors_of(PROGRAM, url, tmp_path).splitlines()
        mariadb.drop_database("no_tables_here")
        assert sentence.startswith("NexusCore: What this program reports is not delivered, and kept in ")
        assert "holds no NexusCore tables. Create them with: python -m NexusCore.storage.migrate" in sentence

    def test_no_set_up(self, tmp_path: Path) -> None:
        """The embedded database cannot be made without the packages that make tables."""
        program = f"import sys; sys.modules['sqlalchemy'] = None{PROGRAM}"
        process = start(program, main="", home=tmp_path)
        err = process.communicate(timeout=LIMIT)[1].decode()
        (sentence,) = err.splitlines()
        assert "The tables cannot be created: the package sqlalchemy is not installed." in sentence

    @pytest.mark.parametrize("wrong", ["password", "name", "path"])
    def test_wrong_settings_are_reported_without_password(self, mariadb: MariaDB, tmp_path: Path, wrong: str) -> None:
        url = {
            "password": mariadb.url("nexus", password="n0t-it"),
            "name": mariadb.url("mistyped"),
            "path": f"sqlite:///{tmp_path}/mistyped.db",
        }[wrong]
        (sentence,) = errors_of(PROGRAM, url, tmp_path / "home").splitlines()
        assert sentence.startswith("NexusCore: What this program reports is not delivered, and kept in ")
        assert "n0t-it" not in sentence

    def test_what_is_logged_while_delivery_complains(self, sqlite_url: str, tmp_path: Path) -> None:
        """It is the program's, and not taken for the complaint."""
        execute(sqlite_url, "UPDATE alembic_version SET version_num = '9999'")
        (sentence,) = errors_of(MEANWHILE, sqlite_url, tmp_path).splitlines()
        assert sentence.startswith("NexusCore: What this program reports is not delivered, and kept in ")

    def test_a_service_says_it_in_its_log(self, sqlite_url: str, tmp_path: Path) -> None:
        """Also what delivery found out while the service was starting."""
        missing = f"sqlite:///{tmp_path}/mistyped.db"
        process = start(SERVICE, main=sqlite_url, home=tmp_path / "home", NEXUSCORE_DATABASE_LOG=missing)
        err = process.communicate(timeout=LIMIT)[1].decode()
        assert err.count("Records are kept in the journal until they can be delivered.") == 1
        assert "Is the path right?" in err

    def test_tables_of_another_revision_are_reported(self, database_url: str, tmp_path: Path) -> None:
        execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
        (sentence,) = errors_of(PROGRAM, database_url, tmp_path).splitlines()
        assert "are of revision 9999" in sentence

    def test_before_there_is_a_log(self, sqlite_url: str, tmp_path: Path) -> None:
        """Delivery may find it out before the program has its first log, or though it has none."""
        execute(sqlite_url, "UPDATE alembic_version SET version_num = '9999'")
        (sentence,) = errors_of(ONLY_STATUS.format(seconds=60), sqlite_url, tmp_path).splitlines()
        assert sentence.startswith("NexusCore: What this program reports is not delivered, and kept in ")


class TestOnlyAway:
    """While the database is away, nothing is printed: the records wait, and arrive."""

    def test_a_closed_port_prints_nothing(self, tmp_path: Path) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            program = PROGRAM.replace("shutdown(60)", "shutdown(0.2)")
            assert errors_of(program, url, tmp_path) == ""

    def test_a_closed_port_prints_nothing_for_a_status(self, tmp_path: Path) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            assert errors_of(ONLY_STATUS.format(seconds=1), url, tmp_path) == ""

    def test_all_is_well(self, database_url: str, tmp_path: Path) -> None:
        assert errors_of(PROGRAM, database_url, tmp_path) == ""

    def test_a_program_that_said_nothing(self, tmp_path: Path) -> None:
        """A tool tells its own error; that nothing of its log arrives, of which there is none, is no news."""
        (tmp_path / "empty.db").touch()
        program = "from NexusCore import API; API.get_log('x'); API.shutdown(60)"
        assert errors_of(program, f"sqlite:///{tmp_path}/empty.db", tmp_path / "home") == ""
        migrate(f"sqlite:///{tmp_path}/empty.db")
