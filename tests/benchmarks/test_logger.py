"""How long a session's start and end hold up its user, and how soon fifty microscopes are up to date again."""

from __future__ import annotations

import socket
import statistics
import time
from pathlib import Path

import pytest

from Logger.states import Ended, Running
from tests.benchmarks.conftest import Figures
from tests.gateway.gateways import RunningGateway
from tests.logger.facility import Course, until
from tests.logger.gateways import Microscope

pytestmark = pytest.mark.timeout(600)
ROUNDS = 10
MICROSCOPES = 50


def span(course: Course, what: str) -> float:
    begin = time.perf_counter()
    course.begin(Running) if what == "start" else course.end(Ended)
    return time.perf_counter() - begin


def test_start_and_end(sqlite_url: str, tmp_path: Path, figures: Figures) -> None:
    gateway = RunningGateway(sqlite_url, tmp_path)
    scope = Microscope(gateway, tmp_path, "SCOPE")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for how, url in (("Gateway there", gateway.url), ("nobody listens", "http://127.0.0.1:1"), ("no answer", away)):
            spans: dict[str, list[float]] = {"start": [], "end": []}
            for _ in range(ROUNDS if how == "Gateway there" else 3):
                scope.url = url
                course = scope.course(patience=1.5)
                for what, found in spans.items():
                    found.append(span(course, what))
                course.controller.stop()
            for what, found in spans.items():
                figures.at_most(f"session logger, {what}, {how}, worst", max(found), 2, "s")
                figures.compare(f"session logger, {what}, {how}, median", statistics.median(found), "s")
    scope.close()
    gateway.close()


def test_fifty_microscopes_after_a_restart(mariadb_url: str, tmp_path: Path, figures: Figures) -> None:
    gateway = RunningGateway(mariadb_url, tmp_path)
    scopes = [Microscope(gateway, tmp_path, f"SCOPE-{number}") for number in range(MICROSCOPES)]
    courses = [scope.course(patience=0.2) for scope in scopes]
    for course in courses:
        course.begin(Running)
    port = int(gateway.url.rpartition(":")[2])
    gateway.kill()
    for course in courses:
        course.controller.note("while the Gateway is away")
        course.controller.end()
    for course in courses:
        course.shown(lambda state: isinstance(state, Ended))
    gateway.restart_at(port)
    begin = time.perf_counter()
    until(lambda: not any(course.outbox.waiting() for course in courses), "all are up to date")
    figures.at_most(f"{MICROSCOPES} outboxes are empty after a restart", time.perf_counter() - begin, 10, "s")
    events = [scope.events() for scope in scopes]
    figures.at_most(
        "sessions of these that are not right", sum(one != ["START", "NOTE", "END"] for one in events), 0, ""
    )
    for scope in scopes:
        scope.close()
    gateway.close()
