"""Copies records, with their previews, metadata and page, into a folder.

Promises
--------
* A file is there whole or not at all: it is written under another name in the same folder, synced, read back, compared
  and then renamed. The XML comes last, so it never names what isn't there.
* A record's name belongs to its session; files of other sessions or of people are left alone.
* The same record twice leaves one copy; a newer version replaces the older one, and what only that had goes.
* Nothing is written or removed through a link below the folder: what is in the way stays, and is named.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePath
from typing import ClassVar

from NexusCore.facility import Record
from NexusCore.facility.record_page import page_of
from NexusCore.files import Folder, InTheWay
from Services.Uploader.destinations import (
    NotTaken,
    Receipt,
    digest,
    digest_of,
    files_of,
    open_of,
)
from Services.Uploader.destinations.atomic_files import UPLOADERS_FOLDER, writing_into
from Services.Uploader.destinations.record_files import files_beside, page_for

_COPY_CHUNK = 1024 * 1024


def _as_it_is(path: PurePath) -> PurePath:
    return path


@dataclass(frozen=True, slots=True)
class Directory:
    """The destination ``directory``.

    Parameters
    ----------
    path
        The folder.
    may_create
        Make it if it isn't there.
    place_of
        Where a file that belongs to a record goes, by its path beside the record; the same place where none is given.
    with_page
        Also write the record's page beside it.
    """

    name: ClassVar[str] = "directory"

    path: Path
    may_create: bool = False
    place_of: Callable[[PurePath], PurePath] = _as_it_is
    with_page: bool = False

    def check(self) -> list[str]:
        """Say whether the folder is there and can be written to."""
        place = self.path
        try:
            while self.may_create and not place.exists() and place != place.parent:
                place = place.parent
            if not place.exists():
                return [f"the folder {self.path} does not exist (is the share mounted?)"]
            if not place.is_dir():
                return [f"{place} is not a folder"]
        except OSError as error:
            return [f"{place} cannot be reached: {error.strerror}"]
        return [] if os.access(place, os.W_OK | os.X_OK) else [f"this user may not write to {place}"]

    def put(self, record: Record) -> Receipt:
        """Copy a record and what belongs to it."""
        xml = Path(record.path)
        url = (self.path / xml.name).as_uri()
        try:
            if self.may_create:
                self.path.mkdir(parents=True, exist_ok=True)
            with Folder.open(self.path) as folder:
                if folder.same_as(xml.parent):
                    return Receipt(self.name, xml.name, url, "it lies in the Builder's own folder")
            with writing_into(self.path) as folder:
                if folder is None:
                    raise self._not_taken(record, f"another Uploader is writing into {self.path}")
                older = self._claim(record, folder)
                self._place_all(record, folder)
        except InTheWay as error:
            raise self._not_taken(record, str(error).rstrip(".")) from error
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise self._not_taken(record, f"{error.strerror or error}{where}") from error
        remark = f"it replaces the older version of the record of session {record.session}" if older else None
        return Receipt(self.name, xml.name, url, remark)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as it lies in the folder."""
        with Folder.open(self.path) as folder, folder.open_file(receipt.remote_id) as file:
            return file.read()

    def _claim(self, record: Record, folder: Folder) -> bool:
        """Make the record's name its session's; return whether an older version is to be replaced."""
        name = Path(record.path).name
        with folder.folder(UPLOADERS_FOLDER) as hidden:
            claim = f"{name}.session"
            owner = _text(hidden, claim)
            there = folder.status(name) is not None
            same = there and _digest(folder, name) == record.sha256
            if owner and owner != record.session:
                raise self._not_taken(record, f"{folder.path / name} is the record of another session, {owner}")
            if not owner:
                if there and not same:
                    raise self._not_taken(record, f"{name} in {self.path} was not put there by NexusCore")
                page = page_of(Path(name)).name
                if self.with_page and not there and folder.status(page) is not None:
                    raise self._not_taken(record, f"{page} in {self.path} was not put there by NexusCore")
                files = files_of(Path(name)).name
                if not there and folder.status(files) is not None and not _is_empty(folder, files):
                    reason = f"the folder {files} in {self.path} was not put there by NexusCore, and it is not empty"
                    raise self._not_taken(record, reason)
                line = f"{record.session}\n".encode()
                _write(hidden, claim, [line], hashlib.sha256(line).hexdigest())
        return there and not same

    def _place_all(self, record: Record, folder: Folder) -> None:
        xml = Path(record.path)
        files = {file: self.place_of(file.relative_to(xml.parent)) for file in files_beside(xml)}
        for file, place in files.items():
            with folder.below(place.parent, create=True) as inner:
                _copy(xml, file, digest_of(xml, file), inner, place.name)
        self._place_page(xml, folder)
        _copy(xml, xml, record.sha256, folder, xml.name)
        _remove_others(folder, files_of(xml).name, {folder.path / place for place in files.values()})

    def _place_page(self, xml: Path, folder: Folder) -> None:
        page = page_for(xml) if self.with_page else None
        if page is None:
            return
        name, sha256 = page_of(xml).name, hashlib.sha256(page).hexdigest()
        if folder.status(name) is None or _digest(folder, name) != sha256:
            _write(folder, name, [page], sha256)

    def _not_taken(self, record: Record, reason: str) -> NotTaken:
        return NotTaken(destination=self.name, title=record.title, reason=reason)


def _is_empty(folder: Folder, name: str) -> bool:
    with folder.folder(name) as inner:
        return not inner.names()


def _text(folder: Folder, name: str) -> str:
    """Return what a file says; an empty text where there is none."""
    try:
        with folder.open_file(name) as file:
            return file.read().decode("utf-8").strip()
    except FileNotFoundError:
        return ""


def _copy(xml: Path, file: Path, sha256: str, folder: Folder, name: str) -> None:
    """Put a copy of a file in place, unless it is there already."""
    if folder.status(name) is None or _digest(folder, name) != sha256:
        with open_of(xml, file) as opened:
            _write(folder, name, _chunks(opened), sha256)


def _write(folder: Folder, name: str, content: Iterable[bytes], sha256: str) -> None:
    """Write a file whole or not at all."""
    target = folder.path / name

    def check(written: BufferedReader) -> None:
        if digest(written) != sha256:
            raise OSError(errno.EIO, "What was written is not what is read back", str(target))

    seen = hashlib.sha256()
    with folder.replacing(name, check) as file:
        for chunk in content:
            seen.update(chunk)
            file.write(chunk)
        if seen.hexdigest() != sha256:
            raise OSError(errno.EBUSY, "It was changed while it was copied", str(target))


def _digest(folder: Folder, name: str) -> str:
    with folder.open_file(name) as file:
        return digest(file)


def _chunks(file: BufferedReader) -> Iterator[bytes]:
    while chunk := file.read(_COPY_CHUNK):
        yield chunk


def _remove_others(folder: Folder, name: str, wanted: set[Path]) -> None:
    """Remove what only an older version had."""
    if folder.status(name) is None:
        return
    with folder.folder(name) as copies:
        copies.remove_others(wanted)
    if not wanted:
        folder.remove_empty(name)
