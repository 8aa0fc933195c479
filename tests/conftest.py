"""What every test stands on: a world of its own, and both kinds of database, fresh and with all tables."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.mariadb import MariaDB

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    # A run in the background, or under nohup, ignores these, and so would every program that a test starts and ends.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

KEPT = "NEXUSCORE_TEST_"
"""Variables of the project that speak to the tests themselves begin like this."""
PROJECT = Path(__file__).resolve().parents[1]
TEMPLATE = "template"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a test, and every process it starts, away from the settings, files and databases of this machine."""
    for name in os.environ:
        # Credentials for the facility's network resources are named nexusLIMS_*.
        if name.upper().startswith(("NEXUSCORE_", "NEXUSLIMS_", "XDG_")) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    for name in ("COLUMNS", "LINES"):  # they would outweigh the size of a test's own terminal
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NEXUSCORE_HOME", str(tmp_path / "nexuscore"))
    # Instead of /etc/nexuscore, so that a facility's own machine can run the tests too.
    monkeypatch.setenv("NEXUSCORE_ETC", str(tmp_path / "etc"))


@pytest.fixture
def project_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the set-up of the project, beside an environment that it takes for its own and finds complete."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("install.sh", "setup.py", "pyproject.toml"):
        shutil.copy(PROJECT / name, project)
    shutil.copytree(PROJECT / "Install", project / "Install", ignore=shutil.ignore_patterns("__pycache__"))
    (project / ".venv/installed").mkdir(parents=True)
    for name in ("bin", "lib", "pyvenv.cfg"):
        (project / ".venv" / name).symlink_to(Path(sys.prefix, name))
    state = f"{project}\n{(project / 'setup.py').read_text()}{(project / 'pyproject.toml').read_text()}"
    for extra in ("setup", "services", "logger"):
        (project / ".venv/installed" / extra).write_text(sha256(state.encode()).hexdigest())
    # Both would change what install.sh does.
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("DESTDIR", raising=False)
    return project


def _server() -> MariaDB:
    try:
        return MariaDB()
    except FileNotFoundError as error:
        pytest.fail(
            f"{error} (every database promise holds on MariaDB too, so this is no reason to skip)", pytrace=False
        )


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """Lend the MariaDB server that all tests share: it must be running when a test ends."""
    with _server() as server:
        yield server


@pytest.fixture
def private_mariadb() -> Iterator[MariaDB]:
    """Lend a MariaDB server that the test may kill, pause and restart as it likes."""
    with _server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate one SQLite file, to be copied for each test."""
    from NexusCore.storage.migrate import migrate

    path = tmp_path_factory.mktemp("template") / "nexus.db"
    migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        # What still stands in the write-ahead log would be missing from the copies.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def mariadb_template(mariadb: MariaDB) -> str:
    """Migrate one MariaDB database, to be copied for each test, and return its name."""
    from NexusCore.storage.migrate import migrate

    migrate(mariadb.create_database(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a fresh SQLite database with all tables."""
    path = tmp_path / "nexus.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def mariadb_url(mariadb: MariaDB, mariadb_template: str) -> Iterator[str]:
    """Return the URL of a fresh MariaDB database with all tables."""
    # A new database each time: a thread that an earlier test left running writes into its own, not into this one.
    name = f"nexus_{next(_numbers)}"
    url = mariadb.copy_database(mariadb_template, name)
    yield url
    mariadb.drop_database(name)


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database with all tables; a test that asks for it runs once on each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))
