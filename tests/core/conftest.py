"""An application on a fresh database, and a second one that stands for another process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from tests.clocks import HandClock
from tests.processes import LIMIT, app_on


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[App]:
    app = app_on(database_url, tmp_path / "home")
    yield app
    app.shutdown(LIMIT)


@pytest.fixture
def other(database_url: str, tmp_path: Path) -> Iterator[App]:
    """Stand for another process: a watcher, connections and a home of its own."""
    app = app_on(database_url, tmp_path / "other")
    yield app
    app.shutdown(LIMIT)


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    """Return the application's configuration, from its root."""
    return app.get_config()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
