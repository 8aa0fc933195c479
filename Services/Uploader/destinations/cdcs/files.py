"""Stores the previews and the metadata of a record, and makes its links lead there.

A record that the Builder made names them relative to itself. On a server that keeps records in a database this leads
nowhere: there the files are blobs of the CDCS, or lie in a folder that a web server shows, and the copy of the record
that is sent has their addresses in place of the paths. Nothing else in it changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from NexusCore.facility import Record
from Services.Uploader.destinations import DestinationAway, NotTaken, digest_of, open_of
from Services.Uploader.destinations.cdcs.api import Blob, CdcsApi
from Services.Uploader.destinations.directory.destination import Directory
from Services.Uploader.destinations.record_files import files_beside, parse_xml
from Services.Uploader.destinations.web import address_fault

_LONGEST_BLOB_NAME = 200
"""Characters that the name of a blob may have."""
_DOWNLOAD = re.compile(r"rest/blob/download/(\d{1,18})/")
"""Address of a blob, in a record; see `_path`."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Files(Protocol):
    """Where the files of records go."""

    def check(self) -> list[str]:
        """Return what prevents sending any file, in sentences."""
        ...

    def place(self, record: Record, paths: Collection[str], workspace: int) -> Mapping[str, str]:
        """Store the files of a record, once each; return the address of each by the path in the record.

        Parameters
        ----------
        record
            Whose files.
        paths
            Paths that stand in the record.
        workspace
            Id of the workspace whose readers shall see them.
        """
        ...

    def clear(self, record: Record, content: str) -> None:
        """Remove files that `content`, the record as the server has it, does not link to."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """A folder that a web server shows; the files that the record names go there, in their folders.

    Parameters
    ----------
    path, url
        The folder, and the address under which it is shown.
    """

    path: Path
    url: str

    def check(self) -> list[str]:
        """Say whether folder and address can be used."""
        fault = address_fault(self.url)
        wrong = [f"Services.Uploader.cdcs.files_url goes with files_path, but {fault}"] if fault else []
        return wrong + Directory(self.path).check()

    def place(self, record: Record, paths: Collection[str], workspace: int) -> Mapping[str, str]:
        """Copy the files; the folder's own rules see to it that they are whole and overwrite no others."""
        Directory(self.path).put(record)
        base = self.url.rstrip("/")
        return {path: f"{base}/{quote(path)}" for path in paths}

    def clear(self, record: Record, content: str) -> None:
        """Do nothing: `place` has removed old files."""


@dataclass(frozen=True, slots=True)
class Blobs:
    """Blobs of the CDCS itself; those files go there that the record names.

    The name of a blob says whose it is and what is in it, so a file that is there already is found, and not sent again.

    Parameters
    ----------
    api
        The CDCS.
    public
        Address under which readers reach it.
    """

    api: CdcsApi
    public: str

    def check(self) -> list[str]:
        """Return no obstacle: `CDCS.check` examines the server."""
        return []

    def place(self, record: Record, paths: Collection[str], workspace: int) -> Mapping[str, str]:
        """Store the files that are not there yet."""
        if not paths:
            return {}
        there: dict[str, Blob] = {}
        for blob in self.api.blobs(_prefix(record)):
            there.setdefault(blob.name, blob)
        links = {}
        for path in paths:
            file = Path(record.path).parent / path
            name = _name(record, file)
            if name not in there:
                there[name] = self._add(record, name, file)
            if there[name].workspace != workspace:
                self.api.assign_blob(there[name].id, workspace)
            links[path] = self._address(there[name])
        return links

    def clear(self, record: Record, content: str) -> None:
        """Delete the blobs that the record does not link to."""
        linked = {int(number) for number in _DOWNLOAD.findall(content)}
        for blob in self.api.blobs(_prefix(record)):
            if blob.id not in linked:
                self.api.delete_blob(blob.id)

    def _add(self, record: Record, name: str, file: Path) -> Blob:
        try:
            with open_of(Path(record.path), file) as opened:
                return self.api.add_blob(name, opened)
        except DestinationAway:
            blobs = [blob for blob in self.api.blobs(_prefix(record)) if blob.name == name]
            if not blobs:
                raise
            return blobs[0]
        except OSError as error:
            reason = f"{error.strerror} ({error.filename})"
            raise NotTaken(destination=self.api.site.destination, title=record.title, reason=reason) from None

    def _address(self, blob: Blob) -> str:
        return f"{self.public}/{_path(blob)}"


def beside(record: Record) -> set[str]:
    """Return the paths, as a record names them, of the files that belong to it."""
    xml = Path(record.path)
    return {file.relative_to(xml.parent).as_posix() for file in files_beside(xml)}


def linked_paths(document: bytes, paths: Collection[str]) -> list[str]:
    """Return those of the paths that stand in a record, in order."""
    if not paths:
        return []
    texts = {element.text for element in parse_xml(document).iter("{*}*") if element.text in paths}
    return sorted(path for path in texts if path is not None)


def with_addresses(document: bytes, links: Mapping[str, str]) -> bytes:
    """Return a record with addresses in place of the paths of its files."""
    from lxml import etree

    if not links:
        return document
    root = parse_xml(document)
    for element in root.iter("{*}*"):
        if element.text in links:
            element.text = links[element.text]
    return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


def _path(blob: Blob) -> str:
    return f"rest/blob/download/{blob.id}/"


def _prefix(record: Record) -> str:
    session = hashlib.sha256(record.session.encode()).hexdigest()[:8]
    return f"{record.title[:120]}.{session}."


def _name(record: Record, file: Path) -> str:
    """Return the name of a blob: whose it is, what is in it, and what a person calls it."""
    start = f"{_prefix(record)}{digest_of(Path(record.path), file)[:16]}."
    return start + _UNSAFE.sub("_", file.name)[len(start) - _LONGEST_BLOB_NAME :]
