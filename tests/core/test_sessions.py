"""Sessions: promises of `NexusCore.facility.sessions`, on both databases."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.errors import NexusError, NoSuchSession, SessionElsewhere, SessionOpen
from NexusCore.facility import Session, Sessions, State, transitions
from NexusCore.facility.sessions import Client, EventType, NotToBeBuilt
from NexusCore.storage import Transaction, open_database
from tests.clocks import START, SetClock, databases_follow
from tests.processes import LIMIT, ended, eventually, line_of, rows, start, tell

ADA = Client("ada", "pc1", "Europe/Oslo", 1500)
BUILDER = Client("Builder", "server")
MINUTE = 60.0
_WAITING = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


@pytest.fixture
def sessions(database_url: str, clock: SetClock) -> Sessions:
    return Sessions(open_database(database_url), clock)


def finished(sessions: Sessions, instrument: str) -> Session:
    return sessions.end(sessions.start(instrument, ADA).identifier, ADA)


class TestStartAndEnd:
    """000-01, 32, 37..39, 001-13, 002-07: START and END frame a session; each is one transaction, and repeatable."""

    def test_a_session_has_start_and_end_events(self, sessions: Sessions, clock: SetClock, database_url: str) -> None:
        """000-28, 000-44..49, 001-12."""
        opened = sessions.start("FEI-Titan-TEM", ADA)
        assert uuid.UUID(opened.identifier).version == 4
        assert (opened.state, opened.start_ts, opened.end_ts) == (State.WAITING_FOR_END, START, None)
        assert sessions.open_on("FEI-Titan-TEM") == opened
        clock.move(MINUTE)
        closed = sessions.end(opened.identifier, ADA)
        assert (closed.state, closed.end_ts) == (State.TO_BE_BUILT, START + 60 * SECOND)
        assert sessions.open_on("FEI-Titan-TEM") is None
        events = rows(database_url, "SELECT event_type, ts, user, host, zone, clock_offset FROM session_event")
        about_ada = ("ada", "pc1", "Europe/Oslo", 1500)
        assert events == [("START", START, *about_ada), ("END", START + 60 * SECOND, *about_ada)]

    def test_the_view_has_the_columns_of_the_old_table(self, sessions: Sessions, database_url: str) -> None:
        one = finished(sessions, "A")
        log = rows(
            database_url,
            "SELECT session_identifier, instrument, event_type, record_status, user FROM session_log "
            "ORDER BY id_session_log",
        )
        assert log == [(one.identifier, "A", event, "TO_BE_BUILT", "ada") for event in ("START", "END")]

    def test_ending_twice_is_ending_once(self, sessions: Sessions, clock: SetClock, database_url: str) -> None:
        first = finished(sessions, "A")
        clock.move(MINUTE)
        assert sessions.end(first.identifier, ADA) == first
        assert rows(database_url, "SELECT COUNT(*) FROM session_event") == [(2,)]

    def test_starting_twice_is_starting_once(self, sessions: Sessions, database_url: str) -> None:
        first = sessions.start("A", ADA, "https://nemo.example/api/usage_events/?id=" + "9" * 200)
        assert sessions.start("A", ADA, first.identifier) == first
        assert rows(database_url, "SELECT COUNT(*) FROM session_event") == [(1,)]

    def test_a_second_session_is_refused(self, sessions: Sessions) -> None:
        first = sessions.start("A", ADA)
        with pytest.raises(SessionOpen) as caught:
            sessions.start("A", Client("ben", "pc2"))
        assert caught.value.exit_code == 4
        sentence = str(caught.value)
        assert sentence.startswith("A already has an open session, started 2023-11-1")
        assert sentence.endswith(f"by ada ({first.identifier}). End it first with: SessionTool end {first.identifier}")
        sessions.start("B", ADA)

    def test_a_clock_set_back_does_not_disturb_it(self, sessions: Sessions, clock: SetClock) -> None:
        """000-46: events are ordered by number, and no session ends before it began."""
        opened = sessions.start("A", ADA)
        clock.move(-3600)
        closed = sessions.end(opened.identifier, ADA)
        assert closed.end_ts == closed.start_ts
        assert [event.type for event in sessions.events(closed)] == [EventType.START, EventType.END]

    def test_restart_ends_the_open_one(self, sessions: Sessions, clock: SetClock) -> None:
        """000-21: whoever started it."""
        first = sessions.start("A", ADA)
        clock.move(MINUTE)
        second = sessions.restart(first.identifier, Client("ben", "pc1"))
        assert second.identifier != first.identifier
        assert sessions.get(first.identifier).state is State.TO_BE_BUILT
        assert sessions.get(first.identifier).end_ts == second.start_ts
        assert sessions.open_on("A") == second
        with pytest.raises(SessionOpen):  # the same answer, given a moment later on another PC
            sessions.restart(first.identifier, ADA)
        assert sessions.open_on("A") == second

    def test_a_name_belongs_to_one_instrument(self, sessions: Sessions) -> None:
        sessions.start("A", ADA, "same")
        with pytest.raises(SessionElsewhere, match="started on A"):
            sessions.start("B", ADA, "same")
        assert sessions.open_on("B") is None

    def test_an_odd_user(self, sessions: Sessions) -> None:
        odd = Client("O'Brien; DROP TABLE session; -- \U0001f52c %s", "pc'1")
        session = sessions.start("A", odd)
        sessions.note(session.identifier, odd, "it's 100 % fine")
        assert sessions.get(session.identifier).user == odd.user
        assert [event.detail for event in sessions.events(session)] == [None, "it's 100 % fine"]

    def test_half_a_character_is_refused_with_a_sentence(self, sessions: Sessions) -> None:
        with pytest.raises(NexusError, match="not valid Unicode"):
            sessions.start("A", Client("\udc80", "pc"))
        assert sessions.open_on("A") is None

    def test_one_that_is_not_there(self, sessions: Sessions) -> None:
        one = sessions.start("A", ADA)
        with pytest.raises(NoSuchSession, match=f"Did you mean '{one.identifier}'"):
            sessions.end(one.identifier[:-2] + "xx", ADA)

    def test_lists_select_by_instrument_state_and_count(self, sessions: Sessions, clock: SetClock) -> None:
        first, second = finished(sessions, "A"), sessions.start("B", ADA)
        assert sessions.newest() == [second, first]
        assert sessions.newest("A") == [first]
        assert sessions.newest(state=State.WAITING_FOR_END) == [second]
        assert sessions.newest(count=1) == [second]


class TestTwoAtOnce:
    """Of two simultaneous starts, or restarts of one session, one is refused, in the sentence that says why."""

    @pytest.mark.parametrize("how", ["start", "restart"])
    def test_one_of_two_processes_is_refused(self, database_url: str, tmp_path: Path, how: str) -> None:
        program = """
import os, sys
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import SessionOpen
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import open_database
sessions = Sessions(open_database(os.environ["NEXUSCORE_DATABASE"]), SYSTEM_CLOCK)
me = Client(sys.argv[1], "pc")
sessions.open_on("A")
for round in range(20):
    print("ready", flush=True); input()
    try:
        what = f"A{round}" if sys.argv[2] == "start" else f"left-{round}"
        print(getattr(sessions, sys.argv[2])(what, me).identifier, flush=True)
    except SessionOpen as error:
        print("refused", flush=True)
"""
        both = [start(program, name, how, main=database_url, home=tmp_path) for name in ("ada", "ben")]
        mine = Sessions(open_database(database_url), SYSTEM_CLOCK)
        for round_ in range(20):
            left = {mine.start(f"A{round_}", ADA, f"left-{round_}").identifier} if how == "restart" else set()
            for process in both:
                assert line_of(process) == "ready"
            for process in both:
                tell(process)
            said = [line_of(process) for process in both]
            assert said.count("refused") == 1
            open_now = rows(database_url, "SELECT identifier FROM session WHERE open_on = :i", i=f"A{round_}")
            assert len(open_now) == 1
            assert open_now[0][0] in said
            everything = rows(database_url, "SELECT identifier FROM session WHERE instrument = :i", i=f"A{round_}")
            assert {one for (one,) in everything} == (set(said) | left) - {"refused"}
        for process in both:
            ended(process)

    @pytest.mark.parametrize("how", ["start", "same start"])
    def test_the_other_commits_in_between(self, server_database_url: str, clock: SetClock, how: str) -> None:
        """The one that comes second has seen no open session when the first commits."""
        database = open_database(server_database_url)
        sessions = Sessions(database, clock, lambda: "mine")
        outcome: list[object] = []

        def second() -> None:
            try:
                identifier = "theirs" if how == "same start" else None
                outcome.append(sessions.start("A", ADA, identifier).identifier)
            except NexusError as error:
                outcome.append(error)

        with database.transaction() as transaction:
            transaction.insert(
                "session", identifier="theirs", instrument="A", user="ben", state="WAITING_FOR_END", start_ts=START,
                open_on="A", attempts=0,
            )  # fmt: skip
            thread = threading.Thread(target=second)
            thread.start()
            eventually(
                lambda: rows(server_database_url, _WAITING)[0][1] != "0", "the second waits for the first's lock"
            )
        thread.join(LIMIT)
        if how == "start":
            assert isinstance(outcome[0], SessionOpen)
        else:
            assert outcome == ["theirs"]


class TestClaiming:
    """A session is claimed by one Builder at a time, for as long as its lease runs (001-11, 14, 16)."""

    def test_the_one_that_waited_longest(self, sessions: Sessions, clock: SetClock) -> None:
        first = finished(sessions, "A")
        clock.move(MINUTE)
        second = finished(sessions, "B")
        sessions.start("C", ADA)
        claimed = [sessions.claim(BUILDER, "one", MINUTE) for _ in range(3)]
        assert [one and one.identifier for one in claimed] == [first.identifier, second.identifier, None]
        assert claimed[0] is not None
        assert (claimed[0].state, claimed[0].attempts) == (State.BUILDING, 1)
        events = [event.type for event in sessions.events(first)]
        assert events == [EventType.START, EventType.END, EventType.RECORD_GENERATION]

    def test_another_takes_over_when_the_lease_has_run_out(self, sessions: Sessions, clock: SetClock) -> None:
        session = finished(sessions, "A")
        claimed = sessions.claim(BUILDER, "one", MINUTE)
        assert claimed is not None
        clock.move(59)
        assert sessions.claim(BUILDER, "two", MINUTE) is None
        assert sessions.renew(claimed, "one", MINUTE)
        clock.move(59)
        assert sessions.claim(BUILDER, "two", MINUTE) is None
        clock.move(2)
        taken = sessions.claim(BUILDER, "two", MINUTE)
        assert taken is not None
        assert (taken.id, taken.attempts) == (session.id, 2)
        assert not sessions.renew(claimed, "one", MINUTE)
        assert not sessions.finish(claimed, "one", State.BUILT)
        assert sessions.get(session.identifier).state is State.BUILDING
        assert sessions.finish(taken, "two", State.BUILT)
        assert sessions.get(session.identifier).state is State.BUILT

    def test_finishing_is_one_transaction_with_the_record(self, sessions: Sessions, database_url: str) -> None:
        finished(sessions, "A")
        claimed = sessions.claim(BUILDER, "one", MINUTE)
        assert claimed is not None

        def broken(transaction: Transaction) -> None:
            transaction.insert("status_channel", name="half")
            raise LookupError

        with pytest.raises(LookupError):
            sessions.finish(claimed, "one", State.BUILT, also=broken)
        assert rows(database_url, "SELECT * FROM status_channel") == []
        assert sessions.get(claimed.identifier).state is State.BUILDING

    def test_an_error_is_retried_when_it_is_time(self, sessions: Sessions, clock: SetClock) -> None:
        finished(sessions, "A")
        for attempt in (1, 2):
            claimed = sessions.claim(BUILDER, "one", MINUTE)
            assert claimed is not None
            assert claimed.attempts == attempt
            sessions.finish(claimed, "one", State.ERROR, "the disk was full", retry_seconds=MINUTE)
            assert sessions.get(claimed.identifier).last_error == "the disk was full"
            assert sessions.claim(BUILDER, "one", MINUTE) is None
            clock.move(61)
        claimed = sessions.claim(BUILDER, "one", MINUTE)
        assert claimed is not None
        sessions.finish(claimed, "one", State.ERROR, "not again")
        clock.move(1e6)
        assert sessions.claim(BUILDER, "one", MINUTE) is None

    @pytest.mark.parametrize("state", [one for one in State if one not in (State.WAITING_FOR_END, State.BUILDING)])
    def test_a_finished_session_can_be_queued_again(self, sessions: Sessions, state: State) -> None:
        session = finished(sessions, "A")
        claimed = sessions.claim(BUILDER, "one", MINUTE)
        assert claimed is not None
        with pytest.raises(NotToBeBuilt, match="at work"):
            sessions.requeue(session.identifier, ADA)
        sessions.finish(claimed, "one", state, "a sentence")
        queued = sessions.requeue(session.identifier, ADA)
        assert (queued.state, queued.attempts, queued.last_error) == (State.TO_BE_BUILT, 0, None)
        again = sessions.claim(BUILDER, "two", MINUTE)
        assert again is not None
        assert again.id == session.id
        assert not sessions.finish(claimed, "one", State.BUILT)

    def test_an_open_one_is_not_queued(self, sessions: Sessions) -> None:
        session = sessions.start("A", ADA)
        with pytest.raises(NotToBeBuilt, match="not ended"):
            sessions.requeue(session.identifier, ADA)

    def test_two_builders_get_different_ones(self, database_url: str, sessions: Sessions, tmp_path: Path) -> None:
        """Each session once, and none is left while a Builder asks for it."""
        names = {finished(sessions, f"A{number}").identifier for number in range(40)}
        program = """
import os, sys
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import open_database
sessions = Sessions(open_database(os.environ["NEXUSCORE_DATABASE"]), SYSTEM_CLOCK)
sessions.open_on("A")
print("ready", flush=True); input()
while (session := sessions.claim(Client("b", "s"), sys.argv[1], 600)) is not None:
    print(session.identifier, flush=True)
"""
        both = [start(program, name, main=database_url, home=tmp_path) for name in ("one", "two")]
        for process in both:
            line_of(process)
        for process in both:
            tell(process)
        claimed = [ended(process).split() for process in both]
        assert sorted([*claimed[0], *claimed[1]]) == sorted(names)

    def test_one_that_is_being_claimed_hides_no_other(
        self, server_database_url: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While a Builder's claim is under way, another gets the next session at once."""
        database = open_database(server_database_url)
        sessions = Sessions(database, clock)
        first, second = finished(sessions, "A"), finished(sessions, "B")
        other = Sessions(open_database(server_database_url), clock)
        claimed: list[Session | None] = []
        real: Callable[..., None] = transitions.add_event

        def event_after_another_claim(*arguments: object) -> None:
            monkeypatch.setattr(transitions, "add_event", real)
            claimed.append(other.claim(BUILDER, "two", MINUTE))
            real(*arguments)

        monkeypatch.setattr(transitions, "add_event", event_after_another_claim)
        claimed.append(sessions.claim(BUILDER, "one", MINUTE))
        assert [one and one.identifier for one in claimed] == [second.identifier, first.identifier]
