"""The thread that delivers: nothing that its listener does keeps it from delivering."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from Logger.delivery import Delivery, DeliveryState
from Logger.facility import EventKind
from Logger.outbox import Outbox
from Logger.uptime import Uptime
from tests.logger.facility import LIMIT, PID, Facility, until
from tests.logger.network import Network


def outbox_with_a_start(folder: Path) -> Outbox:
    outbox = Outbox(folder / "pc.outbox", Uptime())
    outbox.add(EventKind.START, "5d0c1f6a-7a44-4a3f-9a0e-000000000001", PID, "ann")
    return outbox


def test_nobody_is_told_before_it_begins(network: type[Network], tmp_path: Path) -> None:
    """Who made it may not be ready to hear that what an earlier logger left cannot be delivered."""
    told: list[DeliveryState] = []
    network.cut = True
    delivery = Delivery(outbox_with_a_start(tmp_path), network("pc"), told.append)
    time.sleep(0.2)
    assert told == []
    delivery.start()
    until(lambda: bool(told), "it begins")
    delivery.stop()


def test_a_fault_of_the_listener(
    small_facility: Facility, network: type[Network], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def listener(state: DeliveryState) -> None:
        raise RuntimeError("the screen has a fault")

    network.cut = True
    delivery = Delivery(outbox_with_a_start(tmp_path), network(small_facility.host), listener)
    delivery.start()
    until(lambda: delivery.state.waiting == 1, "it cannot be delivered")
    network.cut = False
    delivery.wake()
    assert delivery.wait(LIMIT)
    delivery.stop()
    assert small_facility.events() == ["START"]
    assert "A fault while showing what is delivered" in caplog.text
