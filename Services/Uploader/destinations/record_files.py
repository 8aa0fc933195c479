"""Which files belong to a record: those that it names, and nothing else that others may have put beside it.

Promises
--------
* A file is sent with a record only if an element of the record is its path, as those of previews and of metadata are.
* A named path that is not a file of the record's own (a link, a hard link, a pipe, a folder) is an error.
* What lies there and is not named stays where it is; it is reported, as are files that are named and missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from stat import S_ISDIR
from typing import Any

from NexusCore.facility.record_page.content import NotARecord
from NexusCore.facility.record_page.render import record_page
from NexusCore.files import UNFINISHED, Folder
from Services.Uploader.destinations import content_of, files_of

# What the Builder replaces in a text because XML 1.0 has no place for it (Char, section 2.2), such as the bytes of a
# name that is not UTF-8; and the spaces that it makes one.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES = re.compile("[ \t\r\n]+")
_MOST_NAMED = 5
"""Names that one sentence lists."""


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """What lies beside a record."""

    named: tuple[Path, ...] = ()
    """The files that the record names, each folder's in order of name."""
    others: tuple[str, ...] = ()
    """Paths, relative to the record's folder, of what it does not name; a folder stands for all that is in it."""
    missing: tuple[str, ...] = ()
    """What the record names and is not there."""

    def warnings(self, title: str) -> Iterator[str]:
        """Yield a sentence about what is not sent with the record of a title, and one about what is missing."""
        if self.others:
            yield f"Not sent with the record '{title}', because it does not name them: {_listed(self.others)}"
        if self.missing:
            yield f"Missing, so the record '{title}' is sent without them: {_listed(self.missing)}"


def files_beside(xml: Path) -> tuple[Path, ...]:
    """Return the files that are sent with a record; errors as for `examine_folder`."""
    return examine_folder(xml).named


def examine_folder(xml: Path) -> RecordFiles:
    """Look at what lies beside a record, over no links.

    Raises
    ------
    InTheWay
        If the folder of its files, or something that the record names, is a link or has a second name.
    OSError
        With the system's reason.
    """
    files = files_of(xml).name
    wanted = {text for text in _texts(content_of(xml)) if text.startswith(f"{_as_in_xml(files)}/")}
    folders = {str(parent) for text in wanted for parent in PurePath(text).parents}
    named: list[Path] = []
    others: list[str] = []
    with Folder.open(xml.parent) as folder:
        try:
            beside = folder.folder(files)
        except FileNotFoundError:
            return RecordFiles(missing=tuple(sorted(wanted)))
        with beside:
            for place, is_named in _walk(beside, PurePath(files), wanted, folders):
                if is_named:
                    named.append(xml.parent / place)
                else:
                    others.append(str(place))
    there = {_as_in_xml(path.relative_to(xml.parent).as_posix()) for path in named}
    return RecordFiles(tuple(named), tuple(others), tuple(sorted(wanted - there)))


def page_for(xml: Path) -> bytes | None:
    """Return the page of a record; None if none can be made of it.

    It is made from the XML: others may have changed the one beside it, or there is none.
    """
    with suppress(NotARecord):
        return record_page(content_of(xml))
    return None


def parse_xml(document: bytes) -> Any:
    """Return the root of an XML document; nothing that it refers to is looked up.

    Raises
    ------
    lxml.etree.XMLSyntaxError
        If it is not XML.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    return etree.fromstring(document, parser)


def _walk(folder: Folder, place: PurePath, wanted: set[str], folders: set[str]) -> Iterator[tuple[PurePath, bool]]:
    """Yield what is in a folder and below, and whether the record names it; no folder is entered for nothing."""
    for name in folder.names():
        path = place / name
        text = _as_in_xml(path.as_posix())
        status = folder.status(name)
        if status is None or name.startswith(UNFINISHED):
            continue
        is_folder = S_ISDIR(status.st_mode)
        if text in folders and (is_folder or text not in wanted):
            with folder.folder(name) as inner:
                yield from _walk(inner, path, wanted, folders)
        elif text in wanted:
            folder.check_free(name)
            yield path, True
        elif not is_folder or not _is_empty(folder, name):
            yield path, False


def _is_empty(folder: Folder, name: str) -> bool:
    with folder.folder(name) as inner:
        return not inner.names()


def _texts(document: bytes) -> Iterator[str]:
    """Yield the text of each element as `_as_in_xml`; nothing if it is not XML."""
    from lxml import etree

    try:
        root = parse_xml(document)
    except etree.XMLSyntaxError:
        return
    for element in root.iter("{*}*"):
        if element.text:
            yield _as_in_xml(element.text)


def _as_in_xml(text: str) -> str:
    """Return a path as it can be compared with one that stands in a record."""
    return _SPACES.sub(" ", _NOT_XML.sub("\ufffd", text))


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
