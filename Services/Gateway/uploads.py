"""Uploads: files on their way from a PC to a store.

An upload is begun, gets a name in its store, gets its bytes, and is completed. What takes long is done by jobs; each
step can be repeated after a crash of the Gateway, since what it leaves is in the database and in the store.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from NexusCore.clock import Clock
from NexusCore.facility import Session, transfer_changes
from NexusCore.facility.stores.model import (
    Incomplete,
    NameTaken,
    NewObject,
    Progress,
    SignedPart,
    SignsParts,
    Store,
    StoreFull,
    StoreUnavailable,
    TakesChunks,
    UploadGone,
    WrongContent,
    has_content,
)
from NexusCore.facility.transfer_file import Content, FileState, Place, TransferFile
from NexusCore.facility.transfers import find_file, find_upload, has_objects
from NexusCore.storage import Database, Transaction
from Services.Gateway.jobs import Jobs
from Services.Gateway.naming import NameChoice, choose, is_free
from Services.Gateway.problems import Problem
from Services.Gateway.store_room import StoreRoom

OPEN, CHECKING, VERIFIED = "open", "checking", "verified"
ATTEMPTS = 20
"""Names that are tried if each is taken just before the file gets it."""
WRONG = "the bytes that arrived are not those of the file; it is sent again"


@dataclass(frozen=True, slots=True)
class UploadView:
    """An upload, as it is answered."""

    upload: str
    state: str
    kind: str
    object: str
    chunk_size: int
    progress: Progress
    job: Future[None] | None = None
    """What is being done; the state may change when it has ended."""


class Uploads:
    """The uploads of all sessions.

    Parameters
    ----------
    database, clock
        The facility's own database, and the source of times.
    stores
        Where the files go.
    chunk
        Returns how many bytes are sent at once.
    """

    def __init__(self, database: Database, clock: Clock, stores: StoreRoom, chunk: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._stores = stores
        self._chunk = chunk
        self._jobs = Jobs()
        self._placing = Lock()

    def begin(self, session: Session, content: Content, *, repair: bool) -> UploadView:
        """Begin an upload, or return the one that the file has with this content.

        Parameters
        ----------
        session, content
            Whose file it is, and what is to be sent.
        repair
            Whether it replaces a damaged object.

        Raises
        ------
        StoreUnavailable, StoreFull
            If the store cannot take it at the moment.
        """
        file = self._find(session, content)
        if file is not None and self._goes_on(session, file, content):
            return self.look(session, str(file.upload))
        store = self._store(session, self._name_of_store(session, file, repair=repair))
        upload = str(uuid.uuid4())
        former = file

        def write(transaction: Transaction) -> TransferFile:
            now = self._clock.now()
            ref = {
                "repair": repair,
                "chosen": False,
                "store": store.name,
                "size": content.size,
                "modified": content.modified_ts,
                "md5": content.md5,
            }
            return transfer_changes.begin_upload(transaction, session.id, content, upload, store.upload_kind, ref, now)

        self._database.write(write)
        if former is not None and former.upload_ref is not None:
            self._forget(session, former)
        return self.look(session, upload)

    def look(self, session: Session, upload: str) -> UploadView:
        """Return an upload, and go on with what a crash has interrupted.

        Raises
        ------
        Problem
            If there is no such upload, or its last step was refused.
        StoreUnavailable, StoreFull
            If the store cannot be used.
        """
        failure = self._jobs.failure(upload)
        if failure is not None:
            raise failure
        file = self.file(session, upload)
        if file.upload_ref is None:
            if file.state is FileState.DAMAGED:
                raise _no_upload()
            return self._view(file, VERIFIED, Progress(file.size))
        job = self._jobs.running(upload)
        if job is None and file.upload_ref.get("chosen") is not True:
            job = self._start(session, file, self._choose)
        elif job is None and file.state is FileState.CHECKING:
            job = self._start(session, file, self._finish)
        if job is not None:
            return self._view(file, CHECKING, Progress(0), job)
        try:
            progress = self._store_of(session, file).progress(_new(file), _inner(file))
        except UploadGone:
            return self._view(file, CHECKING, Progress(0), self._start(session, file, self._choose))
        return self._view(file, OPEN, progress)

    def append(self, session: Session, upload: str, offset: int, data: bytes) -> int:
        """Add bytes to an upload of the kind that the Gateway takes itself; return how many there are.

        Raises
        ------
        Incomplete
            If bytes before the offset are missing.
        """
        file = self._active(session, upload)
        if offset + len(data) > file.size:
            raise Problem(422, f"The file has {file.size:,} bytes; this chunk goes beyond them.")
        store = self._store_of(session, file)
        if not isinstance(store, TakesChunks):
            raise Problem(409, "The bytes of this upload do not go to the Gateway.", "wrong-kind")
        try:
            return store.append(_new(file), offset, data)
        except UploadGone:
            self._start(session, file, self._choose)
            raise Incomplete(0) from None

    def sign(self, session: Session, upload: str, number: int, size: int, md5: str) -> SignedPart:
        """Return the permission to send one part straight to the store."""
        file = self._active(session, upload)
        store = self._store_of(session, file)
        if not isinstance(store, SignsParts):
            raise Problem(409, "This upload has no parts.", "wrong-kind")
        part = store.chunk_size(file.size)
        expected = min(part, file.size - (number - 1) * part)
        if size != expected or expected <= 0:
            raise Problem(422, f"Part {number} of this file has {max(0, expected):,} bytes.")
        return store.sign(_new(file), _inner(file), number, size, md5)

    def complete(self, session: Session, upload: str) -> UploadView:
        """Have an upload checked, and its object named.

        Raises
        ------
        Incomplete
            If bytes are missing.
        """
        view = self.look(session, upload)
        if view.state != OPEN:
            return view
        if view.progress.received < self.file(session, upload).size:
            raise Incomplete(view.progress.received)
        file = self.file(session, upload)
        self._database.write(lambda transaction: transfer_changes.set_checking(transaction, file, self._clock.now()))
        return self._view(file, CHECKING, view.progress, self._start(session, file, self._finish))

    def abandon(self, session: Session, upload: str) -> None:
        """Give an upload up."""
        file = self.file(session, upload)
        if file.upload_ref is None:
            return
        self._forget(session, file)
        now = self._clock.now()
        self._database.write(lambda transaction: transfer_changes.drop_upload(transaction, file, None, now))

    def file(self, session: Session, upload: str) -> TransferFile:
        """Return the file that an upload is of.

        Raises
        ------
        Problem
            If the session has no such upload.
        """
        found = self._database.read(lambda reading: find_upload(reading, session.id, upload))
        if found is None:
            raise _no_upload()
        return _as_sent(found)

    def damaged(self, session: Session, content: Content) -> bool:
        """Return whether an object is damaged that has this content."""
        file = self._find(session, content)
        return file is not None and file.state is FileState.DAMAGED and file.md5 == content.md5

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def _start(
        self, session: Session, file: TransferFile, work: Callable[[Session, TransferFile], None]
    ) -> Future[None]:
        return self._jobs.start(str(file.upload), file.size, lambda: work(session, file))

    def _choose(self, session: Session, file: TransferFile) -> None:
        """Give an upload its name, and begin it in the store; or take over what is stored already."""
        store = self._store_of(session, file)
        pid = session.instrument
        store.prepare(lambda: self._database.read(lambda reading: has_objects(reading, store.name, pid)))
        choice = self._place(session, file, store)
        if choice.adopted:
            self._verify(file, choice.place)
            return
        new = _new(file, choice.place.object)
        try:
            inner = store.begin(new, choice.replaces)
        except StoreFull as error:
            self._drop(file, f"{error}.")  # nothing of it is being sent
            raise
        ref = {**(file.upload_ref or {}), "chosen": True, "replaces": choice.replaces, "inner": dict(inner)}
        placed = self._database.write(
            lambda transaction: transfer_changes.place_upload(
                transaction, file, choice.place, store.upload_kind, ref, keeps=choice.keeps
            )
        )
        if not placed:
            store.abandon(new, inner)
        elif file.size == 0:
            self._finish(session, self.file(session, str(file.upload)))

    def _place(self, session: Session, file: TransferFile, store: Store) -> NameChoice:
        """Return a name that no other upload gets meanwhile."""
        for _ in range(ATTEMPTS):
            choice = choose(self._database, store, session.instrument, file, _content(file))
            if choice.adopted:
                return choice
            with self._placing:
                free = self._database.write(
                    lambda transaction, choice=choice: (  # type: ignore[misc]
                        is_free(transaction, choice, file, str(file.md5))
                        and transfer_changes.place_upload(
                            transaction,
                            file,
                            choice.place,
                            store.upload_kind,
                            file.upload_ref or {},
                            keeps=choice.keeps,
                        )
                    )
                )
            if free:
                return choice
        raise StoreUnavailable(store=store.name, reason=f"there is no free name for {file.name}")

    def _finish(self, session: Session, file: TransferFile) -> None:
        """Check an upload, and give its object the name."""
        store = self._store_of(session, file)
        for _ in range(ATTEMPTS):
            try:
                store.finish(_new(file), _inner(file), (file.upload_ref or {}).get("replaces"))
            except NameTaken:
                choice = self._another(session, file, store)
                if choice.adopted:
                    self._verify(file, choice.place)
                    store.abandon(_new(file), _inner(file))
                    return
                file = self.file(session, str(file.upload))
                continue
            except WrongContent:
                self._drop(file, WRONG)
                raise Problem(
                    409, "The bytes that arrived are not those of this MD5. Read the file again.", "wrong-content"
                ) from None
            except UploadGone:
                self._recover(session, file, store)
                return
            self._verify(file, Place(store.name, session.instrument, str(file.object)))
            return
        raise StoreUnavailable(store=store.name, reason=f"there is no free name for {file.name}")

    def _another(self, session: Session, file: TransferFile, store: Store) -> NameChoice:
        """Return another name for an upload whose name has been taken."""
        if not isinstance(store, TakesChunks):  # the bytes are bound to the name
            store.abandon(_new(file), _inner(file))
            self._drop(file, "its name in the store has been taken; it is sent again")
            raise Problem(409, "The name in the store has been taken meanwhile. Begin again.", "wrong-content")
        choice = self._place(session, file, store)
        ref = {**(file.upload_ref or {}), "replaces": choice.replaces}
        self._database.write(
            lambda transaction: transfer_changes.place_upload(
                transaction, file, choice.place, store.upload_kind, ref, keeps=choice.keeps
            )
        )
        return choice

    def _recover(self, session: Session, file: TransferFile, store: Store) -> None:
        """Go on after a crash that came when the object had its name already, or when the store has lost the upload."""
        stored = store.status(str(file.object))
        if stored is not None and has_content(store, str(file.object), stored, file.size, str(file.md5)):
            self._verify(file, Place(store.name, session.instrument, str(file.object)))
            return
        self._choose(session, file)
        raise Incomplete(0)

    def _verify(self, file: TransferFile, place: Place) -> None:
        now = self._clock.now()
        self._database.write(
            lambda transaction: transfer_changes.set_verified(transaction, file, _content(file), place, now)
        )

    def _drop(self, file: TransferFile, reason: str) -> None:
        now = self._clock.now()
        self._database.write(lambda transaction: transfer_changes.drop_upload(transaction, file, reason, now))

    # -- private -------------------------------------------------------------------------------------------------------

    def _find(self, session: Session, content: Content) -> TransferFile | None:
        found = self._database.read(lambda reading: find_file(reading, session.id, content.folder, content.path))
        return None if found is None else _as_sent(found)

    def _active(self, session: Session, upload: str) -> TransferFile:
        file = self.file(session, upload)
        if file.upload_ref is None or file.upload_ref.get("chosen") is not True:
            raise Problem(409, "This upload does not take bytes now. Ask for it.", "not-open")
        return file

    def _goes_on(self, session: Session, file: TransferFile, content: Content) -> bool:
        """Return whether the last upload of a file is the one to go on with."""
        if file.upload is None or (file.md5, file.size) != (content.md5, content.size):
            return False
        if file.upload_ref is not None:
            return True
        if file.state is not FileState.VERIFIED or file.object is None:
            return False
        # Not only by the local note: the object may have been removed since.
        stored = self._store(session, file.store).status(file.object)
        return stored is not None and stored.size == file.size

    def _forget(self, session: Session, file: TransferFile) -> None:
        """Remove what has arrived of an upload, if the store can do that now."""
        with suppress(StoreUnavailable, StoreFull, UploadGone):
            self._store_of(session, file).abandon(_new(file), _inner(file))

    def _name_of_store(self, session: Session, file: TransferFile | None, *, repair: bool) -> str:
        if repair and file is not None:
            return file.store  # where the damaged object is
        return self._stores.settings(session.instrument).store

    def _store_of(self, session: Session, file: TransferFile) -> Store:
        return self._store(session, str((file.upload_ref or {}).get("store", file.store)))

    def _store(self, session: Session, name: str) -> Store:
        return self._stores.of(session.instrument, name, self._chunk())

    def _view(self, file: TransferFile, state: str, progress: Progress, job: Future[None] | None = None) -> UploadView:
        inner = _inner(file)
        size = int(inner.get("part", 0)) or self._chunk()
        kind = file.upload_kind or ""
        return UploadView(str(file.upload), state, kind, file.object or "", size, progress, job)


def _no_upload() -> Problem:
    return Problem(404, "This session has no such upload; begin a new one.", "no-such-upload")


def _as_sent(file: TransferFile) -> TransferFile:
    """Return a file as it was when its upload began: its PC may have reported since that it has changed."""
    ref = file.upload_ref
    if ref is None:
        return file
    return replace(file, size=int(ref["size"]), modified_ts=int(ref["modified"]), md5=str(ref["md5"]))


def _content(file: TransferFile) -> Content:
    return Content(file.folder, file.path, file.size, file.modified_ts, str(file.md5))


def _new(file: TransferFile, name: str | None = None) -> NewObject:
    return NewObject(name or str(file.object), file.size, str(file.md5), file.modified_ts, str(file.upload))


def _inner(file: TransferFile) -> dict[str, Any]:
    inner = (file.upload_ref or {}).get("inner")
    return dict(inner) if isinstance(inner, dict) else {}
