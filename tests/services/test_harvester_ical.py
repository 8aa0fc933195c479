"""What an iCalendar says, as reservations: series, changed occurrences, zones, damage."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from NexusCore.clock import to_datetime
from NexusCore.facility import Instrument, Reservation
from Services.Harvester.sources import Complaint, SourceFailed, collect_complaints
from Services.Harvester.sources.ical.events import bookings

NEW_YORK = Instrument("Titan", timezone="America/New_York")
NY = ";TZID=America/New_York:"
MARCH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def event(uid: str, start: str, end: str | None = None, *more: str) -> str:
    lines = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"DTSTART{start}"]
    return "\n".join([*lines, *([f"DTEND{end}"] if end else []), *more, "END:VEVENT"])


def ics(*components: str) -> bytes:
    text = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *components, "END:VCALENDAR", ""])
    return text.replace("\n", "\r\n").encode()


def read(
    *components: str,
    instrument: Instrument = NEW_YORK,
    span: tuple[datetime, datetime] = MARCH,
    most: int = 1000,
) -> list[Reservation]:
    return sorted(bookings(ics(*components), "the test", instrument, *span, most), key=lambda one: one.start_ts)


def heard(*components: str) -> tuple[list[Reservation], list[Complaint]]:
    with collect_complaints() as complaints:
        found = read(*components)
    return found, complaints


def times(found: list[Reservation]) -> list[str]:
    return [f"{to_datetime(one.start_ts):%m-%dT%H:%M} to {to_datetime(one.end_ts):%m-%dT%H:%M}" for one in found]


class TestFields:
    """001-19, 001-20: who reserved, for what, with whom; and whether they agreed to a record."""

    def test_all_of_them(self) -> None:
        (one,) = read(
            event(
                "a@x",
                ":20260303T090000Z",
                ":20260303T120000Z",
                "SUMMARY:EELS of NMC811\\, <part> 2 & more",
                "DESCRIPTION:Find the Ni valence\\nacross the boundary",
                'ORGANIZER;CN="Núñez-Ørsted, Carol":MAILTO:carol@example.org',
                "ATTENDEE;CN=Bob Brown:mailto:bob@example.org",
                "ATTENDEE:mailto:dave@example.org",
                "URL:https://calendar.example.org/e/1",
                "X-CONSENT:Agree",
            )
        )
        assert one == Reservation(
            source="ical:Titan",
            uid="a@x",
            instrument="Titan",
            start_ts=one.start_ts,
            end_ts=one.end_ts,
            title="EELS of NMC811, <part> 2 & more",
            user="Núñez-Ørsted, Carol",
            user_id="carol@example.org",
            collaborators=("Bob Brown", "dave@example.org"),
            purpose="Find the Ni valence\nacross the boundary",
            url="https://calendar.example.org/e/1",
            consent=True,
            reservation_id="a@x",
        )
        assert times([one]) == ["03-03T09:00 to 03-03T12:00"]

    @pytest.mark.parametrize(
        ("said", "consent"), [("Agree", True), ("yes", True), ("Disagree", False), ("FALSE", False), ("perhaps", None)]
    )
    def test_consent_is_read_from_the_answer(self, said: str, consent: bool | None) -> None:
        assert read(event("a", ":20260303T090000Z", None, f"X-CONSENT:{said}"))[0].consent is consent

    def test_who_does_not_come_is_no_collaborator(self) -> None:
        """Those who declined, the organizer again, the room and the instrument itself, which calendars invite."""
        (one,) = read(
            event(
                "a",
                ":20260303T090000Z",
                None,
                "ORGANIZER;CN=Alice:mailto:alice@example.org",
                "ATTENDEE;CN=Alice:mailto:alice@example.org",
                "ATTENDEE;PARTSTAT=DECLINED;CN=Eve:mailto:eve@example.org",
                "ATTENDEE;CUTYPE=RESOURCE;CN=Titan:mailto:titan@example.org",
                "ATTENDEE;PARTSTAT=ACCEPTED;CN=Bob:mailto:bob@example.org",
            )
        )
        assert one.collaborators == ("Bob",)

    def test_missing_fields_stay_empty(self) -> None:
        (one,) = read(event("a", ":20260303T090000Z"))
        assert (one.title, one.user, one.user_id, one.purpose, one.url, one.consent) == (None,) * 6
        assert one.collaborators == ()

    def test_an_address_without_a_name(self) -> None:
        (one,) = read(event("a", ":20260303T090000Z", None, "ORGANIZER:mailto:alice@example.org"))
        assert (one.user, one.user_id) == ("alice@example.org", "alice@example.org")

    def test_a_link_that_runs_code_is_none(self) -> None:
        assert read(event("a", ":20260303T090000Z", None, "URL:javascript:alert(1)"))[0].url is None

    def test_what_the_database_could_not_take(self) -> None:
        """Control characters, half surrogates, and texts without end."""
        long = "x" * 300_000
        (one,) = read(
            event(
                f"uid-{long}",
                ":20260303T090000Z",
                None,
                "SUMMARY:a\x00b\x1bc",
                f"DESCRIPTION:{long}",
                f"URL:http://{long}",
            )
        )
        assert one.title == "a\ufffdb\ufffdc"
        assert len(one.uid) <= 255
        assert len(one.purpose or "") == 20_000
        assert len(one.url or "") <= 500

    def test_long_uids_stay_different(self) -> None:
        stem = "u" * 400
        found = read(event(f"{stem}1", ":20260303T090000Z"), event(f"{stem}2", ":20260303T090000Z"))
        assert len({one.uid for one in found}) == 2


class TestSeries:
    """Recurring events become their occurrences inside the window, and only there."""

    def test_a_rule_without_end(self) -> None:
        """Every working day since 2001, for ever."""
        found = read(
            event("a", f"{NY}20010301T073000", f"{NY}20010301T080000", "RRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR")
        )
        assert len(found) == 22
        assert times(found)[0] == "03-02T12:30 to 03-02T13:00"
        assert times(found)[-1] == "03-31T11:30 to 03-31T12:00", "in summer time"
        assert len({one.uid for one in found}) == 22

    def test_left_out_and_moved(self) -> None:
        """EXDATE, and RECURRENCE-ID, under which an occurrence stays the same wherever it goes."""
        series = event("w", f"{NY}20260302T080000", f"{NY}20260302T090000", "RRULE:FREQ=WEEKLY;COUNT=5")
        plain = {one.uid: one for one in read(series)}
        changed = {
            one.uid: one
            for one in read(
                series.replace("\nRRULE", f"\nEXDATE{NY}20260316T080000\nRRULE"),
                event(
                    "w",
                    f"{NY}20260323T100000",
                    f"{NY}20260323T113000",
                    f"RECURRENCE-ID{NY}20260323T080000",
                    "SUMMARY:later",
                ),
            )
        }
        assert list(plain) == [
            f"w#202603{day}" for day in ("02T130000Z", "09T120000Z", "16T120000Z", "23T120000Z", "30T120000Z")
        ]
        assert plain.keys() - changed.keys() == {"w#20260316T120000Z"}
        moved = changed["w#20260323T120000Z"]
        assert moved.title == "later"
        assert times([moved]) == ["03-23T14:00 to 03-23T15:30"]
        assert plain["w#20260302T130000Z"] == changed["w#20260302T130000Z"]

    def test_moved_into_the_window_and_out_of_it(self) -> None:
        series = event("w", ":20260223T080000Z", ":20260223T090000Z", "RRULE:FREQ=WEEKLY;COUNT=6")
        into = event("w", ":20260305T080000Z", ":20260305T090000Z", "RECURRENCE-ID:20260223T080000Z")
        out = event("w", ":20260420T080000Z", ":20260420T090000Z", "RECURRENCE-ID:20260309T080000Z")
        uids = {one.uid for one in read(series, into, out)}
        assert "w#20260223T080000Z" in uids
        assert "w#20260309T080000Z" not in uids

    def test_all_later_ones_moved(self) -> None:
        """RANGE=THISANDFUTURE: each keeps the name of the time it was planned for, summer time or not."""
        found = read(
            event("w", f"{NY}20260302T090000", f"{NY}20260302T100000", "RRULE:FREQ=WEEKLY;COUNT=4"),
            event(
                "w",
                f"{NY}20260309T110000",
                f"{NY}20260309T130000",
                "RECURRENCE-ID;RANGE=THISANDFUTURE:20260309T130000Z",
            ),
        )
        assert [one.uid for one in found] == [
            f"w#202603{day}" for day in ("02T140000Z", "09T130000Z", "16T130000Z", "23T130000Z")
        ]
        assert times(found)[3] == "03-23T15:00 to 03-23T17:00"

    def test_only_cancelled_events_are_marked(self) -> None:
        found = read(
            event("one", ":20260303T090000Z", None, "STATUS:CANCELLED"),
            event("w", ":20260302T090000Z", None, "RRULE:FREQ=WEEKLY;COUNT=2"),
            event("w", ":20260309T090000Z", None, "RECURRENCE-ID:20260309T090000Z", "STATUS:cancelled"),
            event("maybe", ":20260304T090000Z", None, "STATUS:TENTATIVE"),
        )
        assert {one.uid: one.cancelled for one in found} == {
            "one": True,
            "w#20260302T090000Z": False,
            "w#20260309T090000Z": True,
            "maybe": False,
        }

    def test_an_event_that_touches_the_window_counts(self) -> None:
        """Half open: what ends when it begins, or begins when it ends, is outside."""
        found = read(
            event("before", ":20260228T200000Z", ":20260301T000000Z"),
            event("into", ":20260228T200000Z", ":20260301T000001Z"),
            event("out of", ":20260331T235959Z", ":20260401T020000Z"),
            event("after", ":20260401T000000Z", ":20260401T020000Z"),
        )
        assert [one.uid for one in found] == ["into", "out of"]


class TestTimes:
    """Zones, clock changes and missing ends."""

    @pytest.mark.parametrize(
        ("start", "end", "more", "says"),
        [
            (":20260304T080000", ":20260304T100000", "", "03-04T13:00 to 03-04T15:00"),
            (f"{NY}20260304T080000", None, "DURATION:PT2H", "03-04T13:00 to 03-04T15:00"),
            (":20260304T080000Z", None, "", "03-04T08:00 to 03-04T08:00"),
            (";VALUE=DATE:20260310", ";VALUE=DATE:20260312", "", "03-10T04:00 to 03-12T04:00"),
            (";VALUE=DATE:20260304", None, "", "03-04T05:00 to 03-05T05:00"),
            (";VALUE=DATE:20260307", None, "DURATION:P3D", "03-07T05:00 to 03-10T04:00"),
            (f"{NY}20260307T220000", f"{NY}20260308T060000", "", "03-08T03:00 to 03-08T10:00"),
            (f"{NY}20260307T220000", None, "DURATION:PT8H", "03-08T03:00 to 03-08T11:00"),
            (f"{NY}20260307T220000", None, "DURATION:P1D", "03-08T03:00 to 03-09T02:00"),
            (";TZID=W. Europe Standard Time:20260304T090000", None, "DURATION:PT1H", "03-04T08:00 to 03-04T09:00"),
        ],
        ids=[
            "floating: the instrument's zone",
            "a duration",
            "neither end nor duration",
            "two whole days, over the clock change",
            "a whole day",
            "three whole days",
            "a night of 7 hours",
            "8 hours are 8 hours",
            "a day is a day",
            "Windows' name of a zone",
        ],
    )
    def test_of_one_event(self, start: str, end: str | None, more: str, says: str) -> None:
        assert times(read(event("a", start, end, *([more] if more else [])))) == [says]

    def test_the_hour_that_comes_twice(self) -> None:
        span = datetime(2026, 10, 30, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
        found = read(event("a", f"{NY}20261101T003000", f"{NY}20261101T033000"), span=span)
        assert times(found) == ["11-01T04:30 to 11-01T08:30"]

    @pytest.fixture
    def in_oslo(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("TZ", "Europe/Oslo")
        time.tzset()
        yield
        monkeypatch.undo()
        os.environ.pop("TZ", None)
        time.tzset()

    @pytest.mark.usefixtures("in_oslo")
    def test_an_instrument_without_a_zone_has_this_machines(self) -> None:
        found = read(
            event("w", ":20260327T090000", ":20260327T100000", "RRULE:FREQ=DAILY;COUNT=4"),
            instrument=Instrument("Titan"),
        )
        assert [one[6:11] for one in times(found)] == ["08:00", "08:00", "07:00", "07:00"], "summer time from the 29th"

    def test_a_zone_that_only_the_calendar_knows(self) -> None:
        zone = (
            "BEGIN:VTIMEZONE\nTZID:Lab Time\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0130\n"
            "TZOFFSETTO:+0130\nEND:STANDARD\nEND:VTIMEZONE"
        )
        assert times(read(zone, event("a", ";TZID=Lab Time:20260304T090000", None, "DURATION:PT1H"))) == [
            "03-04T07:30 to 03-04T08:30"
        ]

    def test_an_unknown_zone_is_reported(self) -> None:
        found, complaints = heard(event("a", ";TZID=Mars/Olympus:20260304T080000", None, "DURATION:PT1H"))
        assert times(found) == ["03-04T13:00 to 03-04T14:00"]
        assert complaints[0].sentence.startswith("the event 'a' is in the time zone 'Mars/Olympus', which is unknown")


class TestDamage:
    """A damaged event costs only itself, and is complained of; a damaged calendar is refused in one sentence."""

    @pytest.mark.parametrize(
        ("damaged", "says"),
        [
            (event("bad", ":soon"), "DTSTART: Expected datetime, date, or time. Got: 'soon'"),
            ("BEGIN:VEVENT\nUID:bad\nSUMMARY:x\nEND:VEVENT", "it has no DTSTART"),
            (event("bad", ":20260303T090000Z", None, "RRULE:FREQ=OFTEN"), "RRULE: Expected frequency, got: OFTEN"),
            (event("bad", ":20260303T090000Z", None, "RRULE:FREQ=DAILY", "EXDATE:x"), "EXDATE: Expected datetime"),
            (event("bad", ":20260303T090000Z", ":x"), "DTEND: Expected datetime"),
            (event("bad", ":99991231T090000Z", None, "DURATION:P999999D"), "date value out of range"),
            (event("bad", ":19700101T000000Z", None, "RRULE:FREQ=SECONDLY"), "it repeats every minute or second"),
            (event("bad", ":20260303T090000Z", None, "RRULE:FREQ=DAILY;INTERVAL=0"), "it repeats after no time at all"),
        ],
    )
    def test_a_damaged_event_is_reported_alone(self, damaged: str, says: str) -> None:
        whole = [
            event(name, f":{day}T090000Z", f":{day}T100000Z") for name, day in (("first", 20260303), ("last", 20260305))
        ]
        found, complaints = heard(whole[0], damaged, whole[1])
        assert [one.uid for one in found] == ["first", "last"]
        assert [one.uid for one in complaints] == ["bad"]
        assert complaints[0].sentence.startswith(f"the event 'bad' cannot be read: {says}")

    def test_without_a_uid(self) -> None:
        """Readable ones get a name made of what they say; of the others nobody can tell what they were known as."""
        nameless = event("x", ":20260303T090000Z", None, "SUMMARY:a").replace("UID:x\n", "")
        assert read(nameless)[0].uid == read(nameless.replace("DTSTAMP:2026", "DTSTAMP:2027"))[0].uid
        assert len(read(nameless, nameless.replace("SUMMARY:a", "SUMMARY:b"))) == 2
        _, complaints = heard(nameless.replace("20260303T090000Z", "never"))
        assert [one.uid for one in complaints] == [None]

    def test_a_stray_line_in_an_event_does_no_harm(self) -> None:
        assert [one.uid for one in read(event("a", ":20260303T090000Z", None, "what is this"))] == ["a"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b" \r\n", "it is empty"),
            (b"\n<!doctype html><title>Sign in</title>", "it is an HTML page (a login?)"),
            (os.urandom(4096), "it is not an iCalendar"),
            (ics(event("a", ":20260303T090000Z"))[:-30], "it is cut off"),
            (ics() + ics(event("a", ":20260303T090000Z"))[:-30], "it is cut off"),
            (ics("what is this"), "it is damaged (Content line could not be parsed into parts: 'what is this'"),
            (b"END:VEVENT\r\nBEGIN:VCALENDAR\r\n", "it is damaged (END encountered without an accompanying BEGIN!"),
        ],
        ids=["nothing", "a page", "noise", "half a calendar", "one and a half", "a stray line", "upside down"],
    )
    def test_a_damaged_calendar_is_refused(self, content: bytes, says: str) -> None:
        with pytest.raises(SourceFailed) as error:
            bookings(content, "host.example.org", NEW_YORK, *MARCH, 1000)
        assert str(error.value).startswith(f"The calendar at host.example.org cannot be read: {says}")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_lines_that_end_as_on_old_macs(self, encoding: str) -> None:
        text = ics(event("a", ":20260303T090000Z", None, "SUMMARY:Two", " words")).decode().replace("\r\n", "\r")
        assert [one.title for one in bookings(text.encode(encoding), "x", NEW_YORK, *MARCH, 10)] == ["Twowords"]

    def test_more_than_anybody_books(self) -> None:
        with pytest.raises(SourceFailed, match="it has more than 100 bookings in the time asked for"):
            read(event("a", ":20200101T000000Z", None, "RRULE:FREQ=HOURLY"), most=100)

    def test_a_mark_before_the_text_and_bare_line_feeds(self) -> None:
        content = b"\xef\xbb\xbf" + ics(event("a", ":20260303T090000Z", None, "SUMMARY:Größe – 粒径")).replace(
            b"\r\n", b"\n"
        )
        (one,) = bookings(content, "x", NEW_YORK, *MARCH, 10)
        assert one.title == "Größe – 粒径"
