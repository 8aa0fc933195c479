"""Programs of which there is little to say."""

from __future__ import annotations

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor, measured, stage_units
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

_EMSA_MODES = {"IMA": "Imaging", "DIF": "Diffraction", "SCI": "Scanning Imaging", "SCD": "Scanning Diffraction"}


def _emsa(tree: Tree) -> dict[str, Quantity | None]:
    """Read magnification or camera length in mm, which have one keyword, by the mode."""
    mode = _EMSA_MODES.get(str(lookup(tree, "OPERMODE") or "").strip().upper()[:3])
    name, unit = ("Camera Length", "mm") if mode and "Diffraction" in mode else ("Magnification", None)
    return {
        "Imaging Mode": quantity("Imaging Mode", mode or lookup(tree, "OPERMODE")),
        name: quantity(name, lookup(tree, "MAGCAM"), unit),
    }


def _phenom(tree: Tree) -> dict[str, Quantity | None]:
    """Read the entries that have a unit: 200 ns, 40.3 uA."""
    scan = "acquisition.scan"
    return {
        "Dwell Time": measured(tree, "Dwell Time", f"{scan}.dwellTime"),
        "Emission Current": measured(tree, "Emission Current", f"{scan}.emissionCurrent"),
    }


def _tvips(tree: Tree) -> dict[str, Quantity | None]:
    """Read the camera's binning."""
    binning = [lookup(tree, f"tvips_header.bin{side}") for side in "xy"]
    return {"Binning": quantity("Binning", binning if all(binning) else None)}


VENDORS = (
    Vendor("Bruker", units=stage_units("µm"), rules=terms.BRUKER),
    Vendor("JEOL", holds="Header.real time", rules=terms.JEOL_EDS),
    Vendor("Blockfile", column="STEM", units={"camera_length": "m"}),
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
    Vendor("Tofwerk", column="FIB"),
    Vendor("EMD", holds="simulation_parameters", column="STEM", rules=terms.PRISMATIC),
    Vendor("EMD", rules=terms.EMD_NCEM),
    Vendor("QuantumDetector", rules=terms.MERLIN),
    Vendor("DENS", rules=terms.DENS),
)
