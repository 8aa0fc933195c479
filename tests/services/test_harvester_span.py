"""Events that are certainly outside the span are not read by the library; the bookings are the same (001-19)."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from NexusCore.facility import Reservation
from Services.Harvester.sources import collect_complaints
from Services.Harvester.sources.ical import events
from Services.Harvester.sources.ical.span import within
from tests.services.test_harvester_ical import MARCH, NEW_YORK, NY, event, ics

_days = st.sampled_from([20251231, 20260225, 20260226, 20260227, 20260228, 20260301, 20260315, 20260331])
_later = st.sampled_from([20260401, 20260402, 20260403, 20260404, 20260405, 20270101, 20260230])
_moments = st.builds(
    lambda day, form: form.format(day),
    _days | _later,
    st.sampled_from(
        [":{}T000000Z", ":{}T235900Z", NY + "{}T120000", ";VALUE=DATE:{}", ":{}T120000", ';TZID="a:b":{}T1200']
    ),
)
_more = st.lists(
    st.sampled_from(
        [
            "RRULE:FREQ=MONTHLY", "RDATE:20260310T090000Z", "RECURRENCE-ID:20260310T000000Z", "SEQUENCE:3",
            "SUMMARY:DTSTART:20260310T000000Z", "BEGIN:VALARM\nTRIGGER:-PT5M\nDURATION:PT5M\nEND:VALARM",
            "DESCRIPTION:BEGIN:VEVENT", "X-DTSTART:20260310T000000Z",
        ]
    ),
    max_size=2, unique=True,
)  # fmt: skip
_events = st.builds(
    lambda uid, start, end, more: event(uid, start, end, *more),
    st.sampled_from(["a", "b", "c", "d"]),
    _moments,
    st.none() | _moments,
    _more,
)


def read(components: Sequence[str]) -> list[Reservation]:
    with collect_complaints():
        return events.bookings(ics(*components), "the test", NEW_YORK, *MARCH, 1000)


class TestTheSameBookings:
    """What is left out would not have been a booking of the span."""

    @given(st.lists(_events, max_size=5))
    @example([event("a", ":20260310T090000Z"), event("a", ":20270310T090000Z", None, "SEQUENCE:3")])
    @settings(deadline=None, database=None, max_examples=200)
    def test_of_any_calendar(self, components: list[str]) -> None:
        found = read(components)
        with mock.patch.object(events, "within", lambda text, start, end: text):
            assert found == read(components)


class TestWhatIsLeftOut:
    """An event without a rule whose UID stands there once and whose days are outside."""

    @pytest.mark.parametrize(
        ("component", "stays"),
        [
            (event("a", ":20200310T090000Z", ":20200310T100000Z"), False),
            (event("a", NY + "20300310T090000", NY + "20300310T100000"), False),
            (event("a", ";VALUE=DATE:20200310"), False),
            (event("a", ":20200310T090000Z", ":20260310T100000Z"), True),
            (event("a", ":20200310T090000Z", ":20200310T100000Z", "RRULE:FREQ=DAILY"), True),
            (event("a", ":20200310T090000Z", None, "DURATION:P9999D"), True),
            (event("a", ":20260227T090000Z", ":20260227T100000Z"), True),
            (event("a", ":20200231T090000Z", ":20200231T100000Z"), True),
            (event("a", ":20200310T090000Z", ":20200309T100000Z"), True),
            (event("a", ":20200310T090000Z").replace("UID:a\n", ""), True),
            (event("a", ":20200310T090000Z", None, "BEGIN:VALARM", "DURATION:PT5M", "END:VALARM"), False),
        ],
    )
    def test_by_its_days(self, component: str, stays: bool) -> None:
        other = event("b", ":20260310T090000Z")
        for order in ([component, other], [other, component]):
            text = ics(*order).decode()
            rest = within(text, *MARCH)
            assert rest == (text if stays else ics(other).decode())

    def test_what_follows_it_stays(self) -> None:
        old, new = event("a", ":20200310T090000Z"), event("b", ":20260310T090000Z")
        todo = "BEGIN:VTODO\nUID:t\nDUE:20260310T090000Z\nEND:VTODO"
        text = (ics(old, todo) + ics(old.replace("UID:a", "UID:c"), new)).decode()
        assert within(text, *MARCH) == (ics(todo) + ics(new)).decode()

    def test_of_one_uid_all_stay(self) -> None:
        """One may replace another one, which was moved into the span, or out of it."""
        text = ics(event("a", ":20200310T090000Z"), event("a", ":20260310T090000Z")).decode()
        assert within(text, *MARCH) == text

    def test_the_library_does_not_see_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[str] = []
        real = events.mended
        monkeypatch.setattr(events, "mended", lambda text: seen.append(text) or real(text))
        many = [event(f"{year}", f":{year}0310T090000Z", f":{year}0310T100000Z") for year in range(2000, 2040)]
        assert [one.uid for one in read(many)] == ["2026"]
        assert seen[0].count("BEGIN:VEVENT") == 1
