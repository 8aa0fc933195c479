"""Which name an upload gets in its store.

Promises
--------
* Nothing is replaced but an earlier version of the same file of the same session that has not been changed since.
* What another session has stored, or a person has put there, keeps its name; the new file gets a number in its name.
* Where the same content is stored under the name already, it is taken over, and nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from NexusCore.facility.stores.model import Store, StoredObject, StoreUnavailable, has_content
from NexusCore.facility.stores.names import MOST_COPIES, candidates
from NexusCore.facility.transfer_file import Content, FileState, Place, TransferFile
from NexusCore.facility.transfers import sharing
from NexusCore.storage import Database, Transaction
from Services.Gateway.store_room import object_name


@dataclass(frozen=True, slots=True)
class NameChoice:
    """The name for an upload."""

    place: Place
    replaces: str | None = None
    """Version of the object that it may replace."""
    keeps: bool = False
    """Whether that is an earlier version that is right until then."""
    adopted: bool = False
    """Whether the content is there already."""


def choose(database: Database, store: Store, pid: str, file: TransferFile, content: Content) -> NameChoice:
    """Return the name for a file.

    Parameters
    ----------
    database, store, pid
        The facility's database, the store and the instrument.
    file, content
        The file as it is known, and what is uploaded.

    Raises
    ------
    StoreUnavailable
        If the store cannot be read, or has no free name.
    """
    own = file.object if file.store == store.name else None
    for name in candidates(object_name(pid, store.name, content.folder, content.path), own):
        choice = _judge(database, store, Place(store.name, pid, name), file, content, own=name == own)
        if choice is not None:
            return choice
    raise StoreUnavailable(store=store.name, reason=f"{MOST_COPIES} files have the name {file.name}")


def is_free(transaction: Transaction, choice: NameChoice, file: TransferFile, md5: str) -> bool:
    """Return whether no other file has, or is to get, the object of a choice with another content."""
    return all(other == md5 for other in sharing(transaction, choice.place, file.id))


def _judge(
    database: Database, store: Store, place: Place, file: TransferFile, content: Content, *, own: bool
) -> NameChoice | None:
    """Return the choice of one name; None if it is taken."""
    stored = store.status(place.object)
    others = database.read(lambda reading: sharing(reading, place, file.id))
    if stored is None:
        return NameChoice(place) if all(other == content.md5 for other in others) else None
    if has_content(store, place.object, stored, content.size, content.md5):
        return NameChoice(place, adopted=True)
    if not own or not all(other == content.md5 for other in others) or stored.size < 0:
        return None
    if file.state is FileState.DAMAGED:
        return NameChoice(place, replaces=stored.version)
    return _over(store, place, file, stored)


def _over(store: Store, place: Place, file: TransferFile, stored: StoredObject) -> NameChoice | None:
    """Return the choice to replace an earlier version; None if somebody has changed it in the store."""
    if file.object_md5 is None or not has_content(store, place.object, stored, stored.size, file.object_md5):
        return None
    return NameChoice(place, replaces=stored.version, keeps=True)
