"""How quick the Harvester is: a window with 1,000 reservations, from a real NEMO and a real CalDAV server.

And all 5,018 of a large facility, beside what the same NEMO takes to put users and projects into its rows.
"""

from __future__ import annotations

import time

import pytest
import requests

from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.benchmarks.conftest import Figures
from tests.peers.conftest import caldav, nemo, peers, peers_home
from tests.peers.servers import PeerServer
from tests.peers.test_harvester_caldav import lab, only_the_saw
from tests.peers.test_harvester_nemo import fill, has_nemo, titan
from tests.services import harvesting
from tests.services.harvesting import Facility, facility

__all__ = ["caldav", "facility", "lab", "nemo", "peers", "peers_home", "titan"]

pytestmark = pytest.mark.timeout(1300)
COUNT = 1000
LARGE = 5018
PEOPLE = 400
IN_PLACE = {"expand": "user,project", "page_size": "2000"}
"""What asks a NEMO for users and projects within each row."""

embedded = harvesting.embedded_facility


def measured(one: Facility, server: PeerServer, done: int, figures: Figures) -> None:
    """Make one pass, and note how long it took and what it asked."""
    harvester, before = Harvester(one.app), len(server.requests())
    begin = time.perf_counter()
    assert harvester.once() == Pass(done=done)
    span = time.perf_counter() - begin
    what = f"{COUNT} reservations from {server.name} ({one.url.partition(':')[0]})"
    figures.at_most(what, span, 3, "s")
    figures.at_most(f"{what}, requests", len(server.requests()) - before, 5, "")


def test_nemo(titan: Facility, nemo: PeerServer, figures: Figures) -> None:
    fill(nemo, COUNT)
    measured(titan, nemo, 4, figures)


def test_caldav(lab: Facility, caldav: PeerServer, figures: Figures) -> None:
    only_the_saw(lab, caldav, COUNT)
    measured(lab, caldav, 1, figures)


def test_a_large_nemo(embedded: Facility, nemo: PeerServer, figures: Figures) -> None:
    has_nemo(embedded, nemo)
    fill(nemo, LARGE - 10, PEOPLE)
    embedded.config["Services.Harvester.days_ahead"] = embedded.config["Services.Harvester.days_back"] = 365
    harvester, before = Harvester(embedded.app), len(nemo.requests())
    begin = time.perf_counter()
    assert harvester.once() == Pass(done=4)
    span = time.perf_counter() - begin
    figures.at_most(f"{LARGE} reservations of {PEOPLE} people from a NEMO", span, 10, "s")
    figures.at_most(f"{LARGE} reservations of {PEOPLE} people, requests", len(nemo.requests()) - before, 12, "")
    figures.compare("the same rows with users and projects in place of ids", in_place(nemo), "s")


def in_place(nemo: PeerServer) -> float:
    """Return how long a NEMO takes for its reservations with whole users and projects in them."""
    begin = time.perf_counter()
    headers = {"Authorization": f"Token {nemo.tokens['harvester']}"}
    page = 1
    while True:
        answer = requests.get(
            f"{nemo.url}/api/reservations/", {**IN_PLACE, "page": str(page)}, headers=headers, timeout=600
        )
        answer.raise_for_status()
        if not answer.json()["next"]:
            return time.perf_counter() - begin
        page += 1
