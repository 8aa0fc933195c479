"""Recognises a TIFF by XML in FEI's private tags, where a scanning microscope has an INI file."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors import tiff_directory
from Services.Builder.extraction.extractors.settings import TIFF

SFEG, HELIOS, TITAN = 34680, 34682, 34683
"""The tags as tifffile names them; scanning microscopes write an INI file into one of the first two, and newer ones XML
into the third as well."""


def xml(path: Path) -> bytes:
    """Return the XML of a file that has nothing but XML; nothing of any other."""
    found = tiff_directory.entries(path, SFEG, HELIOS, TITAN)
    contents = [content.lstrip(b"\xef\xbb\xbf \r\n\t") for _tag, content in sorted(found.items())]
    return contents[0] if contents and all(content.startswith(b"<") for content in contents) else b""


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the first page carries settings, and all of them as XML."""
    return head.startswith(TIFF) and bool(xml(path))
