"""XML from outside, read without entities, network or a document type of its own; for all sources."""

from __future__ import annotations

from lxml import etree

from Services.Harvester.sources import SourceFailed
from Services.Harvester.sources.text import line


def parse_xml(content: bytes, where: str) -> etree._Element:
    """Return the root of a document.

    Nothing is fetched or expanded for it: an entity that was declared is refused, used or not. Trees of absurd depth
    and texts of more than 10 MB are refused by the parser's own limits.

    Raises
    ------
    SourceFailed
        If it is not XML, is cut off, or declares a document type.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = f"what it sends cannot be read as XML ({line(str(error).partition(' (<string>')[0], 150)})"
        raise SourceFailed(where=where, reason=reason) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise SourceFailed(where=where, reason="what it sends declares a document type, as no calendar needs to")
    return root
