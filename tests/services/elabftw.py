"""A server that speaks the part of eLabFTW's API v2 that concerns experiments and their files.

From its published description (apidoc/v2/openapi.yaml) and source (Apiv2Controller, AbstractEntity, Tags, Uploads) of
5.x: the key in ``Authorization`` without any word before it; 201 with an empty body and the address of what was made in
``Location``; a text without a content type is of the user's kind (Markdown, 2); tags added one by one, doubled if asked
for twice, and refused where only administrators may make new ones; metadata taken as an object, given as a text; 15
entries to a list where no limit is asked for; files that are replaced are archived (state 2), those that are deleted
stay (state 3); errors with code, message, description.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "3-cb2314b00d2845a8"
NORMAL, ARCHIVED, DELETED = 1, 2, 3
_EXTRA_FIELD = re.compile(r'extrafield:"([^"]+)":"([^"]+)"')


class Refuse(Exception):
    """The answer is an error."""

    def __init__(self, code: int, message: str, description: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.error = {"code": code, "message": message, "description": description}


@dataclass
class ELabServer:
    """What it holds; changed by requests, looked at by tests."""

    url: str = ""
    experiments: dict[int, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[int, dict[str, Any]] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    lose: str = ""
    """What request (``POST /experiments``) is done, but never answered."""
    too_large: int = 10_000_000
    team_tags: set[str] | None = None
    """Tags that there are, where users may make no new ones."""

    def files(self, experiment: int) -> dict[str, bytes]:
        """Return the files that a person sees at an experiment."""
        shown = [one for one in self.uploads.values() if one["item_id"] == experiment and one["state"] == NORMAL]
        found = {one["real_name"]: self.contents[one["id"]] for one in shown}
        assert len(found) == len(shown), "each name once"
        return found

    # -- what can be asked ---------------------------------------------------------------------------------------------

    def list(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return the entries of a list of experiments."""
        rows = [one for one in self.experiments.values() if one["state"] == NORMAL]
        wanted = _EXTRA_FIELD.fullmatch(query.get("extended", [""])[0])
        if wanted is not None:
            name, value = wanted.groups()
            rows = [row for row in rows if value in _extra_fields(row).get(name, {}).get("value", "")]
        start, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["15"])[0])
        return sorted(rows, key=lambda row: -row["id"])[start : start + limit]

    def create(self, asked: dict[str, Any]) -> int:
        """Make an experiment."""
        metadata = asked.get("metadata")
        number = len(self.experiments) + 1
        self.experiments[number] = {
            "id": number,
            "title": asked.get("title") or "Untitled",
            "body": asked.get("body"),
            "content_type": asked.get("content_type", 2),
            "tags": [],
            "metadata": json.dumps(metadata) if metadata else None,
            "state": NORMAL,
        }
        return number

    def tag(self, experiment: int, tag: str) -> int:
        """Tag an experiment."""
        if self.team_tags is not None and tag not in self.team_tags:
            raise Refuse(400, "Users cannot create tags.")
        self.experiments[experiment]["tags"].append(tag)
        return len(self.experiments[experiment]["tags"])

    def attach(self, experiment: int, name: str, content: bytes, comment: str | None) -> int:
        """Store a file."""
        if len(content) > self.too_large:
            raise Refuse(400, "The file is too large!")
        number = len(self.uploads) + 1
        self.uploads[number] = {
            "id": number,
            "item_id": experiment,
            "real_name": name,
            "comment": comment,
            "hash": hashlib.sha256(content).hexdigest(),
            "hash_algorithm": "sha256",
            "filesize": len(content),
            "state": NORMAL,
        }
        self.contents[number] = content
        return number

    def upload(self, experiment: int, number: int) -> dict[str, Any]:
        """Return a file's entry."""
        found = self.uploads.get(number)
        if found is None or found["item_id"] != experiment:
            raise Refuse(404, "Nothing to show with this id")
        return found


def _extra_fields(row: dict[str, Any]) -> dict[str, dict[str, str]]:
    fields: dict[str, dict[str, str]] = json.loads(row["metadata"] or "{}").get("extra_fields", {})
    return fields


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, lab: ELabServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lab = lab
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the server's own name for it
        """Say nothing."""

    @property
    def lab(self) -> ELabServer:
        assert isinstance(self.server, _Server)
        return self.server.lab

    def _handle(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        place = address.path.removeprefix("/api/v2")
        self.lab.seen.append(f"{self.command} {place}")
        location = ""
        try:
            if self.headers.get("Authorization") != KEY:
                raise Refuse(401, "Authentication required", "No corresponding API key found!")
            with self.server.lock:
                code, content, location = self._answer(place.strip("/").split("/"), parse_qs(address.query), body)
        except Refuse as error:
            code, content = error.code, json.dumps(error.error).encode()
        if self.lab.lose and re.fullmatch(self.lab.lose, self.lab.seen[-1]):
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", f"{self.lab.url}/api/v2/{location}")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815  names that the server looks for

    def _answer(self, parts: list[str], query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, str]:
        """Return status, content and the address of what was made."""
        if parts[0] != "experiments":
            raise Refuse(400, "Invalid endpoint.")
        if len(parts) == 1:
            if self.command == "POST":
                return 201, b"", f"experiments/{self.lab.create(_json(body))}"
            return 200, json.dumps(self.lab.list(query)).encode(), ""
        experiment = int(parts[1])
        if experiment not in self.lab.experiments:
            raise Refuse(404, "Nothing to show with this id")
        if parts[2:3] == ["tags"]:
            if self.command == "POST":
                return 201, b"", f"experiments/{experiment}/tags/{self.lab.tag(experiment, _json(body)['tag'])}"
            tags = dict.fromkeys(self.lab.experiments[experiment]["tags"])
            return 200, json.dumps([{"tag": tag} for tag in tags]).encode(), ""
        if parts[2:3] != ["uploads"]:
            return 200, json.dumps(self.lab.experiments[experiment]).encode(), ""
        return self._of_uploads(experiment, [int(part) for part in parts[3:]], query, body)

    def _of_uploads(
        self, experiment: int, which: list[int], query: dict[str, list[str]], body: bytes
    ) -> tuple[int, bytes, str]:
        if self.command == "POST":
            fields = _form(self.headers.get("Content-Type", ""), body)
            if "file" not in fields:
                raise Refuse(400, "Error reading file!")
            old = self.lab.upload(experiment, which[0]) if which else None
            if (old is not None) != (fields.get("action", ("", b""))[1] == b"replace"):
                raise Refuse(400, "Invalid action for upload creation.")
            number = self.lab.attach(experiment, *fields["file"], fields.get("comment", ("", b""))[1].decode())
            if old is not None:
                old["state"] = ARCHIVED
            return 201, b"", f"experiments/{experiment}/uploads/{number}"
        if not which:
            shown = [
                one for one in self.lab.uploads.values() if one["item_id"] == experiment and one["state"] == NORMAL
            ]
            return 200, json.dumps(shown).encode(), ""
        found = self.lab.upload(experiment, which[0])
        if self.command == "DELETE":
            found["state"] = DELETED
            return 204, b"", ""
        if query.get("format") == ["binary"]:
            return 200, self.lab.contents[found["id"]], ""
        return 200, json.dumps(found).encode(), ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        reported: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise Refuse(400, f"Error decoding json payload: {error}") from None
    return reported


def _form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Return the names of files, and the contents, of a form by the names of its fields."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    fields = {}
    for part in message.get_payload():
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        fields[str(part.get_param("name", header="content-disposition"))] = (part.get_filename() or "", content)
    return fields


@contextmanager
def elab_server() -> Iterator[ELabServer]:
    """Run such a server."""
    lab = ELabServer()
    server = _Server(lab)
    lab.url = f"http://127.0.0.1:{server.server_address[1]}"
    running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    running.start()
    try:
        yield lab
    finally:
        server.shutdown()
        server.server_close()
        running.join(30)
