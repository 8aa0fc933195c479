"""The peer servers as fixtures: a test gets each with fresh data, and none is left running at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.servers import FIRST_START, MISSING, PEERS, Peers, PeerServer, own_home

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


@pytest.fixture(scope="session")
def peers(peers_home: Path) -> Iterator[Peers]:
    """Lend the servers that the tests of this process share."""
    servers = Peers(peers_home)
    yield servers
    servers.close()


@pytest.fixture
def nemo(peers: Peers) -> PeerServer:
    """Return a NEMO."""
    return peers.fresh("nemo")


@pytest.fixture
def caldav(peers: Peers) -> PeerServer:
    """Return a CalDAV server."""
    return peers.fresh("caldav")


@pytest.fixture
def cdcs(peers: Peers) -> PeerServer:
    """Return a CDCS that knows the schema of records."""
    return peers.fresh("cdcs")
