"""A running Gateway, and PCs that talk to it as a session logger does."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.facility.tokens import AccessTokens
from NexusCore.storage import open_database
from tests.processes import LIMIT, PROJECT, eventually, rows

LISTENING = """SELECT l.value FROM status_latest l JOIN status_item i ON i.id = l.item_id
                 JOIN status_channel c ON c.id = i.channel_id WHERE c.name = 'Gateway' AND i.name = 'listening'"""
_numbers = itertools.count(1)


def configure(url: str, *, check: bool = True, **values: Any) -> None:
    """Set parameters of the Gateway, as somebody else; without a check, as it is in tables of another release."""
    database = open_database(url)
    store = ConfigStore(database, SYSTEM_CLOCK)
    edits = [Edit(f"Services.Gateway.{name}", value=value, check=check) for name, value in values.items()]
    store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test", "to begin with"))
    database.close()


def clock(seconds: float = 0.0) -> str:
    """Return the present time as a PC writes it, or one so many seconds later."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


class RunningGateway:
    """A process; it listens on any free port of the loopback interface.

    Parameters
    ----------
    main
        URL of its database.
    folder
        For its files.
    program
        Python program to run instead of the module, as ``python -c`` takes it.
    login
        URL of the database for the Gateway itself, if it has an account of its own.
    **settings
        Parameters of the Gateway.
    """

    def __init__(
        self, main: str, folder: Path, program: str | None = None, login: str | None = None, **settings: Any
    ) -> None:
        self.main = main
        self._login = login or main
        self.folder = folder
        self.home = folder / "gateway-home"
        self._program = program
        defaults = {"port": 0, "requests_per_minute": 1_000_000, "failures_per_minute": 1_000_000, "interval": 0.2}
        configure(main, **{**defaults, **settings})
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        before = self._listening()
        self._begin()
        found = eventually(lambda: self._ended() or ((now := self._listening()) not in ("", "no", before) and now))
        assert isinstance(found, str), self.errors
        self.url = found

    def restart_at(self, port: int) -> None:
        """Start it again, at the port that its clients know, and wait until it answers."""
        configure(self.main, port=port)
        self._begin()
        assert eventually(lambda: self._ended() or self._answers()) and not self._ended(), self.errors

    def _answers(self) -> bool:
        with suppress(requests.exceptions.RequestException):
            return self.get("/v1/version").status_code == 200
        return False

    def _begin(self) -> None:
        what = ["-c", self._program] if self._program else ["-m", "Services.Gateway"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUSCORE_")}
        environment |= {
            "NEXUSCORE_DATABASE": self._login, "NEXUSCORE_HOME": str(self.home), "HOME": str(self.folder),
            "NEXUSCORE_ETC": str(self.folder / "etc"),
        }  # fmt: skip
        if self.process is not None:
            self.process.wait(LIMIT)
        with (self.folder / "gateway.err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, *what], cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=err,
            )  # fmt: skip

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _listening(self) -> str:
        found = rows(self.main, LISTENING)
        return str(found[0][0]) if found else ""

    @property
    def errors(self) -> str:
        """What it wrote on its standard error."""
        return (self.folder / "gateway.err").read_text()

    def stop(self) -> int:
        """Have it end in order; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def kill(self) -> None:
        """End it like a power cut."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(LIMIT)

    def close(self) -> None:
        """End it, if that has not been done."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def pc(self, *pids: str, name: str | None = None, **more: Any) -> PC:
        """Return a new PC with a token for instruments; for one of its own if none is named."""
        name = name or f"PC-{next(_numbers)}"
        pids = pids or (f"Instrument-{name}",)
        database = open_database(self.main)
        token, secret = AccessTokens(database, SYSTEM_CLOCK).make(name, pids, "tester", **more)
        database.close()
        return PC(self, secret, name, pids, token.id)

    def get(self, path: str, **more: Any) -> requests.Response:
        """Ask without a token."""
        return requests.get(f"{self.url}{path}", timeout=LIMIT, **more)


@dataclass
class PC:
    """A microscope PC with a token."""

    gateway: RunningGateway
    secret: str
    name: str
    pids: tuple[str, ...]
    token_id: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(f"{self.gateway.url}/v1/{path}", headers=self.headers, timeout=LIMIT, **more)

    def post(
        self, path: str, body: object, request: str | None = None, session_token: str | None = None, **more: Any
    ) -> requests.Response:
        """Send a request that changes something, with a new id unless one is given."""
        headers = {**self.headers, "Idempotency-Key": request or str(uuid.uuid4())}
        if session_token is not None:
            headers["NexusCore-Session-Token"] = session_token
        headers |= more.pop("headers", {})
        return requests.post(f"{self.gateway.url}/v1/{path}", json=body, headers=headers, timeout=LIMIT, **more)

    def start(self, pid: str | None = None, **more: Any) -> Started:
        """Start a session, and expect that it can be."""
        identifier = str(uuid.uuid4())
        answer = self.post("sessions", self.start_body(identifier, pid, **more))
        assert answer.status_code == 201, answer.text
        return Started(self, identifier, answer.json()["session_token"])

    def start_body(self, identifier: str, pid: str | None = None, **more: Any) -> dict[str, Any]:
        return {"identifier": identifier, "instrument": pid or self.pids[0], **event_body(**more)}


@dataclass
class Started:
    """A session that a PC has started."""

    pc: PC
    identifier: str
    token: str

    def post(self, what: str, request: str | None = None, **more: Any) -> requests.Response:
        """Report an event of the session."""
        return self.pc.post(f"sessions/{self.identifier}/{what}", event_body(**more), request, self.token)

    def types(self) -> list[str]:
        """Return the types of its events, in order."""
        answer = self.pc.get(f"sessions/{self.identifier}")
        assert answer.status_code == 200, answer.text
        return [event["type"] for event in answer.json()["events"]]


def event_body(**more: Any) -> dict[str, Any]:
    return {"user": "ada", "at": clock(), "now": clock(), "zone": "Europe/Oslo", **more}


def kind_of(answer: requests.Response) -> str:
    """Return what kind of problem an answer is, after a look at its form (RFC 9457)."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    content = answer.json()
    assert content["status"] == answer.status_code
    assert {"type", "title", "status", "detail"} <= content.keys()
    return str(content["type"]).removeprefix("urn:nexuscore:problem:")
