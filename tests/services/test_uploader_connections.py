"""A destination's requests share a connection, so that a record of thousands of files does not open thousands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from NexusCore.http import HttpLimits
from Services.Uploader.destinations.web import Site

LIMITS = HttpLimits(connect_seconds=30, read_seconds=30, most_bytes=1000, attempts=1, first_wait=0)


class Server:
    """A web server that counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.cookies: list[str] = []
        self.closes = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_GET(self) -> None:
                server.cookies += self.headers.get_all("Cookie", [])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.send_header("Set-Cookie", "session=other")
                if server.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def site(self) -> Site:
        return Site("there", f"http://127.0.0.1:{self.http.server_port}", LIMITS, None)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever)
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


class TestConnections:
    """One for all requests of a record, where the server keeps it; no state of one request reaches the next."""

    def test_they_are_shared(self, server: Server) -> None:
        site = server.site
        with site.connected():
            assert [site.get("x", "a list").status for _ in range(5)] == [200] * 5
        assert server.connections == 1
        assert server.cookies == []

    def test_outside_each_has_its_own(self, server: Server) -> None:
        site = server.site
        for _ in range(3):
            site.get("x", "a list")
        assert server.connections == 3

    def test_a_server_that_closes_them(self, server: Server) -> None:
        server.closes = True
        site = server.site
        with site.connected():
            assert [site.get("x", "a list").status for _ in range(3)] == [200] * 3
        assert server.connections == 3

    def test_two_servers_at_once(self, server: Server) -> None:
        one, other = server.site, server.site
        with one.connected(), other.connected():
            for site in (one, other, one, other):
                site.get("x", "a list")
        assert server.connections == 2
