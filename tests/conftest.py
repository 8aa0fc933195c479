"""What every test stands on: a world of its own, and each kind of database, fresh and with all tables."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

from tests.mariadb import MariaDB
from tests.mysql import MySQL, MySQLMissing, programs
from tests.processes import no_process_stays
from tests.server import Server

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    # A run in the background, or under nohup, ignores these, and so would every program that a test starts and ends.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Where this forbids Python to keep compiled modules, as in many containers, each of the thousands of processes that
# tests start would compile the project again: half of the processor time of most.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Two processes of tests keep the processors busy: threads of NumPy's would only wait, and use up time for it.
    os.environ.setdefault(_variable, "1")

__all__ = ["no_process_stays"]
# How long an example takes says nothing about the project: other programs may be busy.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

KEPT = "NEXUSCORE_TEST_"
"""Variables of the project that speak to the tests themselves begin like this."""
PROJECT = Path(__file__).resolve().parents[1]
TEMPLATE = "template"
SERVERS = ["mariadb", "mysql"]
"""The kinds of server; fixtures are named after them."""
_numbers = itertools.count(1)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what stays to the end: it would look at a million objects each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    """Give each process whole files; the peers' files to one, since each process makes servers of its own."""
    return FilesAndPeers(config, log)


class FilesAndPeers(LoadFileScheduling):
    """Hands out files in the order in which they stand: a few that take long at the end would keep one process busy."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/peers" if nodeid.startswith("tests/peers/") else str(super()._split_scope(nodeid))


@pytest.fixture(scope="session")
def font_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have matplotlib make its list of this machine's fonts, and return the folder with it."""
    folder = tmp_path_factory.mktemp("matplotlib")
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.font_manager"],
        env={**os.environ, "MPLCONFIGDIR": str(folder)},
        check=True,
    )
    return folder


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, font_list: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep a test, and every process it starts, away from the settings, files and databases of this machine.

    A test that leaves an open log behind fails: what the next ones do would be logged there.
    """
    for name in os.environ:
        # Credentials for the facility's network resources are named nexusLIMS_*.
        if name.upper().startswith(("NEXUSCORE_", "NEXUSLIMS_", "XDG_")) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    for name in ("COLUMNS", "LINES"):  # they would outweigh the size of a test's own terminal
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    # As on any machine that has drawn a preview before: without it, each reader of each test would make the list.
    shutil.copytree(font_list, home / ".cache/matplotlib")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NEXUSCORE_HOME", str(tmp_path / "nexuscore"))
    # Instead of /etc/nexuscore, so that a facility's own machine can run the tests too.
    monkeypatch.setenv("NEXUSCORE_ETC", str(tmp_path / "etc"))
    before = _open_logs()
    yield
    assert [one for one in _open_logs() if one not in before] == []


def _open_logs() -> list[logging.Handler]:
    return [one for one in logging.getLogger("NexusCore").handlers if not isinstance(one, logging.NullHandler)]


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
    parts = ("setup.py", "pyproject.toml", "Install/constraints.txt")
    state = f"{project}\n" + "".join((project / name).read_text() for name in parts)
    for extra in ("setup", "services", "logger"):
        (project / ".venv/installed" / extra).write_text(sha256(state.encode()).hexdigest())
    # Both would change what install.sh does.
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("DESTDIR", raising=False)
    return project


def _mariadb() -> MariaDB:
    try:
        return MariaDB()
    except FileNotFoundError as error:
        pytest.fail(
            f"{error} (every database promise holds on MariaDB too, so this is no reason to skip)", pytrace=False
        )


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """Lend the MariaDB server that all tests share: it must be running when a test ends."""
    with _mariadb() as server:
        yield server


@pytest.fixture
def private_mariadb() -> Iterator[MariaDB]:
    """Lend a MariaDB server that the test may kill, pause and restart as it likes."""
    with _mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_programs() -> None:
    """Have the programs of MySQL ready; skip what needs them, with the reason, where they cannot be had."""
    try:
        programs()
    except MySQLMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mysql(mysql_programs: None) -> Iterator[MySQL]:
    """Lend the MySQL server that all tests share: it must be running when a test ends."""
    with MySQL() as server:
        yield server


@pytest.fixture
def private_mysql(mysql_programs: None) -> Iterator[MySQL]:
    """Lend a MySQL server that the test may kill, pause and restart as it likes."""
    with MySQL() as server:
        yield server


@pytest.fixture(params=SERVERS)
def database_server(request: pytest.FixtureRequest) -> Server:
    """Lend a server that all tests share; a test that asks for it runs once on each kind."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=SERVERS)
def private_server(request: pytest.FixtureRequest) -> Server:
    """Lend a server that the test may kill, pause and restart; a test that asks for it runs once on each kind."""
    server: Server = request.getfixturevalue(f"private_{request.param}")
    return server


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


def _template(server: Server) -> str:
    from NexusCore.storage.migrate import migrate

    migrate(server.create_database(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def mariadb_template(mariadb: MariaDB) -> str:
    """Migrate one MariaDB database, to be copied for each test, and return its name."""
    return _template(mariadb)


@pytest.fixture(scope="session")
def mysql_template(mysql: MySQL) -> str:
    """Migrate one MySQL database, to be copied for each test, and return its name."""
    return _template(mysql)


@contextmanager
def _copy(server: Server, template: str) -> Iterator[str]:
    # A new database each time: a thread that an earlier test left running writes into its own, not into this one.
    name = f"nexus_{next(_numbers)}"
    yield server.copy_database(template, name)
    server.drop_database(name)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a fresh SQLite database with all tables."""
    path = tmp_path / "nexus.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def mariadb_url(mariadb: MariaDB, mariadb_template: str) -> Iterator[str]:
    """Return the URL of a fresh MariaDB database with all tables."""
    with _copy(mariadb, mariadb_template) as url:
        yield url


@pytest.fixture
def mysql_url(mysql: MySQL, mysql_template: str) -> Iterator[str]:
    """Return the URL of a fresh MySQL database with all tables."""
    with _copy(mysql, mysql_template) as url:
        yield url


@pytest.fixture
def server_database_url(database_server: Server, request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database on `database_server`; a test that asks for it runs once on each kind."""
    return str(request.getfixturevalue(f"{database_server.name.lower()}_url"))


@pytest.fixture(params=["sqlite", *SERVERS])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database with all tables; a test that asks for it runs once on each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))
