"""The Gateway as a program: where it listens, TLS, proxies, and how it ends."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from requests.adapters import HTTPAdapter

from Services.Gateway.settings import GatewaySettings
from tests.certificates import Authority, Certificate
from tests.gateway.gateways import RunningGateway, configure, kind_of
from tests.processes import LIMIT, PROJECT, environment_of, eventually, messages, rows, samples

Run = Callable[..., RunningGateway]
ONLY_ONE_LIMITED = """
import sys
from Services.Gateway import settings
settings.GatewaySettings.limits_connections_of = lambda self, address: address == "127.0.0.1"
sys.argv[0] = "Gateway"
import runpy
runpy.run_module("Services.Gateway", run_name="__main__")
"""


@pytest.fixture
def run(sqlite_template: Path, tmp_path: Path) -> Iterator[Run]:
    """Lend a function that starts a Gateway with settings of its own."""
    shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
    started: list[RunningGateway] = []

    def run(**settings: Any) -> RunningGateway:
        started.append(RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, **settings))
        return started[-1]

    yield run
    for one in started:
        one.close()


class FromAddress(HTTPAdapter):
    """Sends requests from an address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **more)


def place(gateway: RunningGateway) -> tuple[str, int]:
    host, _, port = gateway.url.rpartition("//")[2].rpartition(":")
    return host.strip("[]"), int(port)


class TestTheEnd:
    """SIGTERM ends it in order, whatever its clients do."""

    def test_with_a_hundred_open_connections(self, run: Run) -> None:
        """Idle ones, some with half a head, and some with half a body."""
        gateway = run()
        head = b"POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
        kept = [socket.create_connection(place(gateway), LIMIT) for _ in range(100)]
        try:
            for number, connection in enumerate(kept):
                connection.sendall((b"", b"GET /v1/ver", head)[number % 3])
            eventually(lambda: gateway.get("/v1/version").status_code == 200)
            assert gateway.process is not None
            gateway.process.terminate()
            assert gateway.process.wait(LIMIT) == 0
        finally:
            for connection in kept:
                connection.close()
        assert "Traceback" not in gateway.errors
        assert dict(samples(gateway.main, "Gateway"))["state"] == "stopped"
        assert messages(gateway.main, "Gateway")[-1] == "Gateway ends"

    def test_once_checks_the_settings(self, sqlite_url: str, tmp_path: Path) -> None:
        def once() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "Services.Gateway", "--once"], cwd=PROJECT, text=True,
                env=environment_of(sqlite_url, tmp_path), capture_output=True, timeout=LIMIT, check=False,
            )  # fmt: skip

        done = once()
        assert (done.returncode, "would listen on 127.0.0.1 port 8470" in done.stderr) == (0, True), done.stderr
        configure(sqlite_url, tls_certificate="/no/such.pem", tls_key="/no/such.pem")
        done = once()
        assert done.returncode == 4
        assert "Services.Gateway.tls_certificate is '/no/such.pem', which is not a file" in done.stderr


class TestWhereItListens:
    """Without TLS on this machine only, unless a setting allows more; the log says so."""

    def test_on_this_machine_without_a_certificate(self, run: Run) -> None:
        gateway = run()
        assert gateway.url.startswith("http://127.0.0.1:")
        said = eventually(lambda: [line for line in messages(gateway.main, "Gateway") if "no certificate" in line])
        assert "it listens on this machine only" in said[0]
        eventually(lambda: ("tls", "none: this machine only") in samples(gateway.main, "Gateway"))

    def test_elsewhere_if_told_so(self, run: Run) -> None:
        """127.0.0.2 stands for another address of the machine."""
        gateway = run(plain_http=True, address="127.0.0.2")
        assert gateway.url.startswith("http://127.0.0.2:")
        assert gateway.get("/v1/version").status_code == 200

    def test_a_change_takes_effect_at_the_next_pass(self, run: Run) -> None:
        gateway = run(address="127.0.0.1")
        configure(gateway.main, address="127.0.0.3")
        eventually(lambda: gateway._listening().startswith("http://127.0.0.3:"))
        with pytest.raises(requests.ConnectionError):
            gateway.get("/v1/version")
        gateway.url = gateway._listening()
        assert gateway.get("/v1/version").status_code == 200

    def test_a_port_that_is_taken(self, run: Run) -> None:
        """It says so, and tries again."""
        gateway = run()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            configure(gateway.main, port=port)
            sentence = f"The Gateway cannot listen at http://127.0.0.1:{port}"
            eventually(lambda: any(sentence in line for line in messages(gateway.main, "Gateway")))
            assert gateway.get("/v1/version").status_code == 200  # where it was
        eventually(lambda: gateway._listening() == f"http://127.0.0.1:{port}")

    def test_a_mistake_in_the_settings(self, run: Run) -> None:
        """It goes on as before."""
        gateway = run()
        configure(gateway.main, check=False, trusted_proxies="proxy.example.org")
        sentence = "trusted_proxies has 'proxy.example.org', which is neither an IP address nor a network"
        eventually(lambda: any(sentence in line for line in messages(gateway.main, "Gateway")))
        assert gateway.get("/v1/version").status_code == 200


class TestItsOwnCertificate:
    """TLS without a proxy."""

    def test_with_a_certificate(self, run: Run, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        certificate = authority.issue("gateway", addresses=["127.0.0.1"])
        files = {"tls_certificate": str(certificate.cert), "tls_key": str(certificate.key)}
        gateway = run(address="127.0.0.1", **files)
        assert gateway.url.startswith("https://")
        assert gateway.get("/v1/version", verify=str(authority.file)).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            gateway.get("/v1/version")
        with pytest.raises(requests.ConnectionError):
            requests.get(gateway.url.replace("https", "http"), timeout=LIMIT)
        pc = gateway.pc()
        answer = requests.post(
            f"{gateway.url}/v1/heartbeat", json={}, headers=pc.headers, verify=str(authority.file), timeout=LIMIT
        )
        assert answer.status_code == 200

    def test_a_renewed_one_is_used(self, run: Run, tmp_path: Path) -> None:
        first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
        certificate = first.issue("gateway", addresses=["127.0.0.1"])
        gateway = run(address="127.0.0.1", tls_certificate=str(certificate.cert), tls_key=str(certificate.key))
        assert gateway.get("/v1/version", verify=str(first.file)).status_code == 200
        before = gateway.url
        second.issue("gateway", addresses=["127.0.0.1"])
        gateway.url = eventually(lambda: (now := gateway._listening()) not in (before, "no") and now)
        assert gateway.get("/v1/version", verify=str(second.file)).status_code == 200

    def test_a_broken_one_is_not(self, run: Run, tmp_path: Path) -> None:
        """The Gateway says so, and goes on with the former."""
        authority = Authority(tmp_path)
        certificate = authority.issue("gateway", addresses=["127.0.0.1"])
        gateway = run(address="127.0.0.1", tls_certificate=str(certificate.cert), tls_key=str(certificate.key))
        certificate.cert.write_text("half a certif")
        sentence = f"certificate cannot be used: {certificate.cert} has no certificate in PEM form"
        eventually(lambda: any(sentence in line for line in messages(gateway.main, "Gateway")))
        assert gateway.get("/v1/version", verify=str(authority.file)).status_code == 200


class TestWhatIsWrongWithACertificate:
    """`--once` says it in a sentence with the file, and asks for nothing at the terminal."""

    @pytest.fixture
    def once(self, sqlite_url: str, tmp_path: Path) -> Callable[[Certificate], str]:
        def once(certificate: Certificate) -> str:
            configure(sqlite_url, tls_certificate=str(certificate.cert), tls_key=str(certificate.key))
            done = subprocess.run(
                [sys.executable, "-m", "Services.Gateway", "--once"], cwd=PROJECT, text=True,
                env=environment_of(sqlite_url, tmp_path), capture_output=True, timeout=LIMIT, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            return f"{done.returncode} {done.stderr}"

        return once

    @pytest.mark.parametrize(
        ("valid", "code", "sentence"),
        [
            ((-30, -1), "1", "expired on"),
            ((1, 30), "1", "is not valid before"),
            ((-30, 5), "0", "in 4 days. Renew it"),
        ],
    )
    def test_its_time(
        self, once: Callable[[Certificate], str], tmp_path: Path, valid: tuple[int, int], code: str, sentence: str
    ) -> None:
        certificate = Authority(tmp_path).issue("gateway", addresses=["127.0.0.1"], valid=valid)
        said = once(certificate)
        assert said[0] == code and f"{certificate.cert} " in said and sentence in said

    def test_a_key_with_a_passphrase(self, once: Callable[[Certificate], str], tmp_path: Path) -> None:
        certificate = Authority(tmp_path).issue("gateway", addresses=["127.0.0.1"])
        key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        certificate.key.write_bytes(key.private_bytes(*form, serialization.BestAvailableEncryption(b"secret")))
        said = once(certificate)
        assert said[0] == "1" and f"the key {certificate.key} has a passphrase" in said

    def test_the_key_of_another(self, once: Callable[[Certificate], str], tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        one, other = (authority.issue(name, addresses=["127.0.0.1"]) for name in ("one", "other"))
        said = once(Certificate(one.cert, other.key))
        assert said[0] == "1" and "belongs to another certificate" in said

    def test_a_key_that_is_none(self, once: Callable[[Certificate], str], tmp_path: Path) -> None:
        certificate = Authority(tmp_path).issue("gateway", addresses=["127.0.0.1"])
        said = once(Certificate(certificate.cert, certificate.cert))
        assert said[0] == "1" and "has no private key in PEM form" in said


class TestOneAddress:
    """One address cannot have all connections; here the loopback stands for another machine."""

    def test_it_cannot_keep_others_out(self, sqlite_template: Path, tmp_path: Path) -> None:
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        gateway = RunningGateway(
            f"sqlite:///{tmp_path}/nexus.db", tmp_path, ONLY_ONE_LIMITED, connections_per_address=5
        )
        kept = []
        try:
            kept = [socket.create_connection(place(gateway), LIMIT) for _ in range(8)]
            for connection in kept[5:]:
                connection.settimeout(LIMIT)
                assert b"too many connections from this address" in connection.recv(4096)
            other = requests.Session()
            other.mount("http://", FromAddress("127.0.0.9"))
            assert other.get(f"{gateway.url}/v1/version", timeout=LIMIT).status_code == 200
        finally:
            for connection in kept:
                connection.close()
            gateway.close()

    def test_who_has_no_such_limit(self) -> None:
        """Behind a proxy are many PCs."""
        settings = GatewaySettings(trusted_proxies="192.0.2.0/24, 198.51.100.7")
        limited = {
            one: settings.limits_connections_of(one) for one in ("127.0.0.1", "::1", "192.0.2.9", "198.51.100.8")
        }
        assert limited == {"127.0.0.1": False, "::1": False, "192.0.2.9": False, "198.51.100.8": True}


class TestMonitors:
    """Some ask by HEAD."""

    def test_head(self, run: Run) -> None:
        gateway = run()
        answer = requests.head(f"{gateway.url}/v1/health", timeout=LIMIT)
        assert (answer.status_code, answer.content) == (200, b"")


class TestRefusalsAreLogged:
    """Who tries tokens is seen in the log; a flood of refusals does not fill it."""

    def test_some_of_them(self, run: Run) -> None:
        gateway = run()
        for _ in range(30):
            assert gateway.get("/v1/sessions").status_code == 401
        refused = "Refused GET /v1/sessions from 127.0.0.1: 401 no-valid-token"
        eventually(lambda: refused in messages(gateway.main, "Gateway"))
        assert 1 <= len([line for line in messages(gateway.main, "Gateway") if "Refused" in line]) <= 6


class TestTheLastUseOfAToken:
    """It is stored besides; while the database takes no writes, PCs are answered none the less."""

    def test_while_another_writes(self, run: Run) -> None:
        gateway = run()
        pc = gateway.pc()
        with closing(sqlite3.connect(gateway.folder / "nexus.db", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert requests.get(f"{gateway.url}/v1/sessions", headers=pc.headers, timeout=3).status_code == 200
            writer.execute("ROLLBACK")
        sql = "SELECT seen_ts FROM token WHERE id = :id"
        assert eventually(lambda: rows(gateway.main, sql, id=pc.token_id)[0][0])


class TestBehindAProxy:
    """Forwarded headers are believed from configured addresses alone."""

    @pytest.mark.parametrize(("proxies", "blocked"), [("127.0.0.0/8", True), ("", False), ("192.0.2.7", False)])
    def test_the_address_of_the_client(self, run: Run, proxies: str, blocked: bool) -> None:
        """Here it decides whether the figures may be read: they are for this machine only."""
        gateway = run(trusted_proxies=proxies)
        answer = gateway.get("/metrics", headers={"X-Forwarded-For": "198.51.100.4", "X-Forwarded-Proto": "https"})
        assert answer.status_code == (403 if blocked else 200)
        assert gateway.get("/metrics").status_code == 200

    def test_a_client_cannot_name_its_own_address(self, run: Run) -> None:
        """The proxy appends the true one; what stands before it is the client's invention."""
        gateway = run(trusted_proxies="127.0.0.1")
        answer = gateway.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1, 198.51.100.4"})
        assert kind_of(answer) == "forbidden"


class TestARestart:
    """A Gateway that comes back knows all that it knew."""

    def test_sessions_go_on(self, run: Run) -> None:
        gateway = run()
        session = gateway.pc().start()
        gateway.kill()
        gateway.start()
        assert session.post("pause").status_code == 200
        assert gateway.stop() == 0
        gateway.start()
        assert session.post("end").json()["state"] == "TO_BE_BUILT"
        assert session.pc.post("heartbeat", {}).status_code == 200
