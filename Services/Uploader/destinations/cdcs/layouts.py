"""How a record is arranged for a CDCS: as it is, or as the page of NexusLIMS for single records reads it.

That page, the viewer, puts the address of a preview together from its ``previewBaseUrl`` and the text of ``<preview>``,
that of the metadata from the same with ``.json`` in place of ``.thumb.png``, that of a file from its ``datasetBaseUrl``
and the text of ``<location>``. It does not open over datasets with a ``<format>``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol
from urllib.parse import quote, quote_from_bytes
from xml.sax.saxutils import escape

from NexusCore.facility import Record
from NexusCore.facility.record_page.links import location_bytes
from Services.Uploader.destinations.cdcs.files import with_addresses
from Services.Uploader.destinations.directory.destination import Directory
from Services.Uploader.destinations.record_files import parse_xml

VIEWER, PLAIN = "nexuslims", "plain"
LAYOUTS = (VIEWER, PLAIN)
_PREVIEW, _THUMBNAIL = ".png", ".thumb.png"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class Layout(Protocol):
    """An arrangement of records."""

    def arranged(self, document: bytes, links: Mapping[str, str], session: str) -> bytes:
        """Return the record that is sent.

        Parameters
        ----------
        document
            The record of the Builder.
        links
            What is to stand in place of the paths of its files.
        session
            Identifier of its session; the Uploader knows its records in the CDCS by it.
        """
        ...


@dataclass(frozen=True, slots=True)
class PlainLayout:
    """The record as it is, with the addresses of its files."""

    def arranged(self, document: bytes, links: Mapping[str, str], session: str) -> bytes:
        """Return the record with addresses."""
        return with_addresses(document, links)


@dataclass(frozen=True, slots=True)
class ViewerLayout:
    """The record as the viewer reads it; `docs/uploader.md` lists each change.

    Parameters
    ----------
    pid
        Leave the attribute ``pid`` in it. The viewer makes a link of it, and a site that writes PIDs of its own refuses
        the record.
    """

    pid: bool = False

    def arranged(self, document: bytes, links: Mapping[str, str], session: str) -> bytes:
        """Return the record with each change made."""
        from lxml import etree

        root = parse_xml(with_addresses(document, links))
        if not self.pid:
            root.attrib.pop("pid", None)
        for dataset in root.iter("{*}dataset"):
            for location in dataset.iterchildren("{*}location"):
                location.text = _from_the_root(location.text or "")
            for form in list(dataset.iterchildren("{*}format")):
                _move_to_metadata(dataset, form)
        if escape(session) not in etree.tostring(root, encoding="unicode"):
            _note_session(root, session)
        return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


@dataclass(frozen=True, slots=True)
class ViewerFiles:
    """The folder that the viewer's ``previewBaseUrl`` leads to.

    Parameters
    ----------
    path
        The folder; None where none is set.
    """

    path: Path | None

    def check(self) -> list[str]:
        """Say whether the folder can be used."""
        if self.path is None:
            return [
                "the layout nexuslims requires the folder that the site's previewBaseUrl leads to: set "
                "Services.Uploader.cdcs.files_path. For a site without the NexusLIMS viewer: "
                "ConfigTool Services.Uploader.cdcs.layout=plain"
            ]
        return Directory(self.path).check()

    def place(self, record: Record, paths: Collection[str], workspace: int) -> Mapping[str, str]:
        """Copy the files under the names that the viewer looks for; return what stands in the record for each."""
        assert self.path is not None, "`check` comes first"  # noqa: S101
        Directory(self.path, place_of=viewer_path).put(record)
        return {path: _viewer_link(viewer_path(PurePath(path))) for path in paths}

    def clear(self, record: Record, content: str) -> None:
        """Do nothing: `place` has removed old files."""


def viewer_path(path: PurePath) -> PurePath:
    """Return where the viewer looks for a file: a preview's name ends in ``.thumb.png``."""
    return path.with_name(path.name.removesuffix(_PREVIEW) + _THUMBNAIL) if path.name.endswith(_PREVIEW) else path


def _viewer_link(path: PurePath) -> str:
    """Return a path as the viewer adds it to its base: it looks for the metadata by the first ``.thumb.png`` in it."""
    link = f"/{quote(os.fsencode(path))}"
    end = _THUMBNAIL if link.endswith(_THUMBNAIL) else ""
    return link.removesuffix(end).replace(_THUMBNAIL, _THUMBNAIL.replace(".png", "%2Epng")) + end


def _from_the_root(location: str) -> str:
    """Return a place in the file store, or in a bucket, as it follows the address of its root."""
    return f"/{quote_from_bytes(location_bytes(_ADDRESS.sub('', location, count=1).lstrip('/')))}"


def _move_to_metadata(dataset: Any, form: Any) -> None:
    """Make metadata of a dataset's format, in order of the names."""
    from lxml import etree

    dataset.remove(form)
    metadata = list(dataset.iterchildren("{*}meta"))
    names = {element.get("name") for element in metadata}
    name, copies = "Format", 1
    while name in names:
        copies += 1
        name = f"Format ({copies})"
    element = etree.Element(str(etree.QName(etree.QName(form).namespace, "meta")), name=name)
    element.text, element.tail = form.text, form.tail
    later = next((other for other in metadata if (other.get("name") or "") > name), None)
    if later is not None:
        later.addprevious(element)
    else:
        dataset.append(element)


def _note_session(root: Any, session: str) -> None:
    """Add a note with the identifier of the session, where the record has it nowhere else."""
    from lxml import etree

    def tag(name: str) -> str:
        return str(etree.QName(etree.QName(root).namespace, name))

    entry = etree.SubElement(etree.SubElement(root, tag("notes"), source="NexusCore"), tag("entry"))
    entry.set(_XSI_TYPE, "TextEntry")
    etree.SubElement(entry, tag("p")).text = f"Session {session}."
