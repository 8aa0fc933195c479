"""Which scales of RosettaSciIO's readers are calibrations: what a file does not hold is not measured.

Some readers give a fixed scale and unit where the file has none, some put one unit on every axis, whatever the file's,
and some files hold numbers that no microscope has. An axis without a calibration has no unit here, so that neither a
pixel size nor a scale bar is made of it. Each function says what its reader does (in the reader's
module), and `REASONABLE` what no microscope exceeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose, isfinite
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.quantities import dimension, factor, symbol
from Services.Builder.extraction.extractors.rosettasciio import direct_electron
from Services.Builder.extraction.extractors.rosettasciio.vendors.gatan_tags import calibrated_by_plane
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup

Signals = list[dict[str, Any]]
_AxisRule = Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]
_INCH = 0.0254
_DOTS_PER_INCH = (72, 75, 90, 96, 100, 150, 180, 200, 240, 300, 360, 400, 600, 1200)
_SI = {"length": "m", "reciprocal": "1/m", "angle": "rad", "energy": "eV"}
REASONABLE: Mapping[str, tuple[float, float]] = {
    "length": (1e-14, 0.1),
    "reciprocal": (1.0, 1e13),
    "angle": (1e-9, 1.6),
    "energy": (1e-7, 1e6),
}
"""Smallest and largest step of an axis in m, 1/m, rad and eV. The lengths are from a hundredth of a picometre, finer
than any image's pixel, to a decimetre; the reciprocal ones from the power spectrum of a metre to a ten-thousandth of an
ångström, beyond every pattern; the angles up to a right one."""


def plausible(scale: float, unit: str | None) -> bool:
    """Return whether a step of an axis can be one: false for 2e-18 1/nm and for 1e9 m, true for units without limits.

    Parameters
    ----------
    scale
        Step of the axis.
    unit
        Unit symbol.
    """
    limits = REASONABLE.get(dimension(unit))
    if limits is None or unit is None:
        return True
    step = abs(scale) * (factor(unit, _SI[dimension(unit)]) or 1.0)
    return isfinite(step) and limits[0] <= step <= limits[1] and not _is_for_print(step, dimension(unit))


def _is_for_print(step: float, measured: str) -> bool:
    """Return whether a length in m is that of a dot on paper or a screen."""
    return measured == "length" and any(isclose(step, _INCH / dots, rel_tol=1e-4) for dots in _DOTS_PER_INCH)


def calibrated(plugin: str, path: Path, signals: Sequence[Mapping[str, Any]]) -> Signals:
    """Return what a reader returned, its axes with a unit only where the file has a calibration.

    Parameters
    ----------
    plugin
        Name of the reader.
    path
        The file.
    signals
        The reader's dictionaries.
    """
    rule = _RULES.get(plugin)
    return [_with_axes(signal, rule, path) for signal in signals]


def _with_axes(signal: Mapping[str, Any], rule: _AxisRule | None, path: Path) -> dict[str, Any]:
    corrected = [rule(dict(axis), signal) if rule else dict(axis) for axis in signal.get("axes") or ()]
    return {**signal, "axes": [_plausible(axis) for axis in corrected]}


def _plausible(axis: dict[str, Any]) -> dict[str, Any]:
    if axis.get("axis") is not None:
        return axis
    return axis if plausible(number(axis.get("scale", 1.0)), symbol(axis.get("units"))) else uncalibrated(axis)


def uncalibrated(axis: Mapping[str, Any]) -> dict[str, Any]:
    """Return an axis that counts its elements."""
    return {**axis, "scale": 1.0, "offset": 0.0, "units": None}


def _fixed(axis: Mapping[str, Any], *units: str) -> bool:
    """Return whether a step is 1 of one of the units, as readers set it where the file has none."""
    return number(axis.get("scale", 1.0)) == 1.0 and axis.get("units") in units


# -- readers ----------------------------------------------------------------------------------------------------------


def _blockfile(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Take the detector's pixel for known only if the header has one: where SDP is 0, the reader says 1 cm."""
    header = lookup(signal.get("original_metadata") or {}, "blockfile_header")
    if axis.get("name") in ("dx", "dy"):
        return axis if number(lookup(header, "SDP")) > 0 else uncalibrated(axis)
    return axis


def _empad(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Count the frames of a series, whose step the reader sets to 1 ms."""
    return uncalibrated(axis) if axis.get("name") == "series_count" else axis


def _tvips(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the camera's pixels uncalibrated: the header has their size on the camera in nm, which the reader uses.

    It is that on the specimen or in the pattern only in a file of HyperSpy's, which fills the header with its name.
    """
    header = lookup(signal.get("original_metadata") or {}, "tvips_header")
    if axis.get("name") not in ("dx", "dy"):
        return axis
    by_hyperspy = one_line(lookup(header, "dummy") or "").startswith("HYPERSPY")
    known = by_hyperspy and number(lookup(header, "pixelsize")) > 0 and not _fixed(axis, "nm", "1/nm")
    return axis if known else uncalibrated(axis)


def _velox(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the energy of spectra uncalibrated whose detector has no dispersion: the reader says 1 keV from 0."""
    no_offset = number(axis.get("offset")) == 0.0
    return uncalibrated(axis) if _fixed(axis, "keV") and no_offset else axis


def _tia(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Take the step of an image that stands alone (.ser) for 1/m where it cannot be m, which the reader assumes.

    TIA writes a calibration in m or in 1/m into the same field, and which of them only into the .emi file (description
    of the format by C. Boothroyd, CalibrationDelta). Steps of both kinds are many orders of magnitude apart. The reader
    leaves the offset as it is in the file.
    """
    original = signal.get("original_metadata") or {}
    alone = lookup(original, "ObjectInfo") is None
    metres = number(axis.get("scale")) * 1e-9
    if alone and axis.get("units") == "nm" and abs(metres) >= 1e3 and plausible(metres, "1/m"):
        return {**axis, "units": "1/nm", "scale": metres * 1e-9, "offset": number(axis.get("offset")) * 1e-9}
    return axis


def _nexus(axis: dict[str, Any], _signal: Mapping[str, Any]) -> dict[str, Any]:
    """Leave an axis with one position uncalibrated: its step is the reader's."""
    return uncalibrated(axis) if int(axis.get("size") or 0) == 1 else axis


def _protochips(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Take the times for known only where their unit is one: the reader takes any other for seconds."""
    unit = str(lookup(signal.get("original_metadata") or {}, "Protochips_header.Time units") or "").strip().lower()
    return axis if unit in ("milliseconds", "seconds") else uncalibrated(axis)


def _quadstar(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Count the cycles where the file has no times of them: the reader takes 1 s for their step then."""
    times = lookup(signal.get("original_metadata") or {}, "timestamps")
    known = isinstance(times, list | tuple) and len(set(times)) > 1
    return uncalibrated(axis) if axis.get("name") == "Time" and axis.get("axis") is None and not known else axis


def _mrc(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Read the pixel's size where single programs write it: FEI's old extended header, Direct Electron's text file."""
    original = signal.get("original_metadata") or {}
    detector = lookup(original, "de_metadata")
    if isinstance(detector, Mapping):
        return direct_electron.axis(axis, detector)
    size = lookup(original, "fei_header.pixel_size")
    if size is None or axis.get("name") not in ("x", "y"):
        return axis
    metres = number(next(iter(size), 0) if hasattr(size, "__len__") else size)
    return {**axis, "scale": metres * 1e9, "units": "nm"} if metres > 0 else uncalibrated(axis)


_RULES: Mapping[str, _AxisRule] = {
    "DigitalMicrograph": calibrated_by_plane,
    "Blockfile": _blockfile,
    "EMPAD": _empad,
    "TVIPS": _tvips,
    "EMD": _velox,
    "TIA": _tia,
    "NeXus": _nexus,
    "Protochips": _protochips,
    "Quadstar": _quadstar,
    "MRC": _mrc,
}
