"""Which session a file belongs to, by what the PC itself can see; the instrument's clock may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from Logger.transfer.belonging import BOOKED_LATE, CHANGED_LATE, LATE, Belonging, Finding, ScannedSession, place_of
from Logger.transfer.ending import EndWatch
from Logger.transfer.pending import PendingTransfer
from Logger.transfer.scanning import Signature
from Logger.transfer.settings import StationTransfer
from Logger.transfer.state import ScanRecord
from Logger.transfer.tracked import Blame, FileKey, FileStage, TrackedFile

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
HOUR = 3600 * SECOND
START = NOW - HOUR


def session(
    name: str = "s1",
    start: int = START,
    end: int | None = None,
    *,
    looked: bool = True,
    closed: bool = False,
    unread: tuple[tuple[str, str], ...] = (),
    hold_from: int | None = None,
) -> ScannedSession:
    pending = PendingTransfer(name, "Titan", "ann", start, StationTransfer(), "t", end, hold_from=hold_from)
    return ScannedSession(pending, ScanRecord(name, looked, closed, unread))


def file(name: str = "s1", stage: FileStage = FileStage.WAITING, **more: object) -> TrackedFile:
    return replace(TrackedFile(FileKey(name, "raw", "a.tif"), Signature(1, 1, ""), stage), **more)  # type: ignore[arg-type]


def place(
    *sessions: ScannedSession,
    newest: int = NOW,
    new: bool = True,
    known: Mapping[str, TrackedFile] | None = None,
    path: str = "a.tif",
    now: int = NOW,
) -> Belonging | None:
    return place_of(Finding("raw", path, newest, new), sessions, (known or {}).get, now)


class TestTheFirstScan:
    """What was there before is not the session's; what was copied in during it is."""

    @pytest.mark.parametrize(
        ("newest", "belongs"),
        [
            (START - HOUR, False), (START - 3 * SECOND, False), (START - SECOND, True), (START + SECOND, True),
            (NOW + 86_400 * SECOND, True),
        ],
    )  # fmt: skip
    def test_by_the_newest_time_of_the_file(self, newest: int, belongs: bool) -> None:
        assert place(session(looked=False), newest=newest) == (Belonging("s1") if belongs else None)

    def test_a_clock_that_was_set_back_after_the_start(self) -> None:
        """A time before the START, but in the future: it is not one before."""
        start = NOW + HOUR
        assert place(session(start=start, looked=False), newest=NOW + HOUR // 2) == Belonging("s1")
        assert place(session(start=start, looked=False), newest=NOW - HOUR) is None

    def test_after_it_every_new_or_changed_file_belongs(self) -> None:
        assert place(session(), newest=START - 365 * 24 * HOUR) == Belonging("s1")
        assert place(session(), newest=START - 365 * 24 * HOUR, new=False) == Belonging("s1")

    def test_of_a_folder_that_could_not_be_read_it_is_still_to_come(self) -> None:
        scanned = session(unread=(("raw", "share"),))
        assert place(scanned, newest=START - HOUR, path="share/old.tif") is None
        assert place(scanned, newest=START - HOUR, path="shared.tif") == Belonging("s1")
        assert place(scanned, newest=START + 1, path="share/new.tif") == Belonging("s1")


class TestAfterTheEnd:
    """The scan at the end takes what is there; what appears later is held back."""

    def test_the_scan_at_the_end(self) -> None:
        assert place(session(end=NOW - SECOND), newest=NOW) == Belonging("s1")
        assert place(session(end=NOW - SECOND, looked=False), newest=START - HOUR) is None

    @pytest.mark.parametrize(("newest", "held"), [(NOW - 2 * HOUR, ""), (NOW, LATE), (NOW + HOUR, "")])
    def test_if_it_comes_late_times_decide(self, newest: int, held: str) -> None:
        """The logger was killed at the end, and starts an hour later; a time in the future says nothing."""
        scanned = session(start=NOW - 3 * HOUR, end=NOW - HOUR)
        assert place(scanned, newest=newest) == Belonging("s1", held)

    def test_what_appears_later(self) -> None:
        assert place(session(end=NOW - SECOND, closed=True)) == Belonging("s1", LATE)

    def test_what_is_changed_later(self) -> None:
        scanned = session(end=NOW - SECOND, closed=True)
        verified = {"s1": file(stage=FileStage.VERIFIED)}
        assert place(scanned, new=False, known=verified) == Belonging("s1", CHANGED_LATE)
        released = {"s1": file(stage=FileStage.VERIFIED, released=True)}
        assert place(scanned, new=False, known=released) == Belonging("s1")
        held = {"s1": file(stage=FileStage.HELD, reason=LATE)}
        assert place(scanned, new=False, known=held) == Belonging("s1", LATE)

    def test_what_was_on_its_way_stays(self) -> None:
        """The last image was still being written when the user clicked."""
        known = {"s1": file(stage=FileStage.GROWING)}
        assert place(session(end=NOW - SECOND, closed=True), new=False, known=known) == Belonging("s1")
        after = session("s2", start=NOW - SECOND // 2)
        assert place(session(end=NOW - SECOND, closed=True), after, new=False, known=known) == Belonging("s1")

    def test_after_the_booked_end(self) -> None:
        scanned = session(hold_from=NOW - SECOND)
        assert place(scanned) == Belonging("s1", BOOKED_LATE)
        assert place(scanned, known={"s1": file()}, new=False) == Belonging("s1")
        assert place(session(hold_from=NOW + SECOND)) == Belonging("s1")


class TestTheNextSession:
    """A file is that of the session in which it appeared."""

    def test_what_is_new_is_the_running_one_s(self) -> None:
        ended = session(end=NOW - HOUR // 2, closed=True)
        assert place(ended, session("s2", start=NOW - SECOND)) == Belonging("s2")

    def test_what_appeared_before_its_start_is_not(self) -> None:
        ended = session(end=NOW - HOUR // 2, closed=True)
        assert place(ended, session("s2", start=NOW, looked=False), newest=NOW - HOUR // 4) is None

    def test_an_end_and_a_start_at_once(self) -> None:
        """New session instead of an interrupted one: both are scanned for the first time."""
        ended = session(end=NOW - HOUR // 2)
        running = session("s2", start=NOW - SECOND, looked=False)
        assert place(ended, running, newest=NOW - HOUR // 2 - SECOND) == Belonging("s1")
        assert place(ended, running, newest=NOW) == Belonging("s2")

    def test_a_verified_file_that_changes(self) -> None:
        ended = session(end=NOW - HOUR // 2, closed=True)
        known = {"s1": file(stage=FileStage.VERIFIED)}
        assert place(ended, session("s2", start=NOW - SECOND), new=False, known=known) == Belonging("s2")

    def test_without_any_session(self) -> None:
        assert place() is None


class TestTheEndOfATransfer:
    """What time alone does not solve has a bounded time; what waits for the network has all it needs."""

    @staticmethod
    def over(*files: TrackedFile, seconds: float, without: bool = False) -> bool:
        watch = EndWatch(without=without)
        watch.is_over(files, 0.0, 600.0)
        return watch.is_over(files, seconds, 600.0)

    def test_all_is_verified_or_gone(self) -> None:
        assert self.over(file(stage=FileStage.VERIFIED), file(stage=FileStage.GONE), seconds=0)
        assert self.over(seconds=0)

    @pytest.mark.parametrize("stage", [FileStage.WAITING, FileStage.SENDING, FileStage.CHECKING])
    def test_what_is_on_its_way_is_waited_for(self, stage: FileStage) -> None:
        assert not self.over(file(stage=stage), seconds=1e9, without=True)

    @pytest.mark.parametrize("stage", [FileStage.GROWING, FileStage.LOCKED, FileStage.HELD])
    def test_what_has_trouble_has_its_time(self, stage: FileStage) -> None:
        assert not self.over(file(stage=stage), seconds=599)
        assert self.over(file(stage=stage), seconds=600)
        assert self.over(file(stage=stage), seconds=0, without=True)

    def test_whose_fault_it_is_makes_a_difference(self) -> None:
        unreadable, away = (file(stage=FileStage.FAILED, blame=blame) for blame in (Blame.FILE, Blame.AWAY))
        assert self.over(unreadable, seconds=600)
        assert not self.over(away, seconds=1e9)
        assert self.over(away, seconds=0, without=True)

    def test_the_time_of_a_file_counts_from_its_first_trouble(self) -> None:
        """While others are sent, and while it is tried again, it goes on to count."""
        watch, locked, sending = EndWatch(), file(stage=FileStage.LOCKED), file(stage=FileStage.SENDING)
        other = file("b.tif", stage=FileStage.WAITING)
        assert not watch.is_over([locked, other], 0.0, 600.0)
        assert not watch.is_over([sending], 500.0, 600.0)
        assert not watch.is_over([sending], 650.0, 600.0), "it is on its way"
        assert not watch.is_over([locked, other], 700.0, 600.0), "another one is waited for"
        assert watch.is_over([locked], 700.0, 600.0)

    def test_a_file_whose_trouble_begins_late_has_its_own_time(self) -> None:
        watch, locked = EndWatch(), file(stage=FileStage.LOCKED)
        late = file("b.tif", stage=FileStage.LOCKED)
        assert not watch.is_over([locked], 0.0, 600.0)
        assert not watch.is_over([locked, late], 500.0, 600.0)
        assert not watch.is_over([locked, late], 700.0, 600.0)
        assert watch.is_over([locked, late], 1100.0, 600.0)

    def test_without_what_waits_for_the_store(self) -> None:
        watch, waiting = EndWatch(without=True), file(stage=FileStage.WAITING)
        assert not watch.is_over([waiting], 0.0, 600.0)
        assert watch.is_over([waiting], 1.0, 600.0, nothing_sent=True)
