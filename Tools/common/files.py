"""Reading files that a user names, up to a limit of size, with a sentence for each error."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from NexusCore.errors import NexusError

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes."""
STDIN = "-"


class FileUnusable(NexusError):
    """{path} cannot be used: {reason}."""


def read(name: str, most: int = LARGEST_FILE) -> bytes:
    """Return the content of a file, or of the standard input for ``-``.

    Raises
    ------
    FileUnusable
        If the file cannot be read, or is larger than `most` bytes.
    """
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(most + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(most + 1)
    except OSError as error:
        raise FileUnusable(path=name, reason=_lower_first(error.strerror or str(error))) from None
    if len(content) > most:
        raise FileUnusable(path=name, reason=f"it has more than {most // 1024 // 1024} MiB")
    return content


def read_text(name: str, most: int = LARGEST_FILE) -> str:
    """Return the text of a file in UTF-8; otherwise as `read`."""
    try:
        return read(name, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileUnusable(path=name, reason="it is not UTF-8 text") from None


def read_xml(name: str) -> ET.Element:
    """Return the root element of an XML file; a document type definition, and so every entity, is refused.

    Raises
    ------
    FileUnusable
        If the file is not XML, or has a document type definition; otherwise as `read`.
    """
    parser = ET.XMLParser(target=_Plain(name))  # noqa: S314  a DTD, which the known attacks need, is refused
    try:
        parser.feed(read(name))
        return parser.close()
    except (ET.ParseError, LookupError, ValueError) as error:  # LookupError: an unknown encoding
        raise FileUnusable(path=name, reason=f"it is not valid XML ({error})") from None


class _Plain(ET.TreeBuilder):
    """Builds the tree of a document without a document type definition.

    Parameters
    ----------
    name
        Name of the file, for messages.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Refuse the definition, before it is read."""
        raise FileUnusable(path=self._name, reason="it has a document type definition, which is not allowed")


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
