"""Reads the XML that FEI's and Thermo Fisher's programs write into a TIFF: alone, or beside an INI file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lxml import etree

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.safe_xml import nested
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, number
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

_MODES = {"1": "TEM", "2": "STEM"}
"""``Optics.OperatingMode``, numbered as in Velox's files."""
_LENSES = ("CameraLength", "NominalMagnification", "OperatingMode", "ProjectorMode")
"""Entries of ``Optics`` that a scanning microscope does not have."""


def settings(root: etree._Element) -> MicroscopeSettings:
    """Return what the XML holds.

    Parameters
    ----------
    root
        Its element ``Metadata``.
    """
    tree = nested(root)
    column = _column(tree)
    return MicroscopeSettings(
        format="FEI/Thermo Fisher TEM TIFF" if column in ("TEM", "STEM") else "FEI/Thermo Fisher TIFF",
        tree=tree,
        rules=terms_tiff.FEI_XML,
        column=column,
        pixel=_pixel(root),
        acquired=acquisition_time(tree),
        special=_special(tree, column),
    )


def acquisition_time(tree: Mapping[str, Any]) -> datetime | None:
    """Return the time of acquisition, which is ISO 8601, by the instrument's clock where it has no zone."""
    try:
        return datetime.fromisoformat(str(lookup(tree, "Acquisition.AcquisitionDatetime")))
    except ValueError:
        return None


def _column(tree: Mapping[str, Any]) -> str:
    mode = _MODES.get(str(lookup(tree, "Optics.OperatingMode")))
    if mode or any(lookup(tree, f"Optics.{key}") for key in _LENSES):
        return mode or "TEM"
    return "FIB" if lookup(tree, "Acquisition.BeamType") == "Ion" else "SEM"


def _pixel(root: etree._Element) -> tuple[float, float] | None:
    """Return height and width of a pixel in metres; None where they are not lengths."""
    sizes = [root.find(f"{{*}}BinaryResult/{{*}}PixelSize/{{*}}{axis}") for axis in "YX"]
    if any(size is None or size.get("unit") != "m" for size in sizes):
        return None
    height, width = (number(size.text) for size in sizes if size is not None)
    return (height, width) if height > 0 and width > 0 else None


def _special(tree: Mapping[str, Any], column: str) -> dict[str, Quantity | None]:
    """Read the stage's angles, which a transmission microscope calls alpha and beta, and the first detector."""
    stage = "StageSettings.StagePosition"
    alpha, beta = (lookup(tree, f"{stage}.Tilt.{axis}") for axis in ("Alpha", "Beta"))
    rotation = lookup(tree, f"{stage}.Rotation")
    angles = (
        {"Stage Alpha": alpha, "Stage Beta": beta}
        if column in ("TEM", "STEM")
        else {"Stage Tilt": alpha, "Stage Rotation": rotation}
    )
    detector = _first(lookup(tree, "Detectors.ScanningDetector"))
    aperture = _first(lookup(tree, "Optics.Apertures.Aperture"))
    names = [lookup(detector, key) for key in ("DetectorName", "Signal")]
    return {
        **{name: quantity(name, angle, "rad") for name, angle in angles.items()},
        "Detector": quantity("Detector", [name for name in dict.fromkeys(names) if name]),
        "Contrast": quantity("Contrast", lookup(detector, "ContrastNormalized"), "%"),
        "Brightness": quantity("Brightness", lookup(detector, "BrightnessNormalized"), "%"),
        "Collector Voltage": quantity("Collector Voltage", lookup(detector, "GridVoltage"), "V"),
        "Aperture Diameter": quantity("Aperture Diameter", lookup(aperture, "Diameter"), "m"),
    }


def _first(found: Any) -> Mapping[str, Any]:
    """Return the first of the elements of one name."""
    if isinstance(found, Sequence) and not isinstance(found, str):
        found = found[0] if found else {}
    return found if isinstance(found, Mapping) else {}
