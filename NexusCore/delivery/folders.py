"""Where the journals of a facility's database lie, and which of them the database at a URL may be given.

A journal belongs to the database that was at its URL when its records were accepted, known by the UUID that stays with
the rows: `<home>/journal/<role>-<uuid>`. What was accepted before that database ever answered is in
`<home>/journal/<role>-<fingerprint of the place>`; so is what releases before the identity left there.

A database gets

* the journals of its own UUID, through whatever host and port it is reached;
* those of a place without a UUID, once it is seen at that place: they go where the URL of that time points;
* those of another database that was at its place before it, if that one is at no other place that this home knows. An
  operator who sets the database up anew, or puts another in its stead, expects what waited for it to arrive there; but
  as long as the former database is known elsewhere, its journals wait for it and go to no other.
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
        Where the database is reached.
    """

    def __init__(self, home: Path, role: str, url: DatabaseURL) -> None:
        self._root = home / "journal"
        self._role = role
        self._text = url.place
        self._places = Places(home)
        self._place = url.fingerprint

    def own(self) -> Path:
        """Return the folder that a new journal belongs in, by what is known of the database now."""
        return self.of(self._places.identity(self._place) or self._place)

    def is_unknown(self) -> bool:
        """Return whether no database was ever seen at the URL."""
        return self._places.identity(self._place) is None

    def learn(self, identity: str) -> None:
        """Remember which database is at the URL."""
        self._places.remember(self._place, self._text, identity)

    def adoptable(self, identity: str | None = None) -> list[Path]:
        """Return the folders whose journals the database at the URL is to get; they need not exist.

        Parameters
        ----------
        identity
            Which database is there, for one who only looks; what is remembered of it if not given.
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
        """Return whether the database at the URL may be given the journals in a folder."""
        return folder in self.adoptable()

    def of(self, owner: str) -> Path:
        """Return the folder for the journals of a database, or of a place where none was seen yet."""
        return self._root / f"{self._role}-{owner}"
