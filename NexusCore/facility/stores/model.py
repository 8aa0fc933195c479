"""What a store is: where the files of microscopes are kept, and how they get there.

An upload of an object goes: `Store.begin`, its bytes (how is up to the kind), `Store.finish`. The steps can be repeated
after a crash. MD5 decides at the end, of what is in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from NexusCore.errors import NexusError

CHUNKS, GOOGLE, S3 = "chunks", "google", "s3"
"""Ways in which bytes reach a store: to the Gateway in chunks, by a resumable session of Google's, as parts for S3."""
READ_SIZE = 1024 * 1024
"""Bytes that are read at once."""


class StoreUnavailable(NexusError):
    """The store '{store}' cannot be used: {reason}"""  # noqa: D400


class StoreFull(NexusError):
    """The store '{store}' is full"""  # noqa: D400


class NoRoom(StoreFull):
    """The store '{store}' has {free} left, and a file needs {needed}"""  # noqa: D400


class NameTaken(Exception):
    """Something else has the name, which is not to be replaced."""


class UploadGone(Exception):
    """The store does not know the upload any more; it has to be begun again."""


class WrongContent(Exception):
    """The content in the store is not that of the MD5."""


class Incomplete(Exception):
    """Not all bytes have arrived, or they do not follow those that have.

    Parameters
    ----------
    received
        How many have.
    """

    def __init__(self, received: int) -> None:
        super().__init__(received)
        self.received = received


@dataclass(frozen=True, slots=True)
class NewObject:
    """What is uploaded."""

    name: str
    """In the store."""
    size: int
    md5: str
    """In hexadecimal digits."""
    modified_ts: int
    """Modification time of the source, which the object keeps; microseconds since the epoch, UTC."""
    upload: str
    """UUID of the upload."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store has under a name."""

    size: int
    """-1 for what is not a file."""
    version: str
    """Changes whenever the object is replaced."""
    md5: str | None = None
    """As the store states it; None if it does not, or not of the whole content."""
    part_md5: str | None = None
    """MD5 of the MD5, which an object has that was sent as one part."""
    upload: str | None = None
    """UUID of the upload that it is from, if the store knows that."""

    def has(self, md5: str) -> bool | None:
        """Return whether it has a content; None if only reading it can tell."""
        if self.md5 is not None:
            return self.md5 == md5
        if self.part_md5 is not None and self.part_md5 == hashlib.md5(bytes.fromhex(md5)).hexdigest():  # noqa: S324
            return True
        return None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of an upload that a store has received."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is."""

    received: int
    """Bytes from the beginning, without gaps."""
    parts: tuple[StoredPart, ...] = ()
    address: str | None = None
    """Where the PC sends the bytes itself; None if that is not one address."""


@dataclass(frozen=True, slots=True)
class SignedPart:
    """Permission to send one part, and no other bytes."""

    url: str
    headers: Mapping[str, str]
    seconds: int
    """How long it is valid."""


Ref = Mapping[str, Any]
"""What a store needs to go on with an upload; kept by the caller, as JSON."""


class Store(Protocol):
    """Where objects are kept; names are relative, with forward slashes.

    Everything may raise `StoreUnavailable` and `StoreFull`.
    """

    name: str
    """As in the settings; empty for an instrument's own folder."""
    upload_kind: str
    """How bytes reach it."""

    def chunk_size(self, size: int) -> int:
        """Return how many bytes of an object of a size are sent at once."""
        ...

    def check(self) -> None:
        """Raise if the store cannot be used."""
        ...

    def prepare(self, has_objects: Callable[[], bool]) -> None:
        """Get ready for uploads; raise if it should have objects, but looks like another, empty place."""
        ...

    def status(self, name: str) -> StoredObject | None:
        """Return what is stored under a name; None if it is free."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        ...

    def begin(self, new: NewObject, replaces: str | None) -> Ref:
        """Begin an upload; `replaces` is the version of the object of that name that it may replace."""
        ...

    def progress(self, new: NewObject, ref: Ref) -> Progress:
        """Return how far an upload is; raises `UploadGone`."""
        ...

    def finish(self, new: NewObject, ref: Ref, replaces: str | None) -> None:
        """Give an object its name, once its content is right.

        Raises
        ------
        Incomplete, WrongContent, NameTaken, UploadGone
            The upload is dropped by the store in the case of wrong content.
        """
        ...

    def abandon(self, new: NewObject, ref: Ref) -> None:
        """Remove what has arrived of an upload."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Store a small object of the Gateway's own, replacing an earlier one."""
        ...


@runtime_checkable
class TakesChunks(Protocol):
    """A store whose bytes the Gateway takes."""

    def append(self, new: NewObject, offset: int, data: bytes) -> int:
        """Add bytes; return how many there are now. What is there already changes nothing.

        Raises
        ------
        Incomplete
            If bytes before `offset` are missing.
        UploadGone
            If there is no such upload.
        """
        ...

    def sweep(self, before_ts: int) -> int:
        """Remove uploads that have not changed since a time; return how many."""
        ...


@runtime_checkable
class Sends(Protocol):
    """A bucket that a service sends bytes to itself, with the key that it has."""

    def send(self, new: NewObject, ref: Ref, offset: int, data: bytes) -> int:
        """Send `chunk_size` bytes, the last time fewer; return how many have arrived now, from the beginning.

        Raises
        ------
        UploadGone
            If there is no such upload.
        NameTaken
            If another object has got the name meanwhile.
        """
        ...


@runtime_checkable
class SignsParts(Protocol):
    """A store that PCs send parts to, each with a permission of its own."""

    def sign(self, new: NewObject, ref: Ref, number: int, size: int, md5: str) -> SignedPart:
        """Return the permission for a part; `md5` of its bytes, in base64."""
        ...


def content_md5(store: Store, name: str) -> str:
    """Read an object and return its MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    for data in store.read(name):
        digest.update(data)
    return digest.hexdigest()


def has_content(store: Store, name: str, stored: StoredObject, size: int, md5: str) -> bool:
    """Return whether an object has a content, as the store states it, or else after reading it."""
    if stored.size != size:
        return False
    stated = stored.has(md5)
    return content_md5(store, name) == md5 if stated is None else stated
