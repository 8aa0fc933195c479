"""The PID that a CDCS writes into records by itself (``auto_set_pid``): found, kept, and left out of comparisons.

Such a site puts an address into the attribute ``pid`` of each record that it stores, and refuses one that brings a PID
that it does not know. A record that is sent again without its PID would get another one, and links to the old one would
lead nowhere: so the one that it has is sent with it.
"""

from __future__ import annotations

from typing import Any

from Services.Uploader.destinations.record_files import parse_xml

_LONGEST_PID = 255


def site_pid(stored: str, session: str) -> str | None:
    """Return the PID that a site has given a record; None where it has none, or the one that NexusCore wrote.

    Parameters
    ----------
    stored
        The record as the site has it.
    session
        Its session's identifier, which is the PID that NexusCore writes.
    """
    root = _root(stored)
    pid = root.get("pid") if root is not None else None
    return pid if pid and pid != session and len(pid) <= _LONGEST_PID else None


def with_pid(document: bytes, pid: str | None) -> bytes:
    """Return a record with a PID, unless there is none or the record brings its own."""
    from lxml import etree

    root = parse_xml(document) if pid else None
    if pid is None or root is None or root.get("pid"):
        return document
    root.set("pid", pid)
    return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


def is_as_sent(stored: str, sent: str, session: str) -> bool:
    """Return whether a site has a record as it was sent, but for the PID that it writes, and how it writes XML then."""
    if stored == sent:
        return True
    return site_pid(stored, session) is not None and _without_pid(stored) == _without_pid(sent)


def _without_pid(content: str) -> bytes | None:
    from lxml import etree

    root = _root(content)
    if root is None:
        return None
    root.attrib.pop("pid", None)
    return etree.tostring(root, method="c14n")


def _root(content: str) -> Any:
    """Return the root of an XML document; None if it is not XML."""
    from lxml import etree

    try:
        return parse_xml(content.encode())
    except etree.XMLSyntaxError:
        return None
