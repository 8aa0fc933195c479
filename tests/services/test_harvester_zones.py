"""Times without a known zone in an iCalendar, series that mix kinds of times, and bookings without length."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from NexusCore.facility import Instrument, Reservation
from Services.Harvester.sources import NO_BOOKING, Complaint, collect_complaints
from Services.Harvester.sources.ical.events import bookings
from tests.services.test_harvester_ical import event, ics, times

OSLO = Instrument("Titan", timezone="Europe/Oslo")
NEW_YORK = Instrument("Titan", timezone="America/New_York")
JANUARY = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
YEARS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
EVENING = (":20270104T210000", ":20270104T211500")


def read(
    *components: str, instrument: Instrument = OSLO, span: tuple[datetime, datetime] = JANUARY
) -> tuple[list[Reservation], list[Complaint]]:
    with collect_complaints() as complaints:
        found = bookings(ics(*components), "the test", instrument, *span, 1000)
    return sorted(found, key=lambda one: one.start_ts), complaints


def begins(*components: str, instrument: Instrument = OSLO) -> list[str]:
    found, complaints = read(*components, instrument=instrument)
    assert complaints == []
    return [one.partition(" ")[0] for one in times(found)]


class TestSeriesWithoutAZone:
    """The zone goes on before the series is expanded, and all that names its occurrences is converted to it."""

    @pytest.mark.parametrize(
        "until", ["20270106T200000Z", "20270106T210000", "20270106", "20270106T235959"],
    )  # fmt: skip
    def test_until_is_the_instant_or_the_day_that_it_names(self, until: str) -> None:
        series = event("e", *EVENING, f"RRULE:FREQ=DAILY;UNTIL={until}")
        assert begins(series) == ["01-04T20:00", "01-05T20:00", "01-06T20:00"]

    def test_until_a_second_earlier(self) -> None:
        series = event("e", *EVENING, "RRULE:FREQ=DAILY;UNTIL=20270106T195959Z")
        assert begins(series) == ["01-04T20:00", "01-05T20:00"]

    @pytest.mark.parametrize(
        "left_out",
        ["EXDATE:20270105T200000Z", "EXDATE:20270105T210000", "EXDATE;VALUE=DATE:20270105",
         "EXDATE;TZID=America/New_York:20270105T150000"],
    )  # fmt: skip
    def test_what_is_left_out(self, left_out: str) -> None:
        series = event("e", *EVENING, "RRULE:FREQ=DAILY;COUNT=3", left_out)
        assert begins(series) == ["01-04T20:00", "01-06T20:00"]

    @pytest.mark.parametrize(
        "added", ["RDATE:20270110T200000Z", "RDATE:20270110T210000", "RDATE;VALUE=DATE:20270110",
                  "RDATE;VALUE=PERIOD:20270110T200000Z/20270110T213000Z", "RDATE;VALUE=PERIOD:20270110T210000/PT1H30M"]
    )  # fmt: skip
    def test_what_is_added(self, added: str) -> None:
        found, complaints = read(event("e", *EVENING, added))
        assert complaints == []
        end = "21:30" if "PERIOD" in added else "20:15"
        assert times(found) == ["01-04T20:00 to 01-04T20:15", f"01-10T20:00 to 01-10T{end}"]

    @pytest.mark.parametrize("name", [":20270105T200000Z", ":20270105T210000", ";VALUE=DATE:20270105"])
    def test_what_is_moved(self, name: str) -> None:
        series = event("e", *EVENING, "RRULE:FREQ=DAILY;COUNT=3")
        moved = event("e", ":20270105T080000Z", ":20270105T090000Z", f"RECURRENCE-ID{name}")
        found, _ = read(series, moved)
        assert times(found)[1] == "01-05T08:00 to 01-05T09:00"
        assert [one.uid for one in found] == [f"e#2027010{day}T200000Z" for day in (4, 5, 6)]

    def test_an_end_in_utc(self) -> None:
        found, _ = read(event("e", ":20270104T210000", ":20270104T201500Z", "RRULE:FREQ=DAILY;COUNT=2"))
        assert times(found)[1] == "01-05T20:00 to 01-05T20:15"

    def test_the_hour_stays_over_a_change_of_clocks(self) -> None:
        series = event("e", ":20260323T080000", ":20260323T090000", "RRULE:FREQ=WEEKLY;UNTIL=20260330T060000Z")
        found, _ = read(series, span=YEARS)
        assert times(found) == ["03-23T07:00 to 03-23T08:00", "03-30T06:00 to 03-30T07:00"]


class TestWholeDays:
    """A series of days ends with a day, whatever its rule says of hours."""

    @pytest.mark.parametrize(
        ("until", "zone"),
        [
            ("20270105T230000Z", "Europe/Oslo"),
            ("20270106T000000Z", "Europe/Oslo"),
            ("20270106T000000Z", "America/New_York"),
            ("20270107T045959Z", "America/New_York"),
            ("20270106T120000", "America/New_York"),
            ("20270106", "Europe/Oslo"),
        ],
    )
    def test_until(self, until: str, zone: str) -> None:
        days = event("d", ";VALUE=DATE:20270104", ";VALUE=DATE:20270105", f"RRULE:FREQ=DAILY;UNTIL={until}")
        found, _ = read(days, instrument=Instrument("Titan", timezone=zone))
        assert [one.uid for one in found] == ["d#20270104", "d#20270105", "d#20270106"]

    @pytest.mark.parametrize("left_out", [":20270104T230000Z", ":20270105T000000Z", ":20270105T000000"])
    def test_what_is_left_out(self, left_out: str) -> None:
        days = event(
            "d", ";VALUE=DATE:20270104", ";VALUE=DATE:20270105", "RRULE:FREQ=DAILY;COUNT=3", f"EXDATE{left_out}"
        )
        assert [one.uid for one in read(days)[0]] == ["d#20270104", "d#20270106"]

    @pytest.mark.parametrize("rule", [(), ("RRULE:FREQ=WEEKLY;COUNT=1",)])
    def test_an_end_on_the_same_day(self, rule: tuple[str, ...]) -> None:
        found, complaints = read(event("d", ";VALUE=DATE:20270104", ";VALUE=DATE:20270104", *rule))
        assert times(found) == ["01-03T23:00 to 01-04T23:00"]
        assert complaints == []

    def test_from_a_day_to_an_hour(self) -> None:
        found, _ = read(event("d", ";VALUE=DATE:20270104", ":20270104T120000"))
        assert times(found) == ["01-03T23:00 to 01-04T11:00"]


class TestTheCalendarsZone:
    """X-WR-TIMEZONE goes before the instrument's; a zone that nobody knows is told, wherever it stands."""

    def test_times_and_days(self) -> None:
        found, complaints = read(
            "X-WR-TIMEZONE:America/New_York",
            event("t", *EVENING),
            event("d", ";VALUE=DATE:20270106", None),
            event("u", ":20270108T080000Z", ":20270108T090000Z"),
        )
        assert times(found) == [
            "01-05T02:00 to 01-05T02:15",
            "01-06T05:00 to 01-07T05:00",
            "01-08T08:00 to 01-08T09:00",
        ]
        assert complaints == []

    def test_windows_name_of_it(self) -> None:
        assert begins("X-WR-TIMEZONE:Eastern Standard Time", event("t", *EVENING)) == ["01-05T02:00"]

    def test_an_unknown_one_costs_no_booking(self) -> None:
        found, complaints = read("X-WR-TIMEZONE:Mars/Olympus", event("t", *EVENING))
        assert times(found) == ["01-04T20:00 to 01-04T20:15"]
        assert complaints == [
            Complaint("its time zone 'Mars/Olympus' is unknown; the instrument's was taken", NO_BOOKING)
        ]

    @pytest.mark.parametrize(
        "line",
        ["EXDATE;TZID=Mars:20270105T210000", "RDATE;TZID=Mars:20270110T210000",
         "RDATE;VALUE=PERIOD;TZID=Mars:20270110T210000/PT15M"],
    )  # fmt: skip
    def test_unknown_in_a_list(self, line: str) -> None:
        _, complaints = read(event("e", *EVENING, "RRULE:FREQ=DAILY;COUNT=3", line))
        assert [one.uid for one in complaints] == ["e"]
        assert "'Mars', which is unknown; the instrument's was taken" in complaints[0].sentence

    def test_unknown_at_the_end_and_in_the_name_of_an_occurrence(self) -> None:
        series = event("e", *EVENING, "RRULE:FREQ=DAILY;COUNT=3")
        moved = event(
            "e", ":20270105T080000Z", ";TZID=Mars:20270105T100000", "RECURRENCE-ID;TZID=Venus:20270105T210000"
        )
        found, complaints = read(series, moved)
        assert len(found) == 3
        assert [one.sentence.split("'")[3] for one in complaints] == ["Mars", "Venus"]

    def test_a_damaged_definition_costs_no_booking(self) -> None:
        empty = "BEGIN:VTIMEZONE\nTZID:Undefined Lab\nEND:VTIMEZONE"
        found, complaints = read(
            empty, event("a", ";TZID=Undefined Lab:20270104T210000", ";TZID=Undefined Lab:20270104T220000")
        )
        assert times(found) == ["01-04T20:00 to 01-04T21:00"]
        assert [one.uid for one in complaints] == [NO_BOOKING, "a"]
        assert "its definitions of time zones are damaged" in complaints[0].sentence


class TestZonesThatSayUtc:
    """Exchange's names for it, and names with colons that nobody quoted; a zone that is defined is what it is said."""

    @pytest.mark.parametrize(
        "zone",
        ["tzone://Microsoft/Utc", '"tzone://Microsoft/Utc"', "Etc/UTC", "GMT", "utc",
         "(UTC) Coordinated Universal Time", '"(UTC) Coordinated Universal Time"'],
    )  # fmt: skip
    def test_they_are_utc(self, zone: str) -> None:
        assert begins(event("e", f";TZID={zone}:20270104T210000", ":20270104T220000Z")) == ["01-04T21:00"]
        assert begins(f"X-WR-TIMEZONE:{zone.strip(chr(34))}", event("e", *EVENING)) == ["01-04T21:00"]

    def test_in_lists(self) -> None:
        left_out = "EXDATE;TZID=tzone://Microsoft/Utc;VALUE=DATE-TIME:20270105T200000,20270106T200000"
        assert begins(event("e", *EVENING, "RRULE:FREQ=DAILY;COUNT=4", left_out)) == ["01-04T20:00", "01-07T20:00"]

    @pytest.mark.parametrize("zone", ["(UTC+01:00) Amsterdam, Berlin", "tzone://Microsoft/Custom", "GMT+0100"])
    @pytest.mark.parametrize("quote", ["", '"'])
    def test_others_are_told(self, zone: str, quote: str) -> None:
        found, complaints = read(event("e", f";TZID={quote}{zone}{quote}:20270104T210000", ":20270104T220000"))
        assert times(found) == ["01-04T20:00 to 01-04T21:00"]
        assert [f"'{zone}', which is unknown; the instrument's was taken" in one.sentence for one in complaints] == [
            True
        ]

    def test_one_that_is_defined(self) -> None:
        zone = "\n".join(
            ["BEGIN:VTIMEZONE", "TZID:tzone://Microsoft/Utc", "BEGIN:STANDARD", "DTSTART:16010101T000000",
             "TZOFFSETFROM:+0200", "TZOFFSETTO:+0200", "END:STANDARD", "END:VTIMEZONE"]
        )  # fmt: skip
        assert begins(zone, event("e", ";TZID=tzone://Microsoft/Utc:20270104T210000", ":20270104T220000Z")) == [
            "01-04T19:00"
        ]


class TestOneNameForSeveral:
    """Bookings that share a UID without being a series: only one can be taken, and that is told."""

    def test_they_are_told(self) -> None:
        twins = (event("t", *EVENING), event("t", ":20270108T210000", ":20270108T220000"))
        found, complaints = read(*twins)
        assert len(found) == 1
        assert complaints == [Complaint("the event 't' is there 2 times, at different times; only one was taken", "t")]

    def test_but_not_the_same_one_or_a_newer_version(self) -> None:
        assert read(event("t", *EVENING), event("t", *EVENING))[1] == []
        newer = event("t", ":20270108T210000", ":20270108T220000", "SEQUENCE:2")
        found, complaints = read(event("t", *EVENING, "SEQUENCE:1"), newer)
        assert times(found) == ["01-08T20:00 to 01-08T21:00"]
        assert complaints == []


class TestLength:
    """A booking has the length that its clock shows, or is told; never is it without length and nobody hears of it."""

    @pytest.mark.parametrize(
        ("begin", "end", "says"),
        [
            ("20261025T023000", "20261025T021500", "10-25T00:30 to 10-25T01:15"),
            ("20261025T020000", "20261025T020000", "10-25T00:00 to 10-25T01:00"),
            ("20260329T020000", "20260329T030000", "03-29T01:00 to 03-29T02:00"),
            ("20260329T023000", "20260329T031500", "03-29T01:30 to 03-29T02:15"),
        ],
    )
    def test_where_clocks_are_changed(self, begin: str, end: str, says: str) -> None:
        found, complaints = read(event("n", f":{begin}", f":{end}"), span=YEARS)
        assert times(found) == [says]
        assert complaints == []

    def test_of_an_occurrence_where_clocks_are_changed(self) -> None:
        nights = event("n", ":20260322T020000", ":20260322T030000", "RRULE:FREQ=WEEKLY;COUNT=3")
        found, _ = read(nights, span=YEARS)
        assert {one.end_ts - one.start_ts for one in found} == {3_600_000_000}

    @pytest.mark.parametrize(
        ("duration", "end"),
        [("PT24H", "10-25T10:00"), ("P1D", "10-25T11:00"), ("P1DT1H", "10-25T12:00"), ("P1W", "10-31T11:00")],
    )
    @pytest.mark.parametrize("rule", [(), ("RRULE:FREQ=MONTHLY;COUNT=2",)])
    def test_a_day_is_not_24_hours_where_clocks_are_changed(
        self, duration: str, end: str, rule: tuple[str, ...]
    ) -> None:
        found, complaints = read(event("n", ":20261024T120000", None, f"DURATION:{duration}", *rule), span=YEARS)
        assert times(found)[0] == f"10-24T10:00 to {end}"
        assert complaints == []

    @pytest.mark.parametrize("end", [":20270104T210000", None, "zero"])
    def test_none_is_told(self, end: str | None) -> None:
        more = ("DURATION:PT0S",) if end == "zero" else ()
        found, complaints = read(event("n", EVENING[0], None if more else end, *more))
        assert [one.uid for one in found] == ["n"]
        assert [one.sentence for one in complaints] == [
            "the event 'n' has no length, so no session can belong to it; it needs an end or a duration"
        ]

    def test_but_not_of_what_is_long_past(self) -> None:
        assert read(event("n", ":20200104T210000"))[1] == []

    @pytest.mark.parametrize(
        ("begin", "end"),
        [(":20270104T140000", ":20270104T120000"), (";VALUE=DATE:20270105", ";VALUE=DATE:20270104"),
         (":20270104T140000", ":20270103T160000")],
    )  # fmt: skip
    @pytest.mark.parametrize("rule", [(), ("RRULE:FREQ=DAILY;COUNT=2",)])
    def test_an_end_before_the_start_is_told(self, begin: str, end: str, rule: tuple[str, ...]) -> None:
        found, complaints = read(event("n", begin, end, *rule))
        assert found == []
        assert complaints == [Complaint("the event 'n' cannot be read: it ends before it begins", "n")]
