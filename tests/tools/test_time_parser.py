"""Times as people write them, and lengths of time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from NexusCore.clock import EARLIEST, LATEST, SECOND, to_datetime, to_ts
from Tools.common.time_parser import Stamps, length, moment, rfc3339


@pytest.fixture(autouse=True)
def oslo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a place whose clocks go one hour ahead of UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "Europe/Oslo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> int:
    from datetime import datetime

    return to_ts(datetime.fromisoformat(text))


NOW = "2026-11-20T09:30:00+01:00"


class TestForPrograms:
    """RFC 3339 in this machine's zone, exact, for each time that a calendar has."""

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "Africa/Monrovia", "Australia/Lord_Howe"])
    def test_as_the_standard_library_says(self, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
        """Also where the offset has seconds, and where the clocks are set by half an hour."""
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        chance, stamp = random.Random(3), Stamps()
        times = [EARLIEST, LATEST - 1, -1, 0, *(chance.randrange(EARLIEST, LATEST) for _ in range(300))]
        times += [at(NOW) - chance.randrange(60 * 365 * 86_400 * SECOND) for _ in range(700)]
        for ts in times:
            expected = to_datetime(ts).astimezone().isoformat(timespec="microseconds")
            assert rfc3339(ts) == stamp(ts) == expected

    @pytest.mark.parametrize("ts", [EARLIEST - 1, LATEST])
    def test_what_is_no_time(self, ts: int) -> None:
        assert rfc3339(ts) is Stamps()(ts) is None


class TestMoments:
    """A date, a time of day, both, a length of time back from now, some words, seconds since the epoch."""

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("2026-11-18", "2026-11-18T00:00:00+01:00"),
            ("2026-07-01", "2026-07-01T00:00:00+02:00"),
            ("2026-11-18 12:05", "2026-11-18T12:05:00+01:00"),
            ("2026-11-18T12:05:06.5", "2026-11-18T12:05:06.5+01:00"),
            ("2026-11-18T12:05Z", "2026-11-18T12:05:00+00:00"),
            ("2026-11-18t12:05-05:00", "2026-11-18T12:05:00-05:00"),
            ("yesterday", "2026-11-19T00:00:00+01:00"),
            ("Today", "2026-11-20T00:00:00+01:00"),
            ("yesterday 9:05", "2026-11-19T09:05:00+01:00"),
            ("9:05", "2026-11-20T09:05:00+01:00"),
            ("09:30", "2026-11-20T09:30:00+01:00"),
            ("23:59:59", "2026-11-19T23:59:59+01:00"),
            ("-15m", "2026-11-20T09:15:00+01:00"),
            ("-1h30m", "2026-11-20T08:00:00+01:00"),
            ("2h ago", "2026-11-20T07:30:00+01:00"),
            ("2 hours ago", "2026-11-20T07:30:00+01:00"),
            ("1 Week 2 days ago", "2026-11-11T09:30:00+01:00"),
            ("90d", "2026-08-22T09:30:00+01:00"),
            ("now", NOW),
            ("@1470138136", "2016-08-02T11:42:16+00:00"),
            ("@1470138136.25", "2016-08-02T11:42:16.25+00:00"),
        ],
    )
    def test_what_is_meant(self, text: str, meant: str) -> None:
        assert rfc3339(moment(text, at(NOW))) == rfc3339(at(meant))

    def test_days_on_which_the_clocks_are_changed(self) -> None:
        """The day before one of 23 or 25 hours begins at its midnight, and the time of day is the clock's."""
        monday = at("2026-10-26T09:00:00+01:00")
        assert moment("yesterday", monday) == at("2026-10-25T00:00:00+02:00")
        sunday = at("2026-10-25T09:00:00+01:00")
        assert moment("23:00", sunday) == at("2026-10-24T23:00:00+02:00")

    @pytest.mark.parametrize(
        "text",
        [
            "", "-", "@", "@x", "@nan", "@inf", "@1e30", "soon", "ago", "90", "25:00", "9:3", "2026-13-01", "-5y",
            "yesterday soon", "2026-11-20 09:30 Oslo", "-999999999d", "--1h", "3 hours and 5 minutes ago", "0001-01-01",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            moment(text, at(NOW))


class TestLengths:
    """A number with a unit, several of them, or a number of seconds."""

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90", 90), ("0.5", 0.5), ("15m", 900), ("1h30m", 5400), ("2 weeks", 1_209_600), ("3S", 3)],
    )
    def test_each_notation_is_understood(self, text: str, seconds: float) -> None:
        assert length(text) == seconds * SECOND

    @pytest.mark.parametrize("text", ["", "m", "-5", "5 moons", "5m x"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            length(text)
