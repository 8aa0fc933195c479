"""Gateways that the tests of a module share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SERVERS
from tests.gateway.gateways import RunningGateway
from tests.server import Server


@pytest.fixture(scope="module")
def embedded_gateway(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Lend a Gateway on SQLite, for what does not depend on the database."""
    folder = tmp_path_factory.mktemp("gateway")
    shutil.copyfile(sqlite_template, folder / "nexus.db")
    running = RunningGateway(f"sqlite:///{folder}/nexus.db", folder)
    yield running
    running.close()


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Lend a Gateway on each kind of database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("embedded_gateway")
        return
    server: Server = request.getfixturevalue(request.param)
    template: str = request.getfixturevalue(f"{request.param}_template")
    name = f"gateway_{request.module.__name__.rpartition('.')[2]}"
    running = RunningGateway(server.copy_database(template, name), tmp_path_factory.mktemp("gateway"))
    yield running
    running.close()
    server.drop_database(name)
