"""How quick the Gateway is: fifty session loggers at once, and its end with a hundred connections."""

from __future__ import annotations

import random
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest
import requests

from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import kind
from tests.gateway.gateways import RunningGateway, event_body
from tests.processes import LIMIT

pytestmark = pytest.mark.timeout(600)
LOGGERS = 50
EVENTS = 10
PAUSE = 1.0
"""Mean seconds between two requests of one logger; a real one sends far fewer."""


def test_fifty_loggers_at_once(database_url: str, tmp_path: Path, figures: Figures) -> None:
    gateway = RunningGateway(database_url, tmp_path)
    pcs = [gateway.pc() for _ in range(LOGGERS)]
    together = threading.Barrier(LOGGERS)
    spans: list[float] = []
    errors: list[str] = []

    def work(number: int) -> None:
        chance, pc = random.Random(number), pcs[number]
        identifier, token = str(uuid.uuid4()), None
        requests_of_one = [("sessions", pc.start_body(identifier))]
        requests_of_one += [(f"sessions/{identifier}/note", event_body(text="x")) for _ in range(EVENTS)]
        requests_of_one.append((f"sessions/{identifier}/end", event_body()))
        with requests.Session() as connection:
            connection.headers.update(pc.headers)
            together.wait()
            for path, body in requests_of_one:
                time.sleep(chance.uniform(0, 2 * PAUSE))
                headers = {"Idempotency-Key": str(uuid.uuid4()), "NexusCore-Session-Token": token or "none"}
                begin = time.perf_counter()
                answer = connection.post(f"{gateway.url}/v1/{path}", json=body, headers=headers, timeout=LIMIT)
                spans.append(time.perf_counter() - begin)
                if answer.status_code >= 300:
                    errors.append(answer.text)
                token = token or answer.json().get("session_token")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(LOGGERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gateway.stop() == 0
    spans.sort()
    what = f"{LOGGERS} loggers at once on {kind(database_url)}"
    figures.at_most(f"{what}, errors", len(errors), 0, "")
    figures.at_most(f"{what}, median answer", 1000 * spans[len(spans) // 2], 30, "ms")
    figures.compare(f"{what}, 99th percentile", 1000 * spans[int(len(spans) * 0.99)], "ms")


def test_the_end_with_a_hundred_connections(sqlite_url: str, tmp_path: Path, figures: Figures) -> None:
    gateway = RunningGateway(sqlite_url, tmp_path)
    host, port = gateway.url.removeprefix("http://").split(":")
    head = b"POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    kept = [socket.create_connection((host, int(port)), LIMIT) for _ in range(100)]
    for number, connection in enumerate(kept):
        connection.sendall((b"", b"GET /v1/ver", head)[number % 3])
    assert gateway.get("/v1/version").status_code == 200
    begin = time.perf_counter()
    assert gateway.stop() == 0
    figures.at_most("end of the Gateway with 100 open connections", time.perf_counter() - begin, 3, "s")
    for connection in kept:
        connection.close()
