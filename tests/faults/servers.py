"""A server for the tests of one module, that each of them may stop, pause and misconfigure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from NexusCore.storage.migrate import migrate
from tests.mariadb import MariaDB

_numbers = itertools.count(1)
_TEMPLATE = "template"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """Lend the module's server."""
    with MariaDB() as one:
        migrate(one.create_database(_TEMPLATE))
        yield one


@pytest.fixture
def server_url(server: MariaDB) -> Iterator[str]:
    """Return the URL of a fresh database with all tables on it; afterwards the server runs again."""
    yield server.copy_database(_TEMPLATE, f"nexus_{next(_numbers)}")
    if server.running:
        server.resume()
    server.start()
