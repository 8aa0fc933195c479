"""A mirror in a bucket of Google Cloud Storage or S3; the store itself is `NexusCore.facility.stores`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import NexusError
from NexusCore.facility.file_copy import CopyState, FileCopy
from NexusCore.facility.stores import open_store, opened_with
from NexusCore.facility.stores.model import (
    READ_SIZE,
    Incomplete,
    NameTaken,
    NewObject,
    Ref,
    Sends,
    Store,
    StoredObject,
    StoreFull,
    StoreUnavailable,
    UploadGone,
    WrongContent,
)
from NexusCore.facility.transfer_settings import StoreSettings
from Services.Intake.mirrors import CopyFailed, MirrorAway
from Services.Intake.mirrors.fetched import fetched_file
from Services.Intake.mirrors.source_file import open_source

CHUNK = 8 << 20
"""Bytes that are sent at once; parts of very large objects are larger."""
LONGEST_SECONDS = 6 * 3600.0
"""Seconds that one file may take; the store limits how long one chunk may."""
MOST_FAILURES = 4
"""How often sending may fail without a further byte arriving; each time, what has arrived is not sent again."""


class BucketMirror:
    """Copies that are objects. One that others have put there is replaced only where a good copy was before.

    Parameters
    ----------
    name
        Of the mirror.
    settings
        Of the bucket.
    stop
        As for `make_mirror`.
    clock
        The time.
    """

    reads = True

    def __init__(
        self, name: str, settings: StoreSettings, stop: Callable[[], bool], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.name = name
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._lock = Lock()
        self._opened: tuple[tuple[int, ...] | None, Store] | None = None

    def check(self) -> None:
        """Raise `MirrorAway` if the bucket cannot be reached."""
        try:
            self._store().check()
        except UploadGone:  # what S3 says of a bucket that does not exist
            raise MirrorAway(mirror=self.name, reason=f"there is no bucket '{self._settings.bucket}'") from None
        except StoreUnavailable as error:
            raise self._away(error) from error

    def put(self, copy: FileCopy, source: Path) -> None:
        """Send a file in chunks; it counts when the store has its MD5, as the store states it or after reading it."""
        with self._reasons(copy), open_source(source) as file:
            store = self._store()
            md5, size = self._md5(copy, file), file.tell()
            stored = store.status(copy.path)
            if stored is not None:
                if self._fault(store, copy, stored, md5) is None:
                    return
                if copy.state is CopyState.WAITING:
                    # Never a copy of this mirror, so it is somebody else's.
                    raise self._failed(copy, "there is another object of that name")
            modified_ts = source.stat(follow_symlinks=False).st_mtime_ns // 1000
            new = NewObject(copy.path, size, md5, modified_ts, str(uuid.uuid4()))
            self._upload(store, copy, new, file, None if stored is None else stored.version)

    def fault(self, copy: FileCopy, source: Path) -> str | None:
        """Compare a copy by the MD5 that the store states, else read it; return what is wrong with it."""
        with self._reasons(copy):
            store = self._store()
            stored = store.status(copy.path)
            if stored is None:
                store.check()  # a bucket that is gone is not a damaged copy
                return "it is missing"
            md5 = None
            if stored.md5 is not None or stored.part_md5 is not None:
                with suppress(OSError, CopyFailed), open_source(source) as file:
                    md5 = self._md5(copy, file)
                self._go_on(copy)
            return self._fault(store, copy, stored, md5)

    @contextmanager
    def lend(self, copy: FileCopy, folder: Path) -> Iterator[Path | None]:
        """Fetch a copy."""
        with fetched_file(folder, PurePosixPath(copy.path).name) as (path, file):
            with self._reasons(copy):
                for data in self._content(self._store(), copy):
                    file.write(data)
                file.flush()
            yield path

    # -- inside --------------------------------------------------------------------------------------------------------

    def _store(self) -> Store:
        """Return the store; it is opened again when the file with its key has changed."""
        with self._lock:
            version = opened_with(self._settings)
            if self._opened is None or self._opened[0] != version:
                self._opened = version, open_store(self._settings, CHUNK)
            return self._opened[1]

    def _upload(self, store: Store, copy: FileCopy, new: NewObject, file: BinaryIO, replaces: str | None) -> None:
        until = self._clock.monotonic() + LONGEST_SECONDS
        ref = store.begin(new, replaces)
        try:
            if new.size:
                self._send(store, copy, new, ref, file, until)
            store.finish(new, ref, replaces)
        except BaseException:
            with suppress(NexusError):
                store.abandon(new, ref)
            raise

    def _send(self, store: Store, copy: FileCopy, new: NewObject, ref: Ref, file: BinaryIO, until: float) -> None:
        assert isinstance(store, Sends)  # noqa: S101  the kinds of `make_mirror` do
        received = failures = 0
        while received < new.size:
            self._go_on(copy)
            if self._clock.monotonic() > until:
                raise self._failed(copy, f"it took more than {LONGEST_SECONDS / 3600:.0f} hours")
            file.seek(received)
            before = received
            try:
                received = store.send(new, ref, received, file.read(store.chunk_size(new.size)))
            except StoreUnavailable:
                if failures + 1 >= MOST_FAILURES:
                    raise
                received = store.progress(new, ref).received
            failures = 0 if received > before else failures + 1
            if failures >= MOST_FAILURES:
                raise self._failed(copy, f"the store takes no more than {received:,} of {new.size:,} bytes")

    def _fault(self, store: Store, copy: FileCopy, stored: StoredObject, md5: str | None) -> str | None:
        if stored.size != copy.size:
            return f"it has {stored.size:,} bytes instead of {copy.size:,}"
        right = None if md5 is None else stored.has(md5)
        if right is None:
            digest = hashlib.sha256()
            for data in self._content(store, copy):
                digest.update(data)
            right = digest.hexdigest() == copy.sha256
        return None if right else "its content has changed"

    def _content(self, store: Store, copy: FileCopy) -> Iterator[bytes]:
        for data in store.read(copy.path):
            self._go_on(copy)
            yield data

    def _md5(self, copy: FileCopy, file: BinaryIO) -> str:
        """Return the MD5 of a file that has the copy's content."""
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        while data := file.read(READ_SIZE):
            self._go_on(copy)
            md5.update(data)
            sha256.update(data)
        if sha256.hexdigest() != copy.sha256:
            raise self._failed(copy, "what is to be copied is not what was filed")
        return md5.hexdigest()

    def _go_on(self, copy: FileCopy) -> None:
        if self._stop():
            raise self._failed(copy, "Intake is to end")

    @contextmanager
    def _reasons(self, copy: FileCopy) -> Iterator[None]:
        """Raise the store's errors as ours; what concerns one object alone does not hold up the others."""
        try:
            yield
        except StoreUnavailable as error:
            self.check()
            raise self._failed(copy, str(error.facts.get("reason", error))) from error
        except StoreFull as error:
            raise self._failed(copy, "the store is full") from error
        except NameTaken as error:
            raise self._failed(copy, "another object has got its name meanwhile") from error
        except WrongContent as error:
            raise self._failed(copy, "what was written is not what was filed") from error
        except (UploadGone, Incomplete) as error:
            raise self._failed(copy, "it went away, or the store lost a part of it") from error

    def _away(self, error: StoreUnavailable) -> MirrorAway:
        return MirrorAway(mirror=self.name, reason=error.facts.get("reason", error))

    def _failed(self, copy: FileCopy, reason: str) -> CopyFailed:
        return CopyFailed(path=copy.path, mirror=self.name, reason=reason)
