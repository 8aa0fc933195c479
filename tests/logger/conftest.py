"""A facility in each kind of database, and a small screen."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logger.contract import ContractGateway
from tests.logger.facility import Facility
from tests.logger.network import Network
from tests.logger.screen import NEEDED, Desk, Screen
from tests.logger.transferring import TransferPC


@pytest.fixture
def facility(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    """Set up a facility, once on each kind of database."""
    yield from _facility(database_url, tmp_path, monkeypatch)


@pytest.fixture
def small_facility(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    """Set up a facility on the embedded database, for what does not depend on the kind."""
    yield from _facility(sqlite_url, tmp_path, monkeypatch)


def _facility(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facility]:
    monkeypatch.setenv("NEXUSCORE_DATABASE", url)
    monkeypatch.setenv("LOGNAME", "o'brien")
    monkeypatch.setenv("NEXUSCORE_LOGGER_HOME", str(folder / "logger"))
    facility = Facility(folder, close_delay=0.2, support_address="support@example.org")
    yield facility
    facility.close()


@pytest.fixture(scope="session")
def screen() -> Iterator[Screen]:
    """Lend a screen of 800 x 600 that nobody looks at."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"the window is clicked with {' and '.join(missing)}, which this machine does not have")
    with Screen(800, 600) as screen:
        yield screen


@pytest.fixture
def desk(screen: Screen, small_facility: Facility, tmp_path: Path) -> Iterator[Desk]:
    """Sit down at the microscope's PC."""
    with Desk(screen, small_facility.host, tmp_path) as desk:
        yield desk


@pytest.fixture
def network() -> type[Network]:
    """Lend a network of this test's own."""
    return type("OwnNetwork", (Network,), {"cut": False, "lost": 0})


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the delivery try again at once."""
    monkeypatch.setattr("Logger.delivery.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("Logger.delivery.LONGEST_PAUSE", 0.1)


@pytest.fixture
def quick_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the transfer try, report and show again at once."""
    monkeypatch.setattr("Logger.transfer.retrying.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("Logger.transfer.retrying.LONGEST_LOCKED", 0.3)
    monkeypatch.setattr("Logger.transfer.turns.FIRST_HOLD", 0.05)
    monkeypatch.setattr("Logger.transfer.reporting.REPORT_SECONDS", 0.05)
    monkeypatch.setattr("Logger.transfer.reporting.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("Logger.transfer.engine.SHOW_SECONDS", 0.05)
    monkeypatch.setattr("Logger.transfer.engine.BEAT", 0.05)


@pytest.fixture
def gateway() -> Iterator[ContractGateway]:
    """Lend a small Gateway that speaks the contract of the transfer."""
    gateway = ContractGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def pc(tmp_path: Path, gateway: ContractGateway, quick_transfer: None) -> Iterator[TransferPC]:
    """Set up a PC whose files are transferred to it."""
    pc = TransferPC(tmp_path, gateway.url)
    yield pc
    pc.stop()


@pytest.fixture
def session(pc: TransferPC) -> str:
    """Start a session, whose first scan is done."""
    session = str(uuid.uuid4())
    pc.begin(session)
    pc.start()
    pc.looked(session)
    return session
