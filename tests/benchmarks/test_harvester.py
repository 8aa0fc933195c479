"""How quick the Harvester is: a window with 1,000 reservations, from a real NEMO and a real CalDAV server."""

from __future__ import annotations

import time

import pytest

from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.benchmarks.conftest import Figures
from tests.peers.conftest import caldav, nemo, peers_home
from tests.peers.servers import PeerServer
from tests.peers.test_harvester_caldav import lab, only_the_saw
from tests.peers.test_harvester_nemo import fill, titan
from tests.services.harvesting import Facility, facility

__all__ = ["caldav", "facility", "lab", "nemo", "peers_home", "titan"]

pytestmark = pytest.mark.timeout(1300)
COUNT = 1000


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
