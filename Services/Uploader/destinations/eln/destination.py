"""Writes an ``.eln`` archive for each record into a folder.

Promises
--------
* An archive is there whole or not at all: it is written under another name, read back, compared and then renamed.
* The same record yields the same bytes, on any machine; a newer version replaces the older one.
* The name of an archive belongs to its session; a file of that name that is not its own is left alone.
* Nothing is written through a link below the folder: what is in the way stays, and is named.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, ClassVar

from NexusCore.facility import Record
from NexusCore.facility.record_page import page_of
from NexusCore.files import Folder, InTheWay
from Services.Uploader.destinations import NotTaken, Receipt, content_of, digest, open_of
from Services.Uploader.destinations.atomic_files import writing_into
from Services.Uploader.destinations.directory.destination import Directory
from Services.Uploader.destinations.eln.crate import EXPERIMENT_FOLDER, METADATA_FILE, Part, metadata
from Services.Uploader.destinations.record_files import files_beside, page_for
from Services.Uploader.destinations.record_summary import about

SUFFIX = ".eln"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the oldest that the format knows."""
_READABLE = 0o100644 << 16
_UNIX = 3
_ARCHIVE_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ELN:
    """The destination ``eln``.

    Parameters
    ----------
    path
        The folder.
    publisher, licence
        What the archives state.
    may_create
        Make the folder if it isn't there.
    """

    name: ClassVar[str] = "eln"

    path: Path
    publisher: str
    licence: str = ""
    may_create: bool = False

    def check(self) -> list[str]:
        """Say whether the folder is there and can be written to."""
        return Directory(self.path, self.may_create).check()

    def put(self, record: Record) -> Receipt:
        """Write the archive of a record."""
        target = self.path / f"{Path(record.path).stem}{SUFFIX}"
        try:
            if self.may_create:
                self.path.mkdir(parents=True, exist_ok=True)
            with writing_into(self.path) as folder:
                if folder is None:
                    raise self._not_taken(record, f"another Uploader is writing into {self.path}")
                older = folder.status(target.name) is not None
                self._place(record, folder, target)
        except InTheWay as error:
            raise self._not_taken(record, str(error).rstrip(".")) from error
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise self._not_taken(record, f"{error.strerror or error}{where}") from error
        remark = "it replaces the archive that was there" if older else None
        return Receipt(self.name, target.name, target.as_uri(), remark)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as it is in its archive."""
        root = Path(receipt.remote_id).stem
        with (
            Folder.open(self.path) as folder,
            folder.open_file(receipt.remote_id) as file,
            zipfile.ZipFile(file) as archive,
        ):
            return archive.read(f"{root}/{EXPERIMENT_FOLDER}/{root}.xml")

    def _place(self, record: Record, folder: Folder, target: Path) -> None:
        if folder.status(target.name) is not None:
            with folder.open_file(target.name) as there:
                if _session_of(there, target.stem) != record.session:
                    raise self._not_taken(record, f"{target} is not an archive of its session")
        parts = _parts(record)
        xml = Path(record.path)
        description = metadata(record, about(content_of(xml)), parts, self.publisher, self.licence)

        def check(written: BufferedReader) -> None:
            if not _holds(written, target.stem, parts):
                raise self._not_taken(record, f"a file was changed while {target.name} was written")

        with folder.replacing(target.name, check) as file:
            _write(file, target.stem, description, xml, parts)

    def _not_taken(self, record: Record, reason: str) -> NotTaken:
        return NotTaken(destination=self.name, title=record.title, reason=reason)


def _parts(record: Record) -> list[Part]:
    """Return the record's file, its page and those that belong to it, which keep their places beside it."""
    xml = Path(record.path)
    parts = [_part(xml, file) for file in (xml, *files_beside(xml))]
    return [parts[0], *_page(xml), *sorted(parts[1:], key=lambda part: part.path)]


def _page(xml: Path) -> Iterator[Part]:
    page = page_for(xml)
    if page is not None:
        yield Part(page_of(xml).name, page_of(xml), len(page), hashlib.sha256(page).hexdigest(), page)


def _part(xml: Path, file: Path) -> Part:
    with open_of(xml, file) as opened:
        return Part(_shown(file.relative_to(xml.parent)), file, os.fstat(opened.fileno()).st_size, digest(opened))


def _shown(path: Path) -> str:
    """Return a path, of any bytes, as text that every program can read."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _write(file: BinaryIO, root: str, description: bytes, xml: Path, parts: Sequence[Part]) -> None:
    # Not compressed: previews are already, and what a compressor makes of the rest is not the same everywhere.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(f"{root}/{METADATA_FILE}"), description)
        for part in parts:
            entry = _entry(f"{root}/{EXPERIMENT_FOLDER}/{part.path}")
            entry.file_size = part.size
            with _opened(xml, part) as source, archive.open(entry, "w") as copy:
                shutil.copyfileobj(source, copy)


def _opened(xml: Path, part: Part) -> BinaryIO:
    return open_of(xml, part.file) if part.content is None else BytesIO(part.content)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
    entry.external_attr = _READABLE
    entry.create_system = _UNIX
    return entry


def _holds(written: BufferedReader, root: str, parts: Sequence[Part]) -> bool:
    """Return whether an archive gives back what was to go into it."""
    with zipfile.ZipFile(written) as archive:
        for part in parts:
            digest = hashlib.sha256()
            with archive.open(f"{root}/{EXPERIMENT_FOLDER}/{part.path}") as file:
                while chunk := file.read(_ARCHIVE_CHUNK):
                    digest.update(chunk)
            if digest.hexdigest() != part.sha256:
                return False
    return True


def _session_of(file: BufferedReader, root: str) -> str | None:
    """Return the session whose archive a file is; None for any other file."""
    try:
        with zipfile.ZipFile(file) as archive:
            graph = json.loads(archive.read(f"{root}/{METADATA_FILE}"))["@graph"]
        experiment = next(entity for entity in graph if entity["@id"] == f"./{EXPERIMENT_FOLDER}/")
    except (zipfile.BadZipFile, ValueError, LookupError, TypeError, StopIteration):
        return None
    return str(experiment.get("identifier"))
