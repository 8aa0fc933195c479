"""Leases go by the database's clock: a machine whose own is wrong takes nothing from others, and loses nothing."""

from __future__ import annotations

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility import Record, Records, Session, Sessions, State
from NexusCore.facility.sessions import Client, NotToBeBuilt
from NexusCore.storage import Database, open_database
from tests.clocks import SetClock
from tests.processes import execute, rows

BUILDER = Client("Builder", "server")
HOUR = 3600.0
MINUTE = 60.0


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


@pytest.fixture(params=[HOUR, -HOUR], ids=["an hour ahead", "an hour behind"])
def wrong(request: pytest.FixtureRequest) -> SetClock:
    """Lend the clock of a machine that is not right."""
    return SetClock(SYSTEM_CLOCK.now() + int(request.param * SECOND))


def waiting(database: Database) -> Session:
    """Have a session that waits for its record."""
    sessions = Sessions(database, SYSTEM_CLOCK)
    session = sessions.start("A", BUILDER)
    return sessions.end(session.identifier, BUILDER)


def from_now(database: Database, ts: int) -> float:
    """Return how many seconds from the database's time a stamp is."""
    with database.reading() as reading:
        return (ts - reading.now()) / SECOND


def test_a_database_tells_the_time(database: Database) -> None:
    """To the millisecond, at least; tests' servers run on this machine."""
    before = SYSTEM_CLOCK.now()
    with database.reading() as reading:
        now = reading.now()
    assert before - 1000 <= now <= SYSTEM_CLOCK.now()


class TestSessions:
    """A session stays with the Builder that has it, whatever the clocks of the machines show."""

    @pytest.fixture
    def right(self, database: Database) -> Sessions:
        return Sessions(database, SYSTEM_CLOCK)

    @pytest.fixture
    def other(self, database: Database, wrong: SetClock) -> Sessions:
        return Sessions(database, wrong)

    def test_what_another_builds_is_left_alone(self, database: Database, right: Sessions, other: Sessions) -> None:
        session = waiting(database)
        held = right.claim(BUILDER, "right", MINUTE)
        assert held is not None
        assert other.waiting() == []
        assert other.claim(BUILDER, "wrong", MINUTE) is None
        with pytest.raises(NotToBeBuilt, match="at work"):
            other.requeue(session.identifier, BUILDER)
        assert right.renew(held, "right", MINUTE)
        assert right.finish(held, "right", State.BUILT)

    def test_what_it_builds_is_its_own(self, database: Database, right: Sessions, other: Sessions) -> None:
        """When it takes a session, and when it keeps it."""
        waiting(database)
        held = other.claim(BUILDER, "wrong", MINUTE)
        assert held is not None
        assert right.claim(BUILDER, "right", MINUTE) is None
        assert other.renew(held, "wrong", MINUTE)
        assert right.claim(BUILDER, "right", MINUTE) is None
        ((until,),) = rows(database, "SELECT lease_until FROM session")
        assert 0 < from_now(database, until) <= MINUTE
        assert other.finish(held, "wrong", State.BUILT)

    def test_what_it_leaves_is_taken_up(
        self, database_url: str, database: Database, right: Sessions, other: Sessions
    ) -> None:
        waiting(database)
        assert other.claim(BUILDER, "wrong", MINUTE) is not None
        execute(database_url, "UPDATE session SET lease_until = lease_until - :passed", passed=int(61 * SECOND))
        assert right.claim(BUILDER, "right", MINUTE) is not None

    def test_what_failed_is_tried_again_when_it_is_time(
        self, database_url: str, database: Database, right: Sessions, other: Sessions
    ) -> None:
        waiting(database)
        held = other.claim(BUILDER, "wrong", MINUTE)
        assert held is not None
        assert other.finish(held, "wrong", State.ERROR, "the disk was full", retry_seconds=MINUTE)
        assert right.claim(BUILDER, "right", MINUTE) is None
        assert other.claim(BUILDER, "wrong", MINUTE) is None
        execute(database_url, "UPDATE session SET next_attempt_ts = next_attempt_ts - :passed", passed=int(61 * SECOND))
        assert right.claim(BUILDER, "right", MINUTE) is not None


class TestUploads:
    """A record stays with the Uploader that sends it, whatever the clocks of the machines show."""

    @pytest.fixture
    def right(self, database: Database) -> Records:
        return Records(database, SYSTEM_CLOCK)

    @pytest.fixture
    def other(self, database: Database, wrong: SetClock) -> Records:
        return Records(database, wrong)

    @pytest.fixture
    def record(self, database: Database, other: Records) -> Record:
        """Have a record that was built on the machine whose clock is wrong."""
        waiting(database)
        sessions = Sessions(database, SYSTEM_CLOCK)
        session = sessions.claim(BUILDER, "one", MINUTE)
        assert session is not None
        write = other.writer(
            session.id, path="/a.xml", title="A", sha256="a" * 64, config_revision=1, software="1", files=1,
            activities=1,
        )  # fmt: skip
        assert sessions.finish(session, "one", State.BUILT, also=write)
        (record,) = other.to_upload()
        return record

    def test_a_record_is_due_at_once(self, right: Records, other: Records, record: Record) -> None:
        """Wherever it was built."""
        right.expect([(record, "cdcs")])
        assert right.due("right") == other.due("wrong") == {"cdcs": [record]}

    def test_what_another_sends_is_left_alone(self, right: Records, other: Records, record: Record) -> None:
        right.expect([(record, "cdcs")])
        assert right.claim(record, "cdcs", "right", MINUTE) is not None
        assert other.due("wrong") == {}
        assert other.claim(record, "cdcs", "wrong", MINUTE) is None
        other.away("cdcs", "it is down", "wrong")
        assert right.uploaded(record, "cdcs", "1", None, owner="right")

    def test_what_it_sends_is_its_own(self, database: Database, right: Records, other: Records, record: Record) -> None:
        other.expect([(record, "cdcs")])
        assert other.claim(record, "cdcs", "wrong", MINUTE) is not None
        assert right.claim(record, "cdcs", "right", MINUTE) is None
        other.renew("cdcs", "wrong", MINUTE)
        assert right.claim(record, "cdcs", "right", MINUTE) is None
        ((until,),) = rows(database, "SELECT lease_until FROM upload")
        assert 0 < from_now(database, until) <= MINUTE
        assert other.uploaded(record, "cdcs", "1", None, owner="wrong")

    def test_what_failed_is_tried_again_when_it_is_time(
        self, database: Database, right: Records, other: Records, record: Record
    ) -> None:
        right.expect([(record, "cdcs")])
        assert other.claim(record, "cdcs", "wrong", MINUTE) is not None
        assert other.failed(record, "cdcs", "it fell silent", MINUTE, owner="wrong", unanswered=True)
        assert right.due("right") == other.due("wrong") == {}
        (upload,) = right.uploads(record)
        assert upload.next_attempt_ts is not None
        assert upload.next_attempt_ts - upload.updated_ts == MINUTE * SECOND
        assert 0 < from_now(database, upload.next_attempt_ts) <= MINUTE
        assert upload.unanswered_ts == upload.updated_ts

    def test_sent_again_by_hand_is_due_at_once(
        self, database: Database, right: Records, other: Records, record: Record
    ) -> None:
        right.expect([(record, "cdcs")])
        assert right.uploaded(record, "cdcs", "1", None)
        database.write(other.resend(record))
        assert right.due("right") == {"cdcs": [record]}
