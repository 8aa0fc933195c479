"""The last known configuration in a file, for processes that start while the database is away."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from NexusCore.config.store import Change
from NexusCore.files import replace_file
from NexusCore.settings import DatabaseURL
from NexusCore.storage.places import Places

_SNAPSHOT_FORMAT = 3
"""Format version of the file; other versions are ignored."""
_IN_PARTS = msgspec.msgpack.Decoder(tuple[int, dict[str, msgspec.Raw], dict[str, int]]).decode
"""Decodes a file except for its versions, which stay encoded."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Versions by name, with their ids and parameters; each has a revision of its own."""

    versions: dict[str, tuple[int, list[Change]]]
    revisions: dict[str, int]

    @property
    def revision(self) -> int:
        """The newest of the revisions."""
        return max(self.revisions.values(), default=0)


def file_of(home: Path, url: DatabaseURL, *, take_over: bool = False) -> Path:
    """Return the file for the configuration in the database at a URL.

    It is named after the identity of the database, which is the same at any host; after the place while the identity is
    not known.

    Parameters
    ----------
    home, url
        The folder `NEXUSCORE_HOME`, and where the database is reached.
    take_over
        Rename the file of the place when the identity has become known.
    """
    by_place = home / "snapshot" / f"config-{url.fingerprint}"
    identity = Places(home).identity(url.fingerprint)
    if identity is None:
        return by_place
    path = home / "snapshot" / f"config-{identity}"
    if not path.exists() and by_place.exists():
        if not take_over:
            return by_place
        with suppress(OSError):  # another process has done it, or the home is read-only
            by_place.replace(path)
        if not path.exists() and by_place.exists():
            return by_place
    return path


def load(path: Path) -> Snapshot | None:
    """Return the contents of a file; None if it is missing or damaged."""
    try:
        form, versions, revisions = msgspec.msgpack.decode(path.read_bytes())
        if form != _SNAPSHOT_FORMAT:
            return None
        return Snapshot(
            {name: (version_id, [Change(*row) for row in rows]) for name, (version_id, rows) in versions.items()},
            dict(revisions),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None


class SnapshotContent:
    """The contents of a new file: versions that are put, and the others of the existing file.

    Versions are encoded one after the other, since one may be large.

    Parameters
    ----------
    path
        The file.
    mine
        Names of the versions that will be put.
    """

    def __init__(self, path: Path, mine: Collection[str]) -> None:
        self._path = path
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._versions: dict[str, bytes | bytearray] = {}
        self._revisions: dict[str, int] = {}
        with suppress(OSError, ValueError):
            form, versions, revisions = _IN_PARTS(path.read_bytes())
            if form == _SNAPSHOT_FORMAT:
                self._revisions.update(revisions)
                self._versions.update({name: bytes(raw) for name, raw in versions.items() if name not in mine})

    def put(self, name: str, revision: int, version_id: int, count: int, changes: Iterable[Change]) -> None:
        """Put a version at a revision, with its `count` parameters."""
        encoded = bytearray(b"\x92")  # a list of two
        self._encode_into(version_id, encoded, -1)
        encoded += b"\xdd" + count.to_bytes(4, "big")  # a list of that length
        for change in changes:
            self._encode_into(change, encoded, -1)
        self._versions[name], self._revisions[name] = encoded, revision

    def save(self) -> None:
        """Replace the file, completely or not at all.

        It contains the values of secrets, which services need to start while the database is away: only its owner can
        read it (mode 0600, in a folder of mode 0700).
        """
        encode = msgspec.msgpack.encode
        parts: list[bytes | bytearray] = [
            b"\x93",
            encode(_SNAPSHOT_FORMAT),
            b"\xdf",
            len(self._versions).to_bytes(4, "big"),
        ]
        for name, encoded in self._versions.items():
            parts += encode(name), encoded
        parts.append(encode({name: self._revisions[name] for name in self._versions}))
        # A folder that cannot be written to costs only the snapshot.
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._path, *parts)
