"""Destinations, and Uploaders, side by side: none waits for another, and no two send the same; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Record, State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass, RunOptions
from Services.Uploader import sending
from Services.Uploader.destinations import Receipt
from Services.Uploader.destinations.atomic_files import writing_into
from Services.Uploader.instance_lock import InstanceLock
from Services.Uploader.service import Uploader
from tests.processes import LIMIT, app_on, eventually, rows
from tests.services.uploading import Facility, Fickle, facility_on, give, status_of


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(database_url, tmp_path) as one:
        yield one


class Hung(Fickle):
    """Takes its time over each record, until it is released."""

    def __init__(self, name: str = "hung") -> None:
        super().__init__(name)
        self.asked = threading.Event()
        self.released = threading.Event()

    def put(self, record: Record) -> Receipt:
        self.asked.set()
        self.released.wait(LIMIT)
        return super().put(record)


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hung]:
    one = Hung()
    give(monkeypatch, one)
    yield one
    one.released.set()


def running(facility: Facility) -> Uploader:
    """Return an Uploader as a service runs it: its passes leave behind what is slow."""
    uploader = Uploader(facility.app)
    uploader.take_options(RunOptions())
    return uploader


@contextmanager
def elsewhere(facility: Facility, home: Path) -> Iterator[Uploader]:
    """Lend an Uploader of another machine."""
    app = app_on(facility.url, home, facility.clock)
    try:
        yield Uploader(app)
    finally:
        app.shutdown(LIMIT)


class TestAHungDestination:
    """It delays no other one, whenever a record was built, and each one's status is told at once."""

    def test_while_others_go_on(self, facility: Facility, hung: Hung) -> None:
        facility.config["Services.Uploader.destinations"] = "hung, directory"
        first = facility.built()
        uploader = running(facility)
        uploader.once()
        assert hung.asked.wait(LIMIT)
        eventually(lambda: status_of(uploader, "destination directory") == "ok")
        eventually(lambda: facility.upload(first).state is UploadState.DONE)
        eventually(lambda: status_of(uploader, "state") == "sending to hung")
        second = facility.built("Quanta")
        uploader.once()
        eventually(lambda: facility.upload(second).state is UploadState.DONE)
        assert facility.state(second) is State.BUILT, "not all have it"
        eventually(lambda: [status_of(uploader, f"waiting {name}") for name in ("hung", "directory")] == [2, 0])
        hung.released.set()
        eventually(lambda: uploader.once() and facility.state(second) is State.COMPLETED)
        assert facility.state(first) is State.COMPLETED
        eventually(lambda: status_of(uploader, "state") == "idle")
        assert hung.put_so_far == [first.session, second.session], "each once"

    def test_the_status_shows_the_delay(self, facility: Facility, hung: Hung, monkeypatch: pytest.MonkeyPatch) -> None:
        """Long before it counts as silent."""
        monkeypatch.setattr(sending, "STATUS_DELAY_SECONDS", 0.2)
        facility.config["Services.Uploader.destinations"] = "hung"
        facility.built()
        uploader = running(facility)
        uploader.once()
        says = "has been at work on something for more than 0.2 s"
        eventually(lambda: status_of(uploader, "destination hung") == says)
        hung.released.set()
        eventually(lambda: status_of(uploader, "destination hung") == "ok")

    def test_at_the_end_of_the_service(self, facility: Facility, hung: Hung) -> None:
        facility.config["Services.Uploader.destinations"] = "hung"
        record = facility.built()
        uploader = running(facility)
        uploader.once()
        assert hung.asked.wait(LIMIT)
        facility.app.stop_event.set()
        uploader.close()
        eventually(lambda: facility.said()[-1][0].startswith("Stopped; records still to be sent to hung wait"))
        assert facility.upload(record, "hung").state is UploadState.WAITING

    def test_what_fails_in_a_thread_fails_the_pass(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """The others' work is done all the same."""

        def broken(*_: object) -> None:
            raise RuntimeError("a fault of ours")

        give(monkeypatch, Fickle())
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        record = facility.built()
        uploader = Uploader(facility.app)
        serve = sending.Sending._check
        monkeypatch.setattr(
            sending.Sending,
            "_check",
            lambda self, upload_round: broken() if upload_round.name == "fickle" else serve(self, upload_round),
        )
        with pytest.raises(RuntimeError, match="a fault of ours"):
            uploader.once()
        assert facility.upload(record).state is UploadState.DONE


class TestOneFolder:
    """Destinations that share a folder take turns in it."""

    def test_of_two_destinations(self, facility: Facility, tmp_path: Path) -> None:
        (tmp_path / "share").mkdir()
        facility.config["Services.Uploader.destinations"] = "directory, eln"
        uploader = Uploader(facility.app)
        for name in ("directory", "eln"):
            facility.config[f"Services.Uploader.{name}.path"] = str(tmp_path / "share")
        records = [facility.experiment() for _ in range(5)]
        assert uploader.once() == Pass(done=10)
        assert {facility.state(record) for record in records} == {State.COMPLETED}

    def test_one_waits_for_the_other(self, tmp_path: Path) -> None:
        done = threading.Event()

        def write() -> None:
            with writing_into(tmp_path) as first:
                assert first
                done.set()

        with writing_into(tmp_path):
            other = threading.Thread(target=write)
            other.start()
            assert not done.is_set()
        other.join(LIMIT)
        assert done.is_set()


class TestSeveralUploaders:
    """On machines that share nothing but the database: one at a time sends a record to a destination."""

    def test_the_second_leaves_it_to_the_first(self, facility: Facility, hung: Hung, tmp_path: Path) -> None:
        facility.config["Services.Uploader.destinations"] = "hung"
        record = facility.built()
        first = running(facility)
        first.once()
        assert hung.asked.wait(LIMIT)
        with elsewhere(facility, tmp_path / "elsewhere") as second:
            assert second.once() == Pass()
            assert hung.put_so_far == []
            hung.released.set()
            eventually(lambda: first.once() and facility.state(record) is State.COMPLETED)
            assert second.once() == Pass()
        assert hung.put_so_far == [record.session]
        assert facility.upload(record, "hung").attempts == 1

    def test_the_second_takes_over_from_a_dead_one(self, facility: Facility, tmp_path: Path) -> None:
        """When its lease has run out; afterwards it is looked at again, for what the dead one had begun."""
        record = facility.built()
        facility.records.expect([(record, "directory")])
        assert facility.records.claim(record, "directory", "a dead one", 60)
        with elsewhere(facility, tmp_path / "elsewhere") as second:
            facility.config["Services.Uploader.directory.path"] = str(tmp_path)
            assert second.once() == Pass()
            facility.clock.move(61)
            assert second.once() == Pass(done=1)
            assert facility.state(record) is State.COMPLETED
            assert facility.upload(record).next_attempt_ts is not None
            facility.clock.move(3600)
            second.once()
            assert facility.upload(record).next_attempt_ts is None

    def test_one_of_the_same_home_need_not_wait(self, facility: Facility) -> None:
        """It has the lock of the home: whoever had it before is dead, or done."""
        record = facility.built()
        dead = InstanceLock(facility.home, Uploader(facility.app)._instance_lock._host)
        assert dead.take()
        facility.records.expect([(record, "directory")])
        assert facility.records.claim(record, "directory", dead.owner, 60)
        assert Uploader(facility.app).once() == Pass(), "another is at work on this machine"
        dead.leave()
        assert Uploader(facility.app).once() == Pass(done=1)

    def test_a_lease_is_kept_while_its_holder_is_at_work(
        self, facility: Facility, hung: Hung, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "LEASE_SECONDS", 0.6)
        facility.config["Services.Uploader.destinations"] = "hung"
        record = facility.built()
        uploader = running(facility)
        uploader.once()
        assert hung.asked.wait(LIMIT)

        def renewed() -> bool:
            after = facility.clock.now() + int(0.5 * SECOND)
            return bool(rows(facility.url, "SELECT id FROM upload WHERE lease_until > :after", after=after))

        for _ in range(3):
            facility.clock.move(0.4)
            eventually(renewed)
        assert facility.records.claim(record, "hung", "another", 60) is None

    def test_names_of_homes(self, tmp_path: Path) -> None:
        """Each its own, the same for all Uploaders of one; of its own where a home cannot be had."""
        first, again = InstanceLock(tmp_path / "a", "here"), InstanceLock(tmp_path / "a", "here")
        other = InstanceLock(tmp_path / "b", "here")
        (tmp_path / "file").write_text("x")
        lost, also_lost = InstanceLock(tmp_path / "file", "here"), InstanceLock(tmp_path / "file", "here")
        assert first.take()
        assert first.take()
        assert not again.take()
        assert all(one.take() for one in (other, lost, also_lost))
        first.leave()
        assert again.take()
        assert again.owner == first.owner
        assert len({one.owner for one in (first, other, lost, also_lost)}) == 4
        again.leave()
        other.leave()
