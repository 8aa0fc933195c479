"""Caches what was read from a session's files, so that unchanged files are not read again.

One file for each session, to which each extraction is appended as soon as it is there: it survives the end of the
process at any moment. An entry holds as long as the dataset's files are as they were (path, size, time of modification
in nanoseconds; of a folder that is one dataset, the sum and the newest), the software that read them is the same, and
the previews and the metadata that were written then lie untouched where they are wanted now. A damaged entry of
a cache is skipped, and the file is read again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from stat import S_ISREG

import msgspec

import NexusCore
from NexusCore.clock import SECOND
from NexusCore.delivery.frames import Frame, decode, encode
from NexusCore.files import Folder, InTheWay, open_file_below, status_below
from NexusCore.resources import sentence_of
from Services.Builder.extraction import wire
from Services.Builder.extraction.context import without_samples
from Services.Builder.extraction.jobs import Job
from Services.Builder.finding.folders import is_dataset, size_and_time
from Services.Builder.model import Extraction

DAY = 86_400 * SECOND
_READER_PACKAGES = ("rosettasciio", "hyperspy", "exspy", "lumispy", "pyxem")
"""Packages whose version decides what a file yields."""
_OURS = (
    *("extraction/dataset_view.py", "extraction/extract.py", "extraction/fingerprints.py", "finding/folders.py"),
    *("extraction/context.py", "extraction/microscope.py", "elements.py", "sample_matching.py"),
    *("extraction/completeness", "extraction/extractors", "extraction/signals", "preview"),
)

Stamp = tuple[int, int]
"""Size in bytes and time of modification in nanoseconds."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One extraction, and what it holds under."""

    software: str
    job: bytes
    """The job: paths, the corrections that apply to the instrument's files, and samples, where these matter."""
    inputs: tuple[Stamp, ...]
    """Of the file and its companions."""
    outputs: tuple[Stamp | None, ...]
    """Of the preview, the metadata and further previews; None for one that was not written."""
    extraction: Extraction


class ExtractionCache:
    """The caches of all sessions.

    Parameters
    ----------
    folder
        Folder of the caches; made when first needed.
    log
        Logs that a cache cannot be written.
    software
        What reads the files, with its version; by default that of this installation.
    root
        Folder from which `folder` is reached over no links; by default itself.
    """

    def __init__(
        self,
        folder: Path,
        log: logging.Logger,
        software: Callable[[], str] | None = None,
        root: Path | None = None,
    ) -> None:
        self._folder = folder
        self._root = root or folder
        self._log = log
        self._software = software or software_version

    def of_session(self, identifier: str) -> SessionCache:
        """Return the cache of a session."""
        name = hashlib.sha256(identifier.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return SessionCache(self._folder / f"{name}.nxc", self._software(), self._log, self._root)

    def forget_before(self, ts: int) -> None:
        """Delete the caches of sessions that were last built before a time, in microseconds since the epoch, UTC."""
        with suppress(OSError, InTheWay), _open(self._root, self._folder) as folder:
            for name in folder.names():
                status = folder.status(name)
                if name.endswith(".nxc") and status is not None and status.st_mtime_ns // 1000 < ts:
                    with suppress(OSError):
                        folder.remove(name)


class SessionCache:
    """The cache of one session."""

    def __init__(self, path: Path, software: str, log: logging.Logger, root: Path) -> None:
        self._path = path
        self._root = root
        self._software = software
        self._log = log
        entries = list(self._read())
        self._entries = {entry.extraction.path: entry for entry in entries if entry.software == software}
        if entries and not self._entries:  # all by older software: it would only grow
            with suppress(OSError, InTheWay), _open(root, path.parent) as folder:
                folder.remove(path.name)

    def get(self, job: Job) -> Extraction | None:
        """Return what the file yielded, if that is still valid."""
        entry = self._entries.get(job.path)
        if entry is None or entry.job != _job_key(job, entry.extraction):
            return None
        unchanged = entry.inputs == stamps(job) and entry.outputs == _outputs(job, entry.extraction)
        return entry.extraction if unchanged else None

    def put(self, job: Job, inputs: tuple[Stamp, ...] | None, extraction: Extraction) -> None:
        """Store what a file yielded.

        Parameters
        ----------
        job
            The job.
        inputs
            The `stamps` of the job before it was read; None where a file was missing.
        extraction
            The answer. It is not stored if another attempt may improve it.
        """
        if inputs is None or not extraction.whole or (job.metadata is not None and extraction.metadata_json is None):
            return
        entry = CacheEntry(self._software, _job_key(job, extraction), inputs, _outputs(job, extraction), extraction)
        try:
            frame = encode(0, msgspec.msgpack.encode(entry, enc_hook=wire.encode_value))
        except (ValueError, OverflowError, TypeError):
            return  # such as an integer of more than 64 bits: rare, and read again
        try:
            with (
                _open(self._root, self._path.parent, create=True) as folder,
                folder.open_for_appending(self._path.name) as file,
            ):
                file.write(frame)
        except (OSError, InTheWay) as error:
            self._log.warning("The extraction of %s cannot be cached: %s", job.path.name, sentence_of(error))
        self._entries[job.path] = entry

    def _read(self) -> Iterator[CacheEntry]:
        try:
            with open_file_below(self._root, self._path) as file:
                os.utime(file.fileno())  # in use: not to be deleted yet
                data = file.read()
        except (OSError, InTheWay):
            return
        for piece, _ in decode(data, complete=True):
            if isinstance(piece, Frame):
                with suppress(msgspec.MsgspecError, ValueError, TypeError):  # written by another version, or damaged
                    yield msgspec.msgpack.decode(piece.payload, type=CacheEntry, dec_hook=wire.decode_value)


def _open(root: Path, folder: Path, *, create: bool = False) -> Folder:
    with Folder.open(root, create=create) as top:
        return top.below(folder.relative_to(root), create=create)


def stamps(job: Job) -> tuple[Stamp, ...] | None:
    """Return the stamps of a dataset's files as they are now; None if one of them is missing."""
    stamps = [size_and_time(path) if is_dataset(path) else _stamp(path) for path in (job.path, *job.companions)]
    return tuple(stamp for stamp in stamps if stamp is not None) if all(stamps) else None


def _job_key(job: Job, extraction: Extraction) -> bytes:
    """Return what an extraction was made of, as far as it mattered: the session's samples do for few files."""
    if not extraction.elements_matter:
        job = replace(job, context=without_samples(job.context))
    # a file's identity is that of one search: a device's number changes when the machine starts again
    job = replace(job, root=None, identities=(), hash_seconds=0.0)  # an extraction without its hash is not cached
    return msgspec.msgpack.encode(job, enc_hook=wire.encode_value, order="deterministic")


def _outputs(job: Job, extraction: Extraction) -> tuple[Stamp | None, ...]:
    return tuple(
        _output_stamp(job, path)
        for path in (extraction.preview, extraction.metadata_json, *extraction.further_previews)
    )


def _output_stamp(job: Job, path: Path | None) -> Stamp | None:
    """Return the stamp of what was written for a job; None also where only a link leads to it."""
    try:
        state = status_below(job.records or path.parent, path) if path is not None else None
    except (OSError, ValueError):
        return None
    return None if state is None or not S_ISREG(state.st_mode) else (state.st_size, state.st_mtime_ns)


def _stamp(path: Path | None) -> Stamp | None:
    try:
        state = path.lstat() if path is not None else None
    except (OSError, ValueError):
        return None
    return None if state is None else (state.st_size, state.st_mtime_ns)


@cache
def software_version() -> str:
    """Return what reads files here: versions, and when our own modules for it were changed."""
    here = Path(__file__).parents[1]
    roots = (here / name for name in _OURS)
    modules = sorted(
        path for root in roots for path in (root.rglob("*") if root.is_dir() else [root]) if path.is_file()
    )
    ours = hashlib.sha256()
    for module in modules:
        if module.suffix != ".pyc":
            ours.update(f"{module.relative_to(here)} {_stamp(module)}\n".encode())
    versions = " ".join(f"{name} {_version(name)}" for name in _READER_PACKAGES)
    return f"NexusCore {NexusCore.__version__} {versions} {ours.hexdigest()[:16]}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
