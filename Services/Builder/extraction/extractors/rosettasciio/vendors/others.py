"""Programs of which there is little to say."""

from __future__ import annotations

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

# -- CEOS Panta Rhei --------------------------------------------------------------------------------------------------

PANTA_RHEI = (
    Rule("scan_generator.dwell_time", "Dwell Time", "s"),
    Rule("scan_generator.flyback_time", "Flyback Time", "s"),
    Rule("camera.exposure_time", "Exposure Time", "s"),
    Rule("condenser.mode", "Illumination Mode"),
    Rule("projector.mode", "Imaging Mode"),
    Rule("comment", "Comment"),
)
"""CEOS Panta Rhei: SI units, like the voltage in volts and the axes in metres; the reader takes its camera length, in
metres, for millimetres."""


def _panta_rhei(tree: Tree) -> dict[str, Quantity | None]:
    """Read the scan's detector or the camera's binning, by which of them was the source."""
    scanned = lookup(tree, "source.type") == "scan_generator"
    detector = lookup(tree, "scan_generator.detector") if scanned else lookup(tree, "source.name")
    binning = None if scanned else lookup(tree, "camera.binning")
    whole = isinstance(binning, list | tuple) and all(number(side) == int(number(side)) for side in binning)
    return {
        "Detector": quantity("Detector", detector),
        "Binning": quantity("Binning", [int(number(side)) for side in binning or ()] if whole else binning),
    }


# -- heating and biasing holders --------------------------------------------------------------------------------------

IMPULSE = (
    Rule("Impulse_header.Sample", "Specimen"),
    Rule("Impulse_header.Description", "Comment"),
)
"""DENSsolutions Impulse: its file of metadata beside the log, as RosettaSciIO spells the names."""
QUADSTAR = (Rule("general_header.username", "Operator"),)
"""Balzers Quadstar: the header's user."""


def _impulse(tree: Tree) -> dict[str, Quantity | None]:
    """Read which gases were connected."""
    gases = [lookup(tree, f"Impulse_header.Gas{number}") for number in (1, 2, 3)]
    return {"Chamber Gas": quantity("Chamber Gas", [gas for gas in gases if gas] or None)}


VENDORS = (
    Vendor("PantaRhei", column="TEM", units={"camera_length": "m"}, rules=PANTA_RHEI, special=_panta_rhei),
    Vendor("Tofwerk", column="FIB"),
    Vendor("EMD", holds="simulation_parameters", column="STEM", rules=terms.PRISMATIC),
    Vendor("EMD", rules=terms.EMD_NCEM),
    Vendor("DENS", rules=terms.DENS),
    Vendor("Impulse", rules=IMPULSE, special=_impulse),
    Vendor("Quadstar", rules=QUADSTAR),
)
