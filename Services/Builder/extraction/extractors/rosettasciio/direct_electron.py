"""Understands the text file that Direct Electron's DE-Server writes beside a movie (``*_info.txt``).

It has a line for each of the server's properties, name and value; most names end in the unit (``Instrument Stage
Position X (micrometers)``). -1 stands for what the microscope did not report, and 0 for a camera length in imaging.

RosettaSciIO's MRC reader finds the file, but takes any camera length but -1 for a pattern's, divides by the number of
frames that were summed where the time of one grows by it, and sets every step of a scan to 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Tree = Mapping[str, Any]
_UNITS = {
    "micrometers": "µm", "um": "µm", "nanometers": "nm", "millimeters": "mm", "centimeters": "cm", "degrees": "°",
    "seconds": "s", "milliseconds": "ms", "microseconds": "µs", "mrad": "mrad", "v": "V", "volts": "V",
    "kv": "kV", "kilovolts": "kV",
    "celsius": "°C", "ev": "eV",
}  # fmt: skip
_NAMES = {
    "instrument project magnification": "Magnification",
    "instrument project camera length": "Camera Length",
    "instrument accelerating voltage": "Acceleration Voltage",
    "instrument acceleration voltage": "Acceleration Voltage",
    "instrument high tension": "Acceleration Voltage",
    "instrument stage position x": "Stage X",
    "instrument stage position y": "Stage Y",
    "instrument stage position z": "Stage Z",
    "instrument stage tilt alpha": "Stage Alpha",
    "instrument stage tilt beta": "Stage Beta",
    "instrument defocus": "Defocus",
    "instrument spot size": "Spot Size",
    "instrument convergence semi-angle": "Convergence Angle",
    "instrument type": "Instrument",
    "camera model": "Detector",
    "frames per second": "Frame Rate",
    "exposure time": "Exposure Time",
    "frame count": "Frames",
    "scan - dwell time": "Dwell Time",
    "scan - time": "Frame Time",
    "scan - rotation": "Scan Rotation",
    "temperature - detector": "Detector Temperature",
    "server software version": "Software",
    "sensor pixel pitch": "Detector Pixel Size",
}
"""Names of the server's properties in small letters and without unit, and the project's."""
_POSITIVE = frozenset(("Magnification", "Camera Length", "Acceleration Voltage", "Spot Size", "Convergence Angle"))
"""Quantities of which -1 and 0 say that the microscope did not report them."""
_STAGE = ("Stage X", "Stage Y", "Stage Z", "Stage Alpha", "Stage Beta")
_ON = ("Enable", "On")
_PROPERTY = re.compile(r"(.+?)(?: \(([^()]+)\))?")
_DIFFRACTION = "Diffraction Pixel Size {}"
_SPECIMEN = "Specimen Pixel Size {} (nanometers)"


def quantities(properties: Tree) -> dict[str, Quantity | None]:
    """Return what the properties say of microscope and camera.

    Parameters
    ----------
    properties
        Values of the server's properties by name, as text.
    """
    values: dict[str, Quantity | None] = {}
    for key, value in properties.items():
        parts = _PROPERTY.fullmatch(str(key).strip())
        name = _NAMES.get(parts[1].lower()) if parts else None
        if parts is None or name is None or name in values or (name in _POSITIVE and number(value) <= 0):
            continue
        unit = _UNITS.get((parts[2] or "").lower())
        if unit or not parts[2]:  # other words in brackets make another property: (Max), (count)
            values[name] = quantity(name, value, unit)
    stage = [value for name in _STAGE if (value := values.get(name))]
    if all(value.value == -1 for value in stage):  # it was not asked
        values = {name: value for name, value in values.items() if name not in _STAGE}
    binning = [lookup(properties, f"Hardware Binning {side}") for side in "XY"]
    return {**values, "Binning": quantity("Binning", binning if all(binning) else None)}


def acquired(properties: Tree) -> datetime | None:
    """Return the time of acquisition, in seconds since 1970."""
    seconds = number(lookup(properties, "Timestamp (seconds since Epoch)"))
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 1e11 else None


def scanning(properties: Tree) -> bool:
    """Return whether the beam was scanned: the microscope's mode, else whether the camera's scan was on."""
    mode = number(lookup(properties, "Instrument Project TEMorSTEM Mode") or -1)
    return mode == 1 or (mode == -1 and lookup(properties, "Scan - Enable") in _ON)


def axis(axis: Tree, properties: Tree) -> dict[str, Any]:
    """Return an axis of a movie as the properties calibrate it, without a unit where they do not.

    Parameters
    ----------
    axis
        The reader's dictionary.
    properties
        Values of the server's properties by name, as text.
    """
    name, letter = str(axis.get("name")), str(axis.get("name"))[-1:].upper()
    if name in ("kx", "ky"):
        pattern = (
            scanning(properties) or number(lookup(properties, "Instrument Project Camera Length (centimeters)")) > 0
        )
        if pattern:
            return _stepped(axis, number(lookup(properties, _DIFFRACTION.format(letter))), "1/nm")
        return {**_stepped(axis, number(lookup(properties, _SPECIMEN.format(letter))), "nm"), "name": letter.lower()}
    if name in ("x", "y"):
        return _stepped(axis, number(lookup(properties, _SPECIMEN.format(letter))), "nm")
    if name == "time":
        return _stepped(axis, _interval(properties), "s")
    return {**axis, "scale": 1.0, "offset": 0.0, "units": None}


def _interval(properties: Tree) -> float:
    """Return the time from one frame to the next, or from one scan to the next; 0 if unknown."""
    if lookup(properties, "Scan - Enable") in _ON:
        return sum(number(lookup(properties, f"Scan - {part} (seconds)") or 0) for part in ("Time", "Repeat Delay"))
    rate = number(lookup(properties, "Frames Per Second"))
    return max(number(lookup(properties, "Autosave Movie Sum Count") or 1), 1) / rate if rate > 0 else 0.0


def _stepped(axis: Tree, step: float, unit: str) -> dict[str, Any]:
    known = step > 0
    return {**axis, "scale": step if known else 1.0, "offset": 0.0, "units": unit if known else None}
