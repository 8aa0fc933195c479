"""Programs of cathodoluminescence: Delmic Odemis, and Attolight in Digital Surf's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Services.Builder.extraction.extractors import terms_light
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.terms import applied
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Components = Mapping[str, Mapping[str, Any]]
"""Odemis' ``ExtraSettings``: of each component of the microscope the settings, a value and its unit each."""

# -- Delmic Odemis --------------------------------------------------------------------------------------------------

_SCANNED = ("CL intensity", "Time Correlator", "Secondary electrons survey", "Secondary electrons concurrent")
"""What is measured while the beam dwells; of other signals the time is a camera's exposure."""


def _delmic(tree: Tree) -> dict[str, Quantity | None]:
    """Read the times, which have one entry (``MD_DWELL_TIME`` or ``MD_EXP_TIME``), and the components' settings.

    The spectrograph's count only where light was dispersed: its settings stand in every file.
    """
    extra = lookup(tree, "ExtraSettings")
    components = {
        str(name): settings
        for name, settings in (extra.items() if isinstance(extra, Mapping) else ())
        if isinstance(settings, Mapping)
    }
    signal = str(lookup(tree, "ChannelDescription") or "")
    exposure = "Dwell Time" if signal in _SCANNED else "Exposure Time"
    band = lookup(tree, "EmissionWavelength")
    return {
        **_beam(components),
        exposure: quantity(exposure, lookup(tree, "IntegrationTime"), "s"),
        "Filter": quantity("Filter", band if isinstance(band, str) else None),
        "Trigger Rate": quantity("Trigger Rate", lookup(tree, "TriggerRate"), "Hz"),
        **(_spectrograph(components) if "spectr" in signal.lower() else {}),
        **(_correlator(components) if signal == "Time Correlator" else {}),
    }


def _beam(components: Components) -> dict[str, Quantity]:
    settings = next((one for one in components.values() if {"magnification", "scale"} <= set(one)), {})
    values = {key: (key, *pair) for key, pair in settings.items() if _is_measured(pair)}
    return applied(terms_light.DELMIC_BEAM, {key: entry for key, entry in values.items() if entry[1] is not None})


def _is_measured(pair: object) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], int | float)


def _spectrograph(components: Components) -> dict[str, Quantity | None]:
    """Read wavelength and slit, in metres, and the grating's number, where there is but one spectrograph."""
    positions = [_position(one) for one in components.values()]
    found = [position for position in positions if {"wavelength", "grating"} <= set(position)]
    position = found[0] if len(found) == 1 else {}
    return {
        "Central Wavelength": quantity("Central Wavelength", position.get("wavelength"), "m"),
        "Entrance Slit Width": quantity("Entrance Slit Width", position.get("slit-in"), "m"),
        "Grating": quantity("Grating", position.get("grating")),
    }


def _correlator(components: Components) -> dict[str, Quantity | None]:
    """Read the length of a time bin, and the optical density of the filter before the detector."""
    durations = [one.get("pixelDuration") for one in components.values()]
    bins = [pair[0] for pair in durations if pair is not None and _is_measured(pair)]
    filters = [position["density"] for one in components.values() if "density" in (position := _position(one))]
    return {
        "Time Resolution": quantity("Time Resolution", bins[0] if len(bins) == 1 else None, "s"),
        "Optical Density": quantity("Optical Density", filters[0] if len(filters) == 1 else None),
    }


def _position(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    pair = settings.get("position")
    value = pair[0] if isinstance(pair, list | tuple) and pair else None
    return value if isinstance(value, Mapping) else {}


# -- Digital Surf ---------------------------------------------------------------------------------------------------

_HEADER, _COMMENT = "Object_0_Channel_0.Header", "Object_0_Channel_0.Parsed"


def _digital_surf(tree: Tree) -> dict[str, Quantity | None]:
    """Read what the header has of the measurement: how long it took, in seconds, and its name."""
    name = str(lookup(tree, f"{_HEADER}.H06_Object_Name") or "").strip(" *")
    return {
        "Real Time": quantity("Real Time", lookup(tree, f"{_HEADER}.H47_Measurement_duration"), "s"),
        "Signal Name": quantity("Signal Name", name),
        "Operator": quantity("Operator", lookup(tree, f"{_HEADER}.H07_Operator_Name")),
    }


def _attolight(comment: Tree) -> dict[str, Quantity | None]:
    """Read the camera's binning, across the dispersion that of its read-out."""
    horizontal = lookup(comment, "CCD.Horizontal Binning")
    vertical = lookup(comment, "CCD.Vertical Binning")
    return {"Binning": quantity("Binning", [horizontal, vertical] if horizontal and vertical else horizontal)}


VENDORS = (
    Vendor("Delmic", column="SEM", rules=terms_light.DELMIC, special=_delmic),
    Vendor("DigitalSurf", special=_digital_surf),
    Vendor("DigitalSurf", root=(_COMMENT,), rules=terms_light.ATTOLIGHT, special=_attolight),
)
