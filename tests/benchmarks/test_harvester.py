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
BEFORE = {
    "expand": "user,project",
    "fields": "id,start,end,tool,cancelled,missed,shortened,descendant,title,question_data,"
    "user.username,user.first_name,user.last_name,project.application_identifier,project.name",
}
"""What asks a NEMO for parts of users and projects within each row, as the Harvester did before."""
WHOLE = {"expand": "user,project"}
"""What asks for all of them, as its own pages do."""
FEW = 200

embedded = harvesting.embedded_facility


def measured(one: Facility, server: PeerServer, done: int, figures: Figures) -> None:
    """Make one pass, and note how long it took and what it asked."""
    harvester, before = Harvester(one.app), len(server.requests())
    begin = time.perf_counter()
    assert harvester.once() == Pass(done=done)
    span = time.perf_counter() - begin
    what = f"{COUNT} reservations from {server.name} ({one.url.partition(':')[0]})"
    figures.at_most(what, span, 3, "s")
    figures.at_most(f"{what}, requests", len(server.requests()) - before, 6, "")


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
    figures.compare(f"the same {LARGE} rows with parts of users and projects in them", asked(nemo, BEFORE, LARGE), "s")
    figures.compare(f"{FEW} of these rows with whole users and projects in them", asked(nemo, WHOLE, FEW), "s")


def asked(nemo: PeerServer, params: dict[str, str], count: int) -> float:
    """Return how long a NEMO takes for so many of its reservations."""
    begin, rows = time.perf_counter(), 0
    headers = {"Authorization": f"Token {nemo.tokens['harvester']}"}
    size = min(count, 2000)
    for page in range(1, 2 + (count - 1) // size):
        query = {**params, "page_size": str(size), "page": str(page)}
        answer = requests.get(f"{nemo.url}/api/reservations/", query, headers=headers, timeout=600)
        answer.raise_for_status()
        rows += len(answer.json()["results"])
    assert rows >= count
    return time.perf_counter() - begin
