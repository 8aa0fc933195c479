"""Programs of X-ray and electron spectrometers: JEOL, Bruker, EDAX, Phenom, and the exchange format EMSA/MAS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor, measured, stage_units
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Found = dict[str, Quantity | None]
_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb"
    " Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt"
    " Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm"
)
SYMBOLS = tuple(_ELEMENTS.split())
"""The elements by atomic number, from 1."""


def element(atomic_number: object) -> str | None:
    """Return the symbol of an element; None where the number is none's.

    Parameters
    ----------
    atomic_number
        Number of protons.
    """
    place = int(number(atomic_number))
    return SYMBOLS[place - 1] if 0 < place <= len(SYMBOLS) else None


# -- JEOL Analysis Station --------------------------------------------------------------------------------------------

JEOL_IMAGE = (
    Rule("Instrument.Name", "Instrument"),
    Rule("Instrument.Currnnt", "Beam Current", "nA"),
    Rule("Instrument.WorkD", "Working Distance", "mm"),
    Rule("Instrument.ScanR", "Scan Rotation", "°"),
    Rule("Map.DwellTime", "Dwell Time", "ms"),
    Rule("Map.SweepCount", "Frames"),
    Rule("Map.Title", "X-ray Line"),
    Rule("Image.Memo", "Comment"),
    Rule("asw_viewdata.Memo", "Comment"),
)
"""Images and maps (.img, .map), in the units of a spectrum of the same program (`terms.JEOL_EDS`): the same microscope
had the same current there. That dwell times are milliseconds a spectrum image says, whose entry is ``DwellTime(msec)``.
"""

JEOL_CUBE = tuple(
    Rule(f"{section}.AnalyzableMap MeasData.{path}", name, unit)
    for section in ("PTTD Data", "EDS Data")
    for path, name, unit in (
        ("Doc.LiveTime", "Live Time", "s"),
        ("Doc.RealTime", "Real Time", "s"),
        ("Doc.DeadTime.value", "Dead Time", "%"),
        ("Doc.CountRate.value", "Count Rate", "1/s"),
        ("Doc.DwellTime(msec)", "Dwell Time", "ms"),
        ("Doc.Sweep", "Frames", None),
        ("MeasCond.AccNA", "Beam Current", "nA"),
        ("MeasCond.WorkD", "Working Distance", "mm"),
        ("MeasCond.ScanR", "Scan Rotation", "°"),
    )
) + tuple(
    Rule(f"PTTD Param.Params.PARAMPAGE0_SEM.{path}", name, unit)
    for path, name, unit in (
        ("SEM", "Instrument", None),
        ("AccNA", "Beam Current", "nA"),
        ("WorkD", "Working Distance", "mm"),
        ("TakeAng", "Take-off Angle", "°"),
    )
)
"""Spectrum images (.pts): the conditions of the measurement before those that the program has set."""


def _jeol(tree: Tree) -> Found:
    """Read the element that a map shows, by its atomic number."""
    return {"Elements": quantity("Elements", element(lookup(tree, "Map.ElementNo")))}


def _jeol_spectrum(tree: Tree) -> Found:
    """Read the elements that were selected (``Fe K``)."""
    selected = lookup(tree, "Footer.Selected elements")
    names = [str(name).split()[0] for name in selected] if isinstance(selected, Mapping) else []
    return {
        "Elements": quantity("Elements", list(dict.fromkeys(name for name in names if name in SYMBOLS)) or None),
        "Count Rate": quantity("Count Rate", lookup(tree, "Header.CountRate"), "1/s"),
        "Take-off Angle": quantity("Take-off Angle", lookup(tree, "Footer.Parameters.TakeAng"), "°"),
    }


# -- Bruker ESPRIT ----------------------------------------------------------------------------------------------------

BRUKER = (
    *terms.BRUKER,
    Rule("Detector.Serial", "Detector Serial Number"),
)


def _bruker(tree: Tree) -> Found:
    """Read the time at a point of a map: pixel times in µs, several of them averaged, as the reader counts them."""
    pixel, averaged = (lookup(tree, f"DSP Configuration.{key}") for key in ("PixelTime", "PixelAverage"))
    return {"Dwell Time": quantity("Dwell Time", number(pixel) * max(number(averaged), 1), "µs")}


# -- EDAX -------------------------------------------------------------------------------------------------------------

EDAX = (
    Rule("ipr_header.mag", "Magnification"),
    Rule("ipr_header.wd", "Working Distance", "mm"),
    Rule("ipr_header.takeoff", "Take-off Angle", "°"),
    Rule("ipr_header.timeConstantNew", "Time Constant", "µs"),
    Rule("spc_header.ADCTimeConstantNew", "Time Constant", "µs"),
    Rule("spc_header.takeoff", "Take-off Angle", "°"),
    Rule("spd_header.nFrames", "Frames"),
    Rule("csv_header.Mag", "Magnification"),
    Rule("csv_header.kV", "Acceleration Voltage", "kV"),
    Rule("csv_header.Amp Time", "Time Constant", "µs"),
    Rule("csv_header.Amp Time (us)", "Time Constant", "µs"),
    Rule("csv_header.Live Time", "Live Time", "s"),
    Rule("csv_header.Working Distance", "Working Distance", "mm"),
)
"""EDAX TEAM and Genesis, as EDAX describes the headers (SPECTRUM-V70.pdf, ImageIPR.pdf, SpcMap-spd.pdf, tables in
RosettaSciIO's reader)."""

EDAX_DETECTORS = {
    1: "Std-BE", 2: "UTW", 3: "Super UTW", 4: "ECON 3/4 Open", 5: "ECON 3/4 Closed", 6: "ECON 5/6 Open",
    7: "ECON 5/6 Closed", 8: "TEMECON", 30: "APOLLO 10 SDD", 31: "APOLLO XV", 32: "APOLLO 10+", 40: "APOLLO 40 SDD",
    50: "APOLLO-X", 51: "APOLLO-XP", 52: "APOLLO-XL", 53: "APOLLO XL-XRF", 60: "APOLLO-XLT-LS", 61: "APOLLO-XLT-NW",
    62: "APOLLO-XLT-SUTW",
}  # fmt: skip
"""Types of detectors by their number (SPECTRUM-V70.pdf, detectType); 11 to 18 are 1 to 8 on a Sapphire crystal."""


def _edax(tree: Tree) -> Found:
    """Read entries in hundredths, texts kept as lists of characters, and the detector's type."""
    header = "spc_header"
    distance = number(lookup(tree, f"{header}.workingDist")) / 100
    kind = int(number(lookup(tree, f"{header}.detectType")))
    sapphire = EDAX_DETECTORS.get(kind - 10) if 11 <= kind <= 18 else None
    label = _characters(lookup(tree, f"{header}.spectrumLabel"))
    return {
        "Working Distance": quantity("Working Distance", distance, "mm"),
        "Detector": quantity("Detector", f"{sapphire} (Sapphire)" if sapphire else EDAX_DETECTORS.get(kind)),
        "Specimen": quantity("Specimen", one_line("".join(label[40:]).partition("\0")[0])),
    }


def _characters(codes: Any) -> str:
    """Return a text that the reader keeps as a list of signed bytes."""
    values = codes.tolist() if hasattr(codes, "tolist") else codes
    return bytes(int(code) & 0xFF for code in values).decode("latin-1") if isinstance(values, list | tuple) else ""


# -- EMSA/MAS, ISO 22029 ----------------------------------------------------------------------------------------------

_EMSA_MODES = {"IMA": "Imaging", "DIF": "Diffraction", "SCI": "Scanning Imaging", "SCD": "Scanning Diffraction"}
_EMSA_DETECTORS = {"SERIAL": "Serial EELS", "PARALL": "Parallel EELS", "PARALLEL": "Parallel EELS"}
_EMSA_XRAY_DETECTORS = {
    "SIBEW": "Si(Li), Be window", "SIUTW": "Si(Li), ultra-thin window", "SIWLS": "Si(Li), windowless",
    "GEBEW": "Ge, Be window", "GEUTW": "Ge, ultra-thin window", "GEWLS": "Ge, windowless",
    "SDBEW": "SDD, Be window", "SDUTW": "SDD, ultra-thin window", "SDWLS": "SDD, windowless",
    "UCALUTW": "microcalorimeter, ultra-thin window",
}  # fmt: skip
EMSA = (
    *terms.EMSA,
    *(
        Rule(spelled, name, unit)
        for key, suffixes, name, unit in (
            ("XPOSITION", (" -mm", "-mm"), "Stage X", "mm"),
            ("YPOSITION", (" -mm", "-mm"), "Stage Y", "mm"),
            ("ZPOSITION", (" -mm", "-mm"), "Stage Z", "mm"),
            ("SOLIDANGL", ("-sR", " -sR"), "Solid Angle", "sr"),
            ("AmpTime (usec)", (), "Time Constant", "µs"),
            ("TakeOff Angle", (), "Take-off Angle", "°"),
        )
        for spelled in (key, *(key + suffix for suffix in suffixes))
    ),
)
"""ISO 22029: the positions are in millimetres. OWNER names a laboratory or a program, not the person who took the
spectrum. The last two are EDAX's own."""


def _emsa(tree: Tree) -> Found:
    """Read magnification or camera length in mm, which have one keyword, by the mode, and the detectors' codes."""
    mode = _EMSA_MODES.get(str(lookup(tree, "OPERMODE") or "").strip().upper()[:3])
    name, unit = ("Camera Length", "mm") if mode and "Diffraction" in mode else ("Magnification", None)
    code = str(lookup(tree, "EDSDET") or lookup(tree, "ELSDET") or "").strip()
    numbers = str(lookup(tree, "Elements") or "").split(",")  # EDAX's
    known = _EMSA_XRAY_DETECTORS.get(code.upper()) or _EMSA_DETECTORS.get(code.upper())
    return {
        "Imaging Mode": quantity("Imaging Mode", mode or lookup(tree, "OPERMODE")),
        name: quantity(name, lookup(tree, "MAGCAM"), unit),
        "Detector": quantity("Detector", known or code),
        "Elements": quantity("Elements", [name for name in map(element, numbers) if name] or None),
    }


# -- Phenom -----------------------------------------------------------------------------------------------------------


PHENOM = (
    *terms.PHENOM,
    Rule("integrations", "Frames"),
    Rule("acquisition.scan.detectors.EDS.slow_peaking_time", "Time Constant", "s"),
)


def _phenom(tree: Tree) -> Found:
    """Read the entries that have a unit: 200 ns, 40.3 uA."""
    scan = "acquisition.scan"
    return {
        "Dwell Time": measured(tree, "Dwell Time", f"{scan}.dwellTime"),
        "Emission Current": measured(tree, "Emission Current", f"{scan}.emissionCurrent"),
    }


VENDORS = (
    Vendor("Bruker", units=stage_units("µm"), rules=BRUKER, special=_bruker),
    Vendor("JEOL", holds="Header.real time", rules=terms.JEOL_EDS, special=_jeol_spectrum),
    Vendor("JEOL", holds="Instrument.AccV", scans=True, rules=JEOL_IMAGE, special=_jeol),
    Vendor("JEOL", holds="PTTD Data", rules=JEOL_CUBE),
    Vendor("EDAX", rules=EDAX, special=_edax),
    # ISO 22029: dwell and integration times of EELS are in milliseconds
    Vendor(
        "MSA",
        units={"Detector.EELS.dwell_time": "ms", "Detector.EELS.exposure": "ms"},
        rules=EMSA,
        special=_emsa,
    ),
    Vendor("Phenom", column="SEM", rules=PHENOM, special=_phenom),
)
