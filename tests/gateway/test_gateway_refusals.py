"""What the Gateway refuses: clients without a right and malformed requests, each with a clear answer."""

from __future__ import annotations

import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.tokens import AccessTokens, TokenKind
from NexusCore.storage import open_database
from NexusCore.storage.migrate import migrate
from tests.gateway.gateways import PC, RunningGateway, configure, event_body, kind_of
from tests.mariadb import MariaDB
from tests.processes import LIMIT, eventually, execute, rows

HOSTILE = (
    "'; DROP TABLE session; --",
    '" OR 1=1 --',
    "1 UNION SELECT value FROM config_secret",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "%s%n%d {0} ${x} {{7*7}}",
    "\\",
    "\u202eabc",
    "\x00",
    "\ud800",
    "🔬" * 40,
    "x" * 5000,
)
"""Texts that somebody would use to break in."""
LEAKS = re.compile(r"Traceback|sqlite|mysql|SELECT |INSERT |/tmp/|/usr/|/home/|site-packages|\\.py\\b", re.IGNORECASE)
"""What no answer may contain."""


def refused(answer: requests.Response, status: int, kind: str) -> None:
    """Assert that a request was refused in the right way."""
    assert (answer.status_code, kind_of(answer)) == (status, kind), answer.text
    assert not LEAKS.search(answer.text)


class TestTokens:
    """002-08: a token opens the instruments of its PC, and nothing else."""

    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer nonsense", "Bearer é"])
    def test_without_a_valid_one(self, embedded_gateway: RunningGateway, header: str | None) -> None:
        headers = {} if header is None else {"Authorization": header.encode()}
        for path in ("/v1/sessions", "/v1/sessions/last", f"/v1/sessions/{uuid.uuid4()}", "/v1/instruments"):
            answer = embedded_gateway.get(path, headers=headers)
            refused(answer, 401, "no-valid-token")
            assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_a_revoked_one(self, gateway: RunningGateway) -> None:
        """From that moment on, also for a session that it has started."""
        pc = gateway.pc()
        session = pc.start()
        database = open_database(gateway.main)
        AccessTokens(database, SYSTEM_CLOCK).revoke(pc.name)
        database.close()
        refused(pc.get("sessions"), 401, "no-valid-token")
        refused(session.post("end"), 401, "no-valid-token")

    def test_an_expired_one(self, gateway: RunningGateway) -> None:
        pc = gateway.pc(until_ts=SYSTEM_CLOCK.now() + 3600 * SECOND)
        session = pc.start()
        execute(gateway.main, "UPDATE token SET until_ts = :now WHERE id = :id", now=SYSTEM_CLOCK.now(), id=pc.token_id)
        refused(session.post("end"), 401, "no-valid-token")

    def test_one_for_the_metrics(self, embedded_gateway: RunningGateway) -> None:
        refused(embedded_gateway.pc(kind=TokenKind.METRICS).get("sessions"), 401, "no-valid-token")

    def test_an_unreadable_one(self, embedded_gateway: RunningGateway) -> None:
        """A row that somebody wrote by hand opens nothing."""
        pc = embedded_gateway.pc()
        execute(embedded_gateway.main, "UPDATE token SET instruments = 'all' WHERE id = :id", id=pc.token_id)
        refused(pc.get("sessions"), 401, "no-valid-token")

    def test_another_instrument(self, gateway: RunningGateway) -> None:
        """The answer does not show whether it exists."""
        pc, other = gateway.pc(), gateway.pc()
        for pid in (other.pids[0], "No-Such-Instrument"):
            refused(pc.post("sessions", pc.start_body(str(uuid.uuid4()), pid)), 403, "wrong-instrument")
            refused(pc.get(f"instruments/{pid}"), 403, "wrong-instrument")
            refused(pc.get(f"instruments/{pid}/reservations"), 403, "wrong-instrument")
            for path in ("sessions", "sessions/last"):
                refused(pc.get(path, params={"instrument": pid}), 403, "wrong-instrument")
        assert rows(gateway.main, "SELECT COUNT(*) FROM session WHERE instrument = 'No-Such-Instrument'") == [(0,)]

    def test_a_session_on_another_instrument(self, gateway: RunningGateway) -> None:
        """Not even with that session's own token."""
        session, pc = gateway.pc().start(), gateway.pc()
        for what in ("end", "pause", "resume", "note", "problem"):
            body = event_body(text="x") if what in ("note", "problem") else event_body()
            path = f"sessions/{session.identifier}/{what}"
            refused(pc.post(path, body, session_token=session.token), 404, "no-such-session")
        refused(pc.get(f"sessions/{session.identifier}"), 404, "no-such-session")
        refused(pc.post("heartbeat", {"session": session.identifier}), 404, "no-such-session")
        assert session.types() == ["START"]

    def test_the_token_of_another_session(self, gateway: RunningGateway) -> None:
        """Neither of an earlier session on the same instrument, nor the PC's own, nor none."""
        pc = gateway.pc()
        earlier = pc.start()
        earlier.post("end")
        session, other = pc.start(), gateway.pc().start()
        for what in ("end", "pause", "resume", "note", "problem"):
            body = event_body(text="x") if what in ("note", "problem") else event_body()
            path = f"sessions/{session.identifier}/{what}"
            for token in (earlier.token, other.token, pc.secret, session.token[:-1], "", "é".encode()):
                refused(pc.post(path, body, session_token=token), 403, "wrong-session-token")  # type: ignore[arg-type]
            refused(pc.post(path, body), 403, "no-session-token")
        assert session.types() == ["START"]

    def test_a_session_from_elsewhere(self, embedded_gateway: RunningGateway) -> None:
        """One that SessionTool started has no token, so none fits."""
        from NexusCore.facility.sessions import Client, Sessions

        pc = embedded_gateway.pc()
        database = open_database(embedded_gateway.main)
        session = Sessions(database, SYSTEM_CLOCK).start(pc.pids[0], Client("jane", "desk"))
        database.close()
        for token in ("", "-", "None"):
            answer = pc.post(f"sessions/{session.identifier}/end", event_body(), session_token=token)
            refused(answer, 403, "wrong-session-token")

    def test_there_is_no_way_to_settings_or_secrets(self, embedded_gateway: RunningGateway) -> None:
        paths = embedded_gateway.get("/v1/openapi.json").json()["paths"]
        assert sorted(paths) == [
            "/v1/health", "/v1/heartbeat", "/v1/instruments", "/v1/instruments/{pid}",
            "/v1/instruments/{pid}/repairs", "/v1/instruments/{pid}/reservations", "/v1/sessions", "/v1/sessions/last",
            "/v1/sessions/{identifier}", "/v1/sessions/{identifier}/continue", "/v1/sessions/{identifier}/end",
            "/v1/sessions/{identifier}/files", "/v1/sessions/{identifier}/note", "/v1/sessions/{identifier}/pause",
            "/v1/sessions/{identifier}/problem", "/v1/sessions/{identifier}/resume",
            "/v1/sessions/{identifier}/transferred", "/v1/sessions/{identifier}/uploads",
            "/v1/sessions/{identifier}/uploads/{upload}", "/v1/sessions/{identifier}/uploads/{upload}/chunk",
            "/v1/sessions/{identifier}/uploads/{upload}/complete", "/v1/sessions/{identifier}/uploads/{upload}/parts",
            "/v1/version",
        ]  # fmt: skip


class TestHostileTexts:
    """SQL, HTML and odd characters in every field are stored as they are, or refused; never understood."""

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
    def test_in_every_field(self, gateway: RunningGateway, text: str) -> None:
        pc = gateway.pc()
        session = pc.start()
        answers = [pc.post("sessions", {**pc.start_body(str(uuid.uuid4())), name: text}) for name in pc.start_body("")]
        fields = ("user", "at", "now", "zone", "text", "unknown")
        answers += [session.post("note", **{"text": "x", name: text}) for name in fields]
        answers.append(pc.post("heartbeat", {"session": text}))
        data = text.encode("utf-8", "replace")
        answers += [pc.get("sessions", params={name: data}) for name in ("instrument", "state", "limit")]
        answers.append(pc.get("instruments", params={"computer": data}))
        quoted = requests.utils.quote(data, safe="")
        answers += [pc.get(f"{path}/{quoted}") for path in ("sessions", "instruments", "instruments/x")]
        for header in ("Idempotency-Key", "NexusCore-Session-Token", "NexusCore-API", "NexusCore-Client"):
            value = re.sub(rb"[\0\r\n]", b"", data)
            path = f"sessions/{session.identifier}/note"
            answers.append(pc.post(path, event_body(text="x"), headers={header: value}))
        for answer in answers:
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                kind_of(answer)
                assert not LEAKS.search(answer.json()["detail"])
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Type"].startswith("application/")
        assert session.post("end").status_code == 200
        events = pc.get(f"sessions/{session.identifier}").json()["events"]
        assert all(event["text"] in ("x", text) for event in events if event["type"] == "NOTE")


class TestWhatIsNoRequest:
    """Every bad input gets an answer that says what is wrong (RFC 9457)."""

    @pytest.fixture
    def pc(self, embedded_gateway: RunningGateway) -> PC:
        return embedded_gateway.pc()

    def test_no_such_path_or_method(self, embedded_gateway: RunningGateway) -> None:
        refused(embedded_gateway.get("/"), 404, "not-found")
        refused(embedded_gateway.get("/v1/sessions/"), 404, "not-found")
        refused(embedded_gateway.get("/docs"), 404, "not-found")
        answer = requests.delete(f"{embedded_gateway.url}/v1/sessions", timeout=LIMIT)
        refused(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET, POST"
        refused(requests.put(f"{embedded_gateway.url}/metrics", timeout=LIMIT), 405, "method-not-allowed")

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"user": NaN}', b"1" * 5000, b"[" * 60_000]
    )
    def test_a_body_that_is_not_what_is_expected(self, pc: PC, body: bytes) -> None:
        headers = {**pc.headers, "Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
        answer = requests.post(f"{pc.gateway.url}/v1/sessions", data=body, headers=headers, timeout=LIMIT)
        assert answer.status_code in (400, 422)
        kind_of(answer)

    def test_a_field_that_is_missing_or_wrong(self, pc: PC) -> None:
        """The answer names the field."""
        body = pc.start_body(str(uuid.uuid4()))
        for name in ("identifier", "instrument", "user", "at", "now"):
            answer = pc.post("sessions", {key: value for key, value in body.items() if key != name})
            refused(answer, 422, "invalid")
            assert answer.json()["errors"][0]["where"] == f"body/{name}"
        refused(pc.post("sessions", {**body, "usr": "x"}), 422, "invalid")

    def test_without_an_id_of_the_request(self, pc: PC) -> None:
        body = pc.start_body(str(uuid.uuid4()))
        for request in ({}, {"Idempotency-Key": "7"}):
            answer = requests.post(
                f"{pc.gateway.url}/v1/sessions", json=body, headers={**pc.headers, **request}, timeout=LIMIT
            )
            refused(answer, 422, "invalid")
        assert pc.get("sessions").json() == {"sessions": []}

    @pytest.mark.parametrize("stated", [True, False])
    def test_a_body_that_is_too_large(self, pc: PC, stated: bool) -> None:
        """Whether its size is stated, or it comes in pieces."""
        text = b"x" * 300_000
        data: Any = text if stated else iter([text[:150_000], text[150_000:]])
        headers = {**pc.headers, "Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
        answer = requests.post(f"{pc.gateway.url}/v1/sessions", data=data, headers=headers, timeout=LIMIT)
        refused(answer, 413, "too-large")

    def test_a_note_that_is_too_long(self, pc: PC) -> None:
        session = pc.start()
        refused(session.post("note", text="é" * 40_000), 422, "invalid")
        assert session.post("note", text="é" * 32_768).status_code == 200

    def test_a_head_that_is_too_large(self, embedded_gateway: RunningGateway) -> None:
        answer = embedded_gateway.get("/v1/version", headers={"X": "x" * 100_000})
        refused(answer, 431, "head-too-large")

    def test_what_is_not_http(self, embedded_gateway: RunningGateway) -> None:
        host, port = embedded_gateway.url.removeprefix("http://").split(":")
        for words in (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET /v1/version\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            with socket.create_connection((host, int(port)), LIMIT) as connection:
                connection.sendall(words)
                said = b"".join(iter(lambda: connection.recv(4096), b""))
            assert said.startswith(b"HTTP/1.1 400"), said
            assert b"application/problem+json" in said


class TestLimits:
    """How much a client may ask for."""

    @pytest.fixture
    def strict(self, sqlite_template: Path, tmp_path: Path) -> Iterator[RunningGateway]:
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        running = RunningGateway(
            f"sqlite:///{tmp_path}/nexus.db", tmp_path, requests_per_minute=8, failures_per_minute=4,
            header_seconds=1.0, request_seconds=1.5, max_connections=40,
        )  # fmt: skip
        yield running
        running.close()

    def test_requests_with_one_token(self, strict: RunningGateway) -> None:
        """Another token is not affected."""
        pc, other = strict.pc(), strict.pc()
        answers = [pc.get("sessions") for _ in range(10)]
        assert [answer.status_code for answer in answers[:8]] == [200] * 8
        refused(answers[-1], 429, "too-many-requests")
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
        assert other.get("sessions").status_code == 200

    def test_failures_from_one_address(self, strict: RunningGateway) -> None:
        """Who has a valid token is not affected."""
        answers = [strict.get("/v1/sessions", headers={"Authorization": f"Bearer {n}"}) for n in range(6)]
        assert [answer.status_code for answer in answers[:4]] == [401] * 4
        refused(answers[-1], 429, "too-many-requests")
        assert strict.pc().get("sessions").status_code == 200

    def test_a_client_that_does_not_go_on(self, strict: RunningGateway) -> None:
        """Neither a head nor a body may take for ever."""
        host, port = strict.url.removeprefix("http://").split(":")
        head = b"POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
        for words in (b"", b"GET /v1/ver", head):
            with socket.create_connection((host, int(port)), LIMIT) as connection:
                connection.sendall(words)
                said = b"".join(iter(lambda: connection.recv(4096), b""))
            assert said.startswith(b"HTTP/1.1 408"), said

    def test_too_many_connections(self, strict: RunningGateway) -> None:
        host, port = strict.url.removeprefix("http://").split(":")
        kept = [socket.create_connection((host, int(port)), LIMIT) for _ in range(40)]
        try:
            with socket.create_connection((host, int(port)), LIMIT) as connection:
                said = b"".join(iter(lambda: connection.recv(4096), b""))
            assert said.startswith(b"HTTP/1.1 503"), said
        finally:
            for connection in kept:
                connection.close()
        eventually(lambda: strict.get("/v1/version").status_code == 200)

    def test_a_logger_that_is_too_old(self, embedded_gateway: RunningGateway) -> None:
        """The facility can name the oldest version; that takes effect without a restart."""

        def answer(version: str) -> requests.Response:
            return embedded_gateway.get("/v1/version", headers={"NexusCore-Client": version})

        configure(embedded_gateway.main, oldest_client="1.10")
        eventually(lambda: answer("1.9.9").status_code == 400)
        assert [answer(version).status_code for version in ("1.10", "1.10.0", "2.0", "x")] == [200, 200, 200, 400]
        refused(answer("1.2"), 400, "incompatible-client")
        configure(embedded_gateway.main, oldest_client="")
        eventually(lambda: answer("1.9.9").status_code == 200)


class TestAnAbsentDatabase:
    """While the database does not answer, nor does the Gateway, but it says so; nothing of it is shown."""

    def test_503_and_when_to_try_again(self, sqlite_template: Path, tmp_path: Path) -> None:
        path = tmp_path / "nexus.db"
        shutil.copyfile(sqlite_template, path)
        running = RunningGateway(f"sqlite:///{path}", tmp_path)
        try:
            pc = running.pc()
            session = pc.start()
            execute_raw(path, "ALTER TABLE session RENAME TO gone")
            answer = session.post("end")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "5"
            assert not LEAKS.search(answer.text)
            execute_raw(path, "ALTER TABLE gone RENAME TO session")
            assert session.post("end").status_code == 200
        finally:
            running.close()

    def test_a_server_that_comes_back(self, private_mariadb: MariaDB, tmp_path: Path) -> None:
        """What a PC sends again then takes effect once."""
        migrate(private_mariadb.create_database("nexus"))
        running = RunningGateway(private_mariadb.url("nexus"), tmp_path)
        try:
            pc = running.pc()
            session, request = pc.start(), str(uuid.uuid4())
            body = event_body()
            private_mariadb.stop()
            path = f"sessions/{session.identifier}/end"
            answer = pc.post(path, body, request, session.token)
            assert (answer.status_code, kind_of(answer)) == (503, "database-away")
            assert running.get("/v1/health").status_code == 503
            private_mariadb.start()
            ended = eventually(lambda: (now := pc.post(path, body, request, session.token)).status_code == 200 and now)
            assert ended.json()["state"] == "TO_BE_BUILT"
            assert session.types() == ["START", "END"]
        finally:
            running.close()


def execute_raw(path: Path, sql: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()
