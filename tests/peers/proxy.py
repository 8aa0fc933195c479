"""A proxy before a server that loses, holds back and replaces answers, as networks and gateways do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SECONDS = 60.0
DROP_BEFORE, DROP_AFTER, SILENCE, DRIP, TARDY = "drop before", "drop after", "silence", "drip", "tardy"
JSON, HTML = "application/json", "text/html"
_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


@dataclass(frozen=True)
class Fault:
    """What becomes of requests: lost, held back, or answered by the proxy."""

    kind: str = ""
    status: int = 0
    content: bytes = b""
    content_type: str = HTML
    method: str = ""
    """Only of requests of this method; empty for all."""
    path: str = ""
    """Only of requests to this path; empty for all."""

    def concerns(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those."""
        return self.method in ("", method) and self.path in ("", path.partition("?")[0])


@dataclass
class Proxy:
    """What the proxy does now, and saw so far."""

    target: str
    url: str = ""
    fault: Fault | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Methods and paths of all requests."""
    authorizations: list[str | None] = field(default_factory=list)
    """What they were authorised with."""
    rewrite: Callable[[str, str, bytes], bytes] | None = None
    """Changes the body of a request, by its method and path, as the site behind the proxy would."""
    after: Callable[[int], None] | None = None
    """Called with the number of each request, before it is answered."""
    released: threading.Event = field(default_factory=threading.Event)
    """Ends all silences."""
    held: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)
    """Requests whose clients were given up, and that a tardy server has still to carry out."""

    def carry_out(self) -> None:
        """Have the server do now what it was asked long ago."""
        for request in self.held:
            self.forward(*request)
        self.held.clear()

    def forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the server; return status, headers and content of its answer."""
        connection = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            reported = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        finally:
            connection.close()
        return answer.status, reported, content


class _Server(ThreadingHTTPServer):
    # Closing waits for requests on their way: none may reach the server when it has the next test's data.
    daemon_threads = False

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that give up, or are killed, are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the server's own name for it
        """Say nothing."""

    @property
    def proxy(self) -> Proxy:
        assert isinstance(self.server, _Server)
        return self.server.proxy

    def _handle(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.seen.append((self.command, self.path))
        self.proxy.authorizations.append(self.headers.get("Authorization"))
        fault = self.proxy.fault
        if fault is None or not fault.concerns(self.command, self.path):
            self._send(*self._forwarded(body))
        elif fault.kind == DROP_AFTER:
            self._forwarded(body)
        elif fault.kind == TARDY:
            self.proxy.held.append((self.command, self.path, body, dict(self.headers)))
        elif fault.kind == SILENCE:
            self.proxy.released.wait(SECONDS)
        elif fault.kind == DRIP:
            self._drip()
        elif fault.kind != DROP_BEFORE:
            self._send(fault.status, {"Content-Type": fault.content_type}, fault.content)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815  names that the server looks for

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = dict(self.headers)
        if self.proxy.rewrite is not None and body:
            body = self.proxy.rewrite(self.command, self.path, body)
            headers["Content-Length"] = str(len(body))
        answer = self.proxy.forward(self.command, self.path, body, headers)
        if self.proxy.after is not None:
            self.proxy.after(len(self.proxy.seen))
        return answer

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _drip(self) -> None:
        """Answer so slowly that it never ends, but so fast that no single wait is too long."""
        self.send_response(201)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.proxy.released.wait(0.05):
            self.wfile.write(b" ")


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(target)
    server = _Server(proxy)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    running.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
        running.join(SECONDS)
