"""Which quantity stands where in RosettaSciIO's metadata, and in which unit.

The places and units are those of the metadata conventions of HyperSpy, exspy and lumispy; readers that keep to other
units are listed in `vendors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from Services.Builder.extractors.quantities import quantity, symbol
from Services.Builder.extractors.tree import leaves, lookup
from Services.Builder.model import Quantity


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry: what stands at `path` is the quantity `name`, in `unit`."""

    path: str
    name: str
    unit: str | None = None


GENERAL = (
    Rule("General.authors", "Operator"),
    Rule("General.notes", "Comment"),
    Rule("Sample.name", "Specimen"),
    Rule("Sample.description", "Specimen"),
    Rule("Sample.elements", "Elements"),
    Rule("Sample.thickness", "Specimen Thickness", "nm"),
)

INSTRUMENT = (
    Rule("microscope", "Instrument"),
    Rule("acquisition_mode", "Acquisition Mode"),
    Rule("beam_energy", "Acceleration Voltage", "kV"),
    Rule("beam_current", "Beam Current", "nA"),
    Rule("magnification", "Magnification"),
    Rule("camera_length", "Camera Length", "mm"),
    Rule("working_distance", "Working Distance", "mm"),
    Rule("convergence_angle", "Convergence Angle", "mrad"),
    Rule("dwell_time", "Dwell Time", "s"),
    Rule("rotation", "Scan Rotation", "°"),
    Rule("Stage.x", "Stage X", "mm"),
    Rule("Stage.y", "Stage Y", "mm"),
    Rule("Stage.z", "Stage Z", "mm"),
    Rule("Stage.tilt_alpha", "Stage Alpha", "°"),
    Rule("Stage.tilt_beta", "Stage Beta", "°"),
    Rule("Stage.tilt", "Stage Tilt", "°"),
    Rule("Stage.rotation", "Stage Rotation", "°"),
    Rule("Camera.exposure", "Exposure Time", "s"),
    Rule("Detector.Camera.exposure", "Exposure Time", "s"),
    Rule("Detector.Camera.name", "Detector"),
    Rule("Detector.EELS.collection_angle", "Collection Angle", "mrad"),
    Rule("Detector.EELS.exposure", "Exposure Time", "s"),
    Rule("Detector.EELS.dwell_time", "Dwell Time", "s"),
    Rule("Detector.EELS.frame_number", "Frames"),
    Rule("Detector.EELS.spectrometer", "Spectrometer"),
    Rule("Detector.EELS.aperture_size", "Spectrometer Aperture", "mm"),
    Rule("Detector.EELS.aperture", "Spectrometer Aperture", "mm"),
    Rule("Detector.EDS.detector_type", "Detector"),
    Rule("Detector.EDS.elevation_angle", "Detector Elevation", "°"),
    Rule("Detector.EDS.azimuth_angle", "Detector Azimuth", "°"),
    Rule("Detector.EDS.solid_angle", "Solid Angle", "sr"),
    Rule("Detector.EDS.energy_resolution_MnKa", "Energy Resolution", "eV"),
    Rule("Detector.EDS.live_time", "Live Time", "s"),
    Rule("Detector.EDS.real_time", "Real Time", "s"),
    Rule("Detector.EDS.number_of_frames", "Frames"),
    Rule("Detector.model", "Detector"),
    Rule("Detector.detector_type", "Detector"),
    Rule("Detector.temperature", "Detector Temperature", "°C"),
    Rule("Detector.frames", "Frames"),
    Rule("Detector.integration_time", "Integration Time", "s"),
    Rule("Laser.wavelength", "Laser Wavelength", "nm"),
    Rule("Laser.objective_magnification", "Objective Magnification"),
    Rule("Spectrometer.model", "Spectrometer"),
    Rule("Spectrometer.Grating.groove_density", "Grating Density", "1/mm"),
    Rule("Spectrometer.central_wavelength", "Central Wavelength", "nm"),
)
"""Relative to ``Acquisition_instrument.TEM`` or ``.SEM``; light spectrometers stand directly below it."""

_COLUMNS = ("TEM", "SEM")


def section(metadata: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the kind of microscope a file was written by and what the metadata say of it.

    A file that knows of both (some programs leave empty shells) belongs to the one it says more of.
    """
    below = metadata.get("Acquisition_instrument")
    if not isinstance(below, Mapping):
        return None, {}
    told = {name: below[name] for name in _COLUMNS if isinstance(below.get(name), Mapping) and leaves(below[name])}
    column = max(told, key=lambda name: leaves(told[name]), default=None)
    common = {name: value for name, value in below.items() if name not in _COLUMNS}
    return column, {**common, **(told[column] if column else {})}


def applied(
    rules: Iterable[Rule], tree: Mapping[str, Any], units: Mapping[str, str | None] | None = None
) -> dict[str, Quantity]:
    """Return what the rules find in a tree; of several rules for one quantity the first that finds a value wins.

    A unit that stands beside the value (``beam_energy_units``) is believed before the rule's; `units` gives the
    deviating units by path, None for a value that is not to be shown.
    """
    found: dict[str, Quantity] = {}
    units = units or {}
    for rule in rules:
        if rule.name in found or (rule.path in units and units[rule.path] is None):
            continue
        value, unit = lookup(tree, rule.path), units.get(rule.path, rule.unit)
        if isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], str):  # Zeiss: label, value, unit
            value, unit = value[1], (symbol(value[2]) if len(value) == 3 else unit)
        beside = lookup(tree, f"{rule.path}_units") if rule.unit else None
        made = quantity(rule.name, value, (symbol(beside) if isinstance(beside, str) else None) or unit)
        if made is not None:
            found[rule.name] = made
    return found
