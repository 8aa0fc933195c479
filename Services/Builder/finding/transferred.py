"""The files of a session whose PC has transferred them: those that are verified in a store, whatever their times.

They are read where they are: in the instrument's folder, in another directory, or in a bucket, through a folder that
it is mounted at (the instrument's `filestore_path`) or fetched into a cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import NexusError
from NexusCore.facility import Instrument, Instruments, Session
from NexusCore.facility.file_times import FileTimes
from NexusCore.facility.file_walk import FileStoreUnreadable, SeenFile, dataset_folder, is_ignored, name_matcher, shown
from NexusCore.facility.stores.directory import UPLOADS
from NexusCore.facility.transfer_changes import CHANGED, MISSING
from NexusCore.facility.transfer_file import FileState, TransferFile
from NexusCore.facility.transfer_settings import StoreSettings, store_settings
from NexusCore.files import status_below
from NexusCore.text import counted, one_line
from NexusCore.threads import start_thread
from Services.Builder.finding.files import datasets_of
from Services.Builder.finding.searching import SessionFiles, corrected, known_extensions, log_times
from Services.Builder.finding.transfer_cache import GIB, READ_SIZE, Fetch, ObjectReader, TransferCache, WrongFetched
from Services.Builder.model import FoundFile
from Services.Builder.settings import EXCLUSIVE, BuilderSettings

DIRECTORY = "directory"
"""The kind of a store that is a folder."""
CHECK_SECONDS = 0.2
"""Between two looks whether to give up."""
REMARKS = 20
"""Files that are named because they cannot be read; of further ones, their number is."""


class StoreLibraryMissing(NexusError):
    """The store '{store}' is of the kind {kind}, for which this machine lacks the Python package {package}.

    Install it with the extra of the Gateway: pip install 'NexusCore[gateway]'
    """


OpenStore = Callable[[StoreSettings], ObjectReader]
"""Opens a store for reading."""
Damaged = Sequence[tuple[TransferFile, str]]
"""Files whose stored copy is missing or wrong, with which of the two."""
_NOT_KNOWN = ""
"""What is wrong with a file that may be whole in the store: only its place here has it not."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file, and where it can be read."""

    file: TransferFile
    seen: SeenFile
    """Relative to `root`."""
    root: Path
    location: str | None = None
    """What the record says; None for its path."""


class TransferredFiles:
    """Finds the files of sessions whose PCs have transferred them.

    Parameters
    ----------
    files
        Returns what is known of a session's files, by its id.
    config
        The configuration from its absolute root.
    open_store
        Opens a store for reading.
    times
        Returns how the times of a session's files are to be read.
    log
        Logs what is fetched, and what cannot be read.
    note
        Notes which files of a session are damaged in their store.
    """

    def __init__(
        self,
        files: Callable[[int], Iterable[TransferFile]],
        config: ReadOnlyConfiguration,
        open_store: OpenStore,
        times: Callable[[Session], FileTimes],
        log: logging.Logger,
        note: Callable[[Session, Damaged], object] = lambda session, damaged: None,
    ) -> None:
        self._files = files
        self._config = config
        self._open = open_store
        self._times = times
        self._log = log
        self._note = note
        self._cache: TransferCache | None = None

    def files_of(
        self,
        session: Session,
        instrument: Instrument,
        strategy: str,
        settings: BuilderSettings,
        check: Callable[[], None],
    ) -> SessionFiles | None:
        """Return a session's files; None if its PC has not reported any, so that they are to be searched for.

        They can be read until the files of another session are asked for, or `release`.

        Parameters
        ----------
        session, instrument
            The session, which has ended, and its instrument.
        strategy
            One of `STRATEGIES`.
        settings
            Those of the Builder.
        check
            Called now and then; may raise to give up.

        Raises
        ------
        FileStoreUnreadable
            If the store is a folder that is not there.
        NexusError
            If a store cannot be used, with a sentence for the operators.
        """
        self.release()
        known = list(self._files(session.id))
        if not known:
            return None
        ignored = name_matcher(settings.ignore)
        wanted = [file for file in known if file.state is FileState.VERIFIED and not is_ignored(_bytes(file), ignored)]
        stored: list[_Stored] = []
        damaged: list[tuple[TransferFile, str]] = []
        unreadable = [f"{one_line(file.name)} (damaged)" for file in known if file.state is FileState.DAMAGED]
        for store in sorted({file.store for file in wanted}):
            own = [file for file in wanted if file.store == store]
            for file, found in self._read(session, instrument, store, own, settings, check):
                if isinstance(found, _Stored):
                    stored.append(found)
                    continue
                unreadable.append(one_line(file.name))
                if found != _NOT_KNOWN:
                    damaged.append((file, found))
        if damaged:
            self._note(session, damaged)
        missing = tuple(_missing(unreadable))
        for sentence in missing:
            self._log.warning("%s", sentence)
        times = self._times(session)
        log_times(self._log, times)
        extensions = known_extensions() if strategy == EXCLUSIVE else None
        found_files = [file for root in {one.root for one in stored} for file in _datasets(root, stored, extensions)]
        files = corrected(tuple(sorted(found_files, key=lambda file: (file.modified, file.path))), times)
        return SessionFiles(
            files,
            (),
            (*times.sentences, *(f"Warning: {sentence}" for sentence in missing)),
            place="The store",
            nothing=f"None of the {counted(len(known), 'file')} that its PC has reported can be read from the store",
            complete=True,
        )

    def release(self) -> None:
        """Let fetched files be removed when there is need."""
        if self._cache is not None:
            self._cache.release()

    # -- where they are ------------------------------------------------------------------------------------------------

    def _read(
        self,
        session: Session,
        instrument: Instrument,
        store: str,
        files: Sequence[TransferFile],
        settings: BuilderSettings,
        check: Callable[[], None],
    ) -> Iterator[tuple[TransferFile, _Stored | str]]:
        """Yield the files of one store; what is wrong with one that is not there as it should be."""
        instruments = Instruments(self._config)
        if not store:
            root = instruments.folder(instrument).absolute()
            yield from _in_store(root, root, "", files)
            return
        where = store_settings(self._config, store)
        own = f"{instrument.pid}/"
        if where.kind == DIRECTORY:
            # A reader may read its root: that of the instrument, not that of all.
            root = Path(where.path).expanduser().absolute()
            yield from _in_store(root, root / instrument.pid, own, files)
            return
        if instrument.filestore_path:
            mounted = instruments.folder(instrument).absolute()
            if mounted.is_dir() and any(
                isinstance(found, _Stored) for _, found in _in_folder(mounted, own, files[:REMARKS])
            ):
                for file, found in _in_folder(mounted, own, files):  # a mount may show what was there a while ago
                    yield file, found if isinstance(found, _Stored) else _NOT_KNOWN
                return
        yield from self._fetched(session, where, files, settings, check)

    def _fetched(
        self,
        session: Session,
        where: StoreSettings,
        files: Sequence[TransferFile],
        settings: BuilderSettings,
        check: Callable[[], None],
    ) -> Iterator[tuple[TransferFile, _Stored | str]]:
        """Yield files of a bucket, fetched into the cache."""
        self.release()
        self._cache = TransferCache(settings.transfer_cache, int(settings.transfer_cache_gib * GIB))
        root = self._cache.take(session.identifier, sum(file.size for file in files))
        self._log.info("Fetching %s from the store '%s', unless in the cache", counted(len(files), "file"), where.name)
        opened: list[ObjectReader] = []

        def store() -> ObjectReader:
            if not opened:
                opened.append(self._open(where))
            return opened[0]

        for file in files:
            check()
            path = PurePosixPath(file.folder, file.path)
            if not _is_safe(path) or file.object is None or file.object_md5 is None:
                yield file, _NOT_KNOWN
                continue
            try:
                wanted = Fetch(path, file.object, file.size, file.object_md5, file.modified_ts)
                self._fetch(root, wanted, store, check)
            except WrongFetched as error:
                yield file, str(error)
                continue
            status = status_below(root, root / path)
            identity = None if status is None else (status.st_dev, status.st_ino)
            seen = SeenFile(str(path).encode("utf-8", "surrogateescape"), file.modified_ts * 1000, file.size, identity)
            yield file, _Stored(file, seen, root, "/".join(filter(None, (where.prefix.strip("/"), file.object))))

    def _fetch(self, root: Path, wanted: Fetch, store: Callable[[], ObjectReader], check: Callable[[], None]) -> None:
        """Fetch a file on a thread: one that waits for a dead server can be left behind."""
        cache = self._cache
        assert cache is not None  # noqa: S101  it was taken
        fetched = start_thread(lambda: cache.fetch(root, wanted, store, check), "fetch")
        while not wait([fetched], CHECK_SECONDS).done:
            check()
        fetched.result()


def open_for_reading(settings: StoreSettings) -> ObjectReader:
    """Open a store of the facility.

    Raises
    ------
    StoreLibraryMissing
        If this machine lacks the library of its kind.
    """
    from NexusCore.facility.stores import open_store

    try:
        return open_store(settings, READ_SIZE)
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        raise StoreLibraryMissing(store=settings.name, kind=settings.kind, package=package) from error


def _in_store(
    store: Path, root: Path, own: str, files: Sequence[TransferFile]
) -> Iterator[tuple[TransferFile, _Stored | str]]:
    """Yield files below a folder of a store that is a directory."""
    for file, found in _in_folder(root, own, files):
        # Without its hidden folder it may be an empty mount point, which says nothing about the files.
        known = isinstance(found, _Stored) or (store / UPLOADS).is_dir()
        yield file, found if known else _NOT_KNOWN


def _in_folder(root: Path, own: str, files: Sequence[TransferFile]) -> Iterator[tuple[TransferFile, _Stored | str]]:
    """Yield files that lie below a folder; `own` is what their names in the store begin with besides."""
    if files and not root.is_dir():
        raise FileStoreUnreadable(root=shown(root), reason="no such folder")
    for file in files:
        path = PurePosixPath((file.object or "").removeprefix(own))
        if not (file.object or "").startswith(own) or not _is_safe(path):
            yield file, _NOT_KNOWN
            continue
        status = status_below(root, root / path)
        if status is None or not S_ISREG(status.st_mode) or status.st_size != file.size:
            yield file, MISSING if status is None else CHANGED
            continue
        name = str(path).encode("utf-8", "surrogateescape")
        seen = SeenFile(name, file.modified_ts * 1000, file.size, (status.st_dev, status.st_ino))
        yield file, _Stored(file, seen, root)


def _is_safe(path: PurePosixPath) -> bool:
    """Return whether a path from the database stays below its folder."""
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in str(path)


def _bytes(file: TransferFile) -> bytes:
    return file.path.encode("utf-8", "surrogateescape")


# -- what they are -----------------------------------------------------------------------------------------------------


def _datasets(root: Path, stored: Sequence[_Stored], known: frozenset[str] | None) -> Iterator[FoundFile]:
    """Yield the datasets that the files below one root are."""
    here = [one for one in stored if one.root == root]
    locations = {one.seen.path: one.location for one in here}
    for one in here:
        folder = dataset_folder(one.seen.path)
        if folder is not None and one.location is not None:
            inner = one.seen.path[len(folder) :].decode("utf-8", "surrogateescape")
            locations[folder] = one.location.removesuffix(inner)
    for file in datasets_of(root, [one.seen for one in here], known):
        relative = str(file.path.relative_to(root)).encode("utf-8", "surrogateescape")
        yield replace(file, location=locations.get(relative))


def _missing(unreadable: Sequence[str]) -> Iterator[str]:
    if unreadable:
        more = f" and {len(unreadable) - REMARKS} more" if len(unreadable) > REMARKS else ""
        names = ", ".join(unreadable[:REMARKS])
        yield f"Files that the store does not have as they were transferred are not in the record: {names}{more}."
