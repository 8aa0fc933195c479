"""The last configuration that was seen, in a file: a process that starts while the database is away starts with it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import msgspec

from NexusCore.config.store import Change

_FORM = 1
"""Number of the file's form; a file of another is ignored."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Versions by name, with their ids and parameters, as they were at a revision."""

    revision: int
    versions: dict[str, tuple[int, list[Change]]]


def load(path: Path) -> Snapshot | None:
    """Return what a file holds; None if there is none, or it is damaged."""
    try:
        form, revision, versions = msgspec.msgpack.decode(path.read_bytes())
        if form != _FORM:
            return None
        return Snapshot(
            revision, {name: (one, [Change(*row) for row in rows]) for name, (one, rows) in versions.items()}
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file, whole or not at all. It can hold secrets, so only its owner can read it."""
    content = msgspec.msgpack.encode(
        (
            _FORM,
            snapshot.revision,
            {
                name: (one, [astuple(change) for change in changes])
                for name, (one, changes) in snapshot.versions.items()
            },
        )
    )
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    # A folder that cannot be written to costs only the snapshot.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        unfinished.replace(path)
