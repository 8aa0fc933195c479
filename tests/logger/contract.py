"""A small Gateway and store that speak the contract of the file transfer over HTTP, and misbehave as a test says.

For what needs no database: the real Gateway is in the tests of `test_transfer_end_to_end`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
MULTIPLE = 256 * 1024


@dataclass
class SentFile:
    """A file on its way."""

    identifier: str
    session: str
    folder: str
    path: str
    size: int
    md5: str
    content: bytearray = field(default_factory=bytearray)
    parts: dict[int, bytes] = field(default_factory=dict)
    state: str = "open"

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.path}"


@dataclass
class Reply:
    """An answer."""

    status: int
    body: Json | bytes
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, kind: str, detail: str = "No.", **more: Any) -> Reply:
    content = {"type": f"urn:nexuscore:problem:{kind}", "title": "No", "status": status, "detail": detail, **more}
    return Reply(status, content, {"Content-Type": "application/problem+json"})


class ContractGateway:
    """The server.

    `intervene` is asked before each request with method, path and body; what it returns instead of None is the answer,
    and ``"cut"`` breaks the connection.
    """

    def __init__(self, kind: str = "chunks", chunk_size: int = 64 * 1024) -> None:
        self.kind, self.chunk_size = kind, chunk_size
        self.lock = threading.RLock()
        self.files: dict[tuple[str, str, str], Json] = {}
        """The newest report of each file, by session, folder and path."""
        self.uploads: dict[str, SentFile] = {}
        self.objects: dict[str, bytes] = {}
        """By name: what is stored."""
        self.verified: set[tuple[str, str, str, str]] = set()
        self.transferred: dict[str, Json] = {}
        self.requests: list[tuple[str, str]] = []
        self.reports: list[list[Json]] = []
        self.chunks: Counter[tuple[str, int]] = Counter()
        """How often bytes were taken, by name and offset."""
        self.wanted: list[Json] = []
        self.checks = 0
        """How often ``checking`` is answered before ``verified``."""
        self.stored_as: Callable[[SentFile], bytes] = lambda upload: bytes(upload.content)
        """What becomes of what was sent; a line or a store may distort it."""
        self.intervene: Callable[[str, str, bytes], Reply | str | None] = lambda method, path, body: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def states(self) -> dict[str, str]:
        """Return the reported state of each file by folder and path."""
        with self.lock:
            return {f"{folder}/{path}": file["state"] for (_, folder, path), file in self.files.items()}

    def counts(self, method: str, pattern: str) -> int:
        with self.lock:
            return sum(one == method and re.search(pattern, path) is not None for one, path in self.requests)

    # -- requests ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes, headers: Any) -> Reply | str:
        path = urlsplit(target).path
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        said = self.intervene(method, target, body)
        with self.lock:
            self.requests.append((method, target))
            if said is not None:
                return said
            for pattern, handler in self._routes.items():
                match = re.fullmatch(pattern, f"{method} {path}")
                if match:
                    return handler(self, *match.groups(), body=body, query=query, headers=headers)
        return problem(404, "no-such-path")

    def _report(self, session: str, *, body: bytes, **_: Any) -> Reply:
        files = json.loads(body)["files"]
        assert 0 < len(files) <= 500
        self.reports.append(files)
        for file in files:
            key = (session, file["folder"], file["path"])
            if (*key, file["md5"]) in self.verified:
                file = {**file, "state": "verified"}
            elif file["state"] == "verified":
                file = {**file, "state": "waiting"}
            self.files[key] = file
        return Reply(200, {"taken": len(files)})

    def _listed(self, session: str, **_: Any) -> Reply:
        files = [file for (one, _, _), file in self.files.items() if one == session]
        return Reply(200, {"files": files, "counts": Counter(file["state"] for file in files), "next": None})

    def _begin(self, session: str, *, body: bytes, **_: Any) -> Reply:
        asked = json.loads(body)
        key = (session, asked["folder"], asked["path"])
        self.files.setdefault(key, {**asked, "state": "waiting", "sent": 0, "reason": None})
        name = f"{asked['folder']}/{asked['path']}"
        for upload in list(self.uploads.values()):
            if (upload.session, upload.folder, upload.path) != key:
                continue
            if upload.md5 == asked["md5"]:
                if upload.state == "verified" and hashlib.md5(self.objects.get(name, b"")).hexdigest() != upload.md5:
                    del self.uploads[upload.identifier]
                    break
                return self._shown(upload)
            del self.uploads[upload.identifier]
        upload = SentFile(str(uuid.uuid4()), *key, asked["size"], asked["md5"])
        self.uploads[upload.identifier] = upload
        if hashlib.md5(self.objects.get(name, b"\0")).hexdigest() == asked["md5"]:
            upload.state = "verified"
            self.verified.add((*key, asked["md5"]))
        return self._shown(upload)

    def _status(self, session: str, identifier: str, **_: Any) -> Reply:
        upload = self.uploads.get(identifier)
        if upload is None:
            return problem(404, "no-such-upload")
        if upload.state == "checking":
            return self._check(upload)
        return self._shown(upload)

    def _chunk(self, session: str, identifier: str, *, body: bytes, query: Json, headers: Any) -> Reply:
        upload, offset = self.uploads[identifier], int(query["offset"])
        if headers["Content-MD5"] != base64.b64encode(hashlib.md5(body).digest()).decode():
            return problem(422, "damaged-in-transit")
        if offset > len(upload.content):
            return problem(409, "wrong-offset", received=len(upload.content))
        if offset == len(upload.content):
            upload.content += body
        self.chunks[upload.name, offset] += 1
        return Reply(200, {"received": len(upload.content)})

    def _sign(self, session: str, identifier: str, *, body: bytes, **_: Any) -> Reply:
        asked = json.loads(body)
        url = f"{self.url}/s3/{identifier}/{asked['number']}"
        return Reply(200, {"url": url, "headers": {"Content-MD5": asked["md5"]}, "seconds": 60})

    def _s3_part(self, identifier: str, number: str, *, body: bytes, headers: Any, **_: Any) -> Reply:
        upload = self.uploads[identifier]
        if headers["Content-MD5"] != base64.b64encode(hashlib.md5(body).digest()).decode():
            return Reply(400, b"<Error><Code>BadDigest</Code></Error>")
        assert int(headers["Content-Length"]) == len(body)
        upload.parts[int(number)] = body
        upload.content = bytearray(b"".join(part for _, part in sorted(upload.parts.items())))
        self.chunks[upload.name, int(number)] += 1
        return Reply(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _google(self, identifier: str, *, body: bytes, headers: Any, **_: Any) -> Reply:
        upload = self.uploads.get(identifier)
        if upload is None:
            return Reply(404, b"gone")
        span = headers["Content-Range"]
        match = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\d+)", span)
        assert match and int(match[3]) == upload.size, span
        if match[1] is not None and int(match[1]) == len(upload.content):
            assert int(match[2]) + 1 - int(match[1]) == len(body)
            assert int(match[2]) + 1 == upload.size or len(body) % MULTIPLE == 0
            upload.content += body
            self.chunks[upload.name, int(match[1])] += 1
        if len(upload.content) == upload.size:
            return Reply(200, b"{}")
        return Reply(308, b"", {"Range": f"bytes=0-{len(upload.content) - 1}"} if upload.content else {})

    def _complete(self, session: str, identifier: str, **_: Any) -> Reply:
        upload = self.uploads[identifier]
        if len(upload.content) != upload.size:
            return problem(409, "incomplete", received=len(upload.content))
        upload.state = "checking"
        return self._check(upload)

    def _check(self, upload: SentFile) -> Reply:
        if self.checks:
            self.checks -= 1
            return self._shown(upload)
        if hashlib.md5(self.stored_as(upload)).hexdigest() != upload.md5:
            del self.uploads[upload.identifier]
            return problem(409, "wrong-content")
        upload.state = "verified"
        self.objects[upload.name] = bytes(upload.content)
        self.verified.add((upload.session, upload.folder, upload.path, upload.md5))
        self.wanted = [one for one in self.wanted if one["md5"] != upload.md5]
        return self._shown(upload)

    def _abandon(self, session: str, identifier: str, **_: Any) -> Reply:
        self.uploads.pop(identifier, None)
        return Reply(200, {})

    def _transferred(self, session: str, *, body: bytes, headers: Any, **_: Any) -> Reply:
        asked = json.loads(body)
        mine = [key for key in self.files if key[0] == session]
        if asked["files"] != len(mine):
            return problem(409, "not-all-reported")
        verified = sum(self.files[key]["state"] == "verified" for key in mine)
        self.transferred[session] = {**asked, "request": headers["Idempotency-Key"]}
        return Reply(200, {"identifier": session, "verified": verified, "missing": len(mine) - verified})

    def _repairs(self, pid: str, **_: Any) -> Reply:
        return Reply(200, {"files": self.wanted})

    _routes = {  # noqa: RUF012
        r"POST /v1/sessions/([^/]+)/files": _report,
        r"GET /v1/sessions/([^/]+)/files": _listed,
        r"POST /v1/sessions/([^/]+)/uploads": _begin,
        r"GET /v1/sessions/([^/]+)/uploads/([^/]+)": _status,
        r"DELETE /v1/sessions/([^/]+)/uploads/([^/]+)": _abandon,
        r"PUT /v1/sessions/([^/]+)/uploads/([^/]+)/chunk": _chunk,
        r"POST /v1/sessions/([^/]+)/uploads/([^/]+)/parts": _sign,
        r"POST /v1/sessions/([^/]+)/uploads/([^/]+)/complete": _complete,
        r"POST /v1/sessions/([^/]+)/transferred": _transferred,
        r"GET /v1/instruments/([^/]+)/repairs": _repairs,
        r"PUT /s3/([^/]+)/(\d+)": _s3_part,
        r"PUT /google/([^/]+)": _google,
    }

    def _shown(self, upload: SentFile) -> Reply:
        address = f"{self.url}/google/{upload.identifier}" if self.kind == "google" else None
        parts = [{"number": number, "size": len(part), "etag": "x"} for number, part in sorted(upload.parts.items())]
        return Reply(
            200,
            {
                "upload": upload.identifier, "state": upload.state, "kind": self.kind, "object": upload.name,
                "chunk_size": self.chunk_size, "received": len(upload.content), "address": address, "parts": parts,
            },
        )  # fmt: skip

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                reply = gateway.answer(self.command, self.path, body, self.headers)
                if isinstance(reply, str):
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", **reply.headers, "Content-Length": str(len(content))}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815

        return Handler
