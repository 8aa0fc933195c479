"""Calendar lists on a server that speaks SharePoint's feed and lets in whoever passes its NTLM challenge."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import spnego

from NexusCore.clock import to_datetime, to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.facility.reservations import BookedSample
from NexusCore.http import MEGABYTE, HttpLimits, Login
from Services.Harvester.sources import Complaint, SourceFailed, collect_complaints
from Services.Harvester.sources.sharepoint import SharePoint

PATIENCE = HttpLimits(connect_seconds=5, read_seconds=5, most_bytes=4 * MEGABYTE, redirects=3, attempts=3, first_wait=0)
ALICE = Login("NIST\\alice", "s3cret")
NOVEMBER = datetime(2018, 11, 1, tzinfo=UTC), datetime(2018, 12, 1, tzinfo=UTC)
TITAN = Instrument("Titan", timezone="America/New_York")
LIST = "/site/_vti_bin/ListData.svc/FEITitanTEMEvents"
FEED = """<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<feed xml:base="https://sharepoint/" xmlns="http://www.w3.org/2005/Atom"
      xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"
      xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
<title type="text">FEITitanTEMEvents</title><link rel="self" title="FEITitanTEMEvents" href="FEITitanTEMEvents"/>
{entries}{next}</feed>"""


@dataclass(frozen=True)
class Row:
    """A row of a list."""

    number: int
    start: str
    end: str
    columns: dict[str, str] = field(default_factory=dict)
    people: tuple[tuple[str, str], ...] = ()
    """In the column UserName: name and account."""

    def entry(self) -> str:
        booked_for = "".join(_person(*person) for person in self.people)
        columns = {"Title": "", "TitleOfExperiment": "", "ProjectID": "", **self.columns}
        cells = "".join(f"<d:{name}>{escape(value)}</d:{name}>" for name, value in columns.items())
        return (
            f"<entry><id>https://sharepoint/ListData.svc/FEITitanTEMEvents({self.number})</id>"
            f'<title type="text">{escape(columns["Title"])}</title><updated>2018-10-01T00:00:00-04:00</updated>'
            '<link rel="related" title="CreatedBy" type="application/atom+xml;type=entry"><m:inline>'
            f"{_person('Doe, Made By (Fed)', 'mdoe')}</m:inline></link>"
            '<link rel="related" title="UserName" type="application/atom+xml;type=feed"><m:inline>'
            f"<feed>{booked_for}</feed></m:inline></link>"
            f'<content type="application/xml"><m:properties><d:Id m:type="Edm.Int32">{self.number}</d:Id>{cells}'
            f'<d:StartTime m:type="Edm.DateTime">{self.start}</d:StartTime>'
            f'<d:EndTime m:type="Edm.DateTime">{self.end}</d:EndTime>'
            '<d:SampleNote m:null="true"/></m:properties></content></entry>'
        )


def _person(name: str, account: str) -> str:
    return (
        f'<entry><content type="application/xml"><m:properties><d:Name>{name}</d:Name>'
        f"<d:UserName>{account}</d:UserName>"
        '<d:Id m:type="Edm.Int32">11</d:Id></m:properties></content></entry>'
    )


class Lists(ThreadingHTTPServer):
    """A server with one list, in pages. It filters by day, as SharePoint is said to."""

    daemon_threads = True
    page = 1000

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows: list[Row] = []
        self.answer: bytes | None = None
        """Instead of the list."""
        self.asked: list[dict[str, str]] = []
        self.refused = 0
        self.let_in: list[str] = []
        self.circle = False

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{LIST}"

    def feed(self, asked: dict[str, str]) -> bytes:
        if self.answer is not None:
            return self.answer
        last, first = re.findall(r"datetime'([-\d]+)'", asked["$filter"])
        assert asked["$filter"] == f"StartTime lt datetime'{last}' and EndTime ge datetime'{first}'"
        assert asked["$expand"] == "CreatedBy,UserName"
        rows = [row for row in self.rows if row.start[:10] < last and row.end[:10] >= first]
        begin = int(asked.get("$skiptoken", 0))
        more = begin + self.page < len(rows)
        token = {**asked, "$skiptoken": "0" if self.circle else str(begin + self.page)}
        # To another host, as behind a proxy: what is followed is the token.
        further = f'<link rel="next" href="https://inside{LIST}?{escape(urlencode(token))}"/>' if more else ""
        entries = "".join(row.entry() for row in rows[begin : begin + self.page])
        return FEED.format(entries=entries, next=further).encode()


class Handler(BaseHTTPRequestHandler):
    """One connection: NTLM lets in connections, not requests."""

    server: Lists
    protocol_version = "HTTP/1.1"
    _context: Any = None
    _user: str | None = None

    def do_GET(self) -> None:
        proof = self.headers.get("Authorization", "")
        if self._user is None and not proof.startswith("NTLM "):
            self._refuse("NTLM")
        elif self._user is None:
            self._challenge(base64.b64decode(proof.removeprefix("NTLM ")))
        else:
            self._tell()

    def _challenge(self, token: bytes) -> None:
        self._context = self._context or spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        try:
            answer = self._context.step(token)
        except spnego.exceptions.SpnegoError:
            self._context = None
            self._refuse("NTLM")
            return
        if not self._context.complete:
            self._refuse(f"NTLM {base64.b64encode(answer).decode()}")
            return
        self._user = str(self._context.client_principal)
        self.server.let_in.append(self._user)
        self._tell()

    def _refuse(self, challenge: str) -> None:
        self.server.refused += 1
        self.send_response(401)
        self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _tell(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query))
        self.server.asked.append(asked)
        content = self.server.feed(asked)
        self.send_response(200)
        self.send_header("Content-Type", "application/atom+xml;charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lists]:
    monkeypatch.setenv("NO_PROXY", "*")
    users = tmp_path / "users"
    users.write_text("NIST:alice:s3cret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    with Lists() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def fetch(lists: Lists, stylesheet: str = "", login: Login | None = ALICE, most: int = 1000) -> list[Reservation]:
    source = SharePoint(PATIENCE, most, "CreatedBy,UserName", stylesheet, login)
    return source.fetch(replace(TITAN, api_url=lists.url()), *NOVEMBER)


def refusal(lists: Lists, **how: Any) -> str:
    with pytest.raises(SourceFailed) as error:
        fetch(lists, **how)
    assert "s3cret" not in str(error.value)
    return str(error.value).removeprefix("The calendar at 127.0.0.1 cannot be read: ")


WHOLE = Row(
    470,
    "2018-11-13T09:00:00",
    "2018-11-13T16:00:00",
    {
        "Title": "Bake out",
        "TitleOfExperiment": "EELS of <NMC> & more",
        "ExperimentPurpose": "To see\nthe Ni",
        "SampleDetails": "FIB lamella",
        "ProjectID": "PRJ-001",
    },
    (("Smith, Jane (Fed)", "js1"), ("Brown, Bob (Assoc)", "bb2")),
)


class TestTheFeed:
    """001-19, 001-20: each row of the list is a reservation, by way of a stylesheet."""

    def test_a_row_with_everything(self, lists: Lists) -> None:
        lists.rows = [WHOLE]
        assert fetch(lists) == [
            Reservation(
                source="sharepoint:Titan",
                uid="470",
                instrument="Titan",
                start_ts=to_ts(datetime(2018, 11, 13, 14, tzinfo=UTC)),
                end_ts=to_ts(datetime(2018, 11, 13, 21, tzinfo=UTC)),
                title="EELS of <NMC> & more",
                user="Jane Smith",
                user_id="js1",
                collaborators=("Bob Brown",),
                purpose="To see\nthe Ni",
                samples=(BookedSample(description="FIB lamella"),),
                project_id="PRJ-001",
                reservation_id="470",
            )
        ]

    def test_a_row_with_hardly_anything(self, lists: Lists) -> None:
        """Whoever made it is the user then, and what people inside are called is no reservation."""
        lists.rows = [Row(1, "2018-11-13T09:00:00", "2018-11-13T10:00:00", {"Title": "Bake out"})]
        (one,) = fetch(lists)
        assert (one.title, one.user, one.user_id, one.samples) == ("Bake out", "Made By Doe", "mdoe", ())
        assert (one.purpose, one.project_id, one.consent, one.collaborators) == (None, None, None, ())

    def test_across_the_change_of_clocks(self, lists: Lists) -> None:
        """Times are the instrument's own: this night was an hour longer."""
        lists.rows = [Row(1, "2018-11-03T22:00:00", "2018-11-04T06:00:00")]
        (one,) = fetch(lists)
        assert one.end_ts - one.start_ts == 9 * 3600 * 1_000_000

    def test_what_touches_the_span_and_no_more(self, lists: Lists) -> None:
        """Days are asked for, moments compared; what began before the span and lasts into it is there."""
        lists.rows = [
            Row(1, "2018-10-30T09:00:00", "2018-10-31T09:00:00"),
            Row(2, "2018-10-31T09:00:00", "2018-10-31T20:30:00"),
            Row(3, "2018-11-30T18:59:00", "2018-12-02T09:00:00"),
            Row(4, "2018-11-30T19:00:00", "2018-12-02T09:00:00"),
        ]
        assert [one.uid for one in fetch(lists)] == ["2", "3"]

    def test_pages_are_followed_but_no_circle(self, lists: Lists) -> None:
        lists.rows = [
            Row(n, f"2018-11-{1 + n % 28:02}T09:00:00", f"2018-11-{1 + n % 28:02}T10:00:00") for n in range(10)
        ]
        lists.page = 3
        assert sorted(int(one.uid) for one in fetch(lists)) == list(range(10))
        assert [asked.get("$skiptoken") for asked in lists.asked] == [None, "3", "6", "9"]
        lists.circle = True
        assert refusal(lists) == "its pages form a loop."

    def test_a_thousand_rows_need_few_requests(self, lists: Lists) -> None:
        """1,000 reservations in the window: five requests at the most, the log-in among them."""
        lists.rows = [replace(WHOLE, number=n) for n in range(1000)]
        assert len(fetch(lists)) == 1000
        assert len(lists.asked) + lists.refused <= 5

    def test_more_than_anybody_books(self, lists: Lists) -> None:
        lists.rows = [replace(WHOLE, number=n) for n in range(20)]
        assert refusal(lists, most=10) == "it has more than 10 bookings in the time asked for."

    def test_a_series_is_reported_and_left_out(self, lists: Lists) -> None:
        """Its one row ends with its last occurrence; it would take the instrument for months."""
        lists.rows = [replace(WHOLE, columns={"Recurrence": "true"}), replace(WHOLE, number=2)]
        with collect_complaints() as complaints:
            assert [one.uid for one in fetch(lists)] == ["2"]
        expected = "the booking 470 recurs, and the feed does not say when; it was left out"
        assert complaints == [Complaint(expected, "470")]

    def test_a_damaged_row(self, lists: Lists) -> None:
        """It costs only itself, and what was known of it stays."""
        lists.rows = [replace(WHOLE, start="2018-11-13T99:00:00"), replace(WHOLE, number=2)]
        with collect_complaints() as complaints:
            assert [one.uid for one in fetch(lists)] == ["2"]
        assert complaints == [Complaint("the booking 470 has no start and end that can be read", "470")]

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (b"<html><body>Sign in</body></html>", "its answer is not an Atom feed."),
            (b"{}", "its answer cannot be read as XML"),
            (FEED.format(entries="<entry>", next="").encode(), "its answer cannot be read as XML"),
        ],
    )
    def test_no_feed_at_all(self, lists: Lists, answer: bytes, says: str) -> None:
        lists.answer = answer
        assert refusal(lists).startswith(says)


class TestTheLogIn:
    """001-07: the environment's user and password pass the server's challenge, and are shown to nobody."""

    def test_the_user_is_let_in(self, lists: Lists) -> None:
        lists.rows = [WHOLE]
        fetch(lists)
        assert lists.let_in == ["NIST\\alice"]

    def test_once_for_all_pages(self, lists: Lists) -> None:
        lists.rows, lists.page = [replace(WHOLE, number=n) for n in range(6)], 2
        fetch(lists)
        assert len(lists.let_in) == 1

    @pytest.mark.parametrize("login", [replace(ALICE, password="s3cret?"), replace(ALICE, user="NIST\\bob")])
    def test_a_wrong_login_is_refused(self, lists: Lists, login: Login) -> None:
        assert refusal(lists, login=login) == f"it refuses the user '{login.user}' (401)."
        assert lists.let_in == []

    def test_a_missing_login_is_reported(self, lists: Lists) -> None:
        assert refusal(lists, login=None).startswith("it requires a login (401)")

    def test_a_challenge_that_is_none(self, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Handler, "_challenge", lambda request, token: request._refuse("NTLM AAAA"))
        assert refusal(lists).startswith("its authentication request cannot be understood")


class TestAStylesheetOfItsOwn:
    """001-20: a facility replaces the file, and nothing else."""

    OWN: ClassVar[str] = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
        xmlns:a="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"
        xmlns="https://data.nist.gov/od/dm/nexus/experiment/v1.0">
      <xsl:template match="/"><reservations><xsl:for-each select="a:feed/a:entry">
        <reservation id="{a:content//d:Id}" consent="{a:content//d:May}" cancelled="{a:content//d:Gone}">
          <title><xsl:value-of select="a:content//d:What"/></title>
          <summary ref="https://sharepoint/470">
            <reservationStart><xsl:value-of select="a:content//d:StartTime"/></reservationStart>
            <reservationEnd><xsl:value-of select="a:content//d:EndTime"/></reservationEnd>
          </summary>
          <sample ref="pid:1"><name>N</name><element>Ni</element><element>O</element></sample>
        </reservation></xsl:for-each></reservations></xsl:template></xsl:stylesheet>"""

    def test_its_columns_become_the_reservation(self, lists: Lists, tmp_path: Path) -> None:
        path = tmp_path / "own.xslt"
        path.write_text(self.OWN)
        lists.rows = [replace(WHOLE, columns={"What": "Ours", "May": "no", "Gone": "yes"})]
        (one,) = fetch(lists, stylesheet=str(path))
        assert (one.title, one.consent, one.cancelled, one.url) == ("Ours", False, True, "https://sharepoint/470")
        assert one.samples == (BookedSample("N", "pid:1", None, ("Ni", "O")),)
        assert to_datetime(one.start_ts) == datetime(2018, 11, 13, 14, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "cannot be used ("),
            ("<xsl:stylesheet", "cannot be used ("),
            ("<a/>", "cannot be used ("),
            (OWN.replace("reservations>", "events>"), "the stylesheet does not yield <reservations>"),
        ],
    )
    def test_one_that_is_none(self, lists: Lists, tmp_path: Path, content: str | None, says: str) -> None:
        path = tmp_path / "own.xslt"
        if content is not None:
            path.write_text(content)
        assert says in refusal(lists, stylesheet=str(path))

    def test_it_reads_nothing_else(self, lists: Lists, tmp_path: Path) -> None:
        """No file, and nothing from the network."""
        other = tmp_path / "feed.xml"
        other.write_text(FEED.format(entries=WHOLE.entry(), next=""))
        path = tmp_path / "own.xslt"
        for place in (other.as_uri(), lists.url()):
            path.write_text(self.OWN.replace("a:feed/a:entry", f"document('{place}')/a:feed/a:entry"))
            assert "the stylesheet fails on it" in refusal(lists, stylesheet=str(path))
        assert len(lists.asked) == 2
