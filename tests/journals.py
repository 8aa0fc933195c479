"""Journals as processes leave them behind, made by hand, and tables that refuse rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from NexusCore.API import App
from NexusCore.delivery.frames import encode
from tests.clocks import START
from tests.processes import execute


def log_payload(message: str) -> bytes:
    """Return a log record of the logger "dead", as a journal holds it."""
    return msgspec.msgpack.encode(
        (START, 20, "dead", "module", 1, "function", "host", 1, "thread", message, None, None)
    )


def status_payload(name: str, value: str, ts: int = START) -> bytes:
    """Return a change of status of the channel "dead", as a journal holds it."""
    return msgspec.msgpack.encode((ts, "dead", name, value, None))


def folder_of(app: App, role: Literal["log", "status"]) -> Path:
    """Return the folder of the journals that an application writes and adopts."""
    url = app.settings.log if role == "log" else app.settings.status
    return app.settings.home / "journal" / f"{role}-{sha256(url.place.encode()).hexdigest()[:12]}"


def leave(folder: Path, payloads: Sequence[bytes], name: str = "dead-1-1") -> str:
    """Leave a journal behind as a process does that was killed; return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.lock").touch()
    frames = b"".join(encode(number, payload) for number, payload in enumerate(payloads, 1))
    (folder / f"{name}-00000001.nxj").write_bytes(frames)
    return name


def small_segments(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Have journals begin a segment after so many bytes."""
    monkeypatch.setattr("NexusCore.delivery.segments.SMALLEST_SEGMENT", size)
    monkeypatch.setattr("NexusCore.delivery.segments.LARGEST_SEGMENT", size)


def written_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have journals written to by system calls, as where no file system can be mapped."""
    monkeypatch.setattr("NexusCore.delivery.segments.MAPPABLE", frozenset())


def refuse(url: str, table: str, condition: str) -> None:
    """Make a table refuse the rows that fulfil a condition on ``NEW``."""
    if url.startswith("sqlite"):
        action = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
    else:
        action = f"FOR EACH ROW IF {condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='refused'; END IF"
    execute(url, f"CREATE TRIGGER poison BEFORE INSERT ON {table} {action}")


def become(url: str, identity: str = "") -> str:
    """Give a database an identity, a new one if none is given; return it. Copies of the template share theirs."""
    identity = identity or str(uuid.uuid4())
    execute(url, "UPDATE facility_identity SET uuid = :identity", identity=identity)
    return identity


def folder_for(app: App, role: Literal["log", "status"], identity: str) -> Path:
    """Return the folder of the journals that belong to a database by its identity."""
    return app.settings.home / "journal" / f"{role}-{identity}"
