"""Whose turn it is among the files that wait."""

from __future__ import annotations

import queue
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from Logger.transfer.scanning import Signature
from Logger.transfer.sending import SendJob
from Logger.transfer.tracked import Blame, FileKey, FileStage, TrackedFile
from Logger.transfer.turns import Turns
from tests.logger.contract import ContractGateway
from tests.logger.transferring import TransferPC

AWAY = "The facility's store cannot be reached."


class Clock:
    """Time that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def job(path: str, session: str = "old", **more: Any) -> SendJob:
    key = FileKey(session, "raw", path)
    return SendJob(TrackedFile(key, Signature(10, 1, "1:2"), **more), "/raw", "token")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    return Turns(clock)


def take(turns: Turns, seconds: float = 0.01) -> str:
    """Let the next file have its turn, which lasts some seconds; return its path."""
    found = turns.get(timeout=0.0)
    assert found is not None
    turns.used(found.file.key, seconds)
    return found.file.key.path


def test_the_running_session_goes_first(turns: Turns) -> None:
    turns.set_running("new")
    for number in range(1000):
        turns.put(job(f"{number}"))
    for _ in range(10):
        take(turns)
    turns.put(job("mine", "new"))
    assert take(turns) == "mine"


def test_an_earlier_session_is_not_forgotten(turns: Turns) -> None:
    turns.set_running("new")
    for number in range(100):
        turns.put(job(f"old {number}")), turns.put(job(f"new {number}", "new"))
    assert [take(turns)[:3] for _ in range(50)].count("old") == 10


def test_a_session_that_ends_loses_its_place(turns: Turns) -> None:
    turns.set_running("first")
    turns.put(job("a", "first")), turns.put(job("b", "first"))
    turns.set_running("second")
    turns.put(job("c", "second"))
    assert [take(turns) for _ in range(3)] == ["c", "a", "b"]


def test_a_large_file_and_many_small_ones_share_the_time(turns: Turns) -> None:
    """The large one has a slice of 20 s, then the small ones have as long, and so on."""
    for number in range(3000):
        turns.put(job(f"small {number}"))
    turns.put(job("large"), begun=True)
    order = []
    for _ in range(2010):
        found = turns.get(timeout=0.0)
        assert found is not None
        large = found.file.key.path == "large"
        order.append(large)
        turns.used(found.file.key, 20.0 if large else 0.02)
        if large:
            turns.put(job("large", sent=5), begun=True)
    places = [place for place, large in enumerate(order) if large]
    assert places[0] <= 1
    assert len(places) == 3
    assert all(990 <= later - sooner <= 1010 for sooner, later in pairwise(places))


def test_what_failed_since_nothing_answered_does_not_go_behind_all_others(turns: Turns) -> None:
    for number in range(1000):
        turns.put(job(f"{number}"))
    for _ in range(5):
        take(turns)
    turns.put(job("again", stage=FileStage.FAILED, blame=Blame.AWAY))
    assert "again" in {take(turns) for _ in range(3)}


def test_while_nothing_answers_one_by_one_is_let_out(turns: Turns, clock: Clock) -> None:
    for number in range(100):
        turns.put(job(f"{number}"))
    take(turns)
    turns.hold(AWAY, 0.0)
    let_out = []
    for _ in range(120):  # two minutes
        clock.now += 1.0
        try:
            let_out.append(take(turns))
        except queue.Empty:
            continue
        turns.hold(AWAY, 0.0)
    assert 4 <= len(let_out) <= 10
    assert (turns.obstacle, turns.is_awaited()) == (AWAY, False)
    turns.go_on()
    assert (turns.obstacle, turns.is_awaited()) == ("", True)
    assert len([take(turns) for _ in range(80)]) == 80


def test_as_long_as_the_server_asks(turns: Turns, clock: Clock) -> None:
    turns.put(job("a"))
    turns.hold(AWAY, 40.0)
    clock.now += 39.0
    with pytest.raises(queue.Empty):
        turns.get(timeout=0.0)
    clock.now += 1.0
    assert take(turns) == "a"


def test_an_end_lets_nobody_wait(turns: Turns) -> None:
    turns.hold(AWAY, 1000.0)
    turns.put(job("a"))
    turns.end()
    assert turns.get() is None


def test_an_outage_fails_few_files_and_all_are_sent_after_it(
    tmp_path: Path, gateway: ContractGateway, pc: TransferPC, session: str
) -> None:
    gateway.intervene = lambda method, target, body: "cut" if "uploads" in target else None
    for number in range(60):
        pc.write(f"{number}.tif", b"x" * number)
    pc.until(lambda: pc.view(session).obstacle != "", "it says why nothing is sent")
    pc.until(lambda: len(gateway.requests) > 8, "some attempts were made")
    view = pc.view(session)
    assert view.obstacle == "The facility's server cannot be reached."
    assert view.troubled <= 12
    assert view.waiting >= 40
    pc.end(session)
    pc.until(lambda: pc.view(session).can_finish, "a user may end it without them")
    gateway.intervene = lambda method, target, body: None
    pc.until(lambda: pc.view(session).finished, "all are sent")
    assert len(gateway.objects) == 60
    assert pc.view(session).obstacle == ""
