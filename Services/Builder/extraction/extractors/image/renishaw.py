"""Pictures of Renishaw's microscopes: what WiRE writes into EXIF's entries for the sensor, and into private ones.

EXIF's FocalPlaneXResolution counts pixels on the camera's sensor. WiRE writes the width of the field at the specimen
there, with a unit of its own (5: µm), and the position of the field's corner and the objective's magnification into
private entries, as RosettaSciIO's readers have found out. That the last is the magnification is inferred from a file
where it is 14, and 9096 µm × 5761 µm, the field without an objective, becomes 649.714 µm × 411.5 µm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.signal import Axis
from Services.Builder.model import Quantity

_ORIGIN, _FIELD, _MAGNIFICATION = "65184", "65185", "65186"
_UNITS = {2: ("cm", 2.54), 3: ("cm", 1.0), 4: ("mm", 1.0), 5: ("µm", 1.0)}
"""Unit, and factor to it, by FocalPlaneResolutionUnit; exiftool's list has 4 and 5, too."""


def conditions(entries: Mapping[str, Any]) -> dict[str, Quantity | None]:
    """Return the objective's magnification; nothing of a picture that is not Renishaw's.

    Parameters
    ----------
    entries
        EXIF's entries, private ones by their numbers.
    """
    if not _is_renishaw(entries):
        return {}
    magnification, whole = _number(entries.get(_MAGNIFICATION)), _pair(entries.get(_FIELD))
    width = _number(entries.get("FocalPlaneXResolution"))
    consistent = whole and width > 0 and abs(whole[0] / width / magnification - 1) < 0.01 if magnification else False
    return {"Objective Magnification": quantity("Objective Magnification", magnification) if consistent else None}


def axes(entries: Mapping[str, Any], shape: Sequence[int]) -> tuple[Axis, Axis] | None:
    """Return the axes of the picture with its size at the specimen; None of a picture that is not Renishaw's.

    Parameters
    ----------
    entries
        EXIF's entries, private ones by their numbers.
    shape
        Height and width in pixels.
    """
    sizes = [_number(entries.get(f"FocalPlane{axis}Resolution")) for axis in "YX"]
    unit = _UNITS.get(int(_number(entries.get("FocalPlaneResolutionUnit"))))
    if not _is_renishaw(entries) or unit is None or min(sizes) <= 0:
        return None
    left, top = _pair(entries.get(_ORIGIN)) or (0.0, 0.0)
    symbol, factor = unit
    y, x = (
        Axis(int(count), name, symbol, size * factor / count, corner * factor)
        for count, name, size, corner in zip(shape, "yx", sizes, (top, left), strict=True)
    )
    return y, x


def _is_renishaw(entries: Mapping[str, Any]) -> bool:
    return str(entries.get("Make", "")).strip("\0 ") == "Renishaw"


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return 0.0
    return number if isfinite(number) else 0.0


def _pair(value: Any) -> tuple[float, float] | None:
    return (_number(value[0]), _number(value[1])) if isinstance(value, Sequence) and len(value) == 2 else None
