"""Reads XML that a program left in an image: no entities, no network, and what is damaged is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree


def parsed(content: bytes | str) -> etree._Element | None:
    """Return the root of an XML text, repaired as far as possible; None where there is none.

    Parameters
    ----------
    content
        Text or bytes, perhaps with zeros behind.
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    raw = raw.strip(b"\0 \r\n\t")
    if isinstance(content, str) and raw.startswith(
        b"<?xml"
    ):  # what it declares is the encoding of the bytes it came in
        raw = raw.partition(b"?>")[2]
    if b"<" not in raw:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def name_of(element: etree._Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the elements below; comments and instructions are not among them."""
    return (child for child in element if isinstance(child.tag, str))


def nested(element: etree._Element) -> dict[str, Any]:
    """Return an element's content as dictionaries; of several children of one name a list of what each holds."""
    found: dict[str, Any] = {}
    for child in children(element):
        name = name_of(child)
        value = nested(child) if len(child) else (child.text or "").strip()
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
