"""The kind of microscope of a file that does not say it: that of the session's instrument, for spectra alone.

A spectrum of X-rays or cathodoluminescence is of a microscope, and its record says of which kind. Other files, such as
a picture of a sample holder, may be of anything, and are left alone.
"""

from __future__ import annotations

import re
from dataclasses import replace

from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Quantity

MICROSCOPE = "Microscope"
"""Name of the quantity that says what the instrument is."""
REASON = (
    "The file does not say which kind of microscope it is from; this is that of the instrument in the configuration."
)
_WITHOUT = re.compile(r"(Time_Resolved_)?(EDS|CL)(_Map)?")
"""Types of data that ought to begin with the kind of microscope."""


def with_microscope(reading: Reading, column: str | None, name: str) -> Reading:
    """Return a reading with the kind of microscope, where the file does not say it; `name` as for `kind_of`.

    Parameters
    ----------
    reading
        Of a file.
    column
        Of the instrument: ``TEM``, ``STEM`` or ``SEM``; None where that is not known.
    name
        The file's name without its extension.
    """
    if column is None or reading.column is not None or not _WITHOUT.fullmatch(kind_of(reading, name).data_type):
        return reading
    meta = {**reading.meta, MICROSCOPE: Quantity(column, warning=True, reason=REASON)}
    return replace(reading, column=column, meta=meta)
