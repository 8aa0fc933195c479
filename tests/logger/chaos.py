"""A line between a PC and a server that cuts, flips bytes, loses answers, and answers for a server that is busy."""

from __future__ import annotations

import random
import re
import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

SECONDS = 60.0
FATES = ("cut before", "cut midway", "lose the answer", "flip", "429", "503")
_BUSY = (
    b"HTTP/1.1 %s Busy\r\nContent-Type: application/problem+json\r\nRetry-After: 0\r\nContent-Length: 2\r\n"
    b"Connection: close\r\n\r\n{}"
)


@dataclass(frozen=True)
class _Request:
    head: bytes
    body: bytes

    @property
    def line(self) -> list[str]:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")

    def header(self, name: str) -> str:
        match = re.search(rb"(?im)^%s:[ \t]*(.*?)\r?$" % name.encode(), self.head)
        return match[1].decode("latin-1") if match else ""

    @property
    def chunk(self) -> str:
        """Which bytes of which upload it brings; empty if none."""
        if self.line[0] != "PUT" or not self.body:
            return ""
        parts = urlsplit(self.line[1])
        query = parse_qs(parts.query)
        which = [*query.get("offset", []), *query.get("partNumber", []), self.header("Content-Range")]
        upload = [*query.get("uploadId", []), *query.get("upload_id", [])]
        return " ".join([parts.path, *upload, *which])


class ChaosLine:
    """The line; only requests of session loggers are disturbed.

    Parameters
    ----------
    port
        Of the server, on this machine.
    seed
        Of the random numbers.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.share = 0.0
        """How many of the requests are disturbed, from 0 to 1."""
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.disturbed: Counter[str] = Counter()
        """How often, by what happened."""
        self.chunks: Counter[str] = Counter()
        """How often a logger began to send each chunk."""
        self.chunks_disturbed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    @property
    def sent_again(self) -> int:
        """How often a chunk was sent that had been sent before."""
        with self._lock:
            return sum(self.chunks.values()) - len(self.chunks)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                client.settimeout(SECONDS)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            stream = client.makefile("rb")
            while (request := _read(stream, client)) is not None:
                if not self._answer(client, request):
                    return

    def _answer(self, client: socket.socket, request: _Request) -> bool:
        """Answer a request as its fate will have it; return whether the connection goes on."""
        fate = self._fate(request)
        if fate == "cut before":
            return False
        if fate in ("429", "503"):
            client.sendall(_BUSY % fate.encode())
            return False
        body = request.body
        if fate == "flip":
            body = body[:-1] + bytes([body[-1] ^ 1])
        head = re.sub(rb"(?im)^(connection|expect):.*\r\n", b"", request.head) + b"Connection: close\r\n\r\n"
        with socket.create_connection(self._server, SECONDS) as server:
            if fate == "cut midway":
                server.sendall(head + body[: len(body) // 2])
                return False
            server.sendall(head + body)
            answer = b""
            while piece := server.recv(65536):
                answer += piece
        if fate == "lose the answer":
            return False
        client.sendall(answer)
        return False

    def _fate(self, request: _Request) -> str:
        if "SessionLogger" not in request.header("User-Agent"):
            return ""
        with self._lock:
            chunk = request.chunk
            if chunk:
                self.chunks[chunk] += 1
            if self._random.random() >= self.share:
                return ""
            fates = FATES if chunk else [fate for fate in FATES if fate not in ("flip", "cut midway")]
            fate = self._random.choice(fates)
            self.disturbed[fate] += 1
            self.chunks_disturbed += bool(chunk)
            return fate


def _read(stream: object, client: socket.socket) -> _Request | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(65536)  # type: ignore[attr-defined]
        if not line:
            return None
        head += line
    request = _Request(head[:-2], b"")
    length = int(request.header("Content-Length") or 0)
    if request.header("Expect"):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(length) if length else b""  # type: ignore[attr-defined]
    if "chunked" in request.header("Transfer-Encoding"):
        return None
    return _Request(head[:-2], body) if len(body) == length else None
