"""Files with the times of a PC whose clock is wrong belong to their sessions, and have right times in the record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.clock import SECOND, to_datetime, to_ts
from NexusCore.facility import Event, Session, State
from NexusCore.facility.file_times import CLOCK_TOLERANCE, RIGHT, STEP, FileTimes
from NexusCore.facility.sessions import Client, EventType
from Services.Gateway.api.event_times import event_time
from Services.Gateway.settings import GatewaySettings
from tests.clocks import START
from tests.processes import rows
from tests.services.builder_facility import Stage, dry_run_output

MINUTE = 60 * SECOND
TOLERANCE = int(CLOCK_TOLERANCE * SECOND)


def facility(url: str, folder: Path) -> Iterator[Stage]:
    """Yield a facility on a database."""
    one = Stage(url, folder)
    one.config["Instruments.Titan.file_times"] = "pc"
    yield one
    one.close()


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield from facility(sqlite_url, tmp_path)


class PC:
    """A microscope's PC: it reports as through the Gateway, and stamps its files itself."""

    def __init__(self, stage: Stage, ahead: float) -> None:
        self.stage = stage
        self.ahead = ahead
        """Seconds that its clock is ahead."""
        self.way = 0.3
        """Seconds that a request takes."""

    @property
    def shown(self) -> datetime:
        return self.stage.now + timedelta(seconds=self.ahead)

    def reported(self) -> tuple[int, Client]:
        """Return the time of what happens now, and by whom, as the Gateway stores it."""
        now = self.stage.clock.now() + int(self.way * SECOND)
        when = event_time(self.shown, self.shown, now, GatewaySettings())
        return when.ts, Client("ada", "titan-pc", "Europe/Oslo", when.clock_offset)

    def start(self) -> Session:
        ts, client = self.reported()
        return self.stage.sessions.start("Titan", client, ts=ts)

    def end(self, session: Session) -> Session:
        ts, client = self.reported()
        return self.stage.sessions.end(session.identifier, client, ts=ts)

    def write(self, name: str) -> None:
        path = self.stage.files / name
        path.write_text("content")
        os.utime(path, ns=(to_ts(self.shown) * 1000,) * 2)

    def session(self, *names: str) -> Session:
        """Let a session pass, with a file every minute, the first and the last at its very ends."""
        session = self.start()
        for name, following in pairwise([*names, None]):
            assert name is not None
            self.write(name)
            if following is not None:
                self.stage.clock.move(60)
        return self.end(session)


class TestAClockThatIsWrong:
    """A PC clock that is 10 minutes slow loses 10 minutes of files, unless the search knows."""

    @pytest.mark.parametrize("ahead", [-600.0, 3600.0, 0.9, -1.7, 86_400.0 * 365])
    def test_two_sessions_next_to_each_other(self, stage: Stage, ahead: float) -> None:
        pc = PC(stage, ahead)
        stage.clock.move(3600)
        first = pc.session("1a.dm3", "1b.dm3", "1c.dm3")
        stage.clock.move(1)  # its user is fast
        pc.way = 1.4  # and this request is not
        second = pc.session("2a.dm3", "2b.dm3", "2c.dm3")
        stage.clock.move(30)
        assert stage.builder.once().done == 2
        assert sorted(stage.readers.asked) == ["1a.dm3", "1b.dm3", "1c.dm3", "2a.dm3", "2b.dm3", "2c.dm3"]
        for number, session in enumerate((first, second), start=1):
            document = stage.document(session)
            assert [f"{number}{letter}.dm3" in document for letter in "abc"] == [True] * 3

    @pytest.mark.parametrize("clock", ["server", "pc"])
    @pytest.mark.parametrize("gap", [0.0, 0.005, 0.015])
    def test_a_session_that_begins_as_the_one_before_ends(self, stage: Stage, gap: float, clock: str) -> None:
        """Files are dated by a clock that ticks, so up to 20 ms before START count; not those of another session."""
        stage.config["Instruments.Titan.file_times"] = clock
        pc = PC(stage, 0.0 if clock == "server" else -600.0)
        pc.way = 0.0
        first = pc.session("1.dm3", "at the end.dm3")
        stage.clock.move(gap)
        pc.way = (
            0.0 if clock == "server" else 0.5
        )  # a slow request moves the PC's clock, as it is measured, not its files
        second = pc.session("at the start.dm3", "2.dm3")
        stage.clock.move(30)
        stage.builder.once()
        asked = stage.readers.asked
        assert sorted(asked) == ["1.dm3", "2.dm3", "at the end.dm3", "at the start.dm3"], "none is lost, or in both"
        assert "at the end.dm3" in stage.document(first)
        if gap:
            assert "at the start.dm3" in stage.document(second)

    def test_without_it_they_are_lost(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.file_times"] = "server"
        session = PC(stage, -600).session("a.dm3", "b.dm3")
        stage.clock.move(30)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.NO_FILES_FOUND

    def test_the_record_has_the_corrected_times_and_says_so(self, stage: Stage) -> None:
        stage.clock.move(3600)
        began = stage.now
        session = PC(stage, -600).session("a.dm3", "b.dm3")
        stage.clock.move(30)
        stage.builder.once()
        document = stage.document(session)
        sentence = "The times of the files are those of the PC, whose clock was 600.3 s slow; they are corrected."
        assert sentence in document
        created = document.split('name="Creation Time"')[1:3]
        times = [datetime.fromisoformat(one.partition(">")[2].partition("<")[0]) for one in created]
        # To the second, as the times in a record are, and to the time that the request took.
        assert [abs((time - began).total_seconds() - after) < 2 for time, after in zip(times, (0, 60), strict=True)]
        stage.app.shutdown(5)
        assert [sentence] in ([text] for (text,) in rows(stage.url, "SELECT message FROM log_record"))

    def test_a_dry_run_shows_the_same(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        PC(stage, -600).session("a.dm3")
        stage.clock.move(30)
        code, document, remarks = dry_run_output(stage, monkeypatch)
        assert (code, b"a.dm3" in document, "600.3 s slow" in remarks) == (0, True, True)

    def test_a_file_that_may_still_grow_is_waited_for(self, stage: Stage) -> None:
        """By the PC's clock, too: its files are never old enough, or always, by another."""
        stage.config["Services.Builder.settle"] = 20.0
        session = PC(stage, -600).session("a.dm3")
        stage.clock.move(10)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        stage.clock.move(30)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT

    def test_an_end_that_the_pc_did_not_report(self, stage: Stage) -> None:
        """Someone closed the session on another machine: the last measured offset holds."""
        pc = PC(stage, -600)
        session = pc.start()
        stage.clock.move(60)
        pc.write("a.dm3")
        stage.clock.move(5)
        stage.sessions.end(session.identifier, Client("bob", "office"))
        stage.clock.move(30)
        stage.builder.once()
        assert "a.dm3" in stage.document(session)

    def test_a_clock_that_was_never_measured(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.builder.once()
        assert "whose clock was not measured" in stage.document(session)

    def test_a_clock_that_does_not_exist(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.file_times"] = "camera"
        session = stage.session("a.dm3")
        stage.builder.once()
        error = stage.sessions.get(session.identifier).last_error or ""
        assert error.startswith("Instruments.Titan.file_times is 'camera', which is not a clock")


class TestAClockThatIsSet:
    """No file is lost if the PC's clock is set during a session; if it is set back, that is said."""

    @pytest.fixture
    def stage(self, database_url: str, tmp_path: Path) -> Iterator[Stage]:
        """Lend it on each kind of database."""
        yield from facility(database_url, tmp_path)

    def session(self, stage: Stage, before: float, after: float) -> tuple[Session, datetime]:
        pc = PC(stage, before)
        stage.clock.move(7200)
        began = stage.now
        session = pc.start()
        pc.write("a.dm3")
        stage.clock.move(600)
        pc.write("b.dm3")
        pc.ahead = after
        stage.clock.move(60)
        pc.write("c.dm3")
        stage.clock.move(600)
        pc.write("d.dm3")
        session = pc.end(session)
        stage.clock.move(30)
        stage.builder.once()
        return session, began

    @pytest.mark.parametrize(("before", "after"), [(3600.0, 0.0), (0.0, 3600.0), (-600.0, 5.0), (400.0, -400.0)])
    def test_no_file_is_lost(self, stage: Stage, before: float, after: float) -> None:
        session, _ = self.session(stage, before, after)
        assert sorted(stage.readers.asked) == ["a.dm3", "b.dm3", "c.dm3", "d.dm3"]
        assert ("was set back during the session" in stage.document(session)) == (before > after)

    def test_times_are_corrected_by_the_offset_that_fits(self, stage: Stage) -> None:
        _, began = self.session(stage, 3600.0, 0.0)
        document = stage.document(stage.sessions.newest("Titan")[0])
        times = [
            datetime.fromisoformat(one.partition(">")[2].partition("<")[0])
            for one in document.split('name="Creation Time"')[1:]
        ]
        seconds = sorted(round((time - began).total_seconds()) for time in times)
        assert all(abs(found - wanted) <= 2 for found, wanted in zip(seconds, (0, 600, 660, 1260), strict=True))


offsets = st.lists(
    st.tuples(st.integers(0, 3600), st.integers(-(10**6), 10**6)), min_size=1, max_size=6, unique_by=lambda one: one[0]
)


def events(readings: Sequence[tuple[int, int]], host: str = "pc") -> list[Event]:
    return [
        Event(number, EventType.NOTE, START + seconds * SECOND, "ada", host, None, offset * SECOND)
        for number, (seconds, offset) in enumerate(sorted(readings))
    ]


class TestTheArithmetic:
    """What the clock showed at an event is known exactly, and times between two events keep their order."""

    @given(offsets)
    def test_a_time_that_the_clock_showed_is_in_the_window(self, readings: list[tuple[int, int]]) -> None:
        start, end = START, START + 3600 * SECOND
        times = FileTimes.by_pc(events(readings), start, end, 0)
        first, last = times.window(start, end)
        for reading in times.readings:
            assert first <= reading.shown <= last
            assert start <= times.corrected(reading.shown) <= end
        # Whenever the clock was set between two events, what it showed before and after is in the window.
        for before, after in pairwise(times.readings):
            for moment in (before.ts, (before.ts + after.ts) // 2, after.ts):
                if abs(before.offset - after.offset) > STEP:
                    assert first <= moment + before.offset <= last
                    assert first <= moment + after.offset <= last

    @given(st.lists(st.integers(-20, 20), min_size=2, max_size=6), st.integers(-(10**6), 10**6))
    def test_a_clock_that_drifts_loses_nothing_and_shares_nothing(self, drift: list[int], offset: int) -> None:
        """Sessions in a row: each ends when the next one begins."""
        moments = [START + number * 3600 * SECOND for number in range(len(drift))]
        shown = [Event(n, EventType.START, ts, "ada", "pc", None, (offset + d) * SECOND)
                 for n, (ts, d) in enumerate(zip(moments, drift, strict=True))]  # fmt: skip
        windows = []
        for begin, finish in pairwise(shown):
            times = FileTimes.by_pc([begin, finish], begin.ts, finish.ts, TOLERANCE)
            if times.was_set_back:
                return
            windows.append(times.window(begin.ts, finish.ts))
        assert all(before[1] == after[0] for before, after in pairwise(windows))

    def test_within_the_tolerance_the_event_has_the_time_of_the_pc(self) -> None:
        """The Gateway has not corrected it, and nor must the search."""
        times = FileTimes.by_pc(events([(0, 2), (3600, -2)]), START, START + 3600 * SECOND, TOLERANCE)
        assert (times.window(START, START + 3600 * SECOND), times.corrects) == (
            (START, START + 3600 * SECOND), False,
        )  # fmt: skip

    def test_another_computer_does_not_count(self) -> None:
        both = [*events([(0, 600)]), *events([(60, -600)], host="support-pc")]
        times = FileTimes.by_pc(both, START, START + 3600 * SECOND, TOLERANCE)
        assert {reading.offset for reading in times.readings} == {600 * SECOND}

    def test_files_with_right_times_are_left_alone(self) -> None:
        assert (RIGHT.window(1, 2), RIGHT.corrected(5), RIGHT.sentences) == ((1, 2), 5, ())

    def test_a_clock_of_another_age_stays_on_the_calendar(self) -> None:
        times = FileTimes.by_pc(events([(0, 10**12)]), START, START + 3600 * SECOND, TOLERANCE)
        first, last = times.window(START, START + 3600 * SECOND)
        assert to_datetime(min(first, last)) <= to_datetime(last)
