"""Where the journals for a database are, and which of them the database at a URL may get.

A journal belongs to the database that was at its URL when its records were accepted, identified by the UUID stored in
its rows: `<home>/journal/<role>-<uuid>`. Records accepted before that database ever answered are in
`<home>/journal/<role>-<fingerprint of the place>`, as are those of releases that did not know the UUID.

A database gets

* the journals of its own UUID, at any host and port;
* those of a place without a UUID, once it is seen at that place;
* those of a database that was at its place before, if that one is at no other place known to this home. An operator who
  sets up the database again, or replaces it, expects waiting records to arrive there; but while the former database is
  known elsewhere, its journals wait for it.
"""

from __future__ import annotations

from pathlib import Path

from NexusCore.settings import DatabaseURL
from NexusCore.storage.places import Places


class Folders:
    """The folders of journals for one database.

    Parameters
    ----------
    home
        The folder `NEXUSCORE_HOME`.
    role
        What the journals hold: ``log`` or ``status``.
    url
        Address of the database.
    """

    def __init__(self, home: Path, role: str, url: DatabaseURL) -> None:
        self._root = home / "journal"
        self._role = role
        self._text = url.place
        self._places = Places(home)
        self._place = url.fingerprint

    def own(self) -> Path:
        """Return the folder for a new journal, by what is known of the database now."""
        return self.of(self._places.identity(self._place) or self._place)

    def is_unknown(self) -> bool:
        """Return whether a database was never seen at the URL."""
        return self._places.identity(self._place) is None

    def learn(self, identity: str) -> None:
        """Remember which database is at the URL."""
        self._places.remember(self._place, self._text, identity)

    def adoptable(self, identity: str | None = None) -> list[Path]:
        """Return the folders whose journals the database at the URL gets; they need not exist.

        Parameters
        ----------
        identity
            UUID of the database, for inspection; by default the one last seen there.
        """
        own = self._place
        places = {place.fingerprint: place.identities for place in self._places.all()}
        identity = identity or next(iter(places.get(own, ())), None)
        if identity is None:
            return [self.of(own)]
        places[own] = (identity, *(other for other in places.get(own, ()) if other != identity))
        present = {identities[0] for identities in places.values() if identities}
        owners = [identity, own]
        for fingerprint, identities in places.items():
            if identities[:1] == (identity,):
                owners += [fingerprint, *(former for former in identities[1:] if former not in present)]
        return [self.of(owner) for owner in dict.fromkeys(owners)]

    def may_get(self, folder: Path) -> bool:
        """Return whether the database at the URL may get the journals in a folder."""
        return folder in self.adoptable()

    def of(self, owner: str) -> Path:
        """Return the folder for the journals of a database (UUID), or of a place (fingerprint)."""
        return self._root / f"{self._role}-{owner}"
