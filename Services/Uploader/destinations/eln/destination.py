"""Writes an ``.eln`` archive for each record into a folder.

Promises
--------
* An archive is there whole or not at all: it is written under another name, read back, compared and then renamed.
* The same record yields the same bytes, on any machine; a newer version replaces the older one.
* The name of an archive belongs to its session; a file of that name that is somebody else's is left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from NexusCore.facility import Record
from Services.Uploader.destinations import NotTaken, Receipt, digest, files_below, files_of
from Services.Uploader.destinations.about import about
from Services.Uploader.destinations.directory.destination import Directory
from Services.Uploader.destinations.eln.crate import FOLDER, METADATA, Part, metadata
from Services.Uploader.destinations.whole import replacing, writing_into

SUFFIX = ".eln"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the oldest that the format knows."""
_READABLE = 0o100644 << 16
_UNIX = 3
_CHUNK = 1024 * 1024


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
            with writing_into(self.path) as first:
                if not first:
                    raise self._not_taken(record, f"another Uploader is writing into {self.path}")
                older = target.exists()
                self._place(record, target)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise self._not_taken(record, f"{error.strerror or error}{where}") from error
        remark = "it replaces the archive that was there" if older else None
        return Receipt(self.name, target.name, target.as_uri(), remark)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as it is in its archive."""
        target = self.path / receipt.remote_id
        with zipfile.ZipFile(target) as archive:
            return archive.read(f"{target.stem}/{FOLDER}/{target.stem}.xml")

    def _place(self, record: Record, target: Path) -> None:
        if target.exists() and _session_of(target) != record.session:
            raise self._not_taken(record, f"{target} is not an archive of its session")
        parts = _parts(record)
        gist = about(Path(record.path).read_bytes())
        with replacing(target) as unfinished:
            _write(unfinished, target.stem, metadata(record, gist, parts, self.publisher, self.licence), parts)
            if not _holds(unfinished, target.stem, parts):
                raise self._not_taken(record, f"a file was changed while {target.name} was written")

    def _not_taken(self, record: Record, reason: str) -> NotTaken:
        return NotTaken(destination=self.name, title=record.title, reason=reason)


def _parts(record: Record) -> list[Part]:
    """Return the record's file and those that belong to it, which keep their places beside it."""
    xml = Path(record.path)
    files = [xml, *files_below(files_of(xml))]
    parts = [Part(_shown(file.relative_to(xml.parent)), file, file.stat().st_size, digest(file)) for file in files]
    return [parts[0], *sorted(parts[1:], key=lambda part: part.path)]


def _shown(path: Path) -> str:
    """Return a path as text that every program can read, whatever bytes it is made of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _write(target: Path, root: str, description: bytes, parts: Sequence[Part]) -> None:
    with target.open("xb") as file:
        # Not compressed: previews are already, and what a compressor makes of the rest is not the same everywhere.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(f"{root}/{METADATA}"), description)
            for part in parts:
                entry = _entry(f"{root}/{FOLDER}/{part.path}")
                entry.file_size = part.size
                with part.file.open("rb") as source, archive.open(entry, "w") as copy:
                    shutil.copyfileobj(source, copy)
        file.flush()
        os.fsync(file.fileno())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = _READABLE
    entry.create_system = _UNIX
    return entry


def _holds(target: Path, root: str, parts: Sequence[Part]) -> bool:
    """Tell whether an archive gives back what was to go into it."""
    with zipfile.ZipFile(target) as archive:
        for part in parts:
            seen = hashlib.sha256()
            with archive.open(f"{root}/{FOLDER}/{part.path}") as file:
                while chunk := file.read(_CHUNK):
                    seen.update(chunk)
            if seen.hexdigest() != part.sha256:
                return False
    return True


def _session_of(target: Path) -> str | None:
    """Return the session whose archive a file is; None if it is none that was written here."""
    try:
        with zipfile.ZipFile(target) as archive:
            graph = json.loads(archive.read(f"{target.stem}/{METADATA}"))["@graph"]
        found = next(entity for entity in graph if entity["@id"] == f"./{FOLDER}/")
    except (zipfile.BadZipFile, ValueError, LookupError, TypeError, StopIteration):
        return None
    return str(found.get("identifier"))
