"""What fails is tried again, each destination by itself, and what is refused is not; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SECOND, to_ts
from NexusCore.facility import Record, State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass
from Services.Uploader.destinations import DestinationAway, NotTaken, Receipt, RecordRefused
from Services.Uploader.service import Uploader
from tests.processes import LIMIT, eventually, rows
from tests.services.uploading import NOW, Facility, Fickle, facility_on, give, status_of


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(database_url, tmp_path) as one:
        yield one


class TestTryingAgain:
    """What fails is tried again at growing intervals, each destination by itself, and holds up nothing."""

    def test_intervals_grow_up_to_the_longest(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        facility.config["Services.Uploader.retry_longest"] = 200.0
        fickle.failure = NotTaken(destination="fickle", title="Rock salt", reason="it is full")
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        for seconds in (60, 120, 200, 200):
            tried = len(fickle.put_so_far)
            facility.clock.move(seconds - 1)
            assert uploader.once() == Pass(failed=1), "not yet"
            assert len(fickle.put_so_far) == tried
            facility.clock.move(1)
            assert uploader.once() == Pass(failed=1)
            assert len(fickle.put_so_far) == tried + 1
        upload = facility.upload(record, "fickle")
        assert (upload.attempts, upload.last_error) == (
            5,
            "fickle did not take the record 'Rock salt': it is full.",
        )
        fickle.failure = None
        facility.clock.move(200)
        assert uploader.once() == Pass(done=1)
        upload = facility.upload(record, "fickle")
        assert (upload.state, upload.last_error, upload.url) == (UploadState.DONE, None, "https://cdcs.example.org/1")

    @pytest.mark.parametrize(
        ("failure", "says"),
        [
            (NotTaken(destination="fickle", title="x", reason="it is full"), "it is full."),
            (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
            (RuntimeError("what now"), "RuntimeError: what now"),
        ],
    )
    def test_another_destination_is_not_held_up(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch, failure: Exception, says: str
    ) -> None:
        fickle = Fickle()
        fickle.failure = failure
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        records = [facility.built(), facility.built("Quanta")]
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=2, failed=2)
        for record in records:
            assert facility.upload(record).state is UploadState.DONE
            assert (facility.upload(record, "fickle").last_error or "").endswith(says)
            assert facility.state(record) is State.BUILT, "not all destinations have it"
        fickle.failure = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=2)
        assert {facility.state(record) for record in records} == {State.COMPLETED}
        assert {facility.upload(record).attempts for record in records} == {1}, "what is there is not sent again"

    def test_what_comes_back_is_compared(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        fickle.spoil = True
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        record = facility.built()
        assert Uploader(facility.app).once() == Pass(failed=1)
        assert facility.upload(record, "fickle").last_error == (
            "fickle did not take the record 'Rock salt': the copy read back differs from what was sent."
        )

    def test_a_destination_that_is_down(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each row says so; all go at once when it is back; it is asked at the start and with each pass."""
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        uploader = Uploader(facility.app)
        uploader.once()
        uploader.once()
        assert fickle.checked == 1
        records = [facility.built(), facility.built("Quanta")]
        fickle.problems = ["it is down", "and its door is closed"]
        assert uploader.once() == Pass(failed=2)
        assert uploader.once() == Pass(failed=2)
        assert fickle.checked == 3
        assert status_of(uploader, "destination fickle") == "it is down; and its door is closed"
        assert status_of(uploader, "records_waiting") == status_of(uploader, "waiting fickle") == 2
        for record in records:
            upload = facility.upload(record, "fickle")
            assert (upload.state, upload.attempts) == (UploadState.ERROR, 2)
            assert upload.last_error == "fickle cannot be used now: it is down; and its door is closed."
            assert upload.next_attempt_ts == to_ts(NOW), "at the next pass"
        fickle.problems = []
        assert uploader.once() == Pass(done=2)
        assert status_of(uploader, "destination fickle") == "ok"
        sentences = [text for text, _ in facility.said() if text.startswith(("The destination", "Nothing"))]
        assert sentences == [
            "Nothing can be sent to fickle: it is down; and its door is closed",
            "The destination fickle can be used again",
        ], "each is said once"

    def test_it_is_waited_for_in_minutes(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long it was away; a record that it fails over does not keep the others from it."""
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        record = facility.built()
        uploader = Uploader(facility.app)
        fickle.failure = DestinationAway(destination="fickle", reason="it answered 502")
        for seconds in (60, 120, 240, 300, 300):
            assert uploader.once() == Pass(failed=1)
            upload = facility.upload(record, "fickle")
            assert upload.next_attempt_ts == upload.updated_ts + seconds * SECOND
            facility.clock.move(seconds)

    def test_one_that_never_answers(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        class Silent(Fickle):
            def put(self, record: Record) -> Receipt:
                released.wait(LIMIT)
                return super().put(record)

        give(monkeypatch, Silent("silent"))
        facility.config["Services.Uploader.destinations"] = "silent,directory"
        uploader = Uploader(facility.app)
        facility.config["Services.Uploader.time_limit"] = 1.0
        record = facility.built()
        try:
            assert uploader.once() == Pass(done=1, failed=1)
        finally:
            released.set()
        assert facility.upload(record, "silent").last_error == "silent did not answer within 1 s."

    def test_a_silent_one_is_left_alone_until_it_has_ended(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two at work at once there could store a record twice."""
        released = threading.Event()

        class Slow(Fickle):
            def put(self, record: Record) -> Receipt:
                self.put_so_far.append(record.session)
                released.wait(LIMIT)
                return Receipt(self.name, record.sha256)

        slow = Slow("slow")
        give(monkeypatch, slow)
        facility.config["Services.Uploader.destinations"] = "slow"
        uploader = Uploader(facility.app)
        facility.config["Services.Uploader.time_limit"] = 1.0
        record = facility.built()
        try:
            assert uploader.once() == Pass(failed=1)
            facility.clock.move(60)
            assert uploader.once() == Pass(failed=1)
            assert (
                status_of(uploader, "destination slow")
                == "slow is still busy with a request that exceeded its time limit"
            )
            assert len(slow.put_so_far) == 1
        finally:
            released.set()
        give(monkeypatch, Fickle("slow"))
        eventually(lambda: uploader.once() == Pass(done=1))
        assert facility.state(record) is State.COMPLETED


class TestGivingUp:
    """What is of no use to repeat is not repeated, and what is of no use now waits for the next pass."""

    def test_what_is_refused_is_not_sent_again_by_itself(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        record = facility.built()
        fickle.failure = RecordRefused(
            destination="fickle", title="Rock salt", session=record.session, reason="it is salty"
        )
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1, failed=1)
        sentence = (
            "fickle refuses the record 'Rock salt': it is salty. It is sent again when it is rebuilt, or with: "
            f"SessionTool requeue {record.session} --upload"
        )
        assert facility.upload(record, "fickle").last_error == sentence
        facility.clock.move(1_000_000)
        assert uploader.once() == Pass(failed=1), "it is still not there"
        assert len(fickle.put_so_far) == 1
        assert [text for text, _ in facility.said() if text.startswith("fickle")] == [sentence], "said once"
        assert facility.state(record) is State.BUILT
        fickle.failure = None
        facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(done=2)
        assert facility.state(record) is State.COMPLETED

    def test_one_that_goes_down_is_not_tried_with_each_record(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fickle = Fickle()
        fickle.failure = DestinationAway(destination="fickle", reason="the connection failed")
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        records = [facility.built(f"Instrument-{number}") for number in range(4)]
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=4, failed=4)
        assert fickle.put_so_far == [records[0].session]
        assert status_of(uploader, "destination fickle") == "the connection failed"
        fickle.failure = None
        assert uploader.once() == Pass(done=3, failed=1), "the first waits for its time"
        assert status_of(uploader, "destination fickle") == "ok"
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)
        assert {facility.state(record) for record in records} == {State.COMPLETED}


class TestSeveralDestinations:
    """Each has its own state, attempts, waits and counts."""

    def test_each_by_itself(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        one, two = Fickle("one"), Fickle("two")
        give(monkeypatch, one, two)
        facility.config["Services.Uploader.destinations"] = "one, two, directory"
        one.failure = two.failure = NotTaken(destination="it", title="Rock salt", reason="it is full")
        record = facility.built()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1, failed=2)
        two.failure = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1, failed=1)
        facility.clock.move(60)
        assert uploader.once() == Pass(failed=1), "the second wait is longer"
        assert [
            (facility.upload(record, name).state, facility.upload(record, name).attempts) for name in ("one", "two")
        ] == [
            (UploadState.ERROR, 2),
            (UploadState.DONE, 2),
        ]
        counts = {
            name: [status_of(uploader, f"{what} {name}") for what in ("waiting", "refused")]
            for name in ("one", "two", "directory")
        }
        assert counts == {"one": [1, 0], "two": [0, 0], "directory": [0, 0]}
        assert status_of(uploader, "attempts_failed one") == 2
        assert status_of(uploader, "attempts_failed two") == status_of(uploader, "records_sent two") == 1
        assert status_of(uploader, "attempts_failed") == 3


def test_the_wait_is_stored_in_the_databases_own_unit(facility: Facility) -> None:
    """Microseconds since the epoch, UTC."""
    record = facility.built()
    Path(record.path).unlink()
    Uploader(facility.app).once()
    assert rows(facility.url, "SELECT next_attempt_ts FROM upload") == [(to_ts(NOW) + 60 * SECOND,)]
