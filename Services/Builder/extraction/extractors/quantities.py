"""The quantities of a record: one name and one unit each, for all vendors' names and units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.people_numbers import decimal_point
from Services.Builder.model import Quantity

DIGITS = 7
"""Significant digits that are kept: what a 32-bit float holds, so that 32.400001525878906 µs is 32.4 µs again."""


@dataclass(frozen=True, slots=True)
class Known:
    """How a quantity is shown."""

    unit: str | None = None
    """Unit symbol; None for a text or a number without unit."""
    numeric: bool = True
    """False where even a value of digits is a text (an operator named 007)."""
    zero: bool = True
    """False where programs write zero for an unknown value (a probe current of 0 nA)."""
    negative: bool = True
    """False where programs write a negative number for an unknown value (a working distance of -1 mm)."""
    decimals: int | None = None
    """Places after the point that mean something; None for as many as `DIGITS` leaves."""
    between: str = ", "
    """Stands between the items of a list."""


_TEXT = Known(numeric=False)
_UNKNOWN = ("none", "null", "nan", "n/a", "unknown")
"""What programs write for a number that they do not know."""
_PLACEHOLDERS = ("", "undefined", "unnamed", "__unnamed__", "enter user name", "not set")
"""What programs write for a name that nobody has given."""
_OF_READERS = "names are saved in the 'Original notes' array"
"""What RosettaSciIO's Protochips reader writes for a file that has several."""
KNOWN: Mapping[str, Known] = {
    "Acceleration Voltage": Known("kV", zero=False),
    "Magnification": Known(zero=False, negative=False),
    "Camera Length": Known("mm", zero=False, negative=False),
    "Working Distance": Known("mm", zero=False, negative=False),
    "Convergence Angle": Known("mrad", zero=False),
    "Collection Angle": Known("mrad", zero=False),
    "Collection Angle Inner": Known("mrad"),
    "Collection Angle Outer": Known("mrad", zero=False),
    "Beam Current": Known("nA", zero=False),
    "Screen Current": Known("nA", zero=False),
    "Specimen Current": Known("nA", zero=False),
    "Emission Current": Known("µA", zero=False),
    "Extraction Voltage": Known("kV", zero=False),
    "Gun Lens": Known(),
    "Landing Energy": Known("keV", zero=False),
    "Beam Diameter": Known("nm", zero=False),
    "Spot Size": Known(),
    "Defocus": Known("nm"),
    "Spherical Aberration": Known("mm", zero=False),
    "Aperture Diameter": Known("µm", zero=False),
    "C1 Aperture": Known("µm", zero=False),
    "C2 Aperture": Known("µm", zero=False),
    "C3 Aperture": Known("µm", zero=False),
    "Objective Aperture": Known("µm", zero=False),
    "Selected-Area Aperture": Known("µm", zero=False),
    "Dwell Time": Known("µs", zero=False),
    "Exposure Time": Known("s", zero=False),
    "Integration Time": Known("s", zero=False),
    "Frame Time": Known("s", zero=False),
    "Live Time": Known("s", zero=False),
    "Real Time": Known("s", zero=False),
    "Dead Time": Known("%", zero=False),
    "Frames": Known(zero=False),
    "Binning": Known(numeric=False, between=" × "),
    "Pixel Size": Known("nm", zero=False),
    "Pixel Size Y": Known("nm", zero=False),
    "Detector Pixel Size": Known("µm", zero=False),
    "Detector Pixel Size Y": Known("µm", zero=False),
    "Step Size": Known("nm", zero=False),
    "Step Size Y": Known("nm", zero=False),
    "Reciprocal Pixel Size": Known("1/nm", zero=False),
    "Reciprocal Pixel Size Y": Known("1/nm", zero=False),
    "Angular Pixel Size": Known("mrad", zero=False),
    "Angular Pixel Size Y": Known("mrad", zero=False),
    "Horizontal Field Width": Known("µm", zero=False),
    "Vertical Field Width": Known("µm", zero=False),
    "Dispersion": Known("eV", zero=False),
    "Energy Resolution": Known("eV", zero=False),
    "Energy Shift": Known("eV"),
    "Stage X": Known("µm", decimals=3),
    "Stage Y": Known("µm", decimals=3),
    "Stage Z": Known("µm", decimals=3),
    "Stage Alpha": Known("°", decimals=3),
    "Stage Beta": Known("°", decimals=3),
    "Stage Tilt": Known("°", decimals=3),
    "Stage Rotation": Known("°", decimals=3),
    "Scan Rotation": Known("°", decimals=3),
    "Detector Elevation": Known("°", decimals=3),
    "Detector Azimuth": Known("°", decimals=3),
    "Biprism Voltage": Known("V"),
    "Biprism Azimuth": Known("°", decimals=3),
    "Detector Temperature": Known("°C"),
    "Solid Angle": Known("sr", zero=False),
    "Spectrometer Aperture": Known("mm", zero=False),
    "Specimen Thickness": Known("nm", zero=False),
    "Chamber Pressure": Known("Pa", zero=False),
    "Laser Wavelength": Known("nm", zero=False),
    "Central Wavelength": Known("nm", zero=False),
    "Grating Density": Known("1/mm", zero=False),
    "Entrance Slit Width": Known("mm", zero=False),
    "Bandpass": Known("nm", zero=False),
    "Photomultiplier Voltage": Known("V", zero=False),
    "Objective Magnification": Known(zero=False),
    "Numerical Aperture": Known(zero=False),
    "Excitation Wavelength": Known("nm", zero=False),
    "Emission Wavelength": Known("nm", zero=False),
    "Filter Transmission": Known("%"),
    "Optical Density": Known(),
    "Pinhole": Known("µm", zero=False),
    "Exit Slit Width": Known("mm", zero=False),
    "Blaze Wavelength": Known("nm", zero=False),
    "Spectrometer Focal Length": Known("mm", zero=False),
    "Polarization Angle": Known("°", decimals=3),
    "Analyzer Angle": Known("°", decimals=3),
    "MCP Gain": Known(),
    "Streak Time Range": Known("ns", zero=False),
    "Streak Range Number": Known(),
    "Time Resolution": Known("ps", zero=False),
    "Detector Gain": Known(),
    "Readout Rate": Known("MHz", zero=False),
    "Trigger Rate": Known("Hz", zero=False),
    "Z Step": Known("nm", zero=False),
    "Frame Interval": Known("s", zero=False),
    "Contrast": Known("%"),
    "Brightness": Known("%"),
    "Scan Speed": Known(),
    "Line Time": Known("ms", zero=False),
    "Line Averages": Known(zero=False),
    "Tilt Correction": Known("°", zero=False, decimals=3),
    "Collector Voltage": Known("V"),
    "Specimen Bias": Known("V", zero=False),
    "Specimen Temperature": Known("K", zero=False),
    "Gun Temperature": Known("K", zero=False),
    "Gun Pressure": Known("Pa", zero=False),
    "Column Pressure": Known("Pa", zero=False),
    "Filament Current": Known("A", zero=False),
    "Illumination Intensity": Known("%"),
    "Objective Lens": Known("%", zero=False),
    "Diffraction Lens": Known("%", zero=False),
    "Image Shift X": Known("µm", zero=False),
    "Image Shift Y": Known("µm", zero=False),
    "Signals": Known(),
    "Bit Depth": Known(zero=False),
    "Sensor Bias": Known("V"),
    "Lines": Known(),
    "Precession Angle": Known("°", zero=False, decimals=4),
    "Precession Frequency": Known("Hz", zero=False),
    "Energy Loss": Known("eV"),
    "Drift Tube Voltage": Known("V"),
    "Prism Offset": Known("V"),
    "High Tension Offset": Known("V"),
    "Slit Width": Known("eV", zero=False),
    "Threshold Energy": Known("keV", zero=False),
    "Detector Distance": Known("mm", zero=False),
    "Beam Center": Known(numeric=False),
    "Frame Rate": Known("1/s", zero=False),
    "Count Rate": Known("1/s", zero=False),
    "Take-off Angle": Known("°", zero=False, decimals=3),
    "Time Constant": Known("µs", zero=False),
    "Flyback Time": Known("µs", zero=False),
    "Electron Dose": Known("1/Å²", zero=False),
    "Computed Zero-Loss Position": Known("eV", decimals=3),
    "Computed t/λ": Known(decimals=3),
    **dict.fromkeys(("Instrument", "Operator", "Specimen", "Specimen Holder", "Elements", "Comment"), _TEXT),
    **dict.fromkeys(("Detector", "Spectrometer", "Electron Source", "Vacuum Mode", "Lens Mode", "Software"), _TEXT),
    **dict.fromkeys(("Acquisition Mode", "Illumination Mode", "Imaging Mode", "Signal Name"), _TEXT),
    **dict.fromkeys(("Data Shape", "Energy Range", "Wavelength Range", "Raman Shift Range", "Mass Range"), _TEXT),
    "Wavenumber Range": _TEXT,
    "X-ray Tube Voltage": Known("kV", zero=False),
    **dict.fromkeys(("Acquisition Date", "Chamber Gas", "Ion Mode", "Ion Species", "Serial Number"), _TEXT),
    **dict.fromkeys(("Objective", "Grating", "Filter", "Polarization", "Camera", "Channels", "Noise Reduction"), _TEXT),
    **dict.fromkeys(("Streak Mode", "Gate Mode", "Readout Mode", "Energy Filter Mode", "Acquisition Setup"), _TEXT),
    **dict.fromkeys(("Detector Serial Number", "X-ray Line", "Processing"), _TEXT),
}

_ALIASES = {
    **dict.fromkeys(("", "[]", "px", "pix", "pixel", "pixels", "point", "points", "arb", "arb.", "a.u.", "none")),
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometers", "micrometre", "um"), "µm"),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre"), "nm"),
    **dict.fromkeys(("angstrom", "angstroms", "ångström", "å", "ang"), "Å"),
    **dict.fromkeys(("degree", "degrees", "deg", "dg"), "°"),
    **dict.fromkeys(("radian", "radians", "rad"), "rad"),
    **dict.fromkeys(("mrad", "milliradian", "milliradians", "mr"), "mrad"),
    "urad": "µrad",
    **dict.fromkeys(("sec", "secs", "seconds", "second"), "s"),
    **dict.fromkeys(("msec", "msecs", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "usec", "usecs", "microsecond", "microseconds"), "µs"),
    **dict.fromkeys(("nsec", "nanosecond", "nanoseconds"), "ns"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("ua", "microamp", "microamps"), "µA"),
    **dict.fromkeys(("nanoamp", "nanoamps"), "nA"),
    **dict.fromkeys(("picoamp", "picoamps"), "pA"),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre"), "mm"),
    **dict.fromkeys(("meter", "meters", "metre"), "m"),
    "ev": "eV",
    "kev": "keV",
    **dict.fromkeys(("kv", "kilovolt", "kilovolts"), "kV"),
    **dict.fromkeys(("volt", "volts"), "V"),
    "percent": "%",
    "torr": "torr",
    "unitless": None,
    **dict.fromkeys(("l/mm", "g/mm", "gr/mm", "lines/mm", "grooves/mm"), "1/mm"),
    **dict.fromkeys(("celsius", "degc", "degrees c", "deg c"), "°C"),
}
_LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "Å": 1e-10, "pm": 1e-12, "fm": 1e-15}
_DIMENSIONS: Mapping[str, Mapping[str, float]] = {
    "length": _LENGTHS,
    "reciprocal": {f"1/{unit}": 1 / size for unit, size in _LENGTHS.items()},
    "angle": {"rad": 1.0, "mrad": 1e-3, "µrad": 1e-6, "°": math.pi / 180},
    "energy": {"eV": 1.0, "keV": 1e3, "meV": 1e-3, "MeV": 1e6},
    "time": {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15, "min": 60.0, "h": 3600.0},
}
"""Units of each dimension, and their size in its first."""
_DIMENSION_OF = {unit: dimension for dimension, units in _DIMENSIONS.items() for unit in units}
_SIZES = {unit: size for units in _DIMENSIONS.values() for unit, size in units.items()}
_INVERSE = re.compile(
    r"(?:1\s*/|(?:inverse|reciprocal)\s)\s*(\S+)|(\S+?)\s*(?:\^|\*\*)?\s*\$?\^?\{?(?:[-\u2212]1|⁻¹)\}?\$?",
    re.IGNORECASE,
)
_MEASURED = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\W\d]\S*|°C?)")
_NUMBER = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([kKM]?)\s*[xX×]?\s*$")


def symbol(text: object) -> str | None:
    """Return the unit symbol of what a reader calls a unit, or None for no unit.

    Knows ``um``, ``μm`` with a Greek mu, ``1 / nm``, ``nm^-1``, ``Energy Loss (eV)``, ``[n_m]``, ``[]`` and the like.
    """
    unit = one_line("" if text is None else text, 40).replace("μ", "µ")
    bracketed = re.fullmatch(r".*\((.+)\)", unit)
    unit = bracketed[1].strip() if bracketed else unit
    if re.fullmatch(r"\[[\w/^-]+\]", unit):  # the EMD format's way: [n_m], [k_V], [n_m^-1]
        unit = unit.strip("[]").replace("_", "")
    inverse = _INVERSE.fullmatch(unit)
    if inverse:
        base = symbol(inverse[1] or inverse[2])
        base = "Å" if base == "A" else base  # nothing is measured in inverse amperes
        return f"1/{base}" if base else None
    return _ALIASES.get(unit.lower(), unit) or None


def dimension(unit: str | None) -> str:
    """Return what a unit measures: length, reciprocal, angle, energy, time, or anything else ("")."""
    return _DIMENSION_OF.get(unit or "", "")


def alike(size: float, unit: str | None, other: float, other_unit: str | None, tolerance: float = 0.01) -> bool:
    """Return whether two sizes are equal but for rounding, whatever units they are in: 1 nm and 0.001 µm."""
    if unit != other_unit:
        multiplier = factor(unit, other_unit) if unit and other_unit else None
        if multiplier is None:
            return False
        size *= multiplier
    return abs(size - other) <= tolerance * abs(other)


@cache
def factor(unit: str, wanted: str) -> float | None:
    """Return what a value in `unit` is multiplied by to be in `wanted`; None where they do not measure the same."""
    if dimension(unit) and dimension(unit) == dimension(wanted):
        return _SIZES[unit] / _SIZES[wanted]
    # imported late: it takes as long as reading a hundred files
    from pint import get_application_registry

    try:
        # pint leaves it untyped
        return float(get_application_registry().convert(1.0, unit, wanted))  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - pint raises errors of many kinds for an unknown unit
        return None


def quantity(name: str, value: Any, unit: str | None = None) -> Quantity | None:
    """Return a value as the record shows it, or None where it says nothing.

    Parameters
    ----------
    name
        Display name; those of `KNOWN` get their unit and lose a meaningless zero.
    value
        Number, text, or a list of either, as a reader returned it.
    unit
        What the value is in; None where it is already in the display unit, or has none.
    """
    known = KNOWN.get(name, Known())
    if isinstance(value, str) and name in KNOWN and known.numeric:
        value, doubt = decimal_point(value)
        if doubt:
            return Quantity(one_line(value), warning=True, reason=doubt)
    plain = _plain(value, known)
    if plain is None or plain == "" or (known.numeric and name in KNOWN and str(plain).lower() in _UNKNOWN):
        return None
    measured = _MEASURED.fullmatch(plain) if known.unit and isinstance(plain, str) else None
    if measured and factor(symbol(measured[2]) or "", known.unit or ""):  # the text has a unit of its own (300kV)
        plain, unit = float(measured[1]), symbol(measured[2])
    if isinstance(plain, bool) and not known.numeric:
        return None  # a switch in the place of a name
    if isinstance(plain, str) and not known.numeric:
        plain = plain[1:-1].strip() if len(plain) > 1 and plain[0] == plain[-1] == '"' else plain
        if plain.lower() in _PLACEHOLDERS or _OF_READERS in plain:
            return None
    if isinstance(plain, str | bool):
        worded = known.unit is not None and not any(character.isdigit() for character in str(plain))
        return None if worded else Quantity(plain)  # of what is measured, "off" and "n/a" say nothing
    if (not known.zero and plain == 0) or (not known.negative and plain < 0):
        return None
    shown = known.unit or unit
    if known.unit and unit and unit != known.unit:
        multiplier = factor(unit, known.unit)
        if multiplier is None:
            shown = unit
        else:
            plain *= multiplier
    return Quantity(rounded(plain if known.decimals is None else round(plain, known.decimals)), shown)


def _plain(value: Any, known: Known) -> str | float | bool | None:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        parts = [one_line(part) for part in value]
        value = known.between.join(part for part in parts if part)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return (value if math.isfinite(value) else None) if known.numeric else one_line(value)
    if isinstance(value, Mapping):
        return None
    text = one_line(value)
    number = _NUMBER.match(text) if known.numeric else None
    if number:
        return float(number[1]) * {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6}[number[2]]
    return text


def rounded(value: float) -> float | int:
    """Round to `DIGITS` significant digits; a whole number comes back as an int (200 kV, not 200.0)."""
    if not value or not math.isfinite(value):
        return 0
    result = round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))
    return int(result) if float(result).is_integer() and abs(result) < 1e15 else result
