"""What cameras and programs note about a picture in EXIF, version 2.32 of its standard (CIPA DC-008)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.model import Quantity

_TIMES = (
    ("DateTimeOriginal", "SubsecTimeOriginal", "OffsetTimeOriginal"),
    ("DateTimeDigitized", "SubsecTimeDigitized", "OffsetTimeDigitized"),
)
"""Entries of a time, its fraction of a second and its zone; the time the picture was taken goes before that at which it
was digitized."""


def time_taken(entries: Mapping[str, Any]) -> datetime | None:
    """Return when a picture was taken: by the camera's clock, with its zone if the camera knows it.

    Parameters
    ----------
    entries
        The entries by the standard's names, in whatever case.
    """
    by_name = {str(name).lower(): value for name, value in entries.items()}
    for names in _TIMES:
        day, fraction, zone = (one_line(by_name.get(name.lower()) or "").strip("\0 ") for name in names)
        fraction = fraction if fraction.isdigit() else ""
        text = f"{day}.{fraction[:6] or '0'}"
        for form, written in (("%Y:%m:%d %H:%M:%S.%f %z", f"{text} {zone}"), ("%Y:%m:%d %H:%M:%S.%f", text)):
            with contextlib.suppress(ValueError):
                return datetime.strptime(written.strip(), form)  # noqa: DTZ007 - else the zone is the instrument's
    return None


def exposure(entries: Mapping[str, Any]) -> Quantity | None:
    """Return the exposure time, a fraction as EXIF has it; None where there is none.

    Parameters
    ----------
    entries
        The entries by the standard's names.
    """
    value = entries.get("ExposureTime")
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        if isinstance(value, tuple):
            value = Fraction(int(value[0]), int(value[1]))
        return quantity("Exposure Time", float(value), "s") if value is not None else None
    return None
