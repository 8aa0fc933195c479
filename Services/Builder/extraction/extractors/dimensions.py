"""What a signal's axes say: its shape, its pixels, its energy range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.quantities import alike, quantity, rounded
from Services.Builder.extraction.extractors.signal import SPECTRAL, Axis, Signal
from Services.Builder.model import Quantity

_SIZES = {"length": "Pixel Size", "reciprocal": "Reciprocal Pixel Size", "angle": "Angular Pixel Size"}
_RANGES = {
    "energy": "Energy Range",
    "wavelength": "Wavelength Range",
    "wavenumber": "Raman Shift Range",
    "mass": "Mass Range",
}
_SPACINGS = (*_SIZES.values(), "Detector Pixel Size", "Step Size")
_TO_NANOMETRES = {"m": 1e9, "mm": 1e6, "µm": 1e3, "pm": 1e-3, "Å": 0.1}
_OTHERS = ("Data Shape", "Signals", "Dispersion", "Wavenumber Range")
DERIVED = frozenset((*_OTHERS, *_RANGES.values(), *_SPACINGS, *(f"{name} Y" for name in _SPACINGS)))
"""Quantities of the data themselves, not of microscope and measurement."""


def measures(signal: Signal, kind: Kind) -> dict[str, Quantity]:
    """Return the quantities that follow from the axes, by display name."""
    quantities: dict[str, Quantity | None] = {"Data Shape": quantity("Data Shape", shape_text(signal, kind))}
    if len(kind.measured) == 2:
        # a pattern whose axes are lengths is measured on the detector
        sizes = _SIZES if kind.dataset_type != "Diffraction" else {**_SIZES, "length": "Detector Pixel Size"}
        quantities.update(_sizes([signal.axes[index] for index in kind.measured], sizes))
    if kind.layout in ("spectrum image", "4D"):
        points = [signal.axes[index] for index in kind.scanned if signal.axes[index].dimension == "length"]
        quantities.update(_sizes(points[-2:], {"length": "Step Size"}) if points else {})
    for index in kind.measured:
        quantities.update(_spectral(signal.axes[index]))
    return {name: value for name, value in quantities.items() if value is not None}


def shape_text(signal: Signal, kind: Kind) -> str:
    """Return the shape as a person says it: width × height, scanned points before what was measured in each."""
    order = [*reversed(kind.scanned), *reversed(kind.measured)]
    return " × ".join(str(signal.axes[index].size) for index in order) or "1"


def _sizes(axes: Iterable[Axis], names: dict[str, str]) -> dict[str, Quantity | None]:
    vertical, *rest = axes
    horizontal = rest[0] if rest else vertical
    name = names.get(horizontal.dimension)
    if not name or horizontal.scale == 0:
        return {}
    quantities = {name: quantity(name, abs(horizontal.scale), horizontal.unit)}
    if vertical.unit and not alike(abs(vertical.scale), vertical.unit, abs(horizontal.scale), horizontal.unit):
        quantities[f"{name} Y"] = quantity(f"{name} Y", abs(vertical.scale), vertical.unit)
    return quantities


def _spectral(axis: Axis) -> dict[str, Quantity | None]:
    if axis.dimension not in SPECTRAL:
        return {}
    shown = readable(axis)
    first, last = (rounded(float(f"{end:.6g}")) for end in shown.ends)
    name = _RANGES[axis.dimension]
    if axis.dimension == "wavenumber" and "raman" not in axis.name.lower():
        name = "Wavenumber Range"
    quantities = {name: quantity(name, f"{first} to {last} {shown.unit or ''}".strip())}
    if axis.dimension == "energy" and axis.values is None:
        quantities["Dispersion"] = quantity("Dispersion", abs(axis.scale), axis.unit)
    return quantities


def readable(axis: Axis) -> Axis:
    """Return an axis as people read it: wavelengths in nm, energies in keV where they reach those of X-rays."""
    if axis.dimension == "wavelength" and axis.unit in _TO_NANOMETRES:
        return _in_unit(axis, "nm", _TO_NANOMETRES[axis.unit])
    if axis.unit == "eV" and max(axis.ends) >= 5000:
        return _in_unit(axis, "keV", 0.001)
    return axis


def _in_unit(axis: Axis, unit: str, multiplier: float) -> Axis:
    values = tuple(value * multiplier for value in axis.values) if axis.values is not None else None
    return replace(axis, unit=unit, scale=axis.scale * multiplier, offset=axis.offset * multiplier, values=values)
