"""The session logger behind a real Gateway: nothing is lost, and the PC opens nothing but its own instrument."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from Logger.debuglog import DebugLog
from Logger.facility import EventKind, FacilityError, Refused, SessionEvent, Unreachable
from Logger.gateway_facility import GatewayFacility
from Logger.states import Closed, Ended, Failed, OpenSessionQuestion, Running
from Logger.uptime import Uptime
from NexusCore.clock import SECOND
from NexusCore.facility.session import Client, State
from NexusCore.settings import DatabaseURL
from tests.conftest import PROJECT
from tests.gateway.gateways import RunningGateway
from tests.logger.facility import LIMIT, until
from tests.logger.gateways import Microscope
from tests.logger.wire import Wire
from tests.mariadb import MariaDB

ANN = Client(user="ann", host="elsewhere")
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the delivery try again at once."""
    monkeypatch.setattr("Logger.delivery.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("Logger.delivery.LONGEST_PAUSE", 0.2)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Microscope]]:
    """Make microscopes; their loggers stop with the test."""
    made: list[Microscope] = []

    def make(gateway: RunningGateway, url: str = "") -> Microscope:
        made.append(Microscope(gateway, tmp_path, f"SCOPE-{next(_numbers)}", url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def scope(gateway: RunningGateway, make: Callable[..., Microscope]) -> Microscope:
    """Return a microscope of a facility on each kind of database."""
    return make(gateway)


@pytest.fixture
def small_scope(embedded_gateway: RunningGateway, make: Callable[..., Microscope]) -> Microscope:
    """Return a microscope of a facility on SQLite."""
    return make(embedded_gateway)


class TestASession:
    """002-01, 08, 14: from start to end through the API alone."""

    def test_from_start_to_end(self, scope: Microscope) -> None:
        course = scope.course()
        running = course.begin(Running)
        assert running.station.name == f"The {scope.name}"
        assert scope.events() == ["START"]
        course.controller.pause()
        course.controller.resume()
        course.controller.note("It's a \"note\"; <b>ünïcödé</b> '; DROP TABLE session; --")
        course.controller.report_problem("drift")
        course.end(Ended)
        (session,) = scope.all()
        assert (session.identifier, session.state) == (running.session.identifier, State.TO_BE_BUILT)
        events = scope.sessions.events(session)
        assert [event.type.value for event in events] == ["START", "PAUSE", "RESUME", "NOTE", "PROBLEM", "END"]
        assert events[3].detail == "It's a \"note\"; <b>ünïcödé</b> '; DROP TABLE session; --"
        assert {event.host for event in events} == {scope.name}

    def test_the_next_launch_asks_about_one_that_was_interrupted(self, scope: Microscope) -> None:
        running = scope.course().begin(Running)
        again = scope.course()
        assert again.begin(OpenSessionQuestion).session.identifier == running.session.identifier
        again.go_on(Running)
        again.end(Ended)
        assert scope.events() == ["START", "RESUME", "END"]

    def test_a_pc_whose_disk_was_exchanged_can_continue(self, scope: Microscope) -> None:
        """The session's token went with the disk; the PC's own opens its instrument's session again."""
        running = scope.course().begin(Running)
        course = scope.course("new disk")
        question = course.begin(OpenSessionQuestion)
        assert (question.session.identifier, question.session.computer) == (running.session.identifier, "")
        course.go_on(Running)
        course.controller.note("on the new disk")
        course.end(Ended)
        assert scope.events() == ["START", "RESUME", "NOTE", "END"]

    def test_a_new_session_instead_of_another_user_s(self, scope: Microscope) -> None:
        old = scope.sessions.start(scope.pid, ANN)
        course = scope.course()
        question = course.begin(OpenSessionQuestion)
        assert (question.session.identifier, question.session.user, question.session.computer) == (
            old.identifier, "ann", "elsewhere",
        )  # fmt: skip
        course.start_new(Running)
        first, second = scope.all()
        assert (scope.events(first), scope.events(second)) == (["START", "END"], ["START"])
        assert first.end_ts is not None
        assert abs(first.end_ts - second.start_ts) <= 1


class TestWithoutTheGateway:
    """Started and ended without it, and right all the same."""

    def test_a_restart_of_the_gateway_under_a_session(self, small_scope: Microscope) -> None:
        gateway, course = small_scope._gateway, small_scope.course(patience=1.0)
        course.begin(Running)
        until(lambda: not course.controller.waiting and small_scope.events() == ["START"], "START is delivered")
        gateway.kill()
        course.controller.note("while it is away")
        ended = course.end(Ended)
        assert ended.delivery.waiting >= 1
        assert "cannot be reached" in ended.delivery.reason or "not answered" in ended.delivery.reason
        gateway.start()
        course.controller.stop()
        small_scope.url = gateway.url  # any free port
        following = small_scope.course()
        following.begin(Running)
        assert [small_scope.events(session) for session in small_scope.all()] == [["START", "NOTE", "END"], ["START"]]

    def test_a_wire_that_loses_answers(self, small_scope: Microscope, make: Callable[..., Microscope]) -> None:
        """The Gateway has stored the event, its answer never comes: sent again it changes nothing."""
        gateway = small_scope._gateway
        port = int(gateway.url.rpartition(":")[2])
        with Wire(port) as wire:
            scope = make(gateway, f"http://127.0.0.1:{wire.port}")
            course = scope.course()
            course.begin(Running)
            course.finish()
            for cut in (b"POST /V1/SESSIONS HTTP", b"/NOTE", b"/END"):
                wire.cut_after, wire.dead = cut, False
                course.controller.begin()
                course.controller.note("once")
                course.controller.end()
                until(lambda: wire.dead, "the wire is cut")
                wire.cut_after, wire.dead = b"", False
                course.shown(lambda state: isinstance(state, Closed))
                until(lambda: not course.controller.waiting and scope.all()[-1].end_ts is not None, "all is delivered")
                assert scope.events() == ["START", "NOTE", "END"]
            assert len(scope.all()) == 4

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_two_sessions_that_began_without_knowing_of_each_other(
        self, scope: Microscope, make: Callable[..., Microscope], first: str
    ) -> None:
        """The one that began first ends when the other one began."""
        known = scope.course()
        known.begin(Running)
        known.finish()
        if first == "theirs":
            other = scope.sessions.start(scope.pid, ANN)
        away, scope.url = scope.url, "http://127.0.0.1:1"
        running = scope.course(patience=0.1).begin(Running)
        if first == "ours":
            other = scope.sessions.start(scope.pid, ANN)
        scope.url = away
        scope.course().begin(OpenSessionQuestion)  # about ours, or if that is delivered by now, theirs
        until(lambda: len(scope.all()) == 3, "it is delivered")
        ours, theirs = scope.sessions.get(running.session.identifier), scope.sessions.get(other.identifier)
        if first == "ours":
            assert (ours.end_ts, theirs.end_ts) == (theirs.start_ts, None)
            assert scope.events(ours)[:3] == ["START", "NOTE", "END"]
        else:
            assert (theirs.end_ts, ours.end_ts) == (ours.start_ts, None)
            assert scope.events(theirs) == ["START", "NOTE", "END"]

    def test_the_start_keeps_its_own_time(self, small_scope: Microscope) -> None:
        known = small_scope.course()
        known.begin(Running)
        known.finish()
        away, small_scope.url = small_scope.url, "http://127.0.0.1:1"
        offline = small_scope.course(patience=0.1)
        running = offline.begin(Running)
        offline.end(Ended)
        offline.controller.stop()
        threading.Event().wait(1.5)
        small_scope.url = away
        following = small_scope.course()
        following.begin(Running)
        late = small_scope.sessions.get(running.session.identifier)
        assert abs(late.start_ts - running.session.since.timestamp() * SECOND) < SECOND
        assert small_scope.all()[-1].start_ts - late.start_ts > SECOND


class TestRefusals:
    """The user reads why the Gateway refuses, and what was stored here is never lost."""

    def test_a_token_that_was_revoked(self, small_scope: Microscope) -> None:
        facility = small_scope.facility(token="x" * 43)
        with pytest.raises(Refused, match="needs a valid token"):
            facility.station(10)

    def test_a_new_one_is_used_while_the_logger_runs(self, small_scope: Microscope) -> None:
        """What waits is delivered with it, by the process that has kept it."""
        tokens = ["x" * 43]
        facility = GatewayFacility(small_scope.url, lambda: tokens[-1], "", small_scope.name, Uptime())
        with pytest.raises(Refused, match="needs a valid token"):
            facility.station(10)
        tokens.append(small_scope.pc.secret)
        assert facility.station(10).pid == small_scope.pid

    def test_one_that_was_revoked_under_a_session(self, small_scope: Microscope) -> None:
        """It waits until the staff has mended that; the user can work."""
        from NexusCore.clock import SYSTEM_CLOCK
        from NexusCore.facility.tokens import AccessTokens

        course = small_scope.course()
        course.begin(Running)
        AccessTokens(small_scope.database, SYSTEM_CLOCK).revoke(small_scope.pc.name)
        course.controller.note("kept")
        told = course.shown(lambda state: isinstance(state, Running) and state.delivery.reason != "")
        assert "needs a valid token" in told.delivery.reason  # type: ignore[union-attr]
        course.controller.stop()
        small_scope.pc = small_scope._gateway.pc(small_scope.pid, name=f"{small_scope.name}-again")
        again = small_scope.course()
        again.begin(OpenSessionQuestion)
        again.go_on(Running)
        # The session's token was of the revoked one; continuing gives another.
        assert small_scope.events()[:1] == ["START"]

    def test_the_instrument_of_another_pc(self, small_scope: Microscope, make: Callable[..., Microscope]) -> None:
        other = make(small_scope._gateway)
        with pytest.raises(Refused, match="not for that instrument"):
            small_scope.facility().open_session(other.pid)

    def test_a_token_for_several_instruments_needs_a_computer_name(self, small_scope: Microscope) -> None:
        small_scope.pc = small_scope._gateway.pc("one", "two", name=f"{small_scope.name}-many")
        with pytest.raises(Refused, match="does not say which instrument belongs to the computer"):
            small_scope.facility().station(10)


def event(pid: str, kind: EventKind = EventKind.START) -> SessionEvent:
    return SessionEvent(1, "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", kind, pid,
                        "ann", 1_800_000_000_000_000, 5)  # fmt: skip


class _Strange(BaseHTTPRequestHandler):
    answer: tuple[int, str, bytes] = (200, "text/html", b"<html>")
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        status, kind, body = self.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status in (301, 302, 307):
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  the name that http.server looks for

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def strange() -> Iterator[ThreadingHTTPServer]:
    """Lend a web server that is no Gateway."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Strange) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _Strange.asked.clear()
        yield server
        server.shutdown()


class TestWhatIsNoGateway:
    """Whatever answers at the address: a sentence, no address in it, no token in any text, and nothing is lost."""

    @pytest.mark.parametrize(
        "answer",
        [
            (200, "text/html", b"<html>Please log in"),
            (200, "application/json", b"[1, 2]"),
            (200, "application/json", b"{" * 100_000),
            (302, "text/html", b""),
            (404, "text/html", b"nginx"),
            (502, "text/html", b"Bad gateway"),
            (503, "application/problem+json", b'{"status": 503, "detail": "The database does not answer."}'),
            (429, "application/problem+json", b'{"status": 429, "detail": "Too many requests."}'),
        ],
        ids=lambda answer: f"{answer[0]} {answer[1].rpartition('/')[2]} {len(answer[2])}",
    )
    def test_it_is_tried_again(
        self, small_scope: Microscope, strange: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch,
        answer: tuple[int, str, bytes],
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_Strange, "answer", answer)
        facility = small_scope.facility(f"http://127.0.0.1:{strange.server_port}")
        with pytest.raises(Unreachable) as raised:
            facility.deliver(event(small_scope.pid), "")
        assert "127.0.0.1" not in str(raised.value)
        assert small_scope.pc.secret not in f"{raised.value} {raised.value.detail}"
        assert len(_Strange.asked) == 1, "a redirect is not followed"

    def test_nobody_listens(self, small_scope: Microscope) -> None:
        with pytest.raises(Unreachable, match=r"^The facility's server cannot be reached\.$") as raised:
            small_scope.facility("http://127.0.0.1:1").station(5)
        assert "Connection refused" in raised.value.detail
        assert small_scope.pc.secret not in raised.value.detail

    def test_it_accepts_and_says_nothing(self, small_scope: Microscope) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with pytest.raises(Unreachable) as raised:
                small_scope.facility(f"http://127.0.0.1:{silent.getsockname()[1]}").station(0.3)
            assert "cannot be reached" in str(raised.value)

    def test_the_debug_log_has_no_token(self, small_scope: Microscope, strange: ThreadingHTTPServer) -> None:
        small_scope.url = f"http://127.0.0.1:{strange.server_port}"
        log = DebugLog()
        logging.getLogger("Logger").addHandler(log)
        try:
            small_scope.course(patience=2.0).begin(Failed)
        finally:
            logging.getLogger("Logger").removeHandler(log)
        assert small_scope.pc.secret not in log.text()
        assert "not a NexusCore Gateway" in log.text()

    def test_a_gateway_that_needs_another_logger(self, small_scope: Microscope) -> None:
        """The version handshake: the user hears what to do."""
        facility = small_scope.facility()
        facility._connection._headers["NexusCore-API"] = "99"
        with pytest.raises(FacilityError, match=r"Update the Gateway\."):
            facility.station(10)


LOGGER = """
import sys
from pathlib import Path
from Logger.__main__ import facility
from Logger.controller import Controller
from Logger.outbox import Outbox
from Logger.pc_settings import load
from Logger.states import Running
from Logger.uptime import Uptime
settings, uptime = load(), Uptime()
outbox = Outbox(settings.home / "pc.outbox", uptime)
controller = Controller(outbox, lambda: facility(settings, sys.argv[1], uptime), patience=60)
controller.begin()
while not isinstance(controller.states.get(timeout=60), Running):
    pass
print("running", flush=True)
sys.stdin.readline()
"""


class TestAStolenPC:
    """What is on the PC opens its instrument and nothing else."""

    def test_no_secret_of_the_database_is_in_files_or_memory(
        self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, make: Callable[..., Microscope]
    ) -> None:
        password, name = f"Secret-{uuid.uuid4().hex}", DatabaseURL.parse(mariadb_url).name
        mariadb.execute(f"CREATE USER 'gw'@'127.0.0.1' IDENTIFIED BY '{password}'")
        mariadb.execute(f"GRANT ALL ON {name}.* TO 'gw'@'127.0.0.1'")
        gateway = RunningGateway(mariadb.url(name, user="gw", password=password), tmp_path)
        try:
            scope = make(gateway)
            settings = tmp_path / "logger.ini"
            settings.write_text(f"[gateway]\nurl = {gateway.url}\ntoken = {scope.pc.secret}\n")
            home = tmp_path / "home of the logger"
            kept = {variable: value for variable, value in os.environ.items() if not variable.startswith("NEXUSCORE_")}
            with subprocess.Popen(
                [sys.executable, "-c", LOGGER, scope.name], cwd=PROJECT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**kept, "NEXUSCORE_LOGGER_SETTINGS": str(settings), "NEXUSCORE_LOGGER_HOME": str(home)},
            ) as logger:  # fmt: skip
                assert logger.stdout is not None
                assert logger.stdout.readline() == "running\n"
                memory = memory_of(logger.pid)
                logger.communicate("end\n", timeout=LIMIT)
            assert scope.pc.secret.encode() in memory, "the search finds what is there"
            assert password.encode() not in memory
            stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
            assert password.encode() not in stored
            assert scope.pc.secret.encode() not in stored
            assert scope.events() == ["START"]
        finally:
            gateway.close()
            mariadb.execute("DROP USER 'gw'@'127.0.0.1'")


def memory_of(pid: int) -> bytes:
    """Return all that a process can read and write in its memory."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1].startswith("rw") and "[v" not in line:
                memory.seek(begin)
                with suppress(OSError):
                    found.append(memory.read(end - begin))
    return b"".join(found)
