"""Places of files as text and as links: a record names raw files, of any bytes, and files of its own.

A name need not be text: on Linux it is any bytes. In a record, bytes that are not UTF-8 and characters that XML lacks
are percent-encoded (``a%FF.dm3``), and so is a ``%`` in a name that would then look encoded (``50%25ab``). What
contains a percent sign and two hexadecimal digits is encoded; all else stands as it is. So different names stay
different, and `location_bytes` gives them back.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlsplit

_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
# Char of XML 1.0, section 2.2, turned round, and what it does not give back as it was; Python's lone surrogates, which
# stand for bytes that are not UTF-8, are among them.
_NOT_TEXT = re.compile("[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WEB = ("http", "https")
_IN_PATHS = "/!$&'()*+,;=@~"
"""Characters of a path that a browser leaves as they are, besides letters, digits and ``-._``."""


def location_text(path: str) -> str:
    """Return a path, as the system spells it, as text for a record."""
    if not _NOT_TEXT.search(path) and not _ENCODED.search(path):
        return path
    # A "%" is encoded only where it could be misread: in such a name, each one could.
    return _NOT_TEXT.sub(lambda odd: quote_from_bytes(os.fsencode(odd[0])), path.replace("%", "%25"))


def location_bytes(location: str) -> bytes:
    """Return the path that a record's text stands for."""
    if _ENCODED.search(location):
        return unquote_to_bytes(location)
    return os.fsencode(location)


def location_link(base: str, location: str) -> str | None:
    """Return the address of a raw file below a base address; None without one, or for a path outside the file store."""
    if not base or location.startswith("/") or web_link(base) is None:
        return None
    return f"{base.rstrip('/')}/{quote_from_bytes(location_bytes(location), safe=_IN_PATHS)}"


def web_link(address: str | None) -> str | None:
    """Return an address if a page may link to it: of the web, and nothing that runs."""
    text = (address or "").strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme.lower() in _WEB and parts.netloc else None


def file_link(path: str | None) -> str | None:
    """Return a link, relative to the record, to a file of its own; None for a path that leads elsewhere."""
    if not path or path.startswith("/") or "\\" in path or not {"..", ""}.isdisjoint(path.split("/")):
        return None
    return quote(path, safe=_IN_PATHS, errors="surrogateescape")  # a colon, as after a scheme, is encoded, too
