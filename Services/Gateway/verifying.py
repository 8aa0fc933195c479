"""The second look at stored files: what has changed or gone since is noted, so that its PC sends it again.

Promises
--------
* A file is damaged only if its store answers that it is missing, or if its content was read and is wrong. A store that
  does not answer, or whose file system is not mounted, damages nothing.
* One pass reads a limited number of bytes, the files first that have not been looked at for the longest time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from NexusCore.clock import SECOND, Clock
from NexusCore.errors import NexusError
from NexusCore.facility import transfer_changes
from NexusCore.facility.stores.model import (
    NewObject,
    Store,
    StoreFull,
    StoreUnavailable,
    TakesChunks,
    UploadGone,
    has_content,
)
from NexusCore.facility.transfer_changes import CHANGED, MISSING
from NexusCore.facility.transfer_file import FileState, TransferFile
from NexusCore.facility.transfers import abandoned, session_names, to_check
from NexusCore.log import Log
from NexusCore.storage import Database, Transaction
from NexusCore.text import counted
from NexusCore.threads import start_thread
from Services.Gateway.settings import GatewaySettings
from Services.Gateway.store_room import StoreRoom

FILES_AT_ONCE = 200
"""Files that are looked up together."""
PORTIONS = 100
"""Of them in one pass; those of a store that does not answer are passed over."""
MOST_FILES = 2000
"""Files that one pass looks at."""
WEEK = 7 * 86_400 * SECOND
"""After which an upload that was not finished is removed."""
SWEEP_SECONDS = 3600.0
CHECK_SECONDS = 60.0
"""Seconds after which each store is asked again whether it can be used."""
NOT_FINISHED = "it was not sent completely within a week"
_MEGABYTE = 1_000_000


class Verifier:
    """Looks again at stored files, on a thread of its own.

    Parameters
    ----------
    database, clock
        The facility's own database, and the source of times.
    stores, log
        Where the files are, and what is told of damage.
    """

    def __init__(self, database: Database, clock: Clock, stores: StoreRoom, log: Log) -> None:
        self._database = database
        self._clock = clock
        self._stores = stores
        self._log = log
        self._thread: Future[None] | None = None
        self._next_sweep = 0.0
        self._next_check = 0.0
        self.health: dict[str, str] = {}
        """By store: "ok", or why it cannot be used."""

    def start(self, settings: GatewaySettings, stopping: Callable[[], bool]) -> None:
        """Begin a pass, unless one is under way."""
        if self._thread is None or self._thread.done():
            self._thread = start_thread(lambda: self.run(settings, stopping), "verifier")

    def run(self, settings: GatewaySettings, stopping: Callable[[], bool]) -> None:
        """Ask the stores, look at files that are due, and remove uploads that nobody goes on with."""
        try:
            if self._clock.monotonic() >= self._next_check:
                self._next_check = self._clock.monotonic() + CHECK_SECONDS
                self.health = self._stores.health(settings.chunk_size)
            if settings.verify_hours:
                self._look(settings, stopping)
            self._sweep(settings)
        except NexusError as error:  # the database is away; the service's own pass reports that
            self._stores.warn(f"Stored files could not be verified: {error}")

    def _look(self, settings: GatewaySettings, stopping: Callable[[], bool]) -> None:
        before = self._clock.now() - int(settings.verify_hours * 3600 * SECOND)
        left, looked, away = settings.verify_megabytes * _MEGABYTE, 0, set[tuple[str, str]]()
        damaged: list[str] = []
        for file in self._due(before):
            if left <= 0 or looked >= MOST_FILES or stopping():
                break
            pid = self._pid(file)
            if (file.store, pid) in away:
                continue
            try:
                store = self._stores.of(pid, file.store, settings.chunk_size)
                found = self._problem_of(store, file)
            except (StoreUnavailable, StoreFull, UploadGone) as error:
                self._stores.warn(f"Stored files could not be verified: {error}")
                away.add((file.store, pid))
                continue
            left -= file.size
            looked += 1
            if self._note(file, found):
                damaged.append(f"{file.object} ({found})")
        if damaged:
            self._log.warning(
                "%s in the store damaged: %s%s. The PCs send them again if they still have them",
                counted(len(damaged), "file is", "files are"),
                damaged[0],
                f" and {len(damaged) - 1} more" if damaged[1:] else "",
            )

    def _due(self, before: int) -> Iterator[TransferFile]:
        """Yield the files that are due, in portions; each is looked up once."""
        last: TransferFile | None = None
        for _ in range(PORTIONS):
            portion = self._database.read(partial(to_check, before_ts=before, count=FILES_AT_ONCE, behind=last))
            if not portion:
                return
            yield from portion
            last = portion[-1]

    def _problem_of(self, store: Store, file: TransferFile) -> str | None:
        """Return what is wrong with the object of a file; None if nothing is."""
        store.prepare(lambda: True)
        name = str(file.object)
        stored = store.status(name)
        if stored is None:
            return MISSING
        if has_content(store, name, stored, file.size, str(file.md5)):
            return None
        # Not while the PC is replacing it.
        return None if store.status(name) != stored else CHANGED

    def _note(self, file: TransferFile, found: str | None) -> bool:
        """Store what a look has shown; return whether it is new damage."""
        now = self._clock.now()

        def write(transaction: Transaction) -> bool:
            damaged = file.state is FileState.DAMAGED
            if found is not None and not damaged:
                return transfer_changes.set_damaged(transaction, file, found, now)
            if found is None and damaged:
                transfer_changes.set_restored(transaction, file, now)
            transfer_changes.set_checked(transaction, file, now)
            return False

        return self._database.write(write)

    def _sweep(self, settings: GatewaySettings) -> None:
        """Remove what nobody has gone on with for a week."""
        if self._clock.monotonic() < self._next_sweep:
            return
        self._next_sweep = self._clock.monotonic() + SWEEP_SECONDS
        before = self._clock.now() - WEEK
        for file in self._database.read(lambda reading: abandoned(reading, before, FILES_AT_ONCE)):
            self._abandon(file, settings)
        for store in self._stores.in_use(settings.chunk_size):
            if isinstance(store, TakesChunks):
                with suppress(StoreUnavailable, StoreFull, UploadGone):
                    store.sweep(before)

    def _abandon(self, file: TransferFile, settings: GatewaySettings) -> None:
        ref = file.upload_ref or {}
        inner = ref.get("inner")
        try:
            store = self._stores.of(self._pid(file), str(ref.get("store", file.store)), settings.chunk_size)
            new = NewObject(str(file.object), file.size, str(file.md5), file.modified_ts, str(file.upload))
            store.abandon(new, inner if isinstance(inner, dict) else {})
        except (StoreUnavailable, StoreFull, UploadGone) as error:
            self._stores.warn(f"An upload that was not finished could not be removed: {error}")
        now = self._clock.now()
        self._database.write(lambda transaction: transfer_changes.drop_upload(transaction, file, NOT_FINISHED, now))

    def _pid(self, file: TransferFile) -> str:
        return self._database.read(lambda reading: session_names(reading, file.session_id)[1])
