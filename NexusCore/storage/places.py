"""Which database was seen at which place: remembered in the home, since a process may start while none answers.

A place is what a URL names (`NexusCore.settings.DatabaseURL.place`); the identity of a database is a UUID stored in its
rows. One database may be reached at several places, and a place may get another database.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from NexusCore.files import replace_file

_IDENTITIES_KEPT = 16
"""Identities of a place, the newest, that are remembered."""


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """What is known of a place."""

    fingerprint: str
    """`DatabaseURL.fingerprint` of the place."""
    text: str
    """`DatabaseURL.place`, for people."""
    identities: tuple[str, ...]
    """Of the databases that were seen there, the present one first."""


class Places:
    """The memory of a home.

    Parameters
    ----------
    home
        The folder `NEXUSCORE_HOME`.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "places"

    def identities(self, fingerprint: str) -> tuple[str, ...]:
        """Return the databases that were seen at a place, the present one first."""
        place = self._read(self._file(fingerprint))
        return place.identities if place is not None else ()

    def identity(self, fingerprint: str) -> str | None:
        """Return the database that was last seen at a place."""
        return next(iter(self.identities(fingerprint)), None)

    def all(self) -> list[KnownPlace]:
        """Return all places at which a database was seen."""
        places = map(self._read, sorted(self._folder.glob("*.json")))
        return [place for place in places if place is not None]

    def remember(self, fingerprint: str, text: str, identity: str) -> None:
        """Remember that a database was seen at a place; errors of the folder are ignored."""
        before = self.identities(fingerprint)
        if before[:1] == (identity,):
            return
        identities = [identity, *(other for other in before if other != identity)][:_IDENTITIES_KEPT]
        path = self._file(fingerprint)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, json.dumps({"place": text, "identities": identities}).encode())

    def _file(self, fingerprint: str) -> Path:
        return self._folder / f"{fingerprint}.json"

    def _read(self, path: Path) -> KnownPlace | None:
        try:
            content = json.loads(path.read_bytes())
            return KnownPlace(path.stem, str(content["place"]), tuple(map(str, content["identities"])))
        except (OSError, ValueError, TypeError, KeyError):
            return None
