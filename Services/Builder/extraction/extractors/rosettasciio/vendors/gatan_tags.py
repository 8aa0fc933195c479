"""Tags of DigitalMicrograph beyond those that the reader translates: filter, scan, camera, processing, stacks.

The tags' names hold their units (Gatan's help, "Image tags"); NexusLIMS reads the same ones. A setting of the
spectrometer counts only where its switch beside it is on. Times of DigiScan are in microseconds, as the reader's
conversion of its sample time to seconds shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, branches
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.terms import DIGITALMICROGRAPH, DIGITALMICROGRAPH_ALONE, Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

IMAGE = "ImageList.TagGroup0.ImageTags"
PLANE = f"{IMAGE}.plane info.TagGroup0"
"""What a stack says of its first plane, where a script put it together from images: their tags and calibrations."""
_SCAN = (
    Rule("DigiScan.Flyback", "Flyback Time", "µs"),
    Rule("DigiScan.Rotation", "Scan Rotation", "°"),
)
RULES = (
    *DIGITALMICROGRAPH,
    *_SCAN,
    Rule("Microscope Info.Spot Size", "Spot Size"),
    Rule("EDS.Detector Info.Solid angle", "Solid Angle", "sr"),
    Rule("EDS.Solid angle", "Solid Angle", "sr"),
)
PLANE_RULES = (*DIGITALMICROGRAPH_ALONE, *_SCAN, Rule("DigiScan.Sample Time", "Dwell Time", "µs"))
"""Of a plane, whose tags no reader translates."""
_SPECTROMETERS = ("EELS Spectrometer", "EELS.Acquisition.Spectrometer", "EFTEM.Spectrometer")
_SWITCHED = (
    ("Drift tube voltage (V)", "Drift tube enabled", "Drift Tube Voltage", "V"),
    ("HT offset (V)", "HT offset enabled", "High Tension Offset", "V"),
    ("Prism offset (V)", "Prism offset enabled", "Prism Offset", "V"),
    ("Slit width (eV)", "Slit inserted", "Slit Width", "eV"),
)


def special(tags: Tree) -> dict[str, Quantity | None]:
    """Return what takes more than a rule.

    Parameters
    ----------
    tags
        The image's tags.
    """
    return {**_spectrometer(tags), **_camera(tags), "Processing": _processing(tags), **_counted(tags)}


def _spectrometer(tags: Tree) -> dict[str, Quantity | None]:
    """Read the energy filter's settings, those that are switched on."""
    known = [branch for path in _SPECTROMETERS if isinstance(branch := lookup(tags, path), Mapping)]
    if not known:
        return {}
    settings = known[0]
    found = {
        name: quantity(name, lookup(settings, setting), unit)
        for setting, switch, name, unit in _SWITCHED
        if number(lookup(settings, switch)) > 0
    }
    return {"Energy Loss": quantity("Energy Loss", lookup(settings, "Energy loss (eV)"), "eV"), **found}


def _camera(tags: Tree) -> dict[str, Quantity | None]:
    """Read the camera's exposure, where nothing else says it, and the size of its pixels on the chip."""
    parameters = "Acquisition.Parameters"
    spectra = lookup(tags, "EELS.Acquisition") is not None or lookup(tags, "CL.Acquisition") is not None
    scanned = lookup(tags, "DigiScan") is not None
    stated = lookup(tags, f"{parameters}.High Level.Exposure (s)") or lookup(
        tags, f"{parameters}.Detector.exposure (s)"
    )
    pixel = lookup(tags, "Acquisition.Device.CCD.Pixel Size (um)") or lookup(tags, "Acquisition.Device.Pixel Size (um)")
    sides = [number(side) for side in pixel] if isinstance(pixel, list | tuple) else []
    return {
        "Exposure Time": None if spectra or scanned else quantity("Exposure Time", stated, "s"),
        "Detector Pixel Size": quantity("Detector Pixel Size", sides[0], "µm") if len(set(sides)) == 1 else None,
    }


def _processing(tags: Tree) -> Quantity | None:
    """Return how the camera's frames were corrected, and what was done to the data afterwards, in this order."""
    corrected = lookup(tags, "Acquisition.Parameters.High Level.Processing")
    steps = [lookup(step, "Operation") for step in branches(tags, "Processing")]
    return quantity("Processing", [str(step) for step in (corrected, *steps) if step] or None)


def _counted(tags: Tree) -> dict[str, Quantity | None]:
    """Read how many frames of the scan were summed, if they were, and the count rate, if it is one a second."""
    summed = number(lookup(tags, "DigiScan.Sum Frames")) > 0
    per_second = lookup(tags, "EDS.Acquisition.Count Rate Unit") == "count/second"
    return {
        "Frames": quantity("Frames", lookup(tags, "DigiScan.Number Summing Frames")) if summed else None,
        "Count Rate": quantity("Count Rate", lookup(tags, "EDS.Count rate"), "1/s") if per_second else None,
    }


def calibrated_by_plane(axis: Mapping[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Return an axis of a stack that has no unit of its own as its first plane was calibrated.

    Parameters
    ----------
    axis, signal
        The reader's dictionaries.
    """
    plane = lookup(signal.get("original_metadata") or {}, f"{PLANE}.calibration.{str(axis.get('name')).upper()}")
    scale = number(lookup(plane, "scale"))
    unit = lookup(plane, "unit")
    if axis.get("units") or axis.get("name") not in ("x", "y") or not isinstance(unit, str) or scale <= 0:
        return dict(axis)
    return {**axis, "scale": scale, "offset": -number(lookup(plane, "origin")) * scale, "units": unit}
