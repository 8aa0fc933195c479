"""Calendars on web servers that are slow, gone, wrong or hostile, and in files that are no calendars."""

from __future__ import annotations

import base64
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

import pytest

from NexusCore.facility import Instrument, Reservation
from NexusCore.http import MEGABYTE, HttpLimits, Login, login_of
from Services.Harvester.sources import SourceFailed
from Services.Harvester.sources.ical import ICal
from Services.Harvester.sources.web import Token, Visit

CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20260303T090000Z\r\n"
    b"DTEND:20260303T100000Z\r\nSUMMARY:Found\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
MARCH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
PATIENCE = HttpLimits(connect_seconds=5, read_seconds=5, most_bytes=MEGABYTE, redirects=3, attempts=3, first_wait=0)
ALICE = Login("alice", "s3cret")


class Server(ThreadingHTTPServer):
    """A web server that answers each request as the test says: `answers[path]` is called with the request.

    It remembers what it was asked, as path and Authorization.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()
        """Silent answers end when this is set."""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()
        self._thread.join(10)

    def url(self, path: str = "/calendar.ics", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that a client hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.server.answers[self.path](self)

    def do_REPORT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_PROPFIND(self) -> None:
        self.do_REPORT()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def send(self, content: bytes = CALENDAR, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


def calendar(request: Handler) -> None:
    request.send()


def says(status: int, **headers: str) -> Callable[[Handler], None]:
    return lambda request: request.send(b"", status, **headers)


def silent(request: Handler) -> None:
    request.server.released.wait(60)


def silent_in_the_middle(request: Handler) -> None:
    request.send(CALENDAR[:50], Content_Length=str(len(CALENDAR)))
    request.server.released.wait(60)


def dropping(request: Handler) -> None:
    request.send(CALENDAR[:50], Content_Length=str(len(CALENDAR)))


def without_end(request: Handler) -> None:
    request.send(b"", Content_Length="")
    while not request.server.released.is_set():
        request.wfile.write(b"X-GARBAGE:" + b"x" * 100_000 + b"\r\n")


def asks_for_a_password(request: Handler) -> None:
    right = "Basic " + base64.b64encode(b"alice:s3cret").decode()
    if request.headers.get("Authorization") == right:
        request.send()
    else:
        request.send(b"", 401, WWW_Authenticate='Basic realm="x"')


def in_turn(*answers: Callable[[Handler], None]) -> Callable[[Handler], None]:
    left = iter(answers)
    return lambda request: next(left)(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as one:
        yield one


def fetch(address: str, patience: HttpLimits = PATIENCE, login: Login | None = None) -> list[Reservation]:
    return ICal(patience, 1000, login).fetch(Instrument("Titan", api_url=address), *MARCH)


def refusal(address: str, patience: HttpLimits = PATIENCE, login: Login | None = None) -> str:
    with pytest.raises(SourceFailed) as error:
        fetch(address, patience, login)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert "secret" not in sentence.lower()
    return sentence.removeprefix("The calendar at 127.0.0.1 ")


class TestServers:
    """Each fault is one sentence; those that pass by themselves are waited out, the others are not repeated."""

    def test_a_calendar_takes_one_request(self, server: Server) -> None:
        server.answers["/calendar.ics"] = calendar
        assert [one.title for one in fetch(server.url())] == ["Found"]
        assert server.asked == [("/calendar.ics", None)]

    @pytest.mark.parametrize("fault", [says(502), says(503), says(504), dropping, lambda request: None])
    def test_what_passes_is_tried_again(self, server: Server, fault: Callable[[Handler], None]) -> None:
        server.answers["/calendar.ics"] = in_turn(fault, fault, calendar)
        assert len(fetch(server.url())) == 1
        assert len(server.asked) == 3

    def test_but_not_for_ever(self, server: Server) -> None:
        server.answers["/calendar.ics"] = says(503)
        assert refusal(server.url()) == "does not answer: it answered 503 Service Unavailable."
        assert len(server.asked) == 3

    @pytest.mark.parametrize("status", [204, 400, 403, 404, 410, 429, 500])
    def test_what_does_not_pass_is_not(self, server: Server, status: int) -> None:
        server.answers["/secret/calendar.ics"] = says(status)
        assert refusal(server.url("/secret/calendar.ics")).startswith(f"cannot be read: it answered {status} ")
        assert len(server.asked) == 1

    def test_a_closed_port_is_reported(self) -> None:
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as gone:
            port = gone.server_port
        assert refusal(f"http://127.0.0.1:{port}/secret") == (
            "does not answer: the connection failed (Connection refused)."
        )

    @pytest.mark.parametrize("answer", [silent, silent_in_the_middle])
    def test_silence_is_not_tried_again(self, server: Server, answer: Callable[[Handler], None]) -> None:
        server.answers["/secret"] = answer
        assert refusal(server.url("/secret"), replace(PATIENCE, read_seconds=0.2)) == (
            "cannot be read: it fell silent for 0.2 s."
        )
        assert len(server.asked) == 1

    def test_half_a_calendar_every_time(self, server: Server) -> None:
        server.answers["/secret"] = dropping
        assert refusal(server.url("/secret")).startswith("does not answer: the connection failed (IncompleteRead")

    def test_not_packed_as_it_says(self, server: Server) -> None:
        server.answers["/x"] = lambda request: request.send(CALENDAR, Content_Encoding="gzip")
        assert refusal(server.url("/x")) == "cannot be read: its answer cannot be understood (ContentDecodingError)."

    def test_too_big_by_its_own_account(self, server: Server) -> None:
        server.answers["/x"] = lambda request: request.send(b"", Content_Length=str(2 * MEGABYTE))
        assert refusal(server.url("/x")) == "cannot be read: it has more than 1 MB, the limit in size_limit."

    def test_too_big_without_a_word(self, server: Server) -> None:
        server.answers["/x"] = without_end
        assert refusal(server.url("/x")) == "cannot be read: it has more than 1 MB, the limit in size_limit."

    def test_a_page_to_sign_in(self, server: Server) -> None:
        server.answers["/x"] = lambda request: request.send(b"<html>Sign in</html>")
        assert refusal(server.url("/x")) == "cannot be read: it is an HTML page (a login?)."

    @pytest.mark.parametrize(
        "address", ["http://", "http://[1/secret", "http://a b/", "webcal://127.0.0.1/secret", "nemo://x/y"]
    )
    def test_an_address_that_is_none(self, address: str) -> None:
        assert "cannot be read: " in refusal(address)


class TestRedirects:
    """Followed, but not for ever, nor to anything but the web."""

    def test_a_redirect_is_followed(self, server: Server) -> None:
        server.answers |= {"/old": says(301, Location="/new"), "/new": calendar}
        assert len(fetch(server.url("/old"))) == 1

    def test_redirects_in_a_circle_end(self, server: Server) -> None:
        server.answers |= {"/a": says(302, Location="/b"), "/b": says(302, Location="/a")}
        assert refusal(server.url("/a")) == "cannot be read: it redirects more than 3 times."
        assert len(server.asked) == 4

    def test_to_a_file_of_this_machine(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "secret.ics").write_bytes(CALENDAR)
        server.answers["/a"] = says(302, Location=(tmp_path / "secret.ics").as_uri())
        assert refusal(server.url("/a")) == "cannot be read: its address, or one it redirects to, cannot be used."


class TestCredentials:
    """001-07: the user and password of the environment, for whoever asks for them, and nobody else."""

    def test_given_when_asked(self, server: Server) -> None:
        server.answers["/calendar.ics"] = asks_for_a_password
        assert len(fetch(server.url(), login=ALICE)) == 1
        assert [given is not None for _, given in server.asked] == [False, True]

    def test_a_digest_challenge_gets_a_digest(self, server: Server) -> None:
        challenge = 'Digest realm="x", nonce="n", qop="auth", algorithm=SHA-256'

        def digest(request: Handler) -> None:
            if 'username="alice"' in (request.headers.get("Authorization") or ""):
                request.send()
            else:
                request.send(b"", 401, WWW_Authenticate=challenge)

        server.answers["/calendar.ics"] = digest
        assert len(fetch(server.url(), login=ALICE)) == 1
        assert not any("Basic" in (given or "") for _, given in server.asked)

    def test_a_wrong_login_names_the_user(self, server: Server) -> None:
        server.answers["/calendar.ics"] = asks_for_a_password
        sentence = refusal(server.url(), login=replace(ALICE, user="bob"))
        assert sentence == "cannot be read: it refuses the user 'bob' (401)."

    def test_missing_ones_name_their_variables(self, server: Server) -> None:
        server.answers["/calendar.ics"] = asks_for_a_password
        assert refusal(server.url()) == (
            "cannot be read: it requires a login (401); "
            "NEXUSCORE_ICAL_USER and NEXUSCORE_ICAL_PASSWORD are not set, or for another host."
        )

    def test_never_to_another_host(self, server: Server) -> None:
        with Server() as other:
            other.answers["/trap"] = asks_for_a_password
            server.answers["/calendar.ics"] = says(302, Location=other.url("/trap"))
            assert "it requires a login" in refusal(server.url(), login=ALICE)
            assert [given for _, given in [*server.asked, *other.asked]] == [None, None]

    def test_nor_after_it_was_given_to_the_right_one(self, server: Server) -> None:
        with Server() as other:
            other.answers["/trap"] = asks_for_a_password
            redirect = says(302, Location=other.url("/trap", host="localhost"))
            server.answers["/calendar.ics"] = in_turn(says(401, WWW_Authenticate="Basic"), redirect)
            refusal(server.url(), login=ALICE)
            assert [given for _, given in other.asked] == [None]

    def test_not_in_english(self, server: Server) -> None:
        """Basic, as browsers do it: UTF-8."""
        right = "Basic " + base64.b64encode("alice:Größe €".encode()).decode()

        def asks(request: Handler) -> None:
            if request.headers.get("Authorization") == right:
                request.send()
            else:
                request.send(b"", 401, WWW_Authenticate='Basic realm="x"')

        server.answers["/calendar.ics"] = asks
        assert len(fetch(server.url(), login=replace(ALICE, password="Größe €"))) == 1

    @pytest.mark.parametrize("way", ["Basic", 'Digest realm="x", nonce="n", qop="auth"', "NTLM"])
    @pytest.mark.parametrize("password", ["s3\ncret", "s3cret\r", "s3\udcffcret"])
    def test_a_password_that_cannot_be_sent(self, server: Server, way: str, password: str) -> None:
        server.answers["/calendar.ics"] = says(401, WWW_Authenticate=way)
        sentence = refusal(server.url(), login=replace(ALICE, password=password))
        reason = "the user or the password for it has a character that cannot be sent, perhaps a line break"
        assert sentence == f"cannot be read: {reason}."

    @pytest.mark.parametrize("token", ["ab\ncdSECRET", "SECRETé", "SECRET€", "SECRET\x00", "SECRET\udcff"])
    def test_a_token_that_cannot_be_sent(self, server: Server, token: str) -> None:
        """It is not repeated, as the libraries below would."""
        with pytest.raises(SourceFailed) as error, Visit(PATIENCE, Token(token)) as visit:
            visit.get(server.url())
        reason = "the token for it has a character that is not printable ASCII, perhaps a line break"
        assert str(error.value) == f"The calendar at 127.0.0.1 cannot be read: {reason}."
        assert server.asked == []

    def test_what_the_layers_below_say_is_not_repeated(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """It may be a header, or the address of a private calendar."""

        def fail(*_: object, **__: object) -> None:
            raise ValueError("Invalid header value b'Token SECRET'")

        monkeypatch.setattr("requests.Session.request", fail)
        assert refusal(server.url()) == "cannot be read: its address, or one it redirects to, cannot be used."

    def test_where_they_are_from(self) -> None:
        general = {"nexusLIMS_user": "a", "nexusLIMS_pass": "b"}
        own = {"NEXUSCORE_ICAL_USER": "c", "NEXUSCORE_ICAL_PASSWORD": "d"}
        assert login_of("ical", general) == Login("a", "b")
        assert login_of("ical", {**general, **own}) == Login("c", "d")
        assert login_of("ical", {**general, "NEXUSCORE_ICAL_USER": "c"}) == Login("a", "b"), "half a login is none"
        assert login_of("ical", {}) is None

    def test_the_password_is_never_shown(self) -> None:
        assert "s3cret" not in repr(ICal(PATIENCE, 1, ALICE))


class TestFiles:
    """A path or a file URL."""

    @pytest.mark.parametrize("address", ["{}", "file://{}", "file://localhost{}", "FILE://{}"])
    def test_paths_and_file_urls_are_read(self, tmp_path: Path, address: str) -> None:
        path = tmp_path / "my calendar.ics"
        path.write_bytes(CALENDAR)
        assert len(fetch(address.format(path if address == "{}" else str(path).replace(" ", "%20")))) == 1

    def test_in_the_home_folder(self, tmp_path: Path) -> None:
        Path(os.environ["HOME"], "c.ics").write_bytes(CALENDAR)
        assert len(fetch("~/c.ics")) == 1

    def test_a_missing_file_is_reported(self, tmp_path: Path) -> None:
        path = tmp_path / "c.ics"
        assert refusal(str(path)) == f"The calendar at {path} cannot be read: No such file or directory."

    def test_pipes_and_folders_are_refused(self, tmp_path: Path) -> None:
        """A named pipe that nobody writes into would keep a reader for ever."""
        os.mkfifo(tmp_path / "pipe")
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        for name in ("pipe", ""):
            assert re.search(r"cannot be read: it is not a file\.|Is a directory", refusal(f"{tmp_path}/{name}"))

    def test_a_large_file_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "c.ics").open("wb") as file:
            file.truncate(MEGABYTE + 1)
        assert "it has more than 1 MB" in refusal(str(tmp_path / "c.ics"))

    def test_a_missing_address_is_reported(self) -> None:
        assert refusal(" ") == "The calendar at no address cannot be read: Instruments.Titan.api_url is not set."
