"""Time is UTC microseconds since the epoch, exactly."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.clock import SECOND, SYSTEM_CLOCK, to_datetime, to_ts


class TestMoments:
    """Datetimes and microseconds are told apart by no rounding, whatever the zone."""

    @given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
    def test_there_and_back(self, ts: int) -> None:
        assert to_ts(to_datetime(ts)) == ts

    @given(st.datetimes(min_value=datetime(1900, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001  hypothesis adds no zone
    def test_of_any_zone(self, moment: datetime, minutes: int) -> None:
        aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        assert to_datetime(to_ts(aware)) == aware

    def test_the_hour_that_comes_twice(self) -> None:
        """At the end of daylight saving time the second 02:30 is an hour after the first."""
        oslo = ZoneInfo("Europe/Oslo")
        first, second = (datetime(2023, 10, 29, 2, 30, tzinfo=oslo, fold=fold) for fold in (0, 1))
        assert to_ts(second) - to_ts(first) == 3600 * SECOND

    def test_without_a_zone_it_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no time zone"):
            to_ts(datetime(2023, 10, 29))  # noqa: DTZ001  that is the point


class TestTheSystemsClock:
    """It tells the machine's time, and waits no longer than it is told."""

    def test_now_is_the_machines_time(self) -> None:
        before = datetime.now(UTC)
        now = SYSTEM_CLOCK.now()
        assert to_ts(before) - 1 <= now <= to_ts(datetime.now(UTC)) + 1
        assert SYSTEM_CLOCK.monotonic() <= SYSTEM_CLOCK.monotonic()

    def test_waiting_ends_at_the_event_or_the_limit(self) -> None:
        event = threading.Event()
        assert not SYSTEM_CLOCK.wait(event, 0.001)
        event.set()
        assert SYSTEM_CLOCK.wait(event, 60)
