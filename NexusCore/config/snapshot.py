"""The last configuration that was seen, in a file: a process that starts while the database is away starts with it."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

import msgspec

from NexusCore.config.store import Change

_FORM = 2
"""Number of the file's form; a file of another is ignored."""
_row = attrgetter(*(field.name for field in fields(Change)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Versions by name, with their ids and parameters, each as it was at a revision of its own."""

    versions: dict[str, tuple[int, list[Change]]]
    revisions: dict[str, int]

    @property
    def revision(self) -> int:
        """The newest of the revisions."""
        return max(self.revisions.values(), default=0)


def load(path: Path, besides: Collection[str] = ()) -> Snapshot | None:
    """Return what a file holds, besides some versions; None if there is no file, or it is damaged."""
    try:
        form, versions, revisions = msgspec.msgpack.decode(path.read_bytes())
        if form != _FORM:
            return None
        wanted = {name: kept for name, kept in versions.items() if name not in besides}
        return Snapshot(
            {name: (one, [Change(*row) for row in rows]) for name, (one, rows) in wanted.items()}, dict(revisions)
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file, whole or not at all, but keep the versions in it that only other processes use.

    It can hold secrets, so only its owner can read it.
    """
    kept = load(path, besides=snapshot.versions) or Snapshot({}, {})
    versions, revisions = kept.versions | snapshot.versions, kept.revisions | snapshot.revisions
    content = msgspec.msgpack.encode(
        (_FORM, {name: (one, list(map(_row, changes))) for name, (one, changes) in versions.items()}, revisions)
    )
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    # A folder that cannot be written to costs only the snapshot.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        unfinished.replace(path)
