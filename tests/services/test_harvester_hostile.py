"""What a calendar may send to harm whoever asks: bombs, entities, floods. Refused, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from NexusCore.http import MEGABYTE
from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.processes import PROJECT, environment_of, line_of, tell
from tests.services import harvesting
from tests.services.harvesting import Facility, status_of
from tests.services.test_harvester_ical import event, ics
from tests.services.test_harvester_web import CALENDAR, Handler, Server

facility = harvesting.facility
Asker = subprocess.Popen[bytes]
ROOM = 96
"""MB that the process may grow by: the limit on size is 16, and what was read is held twice for a moment."""
ASK = """
import json, os, re, sys
from datetime import UTC, datetime
from pathlib import Path
from NexusCore.facility import Instrument
from NexusCore.http import MEGABYTE, HttpLimits
from Services.Harvester.sources import SourceFailed
from Services.Harvester.sources.caldav import CalDAV
from Services.Harvester.sources.ical import ICal
from Services.Harvester.sources.nemo import Nemo
from Services.Harvester.sources.nemo.instances import Instance, Questions
from Services.Harvester.sources.sharepoint import SharePoint
from Services.Harvester.sources.web import Token

patience = HttpLimits(5, 10, 16 * MEGABYTE, attempts=1, first_wait=0, redirects=3)
march = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)

def ask(kind, url):
    instrument = Instrument("Titan", name="Titan", api_url=url)
    if kind == "nemo":
        source = Nemo(patience, 1000, 10_000, (Instance("main", url, Token("t"), Questions()),))
        return source.ask([instrument], *march, ()).fetch(instrument, *march)
    source = {
        "ical": lambda: ICal(patience, 1000),
        "caldav": lambda: CalDAV(patience, 1000),
        "sharepoint": lambda: SharePoint(patience, 1000, "", ""),
    }[kind]()
    return source.fetch(instrument, *march)

def peak():
    # Not of getrusage: that begins with what the process that started this one had.
    return int(re.search("VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

def answer(kind, good, bad):
    assert ask(kind, good) == [] or kind == "ical", "all that it imports is there now"
    before = peak()
    try:
        said = repr(ask(kind, bad))
    except SourceFailed as error:
        said = str(error)
    print(json.dumps([said, peak() - before]), flush=True)

for line in sys.stdin:
    kind, good, bad = json.loads(line)
    ask(kind, good)
    if not os.fork():
        answer(kind, good, bad)
        os._exit(0)
    if os.wait()[1]:
        print(flush=True)
"""
"""Asks servers for something good, then for something bad; prints what came of it and MB that this took.

Each pair of questions has a process of its own, forked from one that has asked for something good: all is imported.
"""

MULTISTATUS = (
    '<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:response><D:href>/good</D:href>'
    "<D:propstat><D:prop><D:resourcetype><C:calendar/></D:resourcetype>"
    "<C:calendar-data>{}</C:calendar-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    "</D:response></D:multistatus>"
)
FEED = '<feed xmlns="http://www.w3.org/2005/Atom"><title>{}</title></feed>'
GOOD = {
    "ical": CALENDAR,
    "caldav": MULTISTATUS.format("").encode(),
    "sharepoint": FEED.format("").encode(),
    "nemo": json.dumps({"count": 1, "next": None, "results": [{"id": 1, "name": "Titan", "tool": 2}]}).encode(),
}
STATUS = {"caldav": 207}
DOCUMENTS = {"caldav": MULTISTATUS, "sharepoint": FEED}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "in a text": (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>', "&l11;"),
    "in an attribute": (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>', '<a b="&l11;"/>'),
    "of one large entity": (f'<!DOCTYPE x [<!ENTITY l "{"x" * 100_000}">]>', "&l;" * 100_000),
    "never used": (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>', ""),
}


class Anything(dict[str, Callable[[Handler], None]]):
    """Answers that do not depend on what stands behind the ``?``, or behind the address of an API."""

    def __missing__(self, path: str) -> Callable[[Handler], None]:
        return next(answer for begin, answer in self.items() if path.startswith(begin))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as one:
        one.answers = Anything()
        yield one


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Run the program that asks."""
    home = tmp_path_factory.mktemp("asker")
    with subprocess.Popen(
        [sys.executable, "-c", ASK],
        cwd=PROJECT,
        env=environment_of("sqlite:////nowhere", home, HOME=str(home), NO_PROXY="*"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield process


def ask(server: Server, kind: str, bad: Callable[[Handler], None], asker: Asker) -> tuple[str, int]:
    """Return what a source says of a bad answer, and the MB that its process grew by."""
    status = STATUS.get(kind, 200)
    server.answers["/good"] = lambda request: request.send(GOOD[kind], status)
    server.answers["/bad"] = bad
    tell(asker, json.dumps([kind, server.url("/good"), server.url("/bad")]))
    said, grown = json.loads(line_of(asker))
    print(f"{kind}: {said} ({grown} MB)")
    return str(said), int(grown)


def send(kind: str, content: bytes, **headers: str) -> Callable[[Handler], None]:
    return lambda request: request.send(content, STATUS.get(kind, 200), **headers)


def document(kind: str, doctype: str, inside: str) -> bytes:
    return f'<?xml version="1.0"?>{doctype}{DOCUMENTS[kind].format(inside)}'.encode()


@pytest.mark.parametrize("kind", DOCUMENTS)
class TestEntities:
    """A document that declares any is refused; nothing is expanded or fetched for it."""

    @pytest.mark.parametrize("bomb", BOMBS)
    def test_an_entity_bomb_is_refused(self, server: Server, kind: str, bomb: str, asker: Asker) -> None:
        said, grown = ask(server, kind, send(kind, document(kind, *BOMBS[bomb])), asker)
        assert said.startswith("The calendar at 127.0.0.1 cannot be read: its answer ")
        assert grown < ROOM

    @pytest.mark.parametrize(
        "declared",
        [
            '<!ENTITY e SYSTEM "{place}">',
            '<!ENTITY % p SYSTEM "{place}"> %p;',
            '<!ENTITY e PUBLIC "x" "{place}">',
        ],
    )
    @pytest.mark.parametrize("place", ["file", "web"])
    def test_an_external_one(
        self, server: Server, kind: str, declared: str, place: str, asker: Asker, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("the secret")
        server.answers["/trap"] = lambda request: request.send(b"the secret")
        where = secret.as_uri() if place == "file" else server.url("/trap")
        bad = document(kind, f"<!DOCTYPE x [{declared.format(place=where)}]>", "" if "%" in declared else "&e;")
        said, grown = ask(server, kind, send(kind, bad), asker)
        assert said.startswith("The calendar at 127.0.0.1 cannot be read: its answer ")
        assert "the secret" not in said
        assert "/trap" not in [path for path, _ in server.asked]
        assert grown < ROOM

    def test_a_document_type_from_elsewhere(self, server: Server, kind: str, asker: Asker) -> None:
        server.answers["/trap"] = lambda request: request.send(b'<!ENTITY e "x">')
        bad = document(kind, f'<!DOCTYPE x SYSTEM "{server.url("/trap")}">', "")
        said, _ = ask(server, kind, send(kind, bad), asker)
        assert said.endswith("its answer declares a document type, which calendars do not need.")
        assert "/trap" not in [path for path, _ in server.asked]

    def test_as_deep_as_it_gets(self, server: Server, kind: str, asker: Asker) -> None:
        said, grown = ask(server, kind, send(kind, document(kind, "", "<a>" * 1_000_000)), asker)
        assert "cannot be read as XML" in said
        assert grown < ROOM


@pytest.mark.parametrize("kind", GOOD)
class TestFloods:
    """200 MB from a calendar are given up at the limit on size, whether it says how much there will be or not."""

    def test_without_a_word(self, server: Server, kind: str, asker: Asker) -> None:
        sent = []

        def flood(request: Handler) -> None:
            request.send(GOOD[kind][:-10], STATUS.get(kind, 200), Content_Length="")
            for _ in range(200):
                request.wfile.write(b" " * MEGABYTE)
                sent.append(1)

        said, grown = ask(server, kind, flood, asker)
        assert said == "The calendar at 127.0.0.1 cannot be read: it has more than 16 MB, the limit in size_limit."
        assert grown < ROOM
        assert len(sent) < 100, "it hung up long before"

    def test_by_its_own_account(self, server: Server, kind: str, asker: Asker) -> None:
        said, grown = ask(server, kind, send(kind, b"", Content_Length=str(200 * MEGABYTE)), asker)
        assert said.endswith("it has more than 16 MB, the limit in size_limit.")
        assert grown < ROOM

    def test_a_packed_flood_stops_at_the_limit(self, server: Server, kind: str, asker: Asker) -> None:
        packed = gzip.compress(b" " * (200 * MEGABYTE))
        said, grown = ask(server, kind, send(kind, packed, Content_Encoding="gzip"), asker)
        assert said.endswith("it has more than 16 MB, the limit in size_limit.")
        assert grown < ROOM


class TestNonsenseFromANemo:
    """JSON that is no answer of its API."""

    @pytest.mark.parametrize(
        "content",
        [
            b"[" * 1_000_000,
            b"9" * 1_000_000,
            b"[]",
            b"{}",
            b'{"count": 1, "next": null, "results": [1]}',
            b'{"count": 1, "next": null, "results": {"id": 1}}',
            b"<html>Sign in</html>",
            b"\xff\xfe\x00",
        ],
    )
    def test_it_is_no_answer(self, server: Server, content: bytes, asker: Asker) -> None:
        said, grown = ask(server, "nemo", send("nemo", content), asker)
        assert said.endswith("its answer is not that of the API of a NEMO.")
        assert grown < ROOM

    def test_pages_without_end(self, server: Server, asker: Asker) -> None:
        page = json.dumps({"count": 10**9, "next": "x", "results": [{"id": 1, "name": "x"}]}).encode()
        said, _ = ask(server, "nemo", send("nemo", page), asker)
        assert said.endswith("it has more than 10000 tools in the time asked for.")

    def test_rows_that_changed_places(self, server: Server, asker: Asker) -> None:
        """A row that slipped from one page to the one before is not taken for cancelled."""
        page = json.dumps({"count": 3, "next": None, "results": [{"id": 1, "name": "x"}]}).encode()
        said, _ = ask(server, "nemo", send("nemo", page), asker)
        assert said.endswith("its tools changed while they were read.")


class TestTheHarvesterGoesOn:
    """001-55: what one calendar sends costs that one instrument's freshness, and nothing that is known."""

    @pytest.mark.parametrize("kind", DOCUMENTS)
    def test_beside_a_bomb(self, facility: Facility, server: Server, kind: str) -> None:
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        facility.instrument("Quanta", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester = Harvester(facility.app)
        harvester.once()
        server.answers["/bad"] = send(kind, document(kind, *BOMBS["in a text"]))
        facility.config["Instruments.Titan.harvester"] = kind
        facility.config["Instruments.Titan.api_url"] = server.url("/bad")
        (facility.home / "Quanta.ics").write_bytes(ics())
        assert harvester.once() == Pass(done=1, failed=1)
        assert sorted(facility.found("Titan")) == ["1"]
        assert facility.found("Quanta") == {}
        assert "cannot be read: its answer " in str(status_of(harvester, "source Titan"))

    def test_a_row_that_cannot_be_read(self, facility: Facility, server: Server) -> None:
        """It costs only itself, and what was known of it stays."""
        row = {"id": 7, "tool": 1, "start": "2026-03-11T09:00:00Z", "end": "2026-03-11T10:00:00Z"}
        rows = [row, {**row, "id": 8}]

        def nemo(request: Handler) -> None:
            what = request.path.split("/")[2]
            results = {"tools": [{"id": 1, "name": "Titan"}], "reservations": rows}.get(what, [])
            request.send(json.dumps({"count": len(results), "next": None, "results": results}).encode())

        server.answers["/api"] = nemo
        facility.config["Services.Harvester.nemo.instances.main.url"] = server.url("")
        facility.config["Services.Harvester.nemo.instances.main.token"] = "secret-token"
        facility.config["Instruments.Titan.harvester"] = "nemo"
        facility.config["Instruments.Titan.api_url"] = server.url("")
        harvester = Harvester(facility.app)
        assert harvester.once() == Pass(done=1)
        known = facility.found()
        rows[:] = [{**row, "start": "soon"}]
        assert harvester.once() == Pass(done=1)
        assert facility.found().keys() == {uid for uid in known if uid.endswith("=7")}
        assert str(status_of(harvester, "source Titan")).startswith(
            "Read, but number 7 of its reservations cannot be read (ValueError: Invalid isoformat string: 'soon')"
        )
        assert {given for _, given in server.asked} == {"Token secret-token"}
