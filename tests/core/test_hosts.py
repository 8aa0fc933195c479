"""A URL with several hosts: connects to one that works, stays on it, goes to another when it dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from NexusCore.errors import (
    DatabaseDenied,
    DatabaseNotSecure,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    SchemaMissing,
)
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from NexusCore.storage.dialect import MySQL
from NexusCore.storage.hosts import KEPT_OUT_SECONDS, Hosts
from NexusCore.storage.migrate import migrate
from tests.clocks import SetClock
from tests.mariadb import MariaDB
from tests.processes import LIMIT

THREE = DatabaseURL.parse("mysql://u:secret@h1:3306,h2:3307,h3/nexuscore")


class Network(MySQL):
    """Hosts that are up, or fail in some way after some time."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__()
        self.clock = clock
        self.faults: dict[str, tuple[NexusError, float]] = {}
        self.tried: list[str] = []
        self.wanted_writable = False

    def fails(self, host: str, error: type[NexusError] = DatabaseUnreachable, seconds: float = 0.0) -> None:
        self.faults[host] = (error(where="there", reason=f"{host} is down"), seconds)

    def connect(self, url: DatabaseURL, **limits: float) -> Any:
        self.tried.append(url.host)
        if url.host in self.faults:
            error, seconds = self.faults[url.host]
            self.clock.move(seconds)
            raise error
        return f"connection to {url.host}"

    def synchronize(self, raw: Any, *, writable: bool) -> bool:
        self.wanted_writable = writable
        return False


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def network(clock: SetClock) -> Network:
    return Network(clock)


@pytest.fixture
def hosts(network: Network, clock: SetClock) -> Hosts:
    return Hosts(THREE, network, clock)


def tried(hosts: Hosts, network: Network) -> list[str]:
    """Connect; return which hosts were tried, the one that was taken last."""
    network.tried.clear()
    raw, host, _ = hosts.connect()
    assert network.wanted_writable == hosts.several, "of several hosts only one that takes writes will do"
    assert raw == f"connection to {host.host}"
    return list(network.tried)


class TestChoice:
    """Which host is taken."""

    def test_the_first_that_works(self, hosts: Hosts, network: Network) -> None:
        network.fails("h1")
        network.fails("h2", DatabaseUnusable)
        assert tried(hosts, network) == ["h1", "h2", "h3"]

    def test_the_same_one_as_long_as_it_works(self, hosts: Hosts, network: Network, clock: SetClock) -> None:
        network.fails("h1")
        assert tried(hosts, network) == ["h1", "h2"]
        network.faults.clear()
        clock.move(10 * KEPT_OUT_SECONDS)
        assert tried(hosts, network) == ["h2"]

    def test_a_dead_one_is_kept_out_and_comes_back(self, hosts: Hosts, network: Network, clock: SetClock) -> None:
        network.fails("h1", seconds=3)
        assert tried(hosts, network) == ["h1", "h2"]
        network.fails("h2")
        assert tried(hosts, network) == ["h2", "h3"]
        network.faults.clear()
        clock.move(KEPT_OUT_SECONDS + 1)
        network.fails("h3")
        assert tried(hosts, network) == ["h3", "h1"]

    def test_one_kept_out_is_better_than_none(self, hosts: Hosts, network: Network) -> None:
        network.fails("h1")
        tried(hosts, network)
        network.faults.clear()
        network.fails("h2")
        network.fails("h3")
        assert tried(hosts, network) == ["h2", "h3", "h1"]

    def test_hosts_that_stand_still_are_not_all_waited_for(
        self, hosts: Hosts, network: Network, clock: SetClock
    ) -> None:
        """Each attempt takes two time-outs at most, and goes on with the host that was asked longest ago."""
        for host in ("h1", "h2", "h3"):
            network.fails(host, seconds=3)
        for expected in (["h1", "h2"], ["h3", "h1"], ["h2", "h3"]):
            network.tried.clear()
            begin = clock.monotonic()
            with pytest.raises(DatabaseUnreachable):
                hosts.connect()
            assert network.tried == expected
            assert clock.monotonic() - begin <= 6

    def test_one_that_failed_while_in_use(self, hosts: Hosts, network: Network) -> None:
        _, host, _ = hosts.connect()
        hosts.failed(host)
        assert tried(hosts, network) == ["h2"]

    def test_one_that_gives_way_to_another(self, hosts: Hosts, network: Network) -> None:
        """It is left for the next one that works; where there is none, it stays."""
        network.fails("h2")
        tried(hosts, network)
        hosts.move_on()
        assert tried(hosts, network) == ["h2", "h1"]
        hosts.move_on()
        assert tried(hosts, network) == ["h3"]
        hosts.move_on()
        assert tried(hosts, network) == ["h1"]

    def test_a_single_one_stays(self, network: Network, clock: SetClock) -> None:
        hosts = Hosts(THREE.each[0], network, clock)
        tried(hosts, network)
        hosts.move_on()
        assert tried(hosts, network) == ["h1"]


class TestErrors:
    """One sentence for all hosts, of the kind that a person can do most about."""

    def test_all_are_away(self, hosts: Hosts, network: Network) -> None:
        for host in ("h1", "h2", "h3"):
            network.fails(host, DatabaseUnusable if host == "h2" else DatabaseUnreachable)
        with pytest.raises(DatabaseUnusable) as caught:
            hosts.connect()
        assert str(caught.value) == (
            "The database at mysql://u@h1:3306,h2:3307,h3:3306/nexuscore cannot be used now (h1:3306: h1 is down;"
            " h2:3307: h2 is down; h3:3306: h3 is down)."
        )

    def test_a_wrong_password(self, hosts: Hosts, network: Network) -> None:
        network.fails("h1")
        network.fails("h2", DatabaseDenied)
        network.fails("h3", DatabaseNotSecure)
        with pytest.raises(DatabaseDenied, match="h2 is down"):
            hosts.connect()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[MariaDB, MariaDB]]:
    with MariaDB() as one, MariaDB() as other:
        for server in (one, other):
            migrate(server.create_database("nexus"))
        yield one, other


def name_of(database: Database) -> int:
    """Return the port of the server that a transaction reaches."""
    with database.transaction() as transaction:
        row = transaction.one("SELECT @@port")
    assert row is not None
    return int(row[0])


def database_of(pair: tuple[MariaDB, MariaDB], clock: SetClock) -> Database:
    one, other = pair
    text = one.url("nexus").replace(f":{one.port}/", f":{one.port},127.0.0.1:{other.port}/")
    return Database(DatabaseURL.parse(text), clock=clock)


class TestRealServers:
    """Two servers, of which one dies, stands still, or takes no writes."""

    def test_one_that_is_killed(self, pair: tuple[MariaDB, MariaDB], clock: SetClock) -> None:
        one, other = pair
        database = database_of(pair, clock)
        assert name_of(database) == one.port
        one.kill()
        try:
            assert name_of(database) == other.port
        finally:
            one.start()
        assert name_of(database) == other.port
        other.kill()
        try:
            assert name_of(database) == one.port
        finally:
            other.start()

    def test_killed_within_a_transaction(self, pair: tuple[MariaDB, MariaDB], clock: SetClock) -> None:
        """What was not committed is done again on the other one; `write` says nothing of it."""
        one, other = pair
        database = database_of(pair, clock)
        ports = []
        try:
            database.write(lambda transaction: self._add(transaction, ports, one))
        finally:
            one.start()
        assert ports == [one.port, other.port]
        assert other.execute("SELECT name FROM nexus.status_channel") == [("once",)]
        assert one.execute("SELECT name FROM nexus.status_channel") == []
        other.execute("DELETE FROM nexus.status_channel")

    @staticmethod
    def _add(transaction: Any, ports: list[int], one: MariaDB) -> None:
        ports.append(transaction.one("SELECT @@port")[0])
        transaction.insert("status_channel", name="once")
        if len(ports) == 1:
            one.kill()
        transaction.one("SELECT 1")

    def test_one_that_stands_still(self, pair: tuple[MariaDB, MariaDB], monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = pair
        database = database_of(pair, SetClock())
        assert name_of(database) == one.port
        monkeypatch.setattr("NexusCore.storage.hosts.ANSWER_SECONDS", 2)
        monkeypatch.setattr("NexusCore.storage.hosts.FIRST_ANSWER_SECONDS", 1)
        one.pause()
        try:
            assert database.write(lambda transaction: transaction.one("SELECT @@port")) == (other.port,)
            late = database_of(pair, SetClock())
            assert name_of(late) == other.port
        finally:
            one.resume()

    def test_one_that_takes_no_writes(self, pair: tuple[MariaDB, MariaDB], clock: SetClock) -> None:
        """It is passed over; one that stops to take them is given up in the middle of a transaction."""
        one, other = pair
        plain = "GRANT SELECT, INSERT, UPDATE, DELETE ON nexus.* TO 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'"
        for server in pair:
            server.execute(plain)
        url = DatabaseURL.parse(str(database_of(pair, clock).url).replace("tester@", "plain:plain@"))
        first = Database(url, clock=clock)
        assert name_of(first) == one.port
        one.execute("SET GLOBAL read_only = ON")
        try:
            assert name_of(Database(url, clock=SetClock())) == other.port
            first.write(lambda transaction: transaction.insert("status_channel", name="moved"))
            assert name_of(first) == other.port
        finally:
            one.execute("SET GLOBAL read_only = OFF")
        assert other.execute("SELECT name FROM nexus.status_channel") == [("moved",)]
        other.execute("DELETE FROM nexus.status_channel")

    def test_an_idle_connection_that_was_closed(self, pair: tuple[MariaDB, MariaDB], clock: SetClock) -> None:
        """A host that only closed what was idle for too long is not left for that."""
        one, _ = pair
        database = database_of(pair, clock)
        assert name_of(database) == one.port
        for (thread,) in one.execute("SELECT id FROM information_schema.processlist WHERE db = 'nexus'"):
            one.execute(f"KILL {thread}", may_fail=True)
        assert name_of(database) == one.port

    def test_all_threads_move_together(self, pair: tuple[MariaDB, MariaDB], clock: SetClock) -> None:
        """Connections to the host that was left are not used again: it may be ahead, or behind."""
        _, other = pair
        database = database_of(pair, clock)
        inside, go = threading.Event(), threading.Event()

        def hold() -> None:
            with database.reading() as reading:
                reading.one("SELECT 1")
                inside.set()
                go.wait(LIMIT)

        thread = threading.Thread(target=hold)
        thread.start()
        assert inside.wait(LIMIT)
        assert database.hosts.current is not None
        database.hosts.failed(database.hosts.current)
        assert name_of(database) == other.port
        go.set()
        thread.join(LIMIT)
        for _ in range(3):
            assert name_of(database) == other.port

    def test_missing_tables_are_not_sought_on_another_host(self, pair: tuple[MariaDB, MariaDB]) -> None:
        one, _ = pair
        one.create_database("empty")
        url = one.url("empty").replace(f":{one.port}/", f":{one.port},127.0.0.1:1/")
        with pytest.raises(SchemaMissing):
            name_of(Database(DatabaseURL.parse(url)))
        one.drop_database("empty")
