"""Talking with web servers: limits on every call, what may be repeated, credentials that go nowhere else."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.config import NamedConfiguration
from NexusCore.config.values import MASK
from NexusCore.http import HttpLimits, Login, login_of
from NexusCore.service import Pass
from Services.Uploader.destinations import DestinationAway
from Services.Uploader.destinations.credentials import Authorise, Key, TokenUnusable, key_of
from Services.Uploader.destinations.web import FellSilent, ServerResponse, Site, Unexpected, address_fault
from Services.Uploader.service import Uploader
from tests.peers.proxy import DROP_BEFORE, JSON, SILENCE, Fault, Proxy, proxy_before
from tests.processes import app_on, rows
from tests.services.uploading import facility_on, status_of

PATIENCE = HttpLimits(connect_seconds=30, read_seconds=30, most_bytes=1000, attempts=3, first_wait=0)


@pytest.fixture
def server() -> Iterator[Proxy]:
    with proxy_before("http://127.0.0.1:1") as one:
        yield one


def site(server: Proxy, patience: HttpLimits = PATIENCE, authorise: Authorise | None = None) -> Site:
    return Site("there", server.url, patience, authorise)


class TestRepeating:
    """What only reads is asked again, what writes never."""

    def test_a_read_is_tried_again(self, server: Proxy) -> None:
        server.fault = Fault(DROP_BEFORE)
        with pytest.raises(DestinationAway, match="there cannot be used now: the connection failed"):
            site(server).get("x", "the list")
        assert len(server.seen) == PATIENCE.attempts

    def test_a_write_is_tried_once(self, server: Proxy) -> None:
        server.fault = Fault(DROP_BEFORE)
        with pytest.raises(DestinationAway):
            site(server).ask("POST", "x", "the record", (201,))
        assert len(server.seen) == 1

    def test_not_when_it_was_silent(self, server: Proxy) -> None:
        """That has cost much time already."""
        server.fault = Fault(SILENCE)
        short = HttpLimits(connect_seconds=30, read_seconds=0.2, most_bytes=1000, attempts=3, first_wait=0)
        with pytest.raises(FellSilent, match=r"it fell silent for 0\.2 s"):
            site(server, short).get("x", "the list")
        assert len(server.seen) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302])
    def test_not_what_was_answered(self, server: Proxy, status: int) -> None:
        server.fault = Fault(status=status)
        with pytest.raises(Unexpected) as error:
            site(server).get("x", "the list")
        assert error.value.status == status
        assert len(server.seen) == 1

    def test_a_closed_port_is_reported(self) -> None:
        with pytest.raises(DestinationAway, match="the connection failed \\(Connection refused\\)"):
            Site("there", "http://127.0.0.1:1", PATIENCE, None).get("x", "the list")


class TestAnswers:
    """Of limited size, and what they say is told in a line."""

    def test_too_long_a_one(self, server: Proxy) -> None:
        server.fault = Fault(status=200, content=b"x" * 1001)
        with pytest.raises(DestinationAway, match=r"its answer has more than .* MB, the limit in size_limit"):
            site(server).get("x", "the list")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b'{"detail": "Invalid token."}', "Invalid token"),
            (b'{"message": "No.\\n  Never."}', "No. Never"),
            (
                b'{"message": {"title": ["This field may not be blank."]}}',
                '{"title": ["This field may not be blank."]}',
            ),
            (b'"A bare text"', "A bare text"),
            (b"<html>Oops</html>", "Bad Request"),
            (b'{"message": "' + b"x" * 1000 + b'"}', "x" * 399 + "…"),
            (b"\xff\xfe", "Bad Request"),
        ],
    )
    def test_what_they_say(self, content: bytes, says: str) -> None:
        assert ServerResponse(400, "Bad Request", content).said == says

    def test_a_failure_with_a_sentence_is_an_answer(self, server: Proxy) -> None:
        server.fault = Fault(status=500, content=b'{"message": "not valid"}', content_type=JSON)
        with pytest.raises(Unexpected, match="there answered 500 to the record: not valid"):
            site(server).ask("POST", "x", "the record", (201,))


class TestCredentials:
    """001-07: from the environment, a destination's own first; never shown, and no others are taken."""

    def test_its_own_login_comes_first(self) -> None:
        facility = {"nexusLIMS_user": "jane", "nexusLIMS_pass": "p"}
        own = {"NEXUSCORE_CDCS_USER": "uploader", "NEXUSCORE_CDCS_PASSWORD": "q"}
        assert login_of("cdcs", {}) is None
        assert login_of("cdcs", {"nexusLIMS_user": "jane"}) is None
        assert login_of("cdcs", facility) == Login("jane", "p")
        assert login_of("cdcs", {**facility, **own}) == Login("uploader", "q")

    def test_the_environments_token_comes_first(self, sqlite_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path)
        config: NamedConfiguration = app.get_config("Services.Uploader.cdcs")
        config["token"] = "set before"
        config.set_default("token", "", comment="A token.", secret=True)
        assert (config["token"], config.get("token").shown) == ("set before", MASK)
        config["token"] = ""
        assert key_of("cdcs", config, {}) == ""
        config["token"] = " abc "
        assert key_of("cdcs", config, {}) == "abc"
        assert key_of("cdcs", config, {"NEXUSCORE_CDCS_TOKEN": "def"}) == "def"
        app.shutdown()

    @pytest.mark.parametrize("token", ["ab\ncdSECRET", "SECRETé€", "ab\x00SECRET", "SECRET\udce9"])
    def test_a_token_that_is_none(self, sqlite_url: str, tmp_path: Path, token: str) -> None:
        """It is refused before a request could tell it to everybody, in an error about its header."""
        app = app_on(sqlite_url, tmp_path)
        config: NamedConfiguration = app.get_config("Services.Uploader.cdcs")
        config.set_default("token", "", comment="A token.", secret=True)
        with pytest.raises(TokenUnusable) as error:
            key_of("cdcs", config, {"NEXUSCORE_CDCS_TOKEN": token})
        assert "SECRET" not in str(error.value)
        assert "The token of cdcs, NEXUSCORE_CDCS_TOKEN, cannot be used" in str(error.value)
        assert key_of("cdcs", config, {"NEXUSCORE_CDCS_TOKEN": " good\n"}) == "good"
        app.shutdown()

    @pytest.mark.parametrize("kind", ["cdcs", "elabftw"])
    def test_none_is_shown(self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """Neither in a log line nor a traceback nor the status nor the record's row."""
        with facility_on(sqlite_url, tmp_path) as facility:
            monkeypatch.setenv(f"NEXUSCORE_{kind.upper()}_TOKEN", "ab\ncdSECRET")
            facility.config["Services.Uploader.destinations"] = kind
            facility.config[f"Services.Uploader.{kind}.url"] = "http://127.0.0.1:1"
            record = facility.built()
            uploader = Uploader(facility.app)
            assert uploader.once() == Pass(failed=1)
            assert "The token" in str(status_of(uploader, f"destination {kind}"))
            assert "The token" in (facility.upload(record, kind).last_error or "")
            facility.said()
            reported = repr(rows(facility.url, "SELECT message, traceback FROM log_record"))
            assert "SECRET" not in reported + repr(facility.upload(record, kind)) + repr(
                list(uploader.status.get_elements())
            )

    @pytest.mark.parametrize("authorise", [Key("Token ab\ncdSECRET"), Key("SECRET€"), Login("jane", "SECRET\udce9")])
    def test_a_header_that_cannot_be_sent(self, server: Proxy, authorise: Authorise) -> None:
        """What is said of it does not hold it."""
        with pytest.raises(DestinationAway, match="a request to it cannot be made") as error:
            site(server, authorise=authorise).ask("POST", "x", "the record", (201,))
        assert "SECRET" not in "".join(traceback.format_exception(error.value))
        assert server.seen == []

    def test_their_text_shows_none(self) -> None:
        assert "s3cr3t" not in repr([Key("Token s3cr3t"), Login("jane", "s3cr3t")])

    @pytest.mark.parametrize(
        ("authorise", "header"),
        [(None, None), (Key("Token abc"), "Token abc"), (Login("jane", "ö:x"), "Basic amFuZTrDtjp4")],
    )
    def test_only_what_was_given_is_sent(
        self,
        server: Proxy,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        authorise: Authorise | None,
        header: str | None,
    ) -> None:
        """Not the password that a file of the user's has for this host."""
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password other\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server.fault = Fault(status=200)
        site(server, authorise=authorise).get("x", "the list")
        assert server.authorizations == [header]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://cdcs.example.org", ""),
        ("http://127.0.0.1:8000/sub", ""),
        ("", "it is not set"),
        ("cdcs.example.org", "not an http"),
        ("https://", "not an http"),
        ("http://[::1", "not an http"),
        ("http://host:port", "not an http"),
        ("file:///etc/passwd", "not an http"),
        ("https://jane:s3cr3t@cdcs.example.org", "^it contains a user's name, which belongs into the credentials$"),
    ],
)
def test_only_web_addresses_are_accepted(url: str, fault: str) -> None:
    """What is no address is told before anything is sent there."""
    assert re.search(fault, address_fault(url)) if fault else address_fault(url) == ""
