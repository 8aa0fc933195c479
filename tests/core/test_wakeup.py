"""Wake-ups between the processes of one home: they arrive, and whatever else arrives does no harm."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore import wakeup
from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.log.store import LogFilter, arriving
from NexusCore.storage import open_database
from NexusCore.tail import Tail, TailSource
from NexusCore.wakeup import Subscription, Wakeups
from tests.processes import LIMIT, app_on, ended, eventually, line_of, start, tell

TABLE = "log_record"
HOUR = 3600.0

WAITING = """
import sys, threading
from pathlib import Path
from NexusCore.wakeup import Wakeups
subscription = Wakeups(Path(sys.argv[1])).subscribe("log_record", lambda: print("woken", flush=True))
print("ready", flush=True)
input()
subscription.close()
"""

WRITING = """
from NexusCore import API
API.get_config()["x"] = 7
API.get_log("elsewhere").info("a line")
API.get_status("Elsewhere")["x"] = 7
API.shutdown(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def woken() -> threading.Semaphore:
    """Count wake-ups."""
    return threading.Semaphore(0)


@pytest.fixture
def subscription(home: Path, woken: threading.Semaphore) -> Iterator[Subscription]:
    one = Wakeups(home).subscribe(TABLE, woken.release)
    assert one is not None
    yield one
    one.close()


def sockets(home: Path) -> list[Path]:
    return sorted(home.glob("run/wake/*"))


class TestAWakeUp:
    """It reaches every follower of the table in the same home, and no other."""

    def test_each_wake_up_arrives(self, home: Path, subscription: Subscription, woken: threading.Semaphore) -> None:
        for _ in range(3):
            Wakeups(home).notify(TABLE)
            assert woken.acquire(timeout=LIMIT)

    def test_in_another_process(self, home: Path, sqlite_url: str) -> None:
        process = start(WAITING, home, main=sqlite_url, home=home)
        assert line_of(process) == "ready"
        Wakeups(home).notify(TABLE)
        assert line_of(process) == "woken"
        tell(process)
        ended(process)
        assert sockets(home) == []

    def test_a_newcomer_is_woken_too(self, home: Path, subscription: Subscription, woken: threading.Semaphore) -> None:
        """Also one that came after the sender has looked who there is."""
        sender, other = Wakeups(home), threading.Event()
        sender.notify(TABLE)
        assert woken.acquire(timeout=LIMIT)
        second = Wakeups(home).subscribe(TABLE, other.set)
        assert second is not None

        def both() -> bool:
            sender.notify(TABLE)  # the folder's time may be coarse; then it is another listing that tells
            return other.wait(0.05)

        eventually(both)
        assert woken.acquire(timeout=LIMIT)
        second.close()

    def test_of_another_table(self, home: Path, subscription: Subscription, woken: threading.Semaphore) -> None:
        Wakeups(home).notify("status_sample")
        Wakeups(home).notify(TABLE)
        assert woken.acquire(timeout=LIMIT)
        subscription.close()
        subscription._thread.join(LIMIT)
        assert not woken.acquire(blocking=False)

    def test_of_another_home(
        self, tmp_path: Path, home: Path, subscription: Subscription, woken: threading.Semaphore
    ) -> None:
        Wakeups(tmp_path / "another").notify(TABLE)
        assert not (tmp_path / "another").exists(), "who only sends makes no folder"
        subscription.close()
        subscription._thread.join(LIMIT)
        assert not woken.acquire(blocking=False)


class TestASocketThatIsLeft:
    """Of a process that was killed, nothing stays."""

    @pytest.fixture
    def stale(self, home: Path, sqlite_url: str) -> Path:
        process = start(WAITING, home, main=sqlite_url, home=home)
        assert line_of(process) == "ready"
        (path,) = sockets(home)
        process.kill()
        process.wait(LIMIT)
        assert path.exists()
        return path

    def test_is_removed_by_a_sender(self, home: Path, stale: Path) -> None:
        Wakeups(home).notify(TABLE)
        assert not stale.exists()

    def test_is_removed_by_the_next_follower(self, home: Path, stale: Path, subscription: Subscription) -> None:
        assert not stale.exists()
        assert len(sockets(home)) == 1

    def test_what_is_no_socket_stays(self, home: Path, subscription: Subscription, woken: threading.Semaphore) -> None:
        file, folder = home / f"run/wake/{TABLE}.file", home / f"run/wake/{TABLE}.folder"
        file.write_text("someone's")
        folder.mkdir()
        (home / f"run/wake/{TABLE}.link").symlink_to(home / "nowhere")
        Wakeups(home).notify(TABLE)
        assert woken.acquire(timeout=LIMIT)
        assert file.read_text() == "someone's"
        assert len(sockets(home)) == 4

    def test_there_are_not_more_than_so_many(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wakeup, "MOST_SOCKETS", 3)
        all_of_them = [Wakeups(home).subscribe(TABLE, lambda: None) for _ in range(5)]
        assert [one is not None for one in all_of_them] == [True, True, True, False, False]
        for one in all_of_them:
            if one is not None:
                one.close()


class TestAHostileSender:
    """Whatever is sent, it comes to an early poll, and to few of those."""

    @pytest.mark.parametrize("message", [b"", b"\0" * 60_000, b"__import__('os').abort()", b"log_record"])
    def test_any_message_is_only_a_wake_up(
        self, home: Path, subscription: Subscription, woken: threading.Semaphore, message: bytes
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message, str(sockets(home)[0]))
        assert woken.acquire(timeout=LIMIT)
        Wakeups(home).notify(TABLE)
        assert woken.acquire(timeout=LIMIT)

    def test_a_flood_is_few_wake_ups(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As many as there is time for with a rest after each, by a clock on which none passes."""
        rested, woken = threading.Event(), threading.Semaphore(0)
        monkeypatch.setattr(wakeup, "REST_SECONDS", HOUR)
        subscription = Wakeups(home).subscribe(TABLE, lambda: (woken.release(), rested.set()))
        assert subscription is not None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            address = str(sockets(home)[0])
            for _ in range(10_000):
                try:
                    sender.sendto(b"x", address)
                except BlockingIOError:
                    rested.wait(LIMIT)
        for _ in range(100):
            Wakeups(home).notify(TABLE)  # finds it full, and does not wait
        subscription.close()
        subscription._thread.join(LIMIT)
        assert woken.acquire(blocking=False)
        assert not woken.acquire(blocking=False)

    def test_one_who_takes_nothing_holds_up_no_sender(
        self, home: Path, subscription: Subscription, woken: threading.Semaphore
    ) -> None:
        """Its socket is full, and stays so."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(str(home / f"run/wake/{TABLE}.0.deaf"))
            sender = Wakeups(home)
            for _ in range(2_000):
                sender.notify(TABLE)
            assert woken.acquire(timeout=LIMIT)

    @pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
    def test_a_folder_that_others_may_enter_is_not_used(self, home: Path, mode: int) -> None:
        folder = home / "run/wake"
        folder.mkdir(parents=True)
        folder.chmod(mode)
        assert Wakeups(home).subscribe(TABLE, lambda: None) is None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            theirs.bind(str(folder / f"{TABLE}.1.1"))
            theirs.setblocking(False)
            Wakeups(home).notify(TABLE)
            with pytest.raises(BlockingIOError):
                theirs.recv(1)

    def test_only_the_owner_may_enter_the_folder(self, home: Path, subscription: Subscription) -> None:
        assert stat.S_IMODE((home / "run/wake").stat().st_mode) == 0o700


class TestWhereThereAreNone:
    """What was committed is seen all the same, by polling."""

    @pytest.fixture(params=["no AF_UNIX", "a long path", "a file in the way", "another home"])
    def homes(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[Path, Path]:
        """Return the homes of a follower and of a writer."""
        home = tmp_path / "shared"
        if request.param == "no AF_UNIX":
            monkeypatch.delattr(socket, "AF_UNIX")
        elif request.param == "a long path":
            home = tmp_path / ("long" * 30)
        elif request.param == "a file in the way":
            home.mkdir()
            (home / "run").write_text("no folder")
        elif request.param == "another home":
            return home, tmp_path / "another"
        return home, home

    def test_it_is_seen(self, database_url: str, homes: tuple[Path, Path]) -> None:
        theirs, ours = homes
        app, other = app_on(database_url, theirs), app_on(database_url, ours)
        try:
            assert theirs != ours or app._wakeups.subscribe(TABLE, lambda: None) is None
            seen = follow_all(app)
            other.get_config()["x"] = 7
            other.get_log("elsewhere").info("a line")
            eventually(lambda: sorted(seen) == ["a line", "x"])
        finally:
            app.shutdown(LIMIT)
            other.shutdown(LIMIT)

    def test_a_sender_gets_no_error(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Wakeups(home).notify(TABLE)
        Wakeups(Path("/dev/null")).notify(TABLE)
        monkeypatch.delattr(socket, "AF_UNIX")
        Wakeups(home).notify(TABLE)


def follow_all(app: App) -> list[str]:
    """Return where the lines of log and the changes of the configuration gather that come from now on."""
    seen: list[str] = []
    config = app.get_config()
    config.add_callback("x", lambda parameter: seen.append(parameter.name))
    tail = Tail(app.database(app.settings.log), arriving(LogFilter(loggers=("elsewhere",))), SYSTEM_CLOCK)
    tail.begin()

    def follow() -> None:
        for line in tail.follow(app.stop_event):
            seen.append(line.message)  # type: ignore[union-attr]  # noqa: PERF401  as they come

    threading.Thread(target=follow, daemon=True).start()
    return seen


class TestFollowers:
    """What is committed in the home wakes those that follow it, where they would not look for long by themselves."""

    @pytest.fixture(autouse=True)
    def polls_that_come_too_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("config.watch.WATCH_INTERVAL", "config.watch.IDLE_INTERVAL", "tail.POLL_SECONDS"):
            monkeypatch.setattr(f"NexusCore.{name}", HOUR)
        monkeypatch.setattr("NexusCore.tail.IDLE_POLL_SECONDS", HOUR)
        monkeypatch.setattr("NexusCore.storage.polling.LONGEST_WAIT", HOUR)
        monkeypatch.setattr("NexusCore.tail.LONGEST_WAIT", HOUR)
        monkeypatch.setattr("NexusCore.config.watch.LONGEST_WAIT", HOUR)

    def test_of_the_configuration(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        seen: list[object] = []
        app.get_config().add_callback("x", lambda parameter: seen.append(parameter.value))
        eventually(lambda: sockets(tmp_path))
        ended(start(WRITING, main=database_url, home=tmp_path))
        eventually(lambda: seen == [7])
        app.shutdown(LIMIT)

    @pytest.mark.parametrize("table", ["log_record", "status_sample"])
    def test_of_a_table(self, database_url: str, tmp_path: Path, table: str) -> None:
        stop, seen = threading.Event(), threading.Event()
        database = open_database(database_url, Wakeups(tmp_path))
        tail = Tail(database, TailSource(table, "t.id", lambda row: row), SYSTEM_CLOCK)
        tail.begin()

        def follow() -> None:
            for _ in tail.follow(stop):
                seen.set()
                return

        threading.Thread(target=follow, daemon=True).start()
        eventually(lambda: sockets(tmp_path))
        ended(start(WRITING, main=database_url, home=tmp_path))
        assert seen.wait(LIMIT)
        stop.set()

    def test_the_end_is_not_waited_for(self, database_url: str, tmp_path: Path) -> None:
        """Of a watcher that waits for wake-ups; it leaves no socket."""
        app = app_on(database_url, tmp_path)
        app.get_config()
        eventually(lambda: sockets(tmp_path))
        thread = app.live._thread
        app.live.close(2 * LIMIT)
        assert thread is not None
        assert not thread.is_alive()
        assert sockets(tmp_path) == []
        app.shutdown(LIMIT)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
    def test_a_forked_child_has_its_own(self, database_url: str, tmp_path: Path) -> None:
        """Its parent's goes with the parent, also while the child lives; both see what is changed."""
        program = """
import os, sys, threading
from pathlib import Path
from NexusCore import API
from NexusCore.config import watch
from NexusCore.storage import polling
watch.WATCH_INTERVAL = watch.IDLE_INTERVAL = watch.LONGEST_WAIT = polling.LONGEST_WAIT = 3600.0
folder = Path(os.environ["NEXUSCORE_HOME"], "run/wake")
pause = threading.Event()
def own(pid):
    return [one for one in folder.glob("*") if one.name.split(".")[1] == str(pid)]
seen = threading.Event()
API.get_config().add_callback("x", lambda parameter: seen.set())
while not own(os.getpid()):
    pause.wait(0.01)
parent, child = os.getpid(), os.fork()
if child == 0:
    while not own(os.getpid()):
        pause.wait(0.01)
print("ready", flush=True)
assert seen.wait(60)
print("seen", flush=True)
if child:
    os.waitpid(child, 0)
API.shutdown(60)
assert not own(os.getpid())
print("end", flush=True)
os._exit(0)
"""
        process = start(program, main=database_url, home=tmp_path)
        assert [line_of(process), line_of(process)] == ["ready", "ready"]
        assert len(sockets(tmp_path)) == 2
        ended(start(WRITING, main=database_url, home=tmp_path))
        assert sorted(ended(process).split()) == ["end", "end", "seen", "seen"]
        assert sockets(tmp_path) == []
