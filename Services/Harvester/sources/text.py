"""Cleans foreign text for tables, records and pages; for all sources."""

from __future__ import annotations

import re

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
    """Return a text of several lines; None where nothing is said."""
    clean = _CONTROL.sub("\ufffd", str(value if value is not None else "").replace("\r\n", "\n")).strip()
    return short(clean, TEXT_LENGTH) or None


def line(value: object, longest: int = LINE_LENGTH) -> str | None:
    """Return a text of one line; None where nothing is said."""
    return short(" ".join((text(value) or "").split()), longest) or None


def short(words: str, longest: int) -> str:
    """Cut a text that is too long, and let it show."""
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def link(value: object) -> str | None:
    """Return the address of a web page: other schemes (javascript:) have no business in a link on a page."""
    url = line(value)
    return url if url and url.lower().startswith(("http://", "https://")) else None


def consent(value: object) -> bool | None:
    """Return the answer to having a record made: yes, no, or None for anything else."""
    return _CONSENT.get((line(value) or "").lower())
