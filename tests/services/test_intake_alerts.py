"""Alerts: what a person should know of comes by mail, once, and not while it is silenced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from NexusCore.clock import to_datetime
from Services.Intake.settings import read
from tests.clocks import SetClock, databases_follow
from tests.disks import fill, mounted
from tests.mail import mail_server
from tests.processes import eventually, messages, rows
from tests.services.filing import RUN, Station, station_on

MINUTE = 60.0


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path, clock) as one:
        yield one


def alerts(station: Station) -> list[str]:
    station.app.shutdown(10)
    return [line for line in messages(station.url, "Intake") if "To silence this" in line]


def warnings(station: Station) -> list[str]:
    return [text for (text,) in rows(station.url, "SELECT message FROM log_record WHERE level >= 30")]


class TestAlerts:
    """Each is said when it begins, again after a while, and its end is said, too."""

    def test_nothing_is_received(self, station: Station, clock: SetClock) -> None:
        station.root.inbox(silent_minutes=30.0)
        intake = station.intake()
        for _ in range(4):
            clock.move(10 * MINUTE)
            intake.once()
        assert intake.status["alerts"].get_value() == "silent-det"
        station.drop()
        intake.once()
        assert intake.status["alerts"].get_value() == ""
        clock.move(29 * MINUTE)
        intake.once()
        intake.close()
        assert alerts(station) == [
            f"Nothing was received in {station.inbox} for 30 minutes. "
            "To silence this: ConfigTool Services.Intake.silences.silent-det=<time>"
        ]
        assert "The alert silent-det is over" in messages(station.url, "Intake")

    def test_files_lie_about(self, station: Station, clock: SetClock) -> None:
        """With the reason of each."""
        station.drop("notes.txt")
        station.drop("EMChists_\n.root")
        intake = station.intake()
        intake.once()
        clock.move(61 * MINUTE)
        intake.once()
        intake.close()
        (line,) = [line for line in alerts(station) if "old-det" in line]
        assert "2 files have been in" in line
        assert "notes.txt: no rule takes it" in line
        assert "EMChists_\\n.root: its name cannot be used: it has U+000A" in line

    def test_a_rule_that_takes_nothing(self, station: Station) -> None:
        """Once it has taken something, it is not a mistake any more."""
        station.drop("notes.txt")
        intake = station.intake()
        intake.once()
        assert intake.status["alerts"].get_value() == "rule-overwatch"
        station.drop(RUN)
        intake.once()
        intake.once()
        intake.close()
        assert intake.status["alerts"].get_value() == ""

    def test_a_disk_is_nearly_full(self, station: Station, tmp_path: Path) -> None:
        with mounted(tmp_path / "small", "300k") as small:
            station.root.rule("overwatch", target=str(small))
            filler = fill(small)
            intake = station.intake()
            intake.once()
            assert intake.status["alerts"].get_value() == "disk-det"
            filler.unlink()
            intake.once()
            intake.close()
            assert intake.status["alerts"].get_value() == ""
        (line,) = alerts(station)
        assert f"The disk of {small} is nearly full: 0 bytes of 300 KiB are free" in line

    def test_a_silence_ends(self, station: Station, clock: SetClock) -> None:
        until = to_datetime(clock.now()) + timedelta(minutes=90)
        station.root.inbox(silent_minutes=30.0)
        station.config.set("Services.Intake.silences.silent", until.isoformat(), create=True)
        intake = station.intake()
        clock.move(60 * MINUTE)
        intake.once()
        assert intake.status["alerts"].get_value() == ""
        clock.move(60 * MINUTE)
        intake.once()
        assert intake.status["alerts"].get_value() == "silent-det"
        intake.close()

    def test_a_silence_that_is_no_time(self, station: Station) -> None:
        """Such as one that was set before Intake said what it is."""
        station.config.set("Services.Intake.silences.silent", "soon", create=True)
        intake = station.intake()
        intake.once()
        intake.close()
        assert "silences.silent is 'soon', which is not a time such as" in intake.status["settings"].get_value()
        lines = [line for line in messages(station.url, "Intake") if "'soon'" in line]
        assert not any("To silence this" in line or ".." in line for line in lines)

    @pytest.mark.parametrize(("name", "meant"), [("silent-dat", "silent-det"), ("rule-overwach", "rule-overwatch")])
    def test_a_silence_that_silences_nothing(self, station: Station, name: str, meant: str) -> None:
        """One wrong silence leaves the others alone."""
        station.config.set(f"Services.Intake.silences.{name}", "2033-01-01T00:00", create=True)
        station.config.set("Services.Intake.silences.old", "2033-01-01T00:00", create=True)
        settings = read(station.config)
        (fault,) = settings.faults.values()
        assert fault.endswith(f"no alert has such a name. Did you mean '{meant}'?")
        assert "old" in settings.silent_until

    def test_files_that_stay_do_not_hide_the_silence(self, station: Station, clock: SetClock) -> None:
        """Silent is where nothing new comes, whatever lies there; a file that comes and stays is news."""
        station.root.inbox(silent_minutes=30.0)
        station.drop("notes.txt")
        intake = station.intake()
        intake.once()
        clock.move(20 * MINUTE)
        station.drop("more.txt")
        intake.once()
        clock.move(20 * MINUTE)
        intake.once()
        assert "silent-det" not in intake.status["alerts"].get_value()
        clock.move(11 * MINUTE)
        intake.once()
        intake.close()
        assert "silent-det" in intake.status["alerts"].get_value()
        assert any("for 31 minutes" in line for line in alerts(station))

    def test_a_folder_that_is_gone_receives_nothing(self, station: Station, clock: SetClock) -> None:
        station.root.inbox(silent_minutes=0.5)
        intake = station.intake()
        station.inbox.rmdir()
        clock.move(45)
        intake.once()
        intake.close()
        assert intake.status["alerts"].get_value() == "silent-det"
        assert any("for 45 seconds" in line for line in alerts(station))

    def test_it_is_repeated_after_a_while(self, station: Station, clock: SetClock) -> None:
        station.root.inbox(silent_minutes=30.0)
        intake = station.intake()
        for _ in range(30):
            clock.move(60 * MINUTE)
            intake.once()
        intake.close()
        assert len(alerts(station)) == 2

    def test_junk_does_not_use_up_the_mails(self, station: Station, clock: SetClock) -> None:
        """Files that are not filed are one warning an hour, however many come; each is named once."""
        with mail_server() as (host, mailbox):
            with station.config.together() as group:
                group["Log.mail_host"] = host
                group["Log.mail_to"] = "operator@example.org"
                group["Log.mail_per_hour"] = 3
            station.root.inbox(silent_minutes=20.0)
            intake = station.intake()
            for number in range(20):
                station.drop(f"junk{number}")
                station.drop(f"more{number}")
                intake.once()
            clock.move(21 * MINUTE)
            intake.once()
            intake.close()
            eventually(lambda: any("Nothing was received in" in text for text in mailbox.texts()))
        station.app.shutdown(10)
        lines = [line for line in messages(station.url, "Intake") if "is not filed" in line]
        assert lines[0] == "det: junk0 is not filed: no rule takes it; more0 is not filed: no rule takes it"
        assert all(sum(f"junk{number} is" in line for line in lines) == 1 for number in range(20))

    def test_nor_do_folders(self, station: Station, clock: SetClock) -> None:
        """Others may leave any number of folders that cannot be looked into, too."""
        station.root.inbox(subfolders=True)
        below = station.inbox.joinpath(*["d"] * 64)
        below.mkdir(parents=True)
        intake = station.intake()
        for number in range(5):
            (below / f"n{number}").mkdir()
            intake.once()
        assert "is not looked into" in intake.status["inbox det"].get_value()
        intake.close()
        station.app.shutdown(10)
        assert len(warnings(station)) == 1
        assert len([line for line in messages(station.url, "Intake") if "is not looked into" in line]) == 5

    def test_by_mail(self, station: Station, clock: SetClock) -> None:
        """The log's own mail destination sends them."""
        with mail_server() as (host, mailbox):
            with station.config.together() as group:
                group["Log.mail_host"] = host
                group["Log.mail_to"] = "operator@example.org"
            station.root.inbox(silent_minutes=30.0)
            intake = station.intake()
            clock.move(31 * MINUTE)
            intake.once()
            intake.close()
            eventually(lambda: any("Nothing was received in" in text for text in mailbox.texts()))
