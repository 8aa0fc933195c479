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
DERIVED = frozenset(
    ("Data Shape", "Signals", "Dispersion", *_RANGES.values(), *_SPACINGS, *(f"{name} Y" for name in _SPACINGS))
)
"""Quantities of the data themselves, not of microscope and measurement."""


def measures(signal: Signal, kind: Kind) -> dict[str, Quantity]:
    """Return the quantities that follow from the axes, by display name."""
    quantities: dict[str, Quantity | None] = {"Data Shape": quantity("Data Shape", shape_text(signal, kind))}
    if len(kind.measured) == 2:
        # a pattern whose axes are lengths is measured on the detector
        sizes = _SIZES if kind.dataset_type != "Diffraction" else {**_SIZES, "length": "Detector Pixel Size"}
        quantities.update(_sizes([signal.axes[index] for index in kind.measured], sizes))
    if kind.layout in ("spectrum image", "4D"):
        quantities.update(_sizes([signal.axes[index] for index in kind.scanned[-2:]], {"length": "Step Size"}))
    if len(kind.measured) == 1:
        quantities.update(_spectral(signal.axes[kind.measured[0]]))
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
    quantities = {name: quantity(name, f"{first} to {last} {shown.unit or ''}".strip())}
    if axis.dimension == "energy" and axis.values is None:
        quantities["Dispersion"] = quantity("Dispersion", abs(axis.scale), axis.unit)
    return quantities


def readable(axis: Axis) -> Axis:
    """Return an axis in eV that reaches X-ray energies in keV, any other as it is."""
    if axis.unit != "eV" or axis.values is not None or max(axis.ends) < 5000:
        return axis
    return replace(axis, unit="keV", scale=axis.scale / 1000, offset=axis.offset / 1000)
