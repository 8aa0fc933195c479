"""What single vendors' files hold beyond the conventions, and where their readers keep to other units.

A `Vendor` per program that writes the files. The paths are those of the reader's original metadata; the units are the
vendor's, each from the file format's description or, where there is none, from files whose values are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio import fei_mrc
from Services.Builder.extraction.extractors.settings import either_order, is_day_in_figures
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vendor:
    """Facts about the files of one program."""

    plugin: str
    """Name of the RosettaSciIO reader."""
    holds: str | None = None
    """Path that the original metadata must have, where one reader serves several vendors."""
    format: str | None = None
    """Name of the format, where the reader's serves several."""
    root: tuple[str, ...] = ("",)
    """Where the rules begin; the first that is there."""
    column: str | None = None
    """Kind of microscope, where the program serves only that."""
    units: Mapping[str, str | None] = field(default_factory=dict)
    """Units of converted metadata that the reader left as the vendor wrote them; None: not to be shown."""
    rules: tuple[Rule, ...] = ()
    unreliable: frozenset[str] = frozenset()
    """Names of quantities that are shown, but marked."""
    special: Callable[[Tree], dict[str, Quantity | None]] | None = None
    """What takes more than a rule."""
    acquired: Callable[[Tree], datetime | None] | None = None
    """Time of acquisition, where the file holds a better one than the reader returns."""
    unclear_day: Callable[[Tree], str | None] | None = None
    """The day as the file has it, where the reader may have misread it: without `acquired`, there is no time then."""

    def tree(self, original: Tree) -> Tree | None:
        """Return the part of the original metadata the rules are for; None if the file is not of this program."""
        if self.holds and lookup(original, self.holds) is None:
            return None
        for root in self.root:
            branch = lookup(original, root) if root else original
            if isinstance(branch, Mapping):
                return branch
        return None


def _stage(unit: str) -> dict[str, str | None]:
    return {"Stage.x": unit, "Stage.y": unit, "Stage.z": unit}


def _unix(seconds: object) -> datetime | None:
    try:
        value = float(str(seconds))
        return datetime.fromtimestamp(value, UTC) if value > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _measured(tree: Tree, name: str, path: str) -> Quantity | None:
    """Return a quantity whose value and unit stand side by side."""
    return quantity(name, lookup(tree, f"{path}.value"), symbol(lookup(tree, f"{path}.unit")))


# -- Gatan DigitalMicrograph ----------------------------------------------------------------------------------------


def _gatan_time(tags: Tree) -> datetime | None:
    """Return the time of acquisition, by Windows' clock or by the texts, whose order is that of the PC's language.

    Of a spectrum image, Windows' clock is that of its survey image or of its end: it only tells the order.
    """
    windows = _windows_clock(lookup(tags, "DataBar.Acquisition Time (OS)"))
    if windows is not None and lookup(tags, "SI.Acquisition.Date") is None:
        return windows
    return either_order(" ".join(_gatan_texts(tags)), windows)


def _windows_clock(ticks: object) -> datetime | None:
    """Read Windows' clock: 100 ns since 1601, UTC."""
    if not isinstance(ticks, int | float) or ticks < 1e17:
        return None
    return (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks / 10)).replace(microsecond=0)


def _gatan_texts(tags: Tree) -> tuple[str, str]:
    """Return day and time of day as DigitalMicrograph writes them, those of the measurement itself first."""
    bar = lookup(tags, "DataBar.Acquisition Date"), lookup(tags, "DataBar.Acquisition Time")
    for technique in ("SI", "EELS", "EDS", "CL"):
        day = lookup(tags, f"{technique}.Acquisition.Date")
        if day is not None:
            return str(day).strip(), str(lookup(tags, f"{technique}.Acquisition.Start time") or bar[1] or "").strip()
    return str(bar[0] or "").strip(), str(bar[1] or "").strip()


def _gatan_unclear_day(tags: Tree) -> str | None:
    day, _ = _gatan_texts(tags)
    return day if is_day_in_figures(day) else None


_GATAN = Vendor(
    plugin="DigitalMicrograph",
    root=("ImageList.TagGroup0.ImageTags.source.Tags at creation", "ImageList.TagGroup0.ImageTags"),
    rules=terms.DIGITALMICROGRAPH,
    # typed into a form once, and often out of date
    unreliable=frozenset(("Operator", "Specimen")),
    acquired=_gatan_time,
    unclear_day=_gatan_unclear_day,
)

# -- Thermo Fisher Velox: SI units throughout -------------------------------------------------------------------------

_VELOX_MODES = {"1": "TEM", "2": "STEM"}
_VELOX_PROJECTOR = {"1": "Diffraction", "2": "Imaging"}
_VELOX_APERTURES = {
    "C1": "C1 Aperture",
    "C2": "C2 Aperture",
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
        **_velox_apertures(tree),
    }


def _velox_apertures(tree: Tree) -> dict[str, Quantity | None]:
    """Read the apertures' diameters; one that is retracted has none."""
    diameters = {}
    for aperture in _branches(tree, "Optics.Apertures"):
        name = _VELOX_APERTURES.get(str(lookup(aperture, "Name")))
        if name:
            diameters[name] = quantity(name, lookup(aperture, "Diameter"), "m")
    return diameters


def _velox_elevation(tree: Tree) -> Quantity | None:
    """Read the elevation of an X-ray detector, whose segments are SuperXG21, SuperXG22 ... where it is SuperXG2."""
    taken = str(lookup(tree, "BinaryResult.Detector") or "-")
    segments = [
        detector for detector in _branches(tree, "Detectors") if str(lookup(detector, "DetectorName")).startswith(taken)
    ]
    elevations = {lookup(segment, "ElevationAngle") for segment in segments}
    return quantity("Detector Elevation", elevations.pop(), "rad") if len(elevations) == 1 else None


def _branches(tree: Tree, path: str) -> list[Tree]:
    below = lookup(tree, path)
    return [branch for branch in below.values() if isinstance(branch, Mapping)] if isinstance(below, Mapping) else []


def _velox_time(tree: Tree) -> datetime | None:
    camera = lookup(tree, "CustomProperties")
    start = _unix(lookup(tree, "Acquisition.AcquisitionStartDatetime.DateTime"))
    if start is None and isinstance(camera, Mapping):
        stamp = next((lookup(value, "value") for key, value in camera.items() if "TimeStamp" in str(key)), None)
        start = _unix(float(stamp) / 1e6) if isinstance(stamp, str) and stamp.isdigit() else None
    return start


_VELOX = Vendor(
    plugin="EMD",
    holds="Core.MetadataDefinitionVersion",
    format="Thermo Fisher Velox EMD",
    column="TEM",
    units={**_stage("m"), "Detector.EDS.elevation_angle": "rad"},
    rules=terms.VELOX,
    special=_velox,
    acquired=_velox_time,
)

# -- FEI TIA: the unit is the end of the key --------------------------------------------------------------------------


def _tia(tree: Tree) -> dict[str, Quantity | None]:
    """Return a probe's dwell time or a camera's exposure: TIA writes both into one entry."""
    scanning = "STEM" in str(lookup(tree, "ExperimentalDescription.Mode"))
    name = "Dwell Time" if scanning else "Exposure Time"
    return {name: quantity(name, lookup(tree, "AcquireInfo.DwellTimePath"), "s")}


_TIA = Vendor(
    plugin="TIA",
    root=("ObjectInfo",),
    column="TEM",
    units={"Detector.Camera.exposure": None},
    rules=terms.TIA,
    special=_tia,
)


def _ser_time(tree: Tree) -> datetime | None:
    return _unix(lookup(tree, "ser_header_parameters.Time"))


# -- Thermo Fisher's MRC --------------------------------------------------------------------------------------------


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


# -- JEOL -------------------------------------------------------------------------------------------------------------


def _sightx(tree: Tree) -> dict[str, Quantity | None]:
    """Read what emits the electrons, the filament (``filamentLaB6``) or else the gun, and the screen camera's settings.

    That the camera's exposure is in microseconds follows from the text beside it: 250000 is ``250.00 msec``.
    """
    gun, camera = "ImageDescription.ElectronGun", "ImageDescription.JemBaumerCamera.Parameter"
    stated = [str(lookup(tree, f"{gun}.{key}") or "") for key in ("FilamentType", "GunType")]
    source = [word.removeprefix("filament").removeprefix("gun") for word in stated if word]
    taken = lookup(tree, "ImageDescription.ImageSourceDetector") == "screenCamera"
    exposure = lookup(tree, f"{camera}.ExposureTimeValue")
    binning = [lookup(tree, f"{camera}.Binning{side}Size") for side in ("Horizontal", "Vertical")]
    return {
        "Electron Source": quantity("Electron Source", source[0] if source else None),
        "Exposure Time": quantity("Exposure Time", exposure if taken else None, "µs"),
        "Binning": quantity("Binning", binning if taken and all(binning) else None),
    }


# -- Olympus --------------------------------------------------------------------------------------------------------


def _olympus(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's exposure, a fraction as EXIF writes it."""
    exposure = lookup(tree, "ExifTag.ExposureTime")
    valid = isinstance(exposure, tuple) and len(exposure) == 2 and exposure[1]
    return {"Exposure Time": quantity("Exposure Time", exposure[0] / exposure[1], "s") if valid else None}


# -- EMSA/MAS, ISO 22029 ----------------------------------------------------------------------------------------------

_EMSA_MODES = {"IMA": "Imaging", "DIF": "Diffraction", "SCI": "Scanning Imaging", "SCD": "Scanning Diffraction"}


def _emsa(tree: Tree) -> dict[str, Quantity | None]:
    """Read magnification or camera length in mm, which have one keyword, by the mode."""
    mode = _EMSA_MODES.get(str(lookup(tree, "OPERMODE") or "").strip().upper()[:3])
    name, unit = ("Camera Length", "mm") if mode and "Diffraction" in mode else ("Magnification", None)
    return {
        "Imaging Mode": quantity("Imaging Mode", mode or lookup(tree, "OPERMODE")),
        name: quantity(name, lookup(tree, "MAGCAM"), unit),
    }


# -- Phenom ---------------------------------------------------------------------------------------------------------


def _phenom(tree: Tree) -> dict[str, Quantity | None]:
    """Read the entries that have a unit: 200 ns, 40.3 uA."""
    scan = "acquisition.scan"
    return {
        "Dwell Time": _measured(tree, "Dwell Time", f"{scan}.dwellTime"),
        "Emission Current": _measured(tree, "Emission Current", f"{scan}.emissionCurrent"),
    }


# -- TVIPS ----------------------------------------------------------------------------------------------------------


def _tvips(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's binning."""
    binning = [lookup(tree, f"tvips_header.bin{side}") for side in "xy"]
    return {"Binning": quantity("Binning", binning if all(binning) else None)}


# -- HORIBA, Hamamatsu: days as the PC's language has them -------------------------------------------------------------


def _hamamatsu_time(tree: Tree) -> datetime | None:
    day, clock = (lookup(tree, f"Comment.Application.{key}") for key in ("Date", "Time"))
    return either_order(f"{day} {clock}")


def _hamamatsu_unclear_day(tree: Tree) -> str | None:
    day = str(lookup(tree, "Comment.Application.Date") or "")
    return day if is_day_in_figures(day) else None


# -- others ---------------------------------------------------------------------------------------------------------

VENDORS = (
    _GATAN,
    _VELOX,
    _TIA,
    Vendor("TIA", acquired=_ser_time),
    Vendor("Bruker", units=_stage("µm"), rules=terms.BRUKER),
    Vendor("JEOL", holds="Header.real time", rules=terms.JEOL_EDS),
    Vendor("Blockfile", column="STEM", units={"camera_length": "m"}),
    Vendor(
        "MRC",
        root=(fei_mrc.EXTENDED_HEADER_KEY,),
        rules=terms.FEI_MRC,
        special=_fei_mrc,
        acquired=lambda tree: fei_mrc.acquisition_time(lookup(tree, "Timestamp")),
    ),
    Vendor("MRC", column="TEM", units=_stage("m")),
    # ISO 22029: dwell and integration times of EELS are in milliseconds
    Vendor(
        "MSA",
        units={"Detector.EELS.dwell_time": "ms", "Detector.EELS.exposure": "ms"},
        rules=terms.EMSA,
        special=_emsa,
    ),
    # neither units nor zero points of stage and current are documented
    Vendor(
        "TVIPS",
        column="TEM",
        units={"Stage.x": None, "Stage.y": None, "Stage.z": None, "beam_current": None},
        special=_tvips,
    ),
    Vendor("Arina", column="STEM"),
    Vendor("EMPAD", column="STEM"),
    Vendor("Phenom", column="SEM", rules=terms.PHENOM, special=_phenom),
    Vendor("Renishaw", rules=terms.RENISHAW),
    Vendor("JobinYvon", acquired=lambda tree: either_order(lookup(tree, "date.Acquired"))),
    Vendor("Hamamatsu", acquired=_hamamatsu_time, unclear_day=_hamamatsu_unclear_day),
    Vendor("Tofwerk", column="FIB"),
    Vendor(
        "TIFF",
        holds="ImageDescription.ElectronGun",
        format="JEOL SightX TIFF",
        units={"beam_current": None},  # the gun's emission, not the probe's current
        rules=terms.JEOL_SIGHTX,
        special=_sightx,
    ),
    Vendor("TIFF", holds="CZ_SEM.ap_actualkv", format="Zeiss SEM TIFF", rules=terms.ZEISS_TIFF),
    Vendor(
        "TIFF",
        holds="Olympus_SIS_metadata",
        format="Olympus SIS TIFF",
        column="TEM",
        rules=terms.OLYMPUS,
        special=_olympus,
    ),
    Vendor("TIFF", rules=terms.TIFF_TAGS),
    Vendor("EMD", holds="simulation_parameters", column="STEM", rules=terms.PRISMATIC),
    Vendor("EMD", rules=terms.EMD_NCEM),
    Vendor("QuantumDetector", rules=terms.MERLIN),
    Vendor("DENS", rules=terms.DENS),
)


def vendors_for(plugin: str, original: Tree) -> tuple[tuple[Vendor, Tree], ...]:
    """Return the entries that apply to a signal, each with its tree; a general one if no other does."""
    trees = [(vendor, vendor.tree(original)) for vendor in VENDORS if vendor.plugin == plugin]
    applying = tuple((vendor, tree) for vendor, tree in trees if tree is not None)
    return tuple(vendor for vendor in applying if vendor[0].holds) or applying
