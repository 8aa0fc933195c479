"""What a preview has to say in words: the title of one signal among several, the element that a map shows."""

from __future__ import annotations

import re

from Services.Builder.elements import ELEMENTS
from Services.Builder.extraction.extractors.signal import Reading, Signal

_ELEMENT = re.compile(r"(?P<symbol>[A-Z][a-z]?)[ _-]?(?:[KLMN](?:[abαβ]?\d?|[-_ ]?(?:series|shell|edge))?)?")
"""An element, or one of its X-ray lines or edges."""


_HALF = "Half FFT"
"""Title of what is stored as a half, and shown whole (see `fourier`)."""


def caption(reading: Reading, signal: Signal, name: str) -> str:
    """Return the title of a signal where it says what a preview shows; "" where the file's name does.

    Parameters
    ----------
    reading
        All signals of the file.
    signal
        The one that is drawn.
    name
        The file's name without its extension.
    """
    title = "FFT" if signal.title == _HALF else signal.title
    if not title or title == name:
        return ""
    several = len({other.title for other in reading.signals}) > 1
    return title if several or is_element(title) else ""


def is_element(title: str) -> bool:
    """Return whether a title is the symbol of an element, perhaps with a line or an edge (``Fe Kα``)."""
    match = _ELEMENT.fullmatch(title)
    return match is not None and match["symbol"] in ELEMENTS
