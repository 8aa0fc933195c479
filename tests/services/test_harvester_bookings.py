"""What calendars put into a booking besides times: cancelled and free ones, whose it is, markup, footers, encodings."""

from __future__ import annotations

import codecs

import pytest

from NexusCore.facility import Instrument, Reservation
from Services.Harvester.service import Harvester
from Services.Harvester.sources import NO_BOOKING, Complaint, collect_complaints
from Services.Harvester.sources.ical.descriptions import description_of
from Services.Harvester.sources.ical.events import bookings
from tests.services import harvesting
from tests.services.harvesting import Facility
from tests.services.test_harvester_ical import MARCH, event, ics, read

facility = harvesting.embedded_facility
TIMES = (":20260303T090000Z", ":20260303T120000Z")
GOOGLE = "ORGANIZER;CN=Titan TEM:mailto:c_1a2b@group.calendar.google.com"
EVE = "ATTENDEE;CN=Eve;PARTSTAT=ACCEPTED:mailto:eve@example.org"
BOB = "ATTENDEE;CN=Bob;PARTSTAT=NEEDS-ACTION:mailto:bob@example.org"
OUTLOOKS_FREE = "X-MICROSOFT-CDO-BUSYSTATUS:FREE"


TITAN = Instrument("Titan")


def one(*more: str, instrument: Instrument = TITAN) -> Reservation:
    (found,) = read(event("a", *TIMES, *more), instrument=instrument)
    return found


class TestWhatTakesNoTime:
    """What was cancelled, and what a calendar counts as free, never goes before a real booking."""

    @pytest.mark.parametrize(
        ("lines", "cancelled", "free"),
        [
            (["SUMMARY:Canceled: TEM", "TRANSP:TRANSPARENT", OUTLOOKS_FREE], True, True),
            (["SUMMARY:Abgesagt: TEM", OUTLOOKS_FREE], True, True),
            (["SUMMARY:CANCELLED: TEM"], True, True),
            (["SUMMARY:[Canceled] TEM", "TRANSP:TRANSPARENT"], True, True),
            (["SUMMARY:[Canceled] TEM", "TRANSP:OPAQUE"], False, True),
            (["SUMMARY:Canceled: TEM", "TRANSP:OPAQUE"], False, True),
            (["SUMMARY:TEM", "STATUS:CANCELLED"], True, False),
            (["SUMMARY:TEM", "TRANSP:TRANSPARENT"], False, True),
            (["SUMMARY:TEM", OUTLOOKS_FREE], False, True),
            (["SUMMARY:TEM of cancelled: things"], False, False),
            (["SUMMARY:TEM", "TRANSP:OPAQUE", "X-MICROSOFT-CDO-BUSYSTATUS:BUSY"], False, False),
        ],
    )
    def test_marks(self, lines: list[str], cancelled: bool, free: bool) -> None:
        found = one(*lines)
        assert (found.cancelled, found.free) == (cancelled, free)

    def test_other_words_are_a_setting(self) -> None:
        content = ics(event("a", *TIMES, "SUMMARY:Storniert: TEM"))
        (found,) = bookings(content, "x", Instrument("Titan"), *MARCH, 10, ("storniert:",))
        assert found.cancelled

    def test_a_long_free_one_and_a_short_real_one(self, facility: Facility) -> None:
        facility.instrument(
            "Titan",
            event("long", ":20260304T060000Z", ":20260304T180000Z", "SUMMARY:Eve is here", "TRANSP:TRANSPARENT"),
            event("short", ":20260304T100000Z", ":20260304T103000Z", "SUMMARY:Real"),
        )
        Harvester(facility.app).once()
        found = facility.booking("Titan", "2026-03-04T09:00+00:00", "2026-03-04T12:00+00:00")
        assert found is not None
        assert found.title == "Real"
        alone = facility.booking("Titan", "2026-03-04T06:00+00:00", "2026-03-04T08:00+00:00")
        assert alone is not None
        assert alone.title == "Eve is here", "nothing else was booked"

    def test_two_bookings_at_once_are_named(self, facility: Facility) -> None:
        facility.config["Instruments.Titan.timezone"] = "Europe/Oslo"
        facility.instrument(
            "Titan",
            event("a", ":20260311T090000Z", ":20260311T120000Z", "SUMMARY:TEM", "ORGANIZER;CN=Eve:mailto:eve@x.org"),
            event("b", ":20260311T110000Z", ":20260311T130000Z", "SUMMARY:EELS"),
            event("c", ":20260311T120000Z", ":20260311T123000Z", "SUMMARY:free", "TRANSP:TRANSPARENT"),
        )
        Harvester(facility.app).once()
        said = [message for message in facility.said() if "at once" in message]
        assert said == [
            "Titan: Read, but two bookings at once: 'TEM' of Eve and 'EELS', both from 2026-03-11 12:00 to 13:00"
        ]


class TestWhoseItIs:
    """The organizer, unless that is a calendar or an instrument: then it is one of those invited."""

    def test_googles_calendar_as_organizer(self) -> None:
        found = one(GOOGLE, BOB, EVE)
        assert (found.user, found.user_id, found.collaborators) == ("Eve", "eve@example.org", ("Bob",))

    def test_nobody_was_invited(self) -> None:
        found = one(GOOGLE)
        assert (found.user, found.user_id) == (None, None)

    def test_the_instrument_itself(self) -> None:
        """By its kind, by its entry among those invited, or by its name."""
        assert one("ORGANIZER;CUTYPE=RESOURCE;CN=X:mailto:x@example.org", EVE).user == "Eve"
        room = "ATTENDEE;CUTYPE=ROOM;CN=A115:mailto:a115@example.org"
        assert one("ORGANIZER;CN=A115:mailto:a115@example.org", room, EVE).user == "Eve"
        named = Instrument("Titan", name="FEI Titan")
        assert one("ORGANIZER;CN=FEI Titan:mailto:titan@example.org", EVE, instrument=named).user == "Eve"

    def test_without_an_organizer(self) -> None:
        found = one(BOB)
        assert (found.user, found.collaborators) == ("Bob", ())

    def test_who_declined_has_not_booked(self) -> None:
        assert one(GOOGLE, EVE.replace("ACCEPTED", "DECLINED"), BOB).user == "Bob"


TEAMS = """Bring the FIB lamella.

________________________________________________________________________________
Microsoft Teams Need help?
Join the meeting now
Meeting ID: 123 456 789
________________________________________________________________________________"""
TEAMS_WITH_OPTIONS = f"""{TEAMS.replace("Need help?", "Trenger du hjelp?<https://aka.ms/x>")}
For organizers: Meeting options<https://teams.microsoft.com/y>
________________________________________________________________________________"""
ZOOM = (
    "Bring the lamella.\n\nEve is inviting you to a scheduled Zoom meeting.\n\nJoin Zoom Meeting\nhttps://zoom.us/j/1"
)
MEET = (
    "Bring it.\n\n-::~:~::~:~:~:~:~:~:~:~:~:~:~:~:~:~:~:~::~:~::-\n"
    "Join with Google Meet: https://meet.google.com/abc\n\nPlease do not edit this section.\n"
    "-::~:~::~:~:~:~:~:~:~:~:~:~:~:~:~:~:~:~::~:~::-"
)


class TestDescriptions:
    """What a person wrote, as text."""

    @pytest.mark.parametrize(
        ("written", "says"),
        [
            ("<p>Ni valence<br>across &amp; along</p><ul><li>one</li><li>two</li></ul>",
             "Ni valence\nacross & along\n\n- one\n- two"),
            ("<html><head><style>p {color: red}</style></head><body><div>60&nbsp;nm</div></body></html>", "60 nm"),
            ("60 nm & thin <edge>, a < b", "60 nm & thin <edge>, a < b"),
            ("<b>thin</b> <edge>", "thin <edge>"),
            (TEAMS, "Bring the FIB lamella."),
            (TEAMS_WITH_OPTIONS, "Bring the FIB lamella."),
            (f"{TEAMS}\nAnd the key.", "Bring the FIB lamella.\n\nAnd the key."),
            (ZOOM, "Bring the lamella."),
            (MEET, "Bring it."),
            ("Teams and Zoom\n----------\nof cells", "Teams and Zoom\n----------\nof cells"),
            ("Microsoft Teams meeting\nJoin on your computer", None),
            ("", None),
        ],
    )  # fmt: skip
    def test_of(self, written: str, says: str | None) -> None:
        assert description_of(written) == says

    def test_of_an_event(self) -> None:
        assert one("DESCRIPTION:<p>Find the <b>Ni</b>\\, then</p><p>go</p>").purpose == "Find the Ni, then\n\ngo"
        assert one("X-ALT-DESC;FMTTYPE=text/html:<body><p>Only here</p></body>").purpose == "Only here"


class TestOneFeedForSeveral:
    """A filter for each instrument: location, resource, words; what several of them ask for must all fit."""

    EVENTS = (
        event("a", *TIMES, "LOCATION:Bldg 223\\, Rm A115", "SUMMARY:TEM 1 with Eve"),
        event("b", *TIMES, "LOCATION:Rm B102", "SUMMARY:TEM 12", "CATEGORIES:Titan,Service"),
        event(
            "c", *TIMES, "SUMMARY:x", "ATTENDEE;CUTYPE=RESOURCE;CN=Krios:mailto:krios@example.org", "RESOURCES:Holder"
        ),
    )

    @pytest.mark.parametrize(
        ("settings", "uids"),
        [
            ({}, "abc"),
            ({"calendar_location": "rm a115"}, "a"),
            ({"calendar_location": "Rm A115, Rm B102"}, "ab"),
            ({"calendar_location": "A11"}, ""),
            ({"calendar_words": "TEM 1"}, "a"),
            ({"calendar_words": "titan"}, "b"),
            ({"calendar_resource": "Krios"}, "c"),
            ({"calendar_resource": "krios@example.org"}, "c"),
            ({"calendar_resource": "holder"}, "c"),
            ({"calendar_words": "Titan", "calendar_location": "A115"}, ""),
            ({"calendar_words": " , "}, "abc"),
        ],
    )
    def test_filters(self, settings: dict[str, str], uids: str) -> None:
        found = read(*self.EVENTS, instrument=Instrument("Titan", **settings))
        assert "".join(sorted(one.uid for one in found)) == uids

    def test_an_occurrence_that_was_moved_to_another_room(self) -> None:
        series = event("w", ":20260302T080000Z", ":20260302T090000Z", "RRULE:FREQ=WEEKLY;COUNT=3", "LOCATION:A")
        moved = event("w", ":20260309T080000Z", ":20260309T090000Z", "RECURRENCE-ID:20260309T080000Z", "LOCATION:B")
        assert len(read(series, moved, instrument=Instrument("Titan", calendar_location="A"))) == 2


def heard(content: bytes) -> tuple[str | None, list[Complaint]]:
    with collect_complaints() as complaints:
        (found,) = bookings(content, "x", Instrument("Titan"), *MARCH, 10)
    return found.title, complaints


class TestEncodings:
    """Lines are joined before they are decoded; what was not UTF-8 is read all the same, and told."""

    PLAIN = ics(event("a", *TIMES, "SUMMARY:Größe – x"))

    def test_a_line_that_is_folded_inside_a_character(self) -> None:
        """RFC 5545, 3.1: folded at 75 bytes, wherever that is."""
        for place in range(1, 12):
            head, tail = self.PLAIN.split(b"SUMMARY:Gr")
            rest = b"SUMMARY:Gr" + tail
            folded = head + rest[: 9 + place] + b"\r\n " + rest[9 + place :]
            assert heard(folded) == ("Größe – x", [])

    def test_windows_1252(self) -> None:
        content = self.PLAIN.decode().encode("cp1252")
        assert heard(content) == (
            "Größe – x",
            [Complaint("1 line is not UTF-8 ('SUMMARY:Größe – x') and was read as Windows-1252", NO_BOOKING)],
        )

    def test_encoded_twice(self) -> None:
        title, (complaint,) = heard(self.PLAIN.decode().encode().decode("cp1252", errors="ignore").encode())
        assert title == "Größe – x"
        assert complaint.sentence.startswith("1 line is encoded twice as UTF-8")

    def test_lost_characters_are_told(self) -> None:
        title, (complaint,) = heard(self.PLAIN.replace("ö".encode(), "\ufffd".encode()))
        assert title == "Gr\ufffdße – x"
        assert "lost at their source" in complaint.sentence

    @pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b""])
    def test_utf_16(self, mark: bytes) -> None:
        encoding = "utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-16-le"
        assert heard(mark + self.PLAIN.decode().encode(encoding)) == ("Größe – x", [])
