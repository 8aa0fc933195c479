"""FEI and Thermo Fisher: Velox, TIA and MRC. Velox has SI units throughout."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio import fei_mrc
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import (
    Tree,
    Vendor,
    branches,
    stage_units,
    unix_time,
)
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

_VELOX_MODES = {"1": "TEM", "2": "STEM"}
_VELOX_PROJECTOR = {"1": "Diffraction", "2": "Imaging"}
_VELOX_APERTURES = {
    "C1": "C1 Aperture",
    "C2": "C2 Aperture",
    "C3": "C3 Aperture",
    "OBJ": "Objective Aperture",
    "SA": "Selected-Area Aperture",
}


def _velox(tree: Tree) -> dict[str, Quantity | None]:
    """Read the detector that took the image, one of a numbered list, and the modes, which are numbers too."""
    index = lookup(tree, "BinaryResult.DetectorIndex")
    detector = lookup(tree, f"Detectors.Detector-{index}")
    detector = detector if isinstance(detector, Mapping) else {}
    binning = [lookup(detector, f"Binning.{side}") for side in ("width", "height")]
    angles = "CollectionAngleRange"
    return {
        "Acquisition Mode": quantity("Acquisition Mode", _VELOX_MODES.get(str(lookup(tree, "Optics.OperatingMode")))),
        "Imaging Mode": quantity("Imaging Mode", _VELOX_PROJECTOR.get(str(lookup(tree, "Optics.ProjectorMode")))),
        "Exposure Time": quantity("Exposure Time", lookup(detector, "ExposureTime"), "s"),
        "Binning": quantity("Binning", binning if all(binning) else None),
        "Collection Angle Inner": quantity("Collection Angle Inner", lookup(detector, f"{angles}.begin"), "rad")
        if str(lookup(detector, f"{angles}.end") or "0") != "0"
        else None,
        "Collection Angle Outer": quantity("Collection Angle Outer", lookup(detector, f"{angles}.end"), "rad"),
        "Detector Elevation": _velox_elevation(tree),
        "Time Constant": _velox_time_constant(tree),
        **_velox_apertures(tree),
    }


def _velox_apertures(tree: Tree) -> dict[str, Quantity | None]:
    """Read the apertures' diameters; one that is retracted has none."""
    diameters = {}
    for aperture in branches(tree, "Optics.Apertures"):
        name = _VELOX_APERTURES.get(str(lookup(aperture, "Name")))
        if name:
            diameters[name] = quantity(name, lookup(aperture, "Diameter"), "m")
    return diameters


def _velox_elevation(tree: Tree) -> Quantity | None:
    """Read the elevation of an X-ray detector, whose segments are SuperXG21, SuperXG22 ... where it is SuperXG2."""
    taken = str(lookup(tree, "BinaryResult.Detector") or "-")
    segments = [
        detector for detector in branches(tree, "Detectors") if str(lookup(detector, "DetectorName")).startswith(taken)
    ]
    elevations = {lookup(segment, "ElevationAngle") for segment in segments}
    return quantity("Detector Elevation", elevations.pop(), "rad") if len(elevations) == 1 else None


def _velox_time_constant(tree: Tree) -> Quantity | None:
    """Read the X-ray detector's pulse processing time, where its segments have the same."""
    taken = str(lookup(tree, "BinaryResult.Detector") or "-")
    times = {
        lookup(segment, "PulseProcessTime")
        for segment in branches(tree, "Detectors")
        if str(lookup(segment, "DetectorName")).startswith(taken)
    }
    return quantity("Time Constant", times.pop(), "s") if len(times) == 1 else None


def _velox_time(tree: Tree) -> datetime | None:
    camera = lookup(tree, "CustomProperties")
    start = unix_time(lookup(tree, "Acquisition.AcquisitionStartDatetime.DateTime"))
    if start is None and isinstance(camera, Mapping):
        stamp = next((lookup(value, "value") for key, value in camera.items() if "TimeStamp" in str(key)), None)
        start = unix_time(float(stamp) / 1e6) if isinstance(stamp, str) and stamp.isdigit() else None
    return start


VELOX = (
    *terms.VELOX,
    Rule("Scan.LineTime", "Line Time", "s"),
    Rule("Scan.LineIntegrationCount", "Line Averages"),
)
_VELOX = Vendor(
    plugin="EMD",
    holds="Core.MetadataDefinitionVersion",
    format="Thermo Fisher Velox EMD",
    column="TEM",
    units={**stage_units("m"), "Detector.EDS.elevation_angle": "rad"},
    rules=VELOX,
    special=_velox,
    acquired=_velox_time,
)

# -- FEI TIA: the unit is the end of the key --------------------------------------------------------------------------


def _tia(tree: Tree) -> dict[str, Quantity | None]:
    """Return a probe's dwell time or a camera's exposure: TIA writes both into one entry."""
    scanning = "STEM" in str(lookup(tree, "ExperimentalDescription.Mode"))
    name = "Dwell Time" if scanning else "Exposure Time"
    return {name: quantity(name, lookup(tree, "AcquireInfo.DwellTimePath"), "s"), **_tia_filter(tree)}


def _tia_filter(tree: Tree) -> dict[str, Quantity | None]:
    """Read the energy filter, where its mode is one; a slit that is retracted has no width."""
    described = "ExperimentalDescription.Filter"
    if lookup(tree, f"{described} mode") in (None, "None", ""):
        return {}
    values = (
        ("Energy Loss", "total energy loss_eV", "eV"),
        ("Drift Tube Voltage", "drift tube_eV", "V"),
        ("Prism Offset", "prism shift_eV", "V"),
        ("Spectrometer Aperture", "selected aperture", "mm"),
        ("Slit Width", "slit width_eV", "eV"),
    )
    mode = quantity("Energy Filter Mode", lookup(tree, f"{described} mode"))
    read = {name: quantity(name, lookup(tree, f"{described} {key}"), unit) for name, key, unit in values}
    return {"Energy Filter Mode": mode, **read}


TIA = (
    *terms.TIA,
    Rule("ExperimentalDescription.Objective lens_%", "Objective Lens", "%"),
    Rule("ExperimentalDescription.Diffraction lens_%", "Diffraction Lens", "%"),
    Rule("ExperimentalDescription.Image shift X_um", "Image Shift X", "µm"),
    Rule("ExperimentalDescription.Image shift Y_um", "Image Shift Y", "µm"),
)
"""TIA's settings of lenses and shifts, which its TIFF has, too."""

_TIA = Vendor(
    plugin="TIA",
    root=("ObjectInfo",),
    column="TEM",
    units={"Detector.Camera.exposure": None},
    rules=TIA,
    special=_tia,
)


def _ser_time(tree: Tree) -> datetime | None:
    return unix_time(lookup(tree, "ser_header_parameters.Time"))


# -- Thermo Fisher's MRC ----------------------------------------------------------------------------------------------


def _fei_mrc(tree: Tree) -> dict[str, Quantity | None]:
    """Read the modes, numbered as Velox numbers them, the program, and the camera's settings where it took the image.

    The header of a scanned image names the camera, too.
    """
    mode = _VELOX_MODES.get(str(lookup(tree, "Instrument mode")))
    binning = [lookup(tree, f"Binning {side}") for side in ("Width", "Height")]
    program = " ".join(str(lookup(tree, key) or "") for key in ("Application", "Application version")).strip()
    camera = {
        "Detector": quantity("Detector", lookup(tree, "Camera name")),
        "Exposure Time": quantity("Exposure Time", lookup(tree, "Integration time"), "s"),
        "Binning": quantity("Binning", binning if all(binning) else None),
        "Defocus": quantity("Defocus", lookup(tree, "Defocus"), "m"),
    }
    return {
        "Acquisition Mode": quantity("Acquisition Mode", mode),
        "Imaging Mode": quantity("Imaging Mode", _VELOX_PROJECTOR.get(str(lookup(tree, "Projection mode")))),
        "Software": quantity("Software", program),
        **(camera if lookup(tree, "STEM Detector name") is None else {}),
    }


# -- FEI's MRC of before 2012 -----------------------------------------------------------------------------------------

_UNREAD = ("magnification", "Stage.x", "Stage.y", "Stage.z", "Stage.tilt_alpha", "Stage.tilt_beta")


def _old_mrc(tree: Tree) -> dict[str, Quantity | None]:
    """Read the extended header's entry of the first image, of 1024 that the reader returns as lists.

    Lengths are in metres, but in micrometres where they are above 1 (the reader's notes on the format).
    """

    def first(name: str) -> float:
        values = lookup(tree, name)
        return number(next(iter(values), 0) if hasattr(values, "__len__") else values)

    found = {"Stage Alpha": quantity("Stage Alpha", first("a_tilt"), "°")}
    found["Stage Beta"] = quantity("Stage Beta", first("b_tilt"), "°")
    for name, field in (("Stage X", "x_stage"), ("Stage Y", "y_stage"), ("Stage Z", "z_stage"), ("Defocus", "defocus")):
        value = first(field)
        found[name] = quantity(name, value, "µm" if abs(value) > 1 else "m")
    found["Exposure Time"] = quantity("Exposure Time", first("exp_time"), "s")
    found["Magnification"] = quantity("Magnification", first("magnification"))
    return found


VENDORS = (
    _VELOX,
    _TIA,
    Vendor("TIA", acquired=_ser_time),
    Vendor(
        "MRC",
        root=(fei_mrc.EXTENDED_HEADER_KEY,),
        rules=terms.FEI_MRC,
        special=_fei_mrc,
        acquired=lambda tree: fei_mrc.acquisition_time(lookup(tree, "Timestamp")),
    ),
    Vendor(
        "MRC",
        holds="fei_header",
        root=("fei_header",),
        column="TEM",
        units=dict.fromkeys((*_UNREAD, "Detector.Camera.exposure")),
        special=_old_mrc,
    ),
    Vendor("MRC", column="TEM", units=stage_units("m")),
)
