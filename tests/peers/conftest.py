"""The peer servers as fixtures: each test that asks for one gets it with fresh data, and leaves none running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.servers import FIRST_START, MISSING, PEERS, PeerServer, own_home, running

FIXTURES = {"nemo", "caldav", "cdcs"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to a peer, and give it the time that a first start takes."""
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.peer)
            item.add_marker(pytest.mark.timeout(len(FIXTURES) * FIRST_START))


@pytest.fixture(scope="session")
def peers_home() -> Iterator[Path]:
    """Lend the folder that the servers of this process of tests live in; skip where there are none."""
    if not (PEERS / "peer.py").is_file():
        pytest.skip(MISSING)
    with own_home() as home:
        yield home


@pytest.fixture
def nemo(peers_home: Path) -> Iterator[PeerServer]:
    """Run a NEMO."""
    with running(peers_home, "nemo") as server:
        yield server


@pytest.fixture
def caldav(peers_home: Path) -> Iterator[PeerServer]:
    """Run a CalDAV server."""
    with running(peers_home, "caldav") as server:
        yield server


@pytest.fixture
def cdcs(peers_home: Path) -> Iterator[PeerServer]:
    """Run a CDCS that knows the schema of records."""
    with running(peers_home, "cdcs") as server:
        yield server
