"""What microscopes write into the tags of a TIFF."""

from __future__ import annotations

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
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
    return {
        "Electron Source": quantity("Electron Source", source[0] if source else None),
        "Exposure Time": quantity("Exposure Time", exposure if taken else None, "µs"),
        "Binning": quantity("Binning", binning if taken and all(binning) else None),
    }


def _olympus(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's exposure, a fraction as EXIF writes it."""
    exposure = lookup(tree, "ExifTag.ExposureTime")
    valid = isinstance(exposure, tuple) and len(exposure) == 2 and exposure[1]
    return {"Exposure Time": quantity("Exposure Time", exposure[0] / exposure[1], "s") if valid else None}


VENDORS = (
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
)
