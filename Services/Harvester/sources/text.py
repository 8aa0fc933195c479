"""Foreign text and XML, cleaned for tables, records and pages, or parsed without entities and network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from NexusCore.text import shortened
from Services.Harvester.sources import SourceFailed

if TYPE_CHECKING:
    from lxml import etree

LINE_LENGTH = 500
TEXT_LENGTH = 20_000
MOST_PEOPLE = 200
MOST_SAMPLES = 100
_CONSENT = {
    "agree": True,
    "yes": True,
    "true": True,
    "1": True,
    "disagree": False,
    "no": False,
    "false": False,
    "0": False,
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def text(value: object) -> str | None:
    """Return a text of several lines; None if empty."""
    clean = _CONTROL.sub("\ufffd", str(value if value is not None else "").replace("\r\n", "\n")).strip()
    return shortened(clean, TEXT_LENGTH) or None


def line(value: object, longest: int = LINE_LENGTH) -> str | None:
    """Return a text of one line; None if empty."""
    return shortened(" ".join((text(value) or "").split()), longest) or None


def link(value: object) -> str | None:
    """Return the address of a web page: other schemes (javascript:) have no business in a link on a page."""
    url = line(value)
    return url if url and url.lower().startswith(("http://", "https://")) else None


def consent(value: object) -> bool | None:
    """Return the answer to having a record made: yes, no, or None for anything else."""
    return _CONSENT.get((line(value) or "").lower())


def parse_xml(content: bytes, where: str) -> etree._Element:
    """Return the root of a document.

    Nothing is fetched or expanded for it: an entity that was declared is refused, used or not. Trees of absurd depth
    and texts of more than 10 MB are refused by the parser's own limits.

    Raises
    ------
    SourceFailed
        If it is not XML, is cut off, or declares a document type.
    """
    from lxml import etree  # takes a moment, and some sources have no XML

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = f"its answer cannot be read as XML ({line(str(error).partition(' (<string>')[0], 150)})"
        raise SourceFailed(where=where, reason=reason) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise SourceFailed(where=where, reason="its answer declares a document type, which calendars do not need")
    return root
