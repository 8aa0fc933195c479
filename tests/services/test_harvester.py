"""The Harvester keeps reservations fresh, whatever the calendars do; on both databases."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from NexusCore.clock import to_ts
from NexusCore.errors import DatabaseUnreachable
from NexusCore.facility import Instrument, Reservation, Reservations
from NexusCore.service import Pass, main
from Services.Harvester.service import Harvester
from Services.Harvester.sources import kinds
from tests.processes import LIMIT, PROJECT, app_on, environment_of, eventually, messages, rows, run, samples
from tests.services import harvesting
from tests.services.harvesting import Facility, status_of
from tests.services.test_harvester_ical import event, ics
from tests.services.test_harvester_web import Server, says, silent

facility, embedded_facility = harvesting.facility, harvesting.embedded_facility
END_LIMIT = 20.0
"""Seconds that a service told to end may take where much else is done: less than a silent server would take."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        yield one


class TestReservationsAreKeptFresh:
    """001-19, 001-20: what the calendars say is in the database, and stays so when they change."""

    def test_new_moved_gone_and_back(self, facility: Facility) -> None:
        harvester = Harvester(facility.app)
        one, two = event("1", ":20260311T090000Z", ":20260311T100000Z", "SUMMARY:Å"), event("2", ":20260312T090000Z")
        path = facility.instrument("Titan", one, two)
        assert harvester.once() == Pass(done=1)
        before = facility.found()
        assert sorted(before) == ["1", "2"]
        path.write_bytes(ics(one.replace("T100000Z", "T110000Z")))
        harvester.once()
        assert facility.found()["1"].end_ts == before["1"].end_ts + 3_600_000_000
        assert facility.cancelled() == {"2"}
        path.write_bytes(ics(one, two))
        harvester.once()
        assert facility.found() == before

    def test_cancelled_in_the_calendar(self, facility: Facility) -> None:
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z", "STATUS:CANCELLED"))
        Harvester(facility.app).once()
        assert (facility.found(), facility.cancelled()) == ({}, {"1"})

    def test_an_occurrence_that_was_left_out(self, facility: Facility) -> None:
        series = event("w", ":20260302T080000Z", ":20260302T090000Z", "RRULE:FREQ=WEEKLY")
        path = facility.instrument("Titan", series)
        harvester = Harvester(facility.app)
        harvester.once()
        days = ["09", "16", "23"]
        assert sorted(facility.found()) == [f"w#202603{day}T080000Z" for day in days], "7 days back, 14 ahead"
        path.write_bytes(ics(series.replace("\nRRULE", "\nEXDATE:20260316T080000Z\nRRULE")))
        harvester.once()
        assert facility.cancelled() == {"w#20260316T080000Z"}

    def test_what_leaves_the_window_stays(self, facility: Facility) -> None:
        path = facility.instrument("Titan", event("1", ":20260309T090000Z", ":20260309T100000Z"))
        harvester = Harvester(facility.app)
        harvester.once()
        facility.clock.time += timedelta(days=30)
        path.write_bytes(ics())
        harvester.once()
        assert sorted(facility.found()) == ["1"]

    def test_each_instrument_has_its_own_reservations(self, facility: Facility) -> None:
        """Each has its own; the same UID in two calendars is two reservations."""
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.instrument("Quanta", event("1", ":20260312T090000Z", ":20260312T100000Z"))
        facility.config["Instruments.Manual.filestore_path"] = "./manual"
        harvester = Harvester(facility.app)
        assert harvester.once() == Pass(done=2)
        assert facility.found("Titan")["1"].start_ts < facility.found("Quanta")["1"].start_ts
        assert status_of(harvester, "source Titan") == status_of(harvester, "source Quanta") == "ok"
        assert status_of(harvester, "reservations") == 2

    def test_nothing_to_do(self, facility: Facility) -> None:
        assert Harvester(facility.app).once() == Pass()

    def test_settings_hold_from_the_next_pass_on(self, facility: Facility) -> None:
        """003-08: window, address and zone, changed by another process."""
        facility.instrument("Titan", event("1", ":20260401T090000", ":20260401T100000"))
        harvester = Harvester(facility.app)
        harvester.once()
        assert facility.found() == {}
        other = app_on(facility.url, facility.home)
        other.get_config()["Services.Harvester.days_ahead"] = 30
        other.get_config()["Instruments.Titan.timezone"] = "Asia/Tokyo"
        other.shutdown()
        eventually(lambda: facility.config["Instruments.Titan.timezone"] == "Asia/Tokyo")
        harvester.once()
        assert facility.found()["1"].start_ts == to_ts(datetime(2026, 4, 1, tzinfo=UTC))

    def test_every_number_is_a_setting(self, facility: Facility) -> None:
        """With a comment that says its unit."""
        Harvester(facility.app)
        leaves = {leaf.path: leaf for leaf in facility.config.get_leaves("Services.Harvester")}
        own = {path.removeprefix("Services.Harvester.") for path in leaves}
        assert {"interval", "days_back", "days_ahead", "parallel", "time_limit", "ical.size_limit"} <= own
        made = [leaf for path, leaf in leaves.items() if not path.endswith(("first_wait", "attempts"))]
        assert all(leaf.comment for leaf in made)


class TestACalendarThatFails:
    """It delays only its own instrument, says why on the status channel, and what is known of it stays."""

    def test_down_and_back(self, facility: Facility, server: Server) -> None:
        titan = event("1", ":20260311T090000Z", ":20260311T100000Z")
        facility.instrument("Titan", titan)
        quanta = facility.instrument("Quanta", titan)
        harvester = Harvester(facility.app)
        harvester.once()
        server.answers["/titan"] = says(503)
        facility.config["Instruments.Titan.api_url"] = server.url("/titan")
        quanta.write_bytes(ics(titan, event("2", ":20260312T090000Z", ":20260312T100000Z")))
        assert harvester.once() == Pass(done=1, failed=1)
        assert (sorted(facility.found("Titan")), sorted(facility.found("Quanta"))) == (["1"], ["1", "2"])
        sentence = "The calendar at 127.0.0.1 does not answer: it answered 503 Service Unavailable."
        assert status_of(harvester, "source Titan") == sentence
        assert status_of(harvester, "calendars_failed") == 1
        server.answers["/titan"] = lambda request: request.send(ics(titan))
        harvester.once()
        harvester.once()
        assert status_of(harvester, "source Titan") == "ok"
        assert [one for one in facility.said() if one.startswith("Titan: ")][1:] == [
            f"Titan: {sentence}",
            "Titan: its calendar can be read again",
        ], "each is said once"

    def test_an_instrument_that_has_lost_its_calendar(self, facility: Facility) -> None:
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester = Harvester(facility.app)
        harvester.once()
        facility.config["Instruments.Titan.harvester"] = ""
        assert harvester.once() == Pass()
        assert status_of(harvester, "source Titan") == "not asked any more"
        assert sorted(facility.found()) == ["1"]


class TestACalendarThatCannotBeRead:
    """Its instrument's status says why, and the others are read: nothing of it comes as far as the database."""

    @pytest.fixture
    def facility(self, embedded_facility: Facility) -> Facility:
        return embedded_facility

    def test_one_that_is_silent(self, facility: Facility, server: Server) -> None:
        facility.config["Services.Harvester.time_limit"] = 1.0
        facility.instrument("A")
        facility.instrument("B", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        server.answers["/a"] = silent
        facility.config["Instruments.A.api_url"] = server.url("/a")
        harvester = Harvester(facility.app)
        facility.config["Services.Harvester.time_limit"] = 3.0
        assert harvester.once() == Pass(done=1, failed=1)
        assert sorted(facility.found("B")) == ["1"]
        said = "The calendar of A was not read within 3 s, the limit in Services.Harvester.time_limit."
        assert status_of(harvester, "source A") == said

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [
            (
                "harvester",
                "icall",
                "Instruments.Titan.harvester is 'icall', which is not a kind of calendar; "
                f"known are: {', '.join(kinds())}. Did you mean 'ical'?",
            ),
            ("timezone", "Mars/Olympus", "which is not a time zone; use for example Europe/Oslo"),
            ("api_url", "", "Instruments.Titan.api_url is not set"),
            ("api_url", "/nowhere/x.ics", "The calendar at /nowhere/x.ics cannot be read: No such file or directory."),
        ],
    )
    def test_a_mistake_in_the_settings(self, facility: Facility, name: str, value: str, says: str) -> None:
        facility.instrument("Titan")
        facility.instrument("Quanta", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.config[f"Instruments.Titan.{name}"] = value
        harvester = Harvester(facility.app)
        assert harvester.once() == Pass(done=1, failed=1)
        assert says in str(status_of(harvester, "source Titan"))
        assert sorted(facility.found("Quanta")) == ["1"]

    @pytest.mark.parametrize(
        ("value", "says"), [(None, "has no value, but must be a number"), ("x", "but must be a number")]
    )
    def test_a_mistake_in_the_settings_of_a_kind(self, facility: Facility, value: str | None, says: str) -> None:
        """The calendars of that kind say so; the others are read."""
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.config["Instruments.Quanta.harvester"] = "nemo"
        facility.config["Instruments.Quanta.api_url"] = "https://nemo.example.org/api/tools/?id=1"
        facility.config.set("Services.Harvester.nemo.redirects", value, check=False, create=True)
        harvester = Harvester(facility.app)
        assert harvester.once() == Pass(done=1, failed=1)
        assert "'Services.Harvester.nemo.redirects' " in str(status_of(harvester, "source Quanta"))
        assert says in str(status_of(harvester, "source Quanta"))
        assert sorted(facility.found("Titan")) == ["1"]


class TestStrangersText:
    """Whatever a calendar holds, nothing that is known is lost."""

    def test_what_cannot_be_read_is_not_taken_for_cancelled(self, facility: Facility) -> None:
        one, two, three = (event(f"{day}", f":2026031{day}T090000Z", f":2026031{day}T100000Z") for day in (1, 2, 3))
        weekly = event("w", ":20260311T080000Z", ":20260311T090000Z", "RRULE:FREQ=DAILY;COUNT=2")
        path = facility.instrument("Titan", one, two, three, weekly)
        harvester = Harvester(facility.app)
        harvester.once()
        known = facility.found()
        path.write_bytes(ics(one, two.replace(":20260312T09", ":soon"), weekly.replace("DAILY", "OFTEN")))
        assert harvester.once() == Pass(done=1)
        assert facility.cancelled() == {"3"}, "that one is really gone"
        assert facility.found() == {uid: one for uid, one in known.items() if uid != "3"}
        assert str(status_of(harvester, "source Titan")).startswith(
            "Read, but the event '2' cannot be read: DTSTART: Expected datetime, date, or time."
        )
        assert str(status_of(harvester, "source Titan")).endswith("; and 1 other problem")

    def test_a_limit_is_named_with_its_setting(self, embedded_facility: Facility) -> None:
        embedded_facility.config["Services.Harvester.ical.size_limit"] = 0.25
        embedded_facility.instrument("Titan", "X-NOTE:" + "x" * 300_000)
        harvester = Harvester(embedded_facility.app)
        assert harvester.once() == Pass(failed=1)
        said = str(status_of(harvester, "source Titan"))
        assert said.endswith("it has more than 0.25 MB, the limit in Services.Harvester.ical.size_limit.")

    def test_what_lost_a_booking_is_named_first(
        self, embedded_facility: Facility, capfd: pytest.CaptureFixture[str]
    ) -> None:
        one = event("1", ";TZID=Mars:20260311T090000", ":20260311T100000Z")
        two = event("2", ":soon", ":20260312T100000Z")
        three = event("3", ";TZID=/example.org/Europe/Oslo:20260313T090000", ":20260313T100000Z")
        embedded_facility.instrument("Titan", one, three, two)
        harvester = Harvester(embedded_facility.app)
        assert harvester.once() == Pass(done=1)
        said = str(status_of(harvester, "source Titan"))
        assert said.startswith("Read, but the event '2' cannot be read: ")
        assert said.endswith("; and 1 other problem")
        assert sorted(embedded_facility.found()) == ["1", "3"]
        assert "Warning" not in capfd.readouterr().err, "libraries talk to programmers"

    def test_a_damaged_event_without_uid_cancels_none(self, facility: Facility) -> None:
        one = event("1", ":20260311T090000Z", ":20260311T100000Z")
        path = facility.instrument("Titan", one)
        harvester = Harvester(facility.app)
        harvester.once()
        path.write_bytes(ics(one.replace("UID:1\n", "").replace(":20260311T09", ":soon")))
        harvester.once()
        assert (sorted(facility.found()), facility.cancelled()) == (["1"], set())


class TestAReaderThatFails:
    """Reading has bounds of time and memory; however it ends, it costs one instrument one pass, and nothing known."""

    @pytest.fixture
    def facility(self, embedded_facility: Facility) -> Facility:
        return embedded_facility

    @pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", ics()[:-12], os.urandom(100_000)])
    def test_no_calendar_at_all(self, facility: Facility, content: bytes) -> None:
        path = facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester = Harvester(facility.app)
        harvester.once()
        path.write_bytes(content)
        assert harvester.once() == Pass(failed=1)
        assert sorted(facility.found()) == ["1"]

    def test_a_rule_that_takes_for_ever(self, facility: Facility) -> None:
        """86,400 times a day since 1900: the process that expands it is ended."""
        every = ",".join(map(str, range(60)))
        rule = f"RRULE:FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE={every};BYSECOND={every}"
        facility.instrument("Titan", event("1", ":19000101T000000Z", None, rule))
        harvester = Harvester(facility.app)
        facility.config["Services.Harvester.time_limit"] = 3.0
        assert harvester.once() == Pass(failed=1)
        assert "Titan" in str(status_of(harvester, "source Titan"))
        assert multiprocessing.active_children() == []

    def test_one_that_eats_the_memory(self, facility: Facility) -> None:
        facility.instrument("Titan", *["BEGIN:VEVENT\nEND:VEVENT"] * 200_000)
        harvester = Harvester(facility.app)
        facility.config["Services.Harvester.memory_limit"] = 128
        assert harvester.once() == Pass(failed=1)
        assert status_of(harvester, "source Titan") == (
            "The calendar of Titan needs more than 128 MB, the limit in Services.Harvester.memory_limit."
        )

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ("segfault", "Reading the calendar of Titan crashed its process (SIGSEGV)."),
            ("exit", "Reading the calendar of Titan crashed its process (exit code 3)."),
            ("raise", "Reading the calendar of Titan failed (RuntimeError: what now)."),
        ],
    )
    def test_a_reader_that_fails(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch, how: str, says: str
    ) -> None:
        facility.instrument("Titan")
        facility.instrument("Quanta", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.config["Instruments.Titan.harvester"] = "failing"
        harvester = Harvester(facility.app)
        known = {**kinds(), "failing": lambda config: Failing(how)}
        monkeypatch.setattr("Services.Harvester.sources.kinds", lambda: known)
        assert harvester.once() == Pass(done=1, failed=1)
        assert sorted(facility.found("Quanta")) == ["1"]
        assert status_of(harvester, "source Titan") == says
        assert (how == "raise") == any("Traceback" in line for line in facility.said())


@dataclass(frozen=True)
class Failing:
    """A source with a fault of its own."""

    name: ClassVar[str] = "failing"
    how: str

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        if self.how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "exit":
            os._exit(3)
        raise RuntimeError("what now")


class TestKinds:
    """A kind of calendar is a folder that declares itself."""

    def test_each_makes_a_source_of_its_name(self, facility: Facility) -> None:
        for name, make in kinds().items():
            source = make(facility.app.get_config(f"Services.Harvester.{name}"))
            assert source.name == name

    def test_nothing_heavy_is_imported_for_it(self) -> None:
        """001-55 runs for months: readers and clients live in the processes that need them."""
        program = (
            "import sys, Services.Harvester.service as s, Services.Harvester.sources as k; k.kinds();"
            "print({'requests', 'icalendar', 'recurring_ical_events', 'tenacity'} & set(sys.modules))"
        )
        assert run(program, main="sqlite:////nowhere", home=Path("/nowhere")).strip() == "set()"


class TestTheProgram:
    """``python -m Services.Harvester``: exit codes, a dry run, and an end when told to."""

    def run(self, url: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "Services.Harvester", *arguments],
            cwd=PROJECT,
            env=environment_of(url, home),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    def test_nothing_to_do(self, database_url: str, tmp_path: Path) -> None:
        done = self.run(database_url, tmp_path / "home", "--once")
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("postgres://x:secret@y/z", 2),
            ("mysql://u:secret@127.0.0.1:1/nexus", 3),
            ("mysql://u:secret@host:port/nexus", 2),
        ],
    )
    @pytest.mark.parametrize("arguments", [("--once",), ()])
    def test_a_database_that_is_none(self, tmp_path: Path, url: str, code: int, arguments: tuple[str, ...]) -> None:
        done = self.run(url, tmp_path / "home", *arguments)
        assert done.returncode == code, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("Harvester: The database ")
        assert "secret" not in line

    def test_a_failure_shows_in_the_exit_code(self, facility: Facility) -> None:
        facility.instrument("Titan").unlink()
        done = self.run(facility.url, facility.home, "--once")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr

    def test_a_dry_run(self, facility: Facility) -> None:
        """It says what it would store, and stores nothing."""
        day = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
        path = facility.instrument("Titan", event("1", f":{day}T090000Z", f":{day}T100000Z", "SUMMARY:Alloys"))
        done = self.run(facility.url, facility.home, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "would store (new or changed) 'Alloys'" in done.stderr
        assert rows(facility.url, "SELECT * FROM reservation") == []
        assert not [one for one, _ in samples(facility.url, "Harvester") if one.startswith(("source", "calendars"))]
        self.run(facility.url, facility.home, "--once")
        stored = rows(facility.url, "SELECT * FROM reservation")
        path.write_bytes(ics())
        done = self.run(facility.url, facility.home, "--dry-run")
        assert "would mark as cancelled 'Alloys', no longer in the calendar" in done.stderr
        assert rows(facility.url, "SELECT * FROM reservation") == stored

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_it_ends_although_a_server_is_silent(self, facility: Facility, server: Server, how: int) -> None:
        """Its last lines are in the database, and no process is left."""
        server.answers["/titan"] = silent
        facility.instrument("Titan")
        facility.config["Instruments.Titan.api_url"] = server.url("/titan")
        running = subprocess.Popen(
            [sys.executable, "-m", "Services.Harvester"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: server.asked, "it asks")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        running.send_signal(how)
        _, errors = running.communicate(timeout=END_LIMIT)
        assert running.returncode == 0, errors
        assert "Traceback" not in errors
        assert messages(facility.url, "Harvester")[-1] == "Harvester ends"
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))

    def test_a_changed_setting_is_seen(self, facility: Facility) -> None:
        """003-08: and it says so."""
        facility.config["Services.Harvester.interval"] = 0.2
        day = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
        running = subprocess.Popen(
            [sys.executable, "-m", "Services.Harvester"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: messages(facility.url, "Harvester"))
            facility.instrument("Titan", event("1", f":{day}T090000Z", f":{day}T100000Z"))
            eventually(facility.found)
            changed = "Instruments.Titan.harvester is now 'ical'"
            eventually(lambda: any(changed in line for line in messages(facility.url, "Harvester")))
        finally:
            running.terminate()
            running.wait(END_LIMIT)

    def test_help_is_printed_with_exit_code_0(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(Harvester, ["--help"])
        assert end.value.code == 0
        assert "--dry-run" in capsys.readouterr().out


class TestTheDatabase:
    """What it refuses of one calendar costs only that one; when it is away, the pass ends and says so."""

    def test_a_name_that_a_table_refuses(self, facility: Facility) -> None:
        """MariaDB has no room for the name of this source; SQLite takes any."""
        long = "T" * 127
        facility.instrument(long, event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.instrument("Quanta", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester = Harvester(facility.app)
        assert harvester.once().failed == facility.url.startswith("mysql")
        assert sorted(facility.found("Quanta")) == ["1"]

    def test_away_in_the_middle_of_a_pass(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        for pid in "ABC":
            facility.instrument(pid)
        harvester = Harvester(facility.app)

        def away(*_: object) -> tuple[int, int]:
            raise DatabaseUnreachable(where="the test", reason="gone")

        monkeypatch.setattr(Reservations, "take_over", away)
        with pytest.raises(DatabaseUnreachable):
            harvester.once()
        assert multiprocessing.active_children() == []
