"""In which order a file's signals get previews: what sums up the others comes first, single detectors last."""

from __future__ import annotations

import re
from collections.abc import Sequence

from Services.Builder.extraction.extractors.signal import Signal

_SUMMED = re.compile(r"(?<![a-z])(sum|summed|total|integrated|mean|average|overview|survey)(?![a-z])", re.IGNORECASE)
_DETECTORS = re.compile(
    r"(?<![a-z])(haadf|adf|maadf|laadf|bf|abf|df|se|se2|bse|inlens|ceta|dcfi|dpc|idpc)(?![a-z])", re.IGNORECASE
)
_SEGMENT = re.compile(r"(?<![a-z])(df\d|superx\w*|detector|segment|quadrant|channel)[ _-]*\w?\d|-[a-d]$", re.IGNORECASE)
"""Titles of one of several detectors that see the same: a quarter of a ring, one of four X-ray detectors."""


def preview_order(signals: Sequence[Signal], main: Signal | None) -> list[int]:
    """Return the numbers of signals in the order in which they get previews, of which there may be fewer.

    The main signal; then sums and surveys; spectra and what has the name of a detector of the whole; then other
    signals; then parts of a detector, of a stack or of a pattern. Equal ones stay in the file's order.
    """
    return sorted(range(len(signals)), key=lambda at: (signals[at] is not main, _rank(signals[at]), at))


def _rank(signal: Signal) -> int:
    if _SEGMENT.search(signal.title):
        return 3
    if _SUMMED.search(signal.title):
        return 0
    dimensions = sum(length > 1 for length in signal.shape)
    if dimensions == 1 or _DETECTORS.search(signal.title):
        return 1
    return 2
