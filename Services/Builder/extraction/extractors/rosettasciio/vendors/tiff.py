"""What microscopes write into the tags of a TIFF."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from Services.Builder.extraction.extractors import exif, terms_tiff
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity


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
    position = "ImageDescription.GonioStage.StagePosition"
    motors, piezos = ([number(lookup(tree, f"{position}.{kind}{axis}")) for axis in "XY"] for kind in "MP")
    stage = {
        f"Stage {axis}": quantity(f"Stage {axis}", motor + piezo, "nm")
        for axis, motor, piezo in zip("XY", motors, piezos, strict=True)
        if lookup(tree, f"{position}.M{axis}") is not None
    }
    angle = "ImageDescription.ImageFormingSystem.DetectAngleString"
    scanned = lookup(tree, "ImageDescription.Eos.EosMode") == "eosASID"
    return {
        **stage,
        # in STEM the projector's length is that to the detector, written with its unit (40cm)
        "Camera Length": quantity("Camera Length", lookup(tree, angle) if scanned else None),
        "Electron Source": quantity("Electron Source", source[0] if source else None),
        "Exposure Time": quantity("Exposure Time", exposure if taken else None, "µs"),
        "Binning": quantity("Binning", binning if taken and all(binning) else None),
    }


def _exif(tree: Tree) -> Tree:
    entries = lookup(tree, "ExifTag")
    return entries if isinstance(entries, Mapping) else {}


def _exposure(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's exposure."""
    return {"Exposure Time": exif.exposure(_exif(tree))}


def _taken(tree: Tree) -> datetime | None:
    """Return the time the picture was taken, which the tag DateTime, of any change of the file, may not be."""
    original = {name: value for name, value in _exif(tree).items() if "Digitized" not in str(name)}
    return exif.time_taken(original)


def _tvips(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's binning; a first version of the header has one number for both sides."""
    binning = [lookup(tree, f"TVIPS.Binning{side}") or lookup(tree, "TVIPS.Binning") for side in "XY"]
    return {"Binning": quantity("Binning", binning if all(binning) else None)}


VENDORS = (
    Vendor(
        "TIFF",
        holds="ImageDescription.ElectronGun",
        format="JEOL SightX TIFF",
        units={"beam_current": None},  # the gun's emission, not the probe's current
        rules=terms_tiff.JEOL_SIGHTX,
        special=_sightx,
    ),
    Vendor("TIFF", holds="CZ_SEM.ap_actualkv", format="Zeiss SEM TIFF", rules=terms_tiff.ZEISS_TIFF),
    Vendor(
        "TIFF",
        holds="Olympus_SIS_metadata",
        format="Olympus SIS TIFF",
        column="TEM",
        rules=terms_tiff.OLYMPUS,
        special=_exposure,
    ),
    Vendor(
        "TIFF", holds="TVIPS.Version", format="TVIPS TIFF", column="TEM", rules=terms_tiff.TVIPS_TIFF, special=_tvips
    ),
    Vendor("TIFF", rules=terms_tiff.TIFF_TAGS, special=_exposure, acquired=_taken),
)
