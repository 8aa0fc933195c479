"""Three Galera nodes under six writers, of which one is killed, stands still, or all lose their quorum.

What was accepted is stored once, followers miss nothing and see nothing twice, and setting configuration never fails
because of a conflict. The long form (NEXUSCORE_TEST_LONG) takes Galera's own time-outs, and a node that stands still
for 20 s.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import DatabaseBusy
from NexusCore.log.store import LogFilter, arriving
from NexusCore.storage import Transaction, open_database
from NexusCore.tail import Away, Back, Tail
from tests.faults.load import LONG
from tests.galera import Cluster, provider
from tests.processes import LIMIT, adopt, ended, eventually, line_of, rows, start, tell

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(provider() is None, reason="Galera's library is not here; ./install.sh test installs it"),
]

QUICK = {
    "evs.keepalive_period": "PT0.3S", "evs.suspect_timeout": "PT1.5S", "evs.inactive_timeout": "PT4S",
    "evs.inactive_check_period": "PT0.2S", "evs.install_timeout": "PT4S", "pc.announce_timeout": "PT1S",
}  # fmt: skip
"""Time-outs of Galera's for the short form."""
STANDSTILL = 20.0 if LONG else 4.0
STEADY = 10.0 if LONG else 1.5
"""Seconds of undisturbed load between two faults."""
WRITERS = 6

WRITER = """
import json, sys, threading, time
from NexusCore import API
from NexusCore.errors import DatabaseUnreachable
name = sys.argv[1]
stop, clock = threading.Event(), time.perf_counter
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
cfg, log, status = API.get_config("Load"), API.get_log("load"), API.get_status("load." + name)
told, backwards = {}, []
def seen(parameter):
    if parameter.value < told.get(parameter.path, -1):
        backwards.append([parameter.path, told[parameter.path], parameter.value])
    told[parameter.path] = parameter.value
cfg.add_callback("", seen)
stored, away, reasons, odd, conflicts, worst, unseen = [], [], [], [], [], 0.0, []
def configure():
    global worst
    number = 0
    while not stop.is_set():
        begin = clock()
        try:
            cfg[name] = number
            stored.append(number)
            if cfg[name] != number:
                unseen.append(number)
        except DatabaseUnreachable as error:
            away.append(number)
            reasons.append(type(error).__name__)
            if "as a node of its cluster" not in str(error):
                odd.append(f"after {clock() - begin:.1f} s: {error!r}")
        except Exception as error:
            conflicts.append(repr(error))
        worst = max(worst, clock() - begin)
        number += 1
        stop.wait(0.02)
cfg[name] = -1
setter = threading.Thread(target=configure)
setter.start()
count = 0
print("begun", flush=True)
while not stop.is_set():
    log.info("%s %d", name, count)
    status["n"] = count
    count += 1
    stop.wait(0.005)
setter.join()
report = API.shutdown(60)
names = "count stored away reasons odd conflicts worst backwards unseen"
print(json.dumps({one: globals()[one] for one in names.split()} | {"dropped": report.dropped}))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster({} if LONG else QUICK) as three:
        three.form(["nexus"])
        yield three


class Follower:
    """Follows the log through all nodes, one of them first, on a thread of its own."""

    def __init__(self, url: str) -> None:
        self.seen: list[str] = []
        self.interruptions = 0
        self.database = open_database(url)
        self._stop = threading.Event()
        self._tail = Tail(self.database, arriving(LogFilter(loggers=("load",))), SYSTEM_CLOCK)
        self._tail.begin()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        for one in self._tail.follow(self._stop):
            if isinstance(one, Away):
                self.interruptions += 1
            elif not isinstance(one, Back):
                self.seen.append(one.message)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(LIMIT)
        self.database.close()


def wait(seconds: float) -> None:
    """Let the load go on."""
    threading.Event().wait(seconds)


def kill_a_node(cluster: Cluster) -> None:
    cluster.nodes[0].kill()
    wait(2 * STEADY)
    cluster.nodes[0].rejoin()


def stop_a_node(cluster: Cluster) -> None:
    cluster.nodes[1].pause()
    wait(STANDSTILL)
    cluster.nodes[1].resume()


def cut_off_and_bootstrap(cluster: Cluster) -> None:
    first, *others = cluster.nodes
    for node in others:
        node.isolate(True)
    eventually(lambda: all(node.status("ready") == "OFF" for node in cluster.nodes), "no node has a quorum")
    wait(STEADY)
    first.become_primary()
    first.wait_until_synced()
    wait(STEADY)
    for node in others:
        node.isolate(False)


class TestConflicts:
    """A transaction that another node's came before is told so, and done again."""

    def test_it_is_no_lost_connection(self, cluster: Cluster) -> None:
        """Nor when it is reported between two statements, where the driver's own ping would swallow it."""
        one, other = (open_database(cluster.url("nexus", first)) for first in (1, 2))
        with one.transaction() as transaction:
            transaction.insert("status_channel", name="contended")
        aborts = cluster.nodes[0].status("local_bf_aborts")
        statement = "UPDATE status_channel SET name = :name WHERE name LIKE 'contended%'"
        with pytest.raises(DatabaseBusy), one.transaction() as transaction:
            transaction.run(statement, name="contended by 1")
            other.write(lambda theirs: theirs.run(statement, name="contended by 2"))
            eventually(lambda: cluster.nodes[0].status("local_bf_aborts") != aborts, "node 1 gave way")
            transaction.one("SELECT 1")
        attempts: list[int] = []

        def work(transaction: Transaction) -> None:
            attempts.append(transaction.run(statement, name="contended by 3"))
            if len(attempts) == 1:
                aborts = cluster.nodes[0].status("local_bf_aborts")
                other.write(lambda theirs: theirs.run(statement, name="contended by 4"))
                eventually(lambda: cluster.nodes[0].status("local_bf_aborts") != aborts, "node 1 gave way")

        one.write(work)
        assert attempts == [1, 1]
        one.close()
        other.close()


class TestANodeThatIsBehind:
    """What was committed on one node is seen on another where it matters."""

    def test_a_current_reading(self, cluster: Cluster) -> None:
        one, other = (open_database(cluster.url("nexus", first)) for first in (1, 3))
        other.read(revision)
        for number in range(200):
            one.write(lambda transaction, number=number: store(transaction, number))
            assert other.read(revision, current=True) == number
        one.close()
        other.close()

    def test_a_new_connection(self, cluster: Cluster) -> None:
        """So one that has changed its node sees nothing older than before."""
        one = open_database(cluster.url("nexus", 1))
        for number in range(50):
            one.write(lambda transaction, number=number: store(transaction, number))
            late = open_database(cluster.url("nexus", 3))
            assert late.read(revision) == number
            late.close()
        one.close()


def store(transaction: Transaction, number: int) -> None:
    transaction.upsert("delivery_cursor", ("journal", "delivered", "ts"), ("journal",), [("behind", number, 0)])


def revision(reading: Transaction) -> int:
    row = reading.one("SELECT delivered FROM delivery_cursor WHERE journal = 'behind'")
    return int(row[0]) if row else -1


class TestSixWritersOnThreeNodes:
    """A node is killed, stands still, is cut off; nothing accepted is lost, doubled or refused."""

    def test_every_accepted_record_is_stored_and_seen_once(self, cluster: Cluster, tmp_path: Path) -> None:
        urls = [cluster.url("nexus", first) for first in (1, 2, 3)]
        homes = [tmp_path / f"home{number}" for number in range(WRITERS)]
        followers = [Follower(url) for url in urls]
        writers = [start(WRITER, f"w{number}", main=urls[number % 3], home=home) for number, home in enumerate(homes)]
        for writer in writers:
            assert line_of(writer) == "begun"
        for fault in (kill_a_node, stop_a_node, cut_off_and_bootstrap):
            wait(STEADY)
            fault(cluster)
            cluster.wait_until_whole()
        wait(STEADY)
        for writer in writers:
            tell(writer)
        ledgers = [json.loads(ended(writer)) for writer in writers]
        for url, home in zip(urls * 2, homes, strict=True):
            adopt(url, home)
        expected = [f"w{number} {one}" for number, each in enumerate(ledgers) for one in range(each["count"])]
        self.say(ledgers, followers)
        try:
            self.check_stored(urls[0], ledgers, sorted(expected))
            for follower in followers:
                eventually(lambda follower=follower: len(follower.seen) >= len(expected), "followers see all")
                assert sorted(follower.seen) == sorted(expected), "nothing missed, nothing twice"
        finally:
            for follower in followers:
                follower.end()
        assert not [path for home in homes for path in home.rglob("*.refused")]
        for each in ledgers:
            assert each["conflicts"] == [], "no set fails because others were in the way"
            assert each["backwards"] == [], "no watcher is told old values again"
            assert each["unseen"] == [], "what was set is seen when set returns"
            assert each["dropped"] == 0
            if LONG:
                assert each["worst"] <= 20.0

    @staticmethod
    def check_stored(url: str, ledgers: list[dict[str, Any]], expected: list[str]) -> None:
        stored = [text for (text,) in rows(url, "SELECT message FROM log_record WHERE logger = 'load'")]
        assert sorted(stored) == expected
        for number, each in enumerate(ledgers):
            sql = """SELECT s.value FROM status_sample s JOIN status_item i ON i.id = s.item_id
                       JOIN status_channel c ON c.id = i.channel_id WHERE c.name = :name"""
            values = sorted(int(value) for (value,) in rows(url, sql, name=f"load.w{number}"))
            assert values == list(range(each["count"]))
            sql = "SELECT new_value FROM config_change WHERE path = :path ORDER BY revision"
            changes = [int(value) for (value,) in rows(url, sql, path=f"Load.w{number}")]
            assert changes == sorted(set(changes)), "each once, in order"
            assert set(each["stored"]) <= set(changes) <= {-1, *each["stored"], *each["away"]}

    @staticmethod
    def say(ledgers: list[dict[str, Any]], followers: list[Follower]) -> None:
        print(f"\naccepted: {sum(each['count'] for each in ledgers)} records, as many changes of status")
        print(f"configuration: {sum(len(each['stored']) for each in ledgers)} set,", end=" ")
        print(f"{sum(len(each['away']) for each in ledgers)} without a quorum, longest wait", end=" ")
        print(f"{max(each['worst'] for each in ledgers):.1f} s; conflicts raised", end=" ")
        print(f"{sum(len(each['conflicts']) for each in ledgers)}; told old values", end=" ")
        print(sum(len(each["backwards"]) for each in ledgers))
        print(f"without a quorum: {dict(Counter(reason for each in ledgers for reason in each['reasons']))}")
        print(*(f"  {one}" for each in ledgers for one in [*each["odd"], *each["conflicts"]][:3]), sep="\n")
        print(f"followers: {[len(one.seen) for one in followers]}, away {[one.interruptions for one in followers]}")
