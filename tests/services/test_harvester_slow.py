"""The Harvester and servers that accept and never answer: they keep nobody waiting but their own instruments."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from NexusCore.clock import SystemClock
from NexusCore.facility import Instrument
from NexusCore.service import Pass, RunOptions
from Services.Harvester import fetch_scheduler as module
from Services.Harvester.fetch_process import Bounds, FetchRequest, FetchResult, FetchWindow
from Services.Harvester.fetch_scheduler import FetchScheduler, FetchSlots, Server
from Services.Harvester.service import Harvester
from Services.Harvester.sources.ical import ICal
from tests.processes import PROJECT, environment_of, eventually, samples
from tests.services import harvesting
from tests.services.harvesting import Facility
from tests.services.test_harvester_ical import event, ics
from tests.services.test_harvester_web import PATIENCE, Handler
from tests.services.test_harvester_web import Server as WebServer

facility = harvesting.facility
END_LIMIT = 20.0
"""Seconds that a service told to end may take where much else is done."""
WINDOW = FetchWindow(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
BOUNDS = Bounds(60.0, 512)


def hung(request: Handler) -> None:
    """Answer nothing for far longer than any test takes."""
    request.server.released.wait(3000)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as one:
        yield one


@contextmanager
def running(facility: Facility) -> Iterator[None]:
    """Have a Harvester run that begins a round five times a second and gives no calendar up during the test."""
    # What the calendars may take is far more than a test waits: what it waits for did not wait for them.
    for name, value in (("interval", 0.2), ("time_limit", 3000.0), ("ical.read_timeout", 600.0), ("slow_after", 0.5)):
        facility.config[f"Services.Harvester.{name}"] = value
    process = subprocess.Popen(
        [sys.executable, "-m", "Services.Harvester"],
        cwd=PROJECT,
        env=environment_of(facility.url, facility.home),
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_LIMIT)
        finally:
            process.kill()


def tomorrow(uid: str) -> str:
    day = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
    return event(uid, f":{day}T090000Z", f":{day}T100000Z")


def has(facility: Facility, uid: str) -> bool:
    return set(facility.found("B")) == {uid}


def hang(facility: Facility, server: WebServer, *pids: str) -> None:
    """Have instruments whose calendars are at a server that never answers."""
    for pid in pids:
        facility.instrument(pid)
        server.answers[f"/{pid}"] = hung
        facility.config[f"Instruments.{pid}.api_url"] = server.url(f"/{pid}")


class TestAServerThatHangs:
    """It delays only its own instruments, and each status is told as soon as it is known."""

    def test_the_others_go_on(self, facility: Facility, server: WebServer) -> None:
        """Round by round, while one question to it is under way."""
        hang(facility, server, "A")
        path = facility.instrument("B", tomorrow("1"))
        with running(facility):
            eventually(lambda: facility.found("B"), "the first reading")
            eventually(lambda: ("source B", "ok") in samples(facility.url, "Harvester"), "its status")
            for uid in "23":
                path.write_bytes(ics(tomorrow(uid)))
                eventually(partial(has, facility, uid), "what changed meanwhile")
            assert [path for path, _ in server.asked] == ["/A"], "asked once, and still being asked"
            assert "source A" not in dict(samples(facility.url, "Harvester")), "nobody knows yet"
            server.released.set()
            eventually(lambda: "source A" in dict(samples(facility.url, "Harvester")), "told when it is known")

    def test_many_do_not_use_up_all_places(self, facility: Facility, server: WebServer) -> None:
        """Those before it in the alphabet, never asked before: each leaves its place after a while."""
        hang(facility, server, *(f"A{number}" for number in range(5)))
        facility.config["Services.Harvester.parallel"] = 2
        facility.instrument("B", tomorrow("1"))
        with running(facility):
            eventually(lambda: facility.found("B"))
            assert len({path for path, _ in server.asked}) == len(server.asked), "one question to each"

    def test_one_that_got_another_address(self, facility: Facility, server: WebServer) -> None:
        """003-08: what is asked at the old one is given up."""
        hang(facility, server, "A")
        with running(facility):
            eventually(lambda: server.asked)
            facility.instrument("A", tomorrow("1"))
            eventually(lambda: facility.found("A"))

    def test_once_waits_for_all(self, facility: Facility, server: WebServer) -> None:
        """As long as the limits allow."""
        hang(facility, server, "A")
        facility.instrument("B", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester = Harvester(facility.app)
        facility.config["Services.Harvester.interval"] = 0.1
        facility.config["Services.Harvester.slow_after"] = 0.1
        facility.config["Services.Harvester.ical.read_timeout"] = 2.0
        harvester.take_options(RunOptions(once=True))
        assert harvester.once() == Pass(done=1, failed=1)


class SteadyClock(SystemClock):
    """Seconds go by when a test says so."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


class NeverAnswered:
    """A fetch without a process."""

    def __init__(self, request: FetchRequest, window: FetchWindow, bounds: Bounds, now: float) -> None:
        self.request, self.window, self.begun, self.ended = request, window, now, False

    def answers(self, now: float) -> Mapping[str, FetchResult] | None:
        return None

    def end(self) -> None:
        self.ended = True


class Desk:
    """Askings without processes."""

    def __init__(self) -> None:
        self.clock = SteadyClock()
        self.fetches = FetchScheduler(self.clock)
        self.slots = FetchSlots(quick=2, slow=3, slow_after=5.0)

    def request(self, pid: str, address: str = "x") -> FetchRequest:
        return FetchRequest(ICal(PATIENCE, 10), [Instrument(pid, api_url=address)], set())

    def round(self, pids: str, failed: str = "") -> str:
        """Begin a round; return whom it has asked, a letter each."""
        requests: dict[Server, FetchRequest] = {("ical", pid): self.request(pid) for pid in pids}
        waiting = self.fetches.due(requests, {("ical", pid) for pid in failed})
        asked = []
        while waiting and self.fetches.start(waiting[0], requests[waiting[0]], WINDOW, BOUNDS, self.slots):
            asked.append(waiting.pop(0)[1])
        return "".join(asked)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(module, "FetchProcess", NeverAnswered)
    return Desk()


class TestPlaces:
    """So many requests at a time; the slow ones are limited, too, and never hold the places of the others."""

    def test_so_many_at_a_time(self, desk: Desk) -> None:
        assert desk.round("ABCD") == "AB"
        assert desk.round("ABCD") == "", "they are still being asked"

    def test_the_slow_leave_their_places(self, desk: Desk) -> None:
        desk.round("ABCDEFGH")
        desk.clock.seconds += 5
        assert desk.round("ABCDEFGH") == "CD"
        desk.clock.seconds += 5
        assert desk.round("ABCDEFGH") == "E", "five processes are the most"
        desk.clock.seconds += 5
        assert desk.round("ABCDEFGH") == ""

    def test_who_failed_has_other_places(self, desk: Desk) -> None:
        """And comes last."""
        assert desk.round("ABCDEF", failed="ABCD") == "EFABC"
        assert desk.round("ABCDEFG", failed="ABCD") == ""

    def test_who_waited_longest_is_first(self, desk: Desk) -> None:
        """Those that no place was left for are not left out the next time, too."""
        assert desk.round("ABC") == "AB"
        desk.fetches.end()
        desk.clock.seconds += 1
        assert desk.round("ABC") == "CA"

    def test_what_would_not_be_asked_any_more_is_ended(self, desk: Desk) -> None:
        desk.round("AB")
        desk.round("B")
        assert len(desk.fetches) == 1
        other: dict[Server, FetchRequest] = {("ical", "B"): desk.request("B", "y")}
        assert desk.fetches.due(other, set()) == [("ical", "B")]
