"""Programs of light spectrometers and streak cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from Services.Builder.extraction.extractors import terms_light
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

# -- Renishaw WiRE --------------------------------------------------------------------------------------------------

_NANOMETRE = 3
"""Renishaw's number of the unit, as its reader names them."""


def _renishaw(tree: Tree) -> dict[str, Quantity | None]:
    """Read the scan's settings, which stand in a tree of numbered branches.

    The exposure is in milliseconds, as its reader says; the scan's centre is a wavelength where its unit is nm.
    """
    scan = next(_branches_with(lookup(tree, "WXDM_0.extra_matches"), "Exposure Time"), {})
    binning = [scan.get(key) for key in ("X Binning", "y Binning")]
    centre = scan.get("Centre Wavenumber") if scan.get("Units") == _NANOMETRE else None
    laser = lookup(tree, "WDF1_1.laser_wavenumber")
    valid = isinstance(laser, int | float) and laser > 0
    return {
        "Exposure Time": quantity("Exposure Time", scan.get("Exposure Time"), "ms"),
        "Frames": quantity("Frames", scan.get("Accumulations")),
        "Binning": quantity("Binning", binning if all(binning) else None),
        "Central Wavelength": quantity("Central Wavelength", centre, "nm"),
        # its wave number is per centimetre
        "Laser Wavelength": quantity("Laser Wavelength", 1e7 / float(laser), "nm") if valid else None,
    }


def _branches_with(tree: Any, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the branches that hold an entry, outer ones first."""
    if isinstance(tree, Mapping):
        if key in tree:
            yield tree
        for below in tree.values():
            yield from _branches_with(below, key)


# -- HORIBA LabSpec -------------------------------------------------------------------------------------------------


def _horiba(setup: Tree) -> dict[str, Quantity | None]:
    """Read the angles of the polarizers; one that is not in the light ("No") has none."""
    angles = {}
    for name, beam in (("Polarization Angle", "Laser"), ("Analyzer Angle", "Raman")):
        present = setup.get(f"{beam}. Pol.", "No") not in ("No", "", None)
        angles[name] = quantity(name, setup.get(f"{beam} Pol. (°)"), "°") if present else None
    return angles


# -- Hamamatsu HPD-TA -----------------------------------------------------------------------------------------------

_ACQUISITION_MODES = {"1": "Live", "2": "Acquire", "3": "Photon Counting", "4": "Analog Integration"}
"""By the manual of HPD-TA, as RosettaSciIO's reader has them."""
_ITEX, _TIFF = "Comment", "ImageDescriptionParsed"
"""Where the readers of the two formats put the comment."""


def _hamamatsu(comment: Tree) -> dict[str, Quantity | None]:
    """Read what has a unit sometimes: the range in time, which is a bare number of some plug-ins, and the grating.

    A spectrograph's slits have no unit. That they are in micrometres is inferred from a width of 10, where no slit
    opens farther than some millimetres.
    """
    acquisition, streak, spectrograph = (
        branch if isinstance(branch := lookup(comment, name), Mapping) else {}
        for name in ("Acquisition", "Streak camera", "Spectrograph")
    )
    application = [lookup(comment, f"Application.{key}") for key in ("Software", "SoftwareVersion")]
    mode, span = str(acquisition.get("AcqMode")), str(streak.get("Time Range") or "")
    exposure, count = (quantity(name, acquisition.get(key)) for name, key in _REPEATED)
    total = _product(exposure, count)
    devices = [spectrograph.get(key) for key in ("DeviceName", "PluginName")]
    grating, ruling = str(spectrograph.get("Grating") or ""), str(spectrograph.get("Ruling") or "0")
    text = lookup(comment, "Comment")
    return {
        "Acquisition Mode": quantity("Acquisition Mode", _ACQUISITION_MODES.get(mode)),
        "Integration Time": quantity("Integration Time", total, "s"),
        "Binning": quantity("Binning", _binning(comment)),
        "Streak Time Range": quantity("Streak Time Range", span if " " in span else None),
        "Streak Range Number": quantity("Streak Range Number", span if span.isdigit() else None),
        "Spectrometer": quantity("Spectrometer", [device for device in devices if device]),
        "Grating Density": quantity("Grating Density", ruling, "1/mm"),
        "Grating": quantity("Grating", grating),
        "Entrance Slit Width": _slit(spectrograph, "Ent", "Entry Mirror", "Entrance Slit Width"),
        "Exit Slit Width": _slit(spectrograph, "Exit", "Exit Mirror", "Exit Slit Width"),
        "Software": quantity("Software", " ".join(str(part) for part in application if part)),
        "Comment": quantity("Comment", text if isinstance(text, str) else None),
    }


_REPEATED = (("Exposure Time", "ExposureTime"), ("Frames", "NrExposure"))


def _binning(comment: Tree) -> list[str] | None:
    """Return both numbers, of which the reader of TIFF loses the second in one of the two entries there are."""
    for path, mark in (("Acquisition.pntBinning", ","), ("Camera.BinningKeyVal", "x")):
        sides = str(lookup(comment, path) or "").split(mark)
        if len(sides) == 2 and all(side.strip().isdigit() for side in sides):
            return sides
    return None


def _product(one: Quantity | None, other: Quantity | None) -> float | None:
    values = [quantity.value for quantity in (one, other) if quantity is not None]
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    return numbers[0] * numbers[1] if len(numbers) == 2 else None


def _slit(spectrograph: Tree, kind: str, mirror: str, name: str) -> Quantity | None:
    """Return the width of the slit that the mirror leads to; without one, of the only slit that is not closed."""
    widths = {side: str(spectrograph.get(f"{side} {kind}. Slitw.") or "0") for side in ("Front", "Side")}
    side = str(spectrograph.get(mirror))
    opened = [widths[side]] if side in widths else [width for width in widths.values() if width.strip("0.")]
    return quantity(name, opened[0], "µm") if len(opened) == 1 else None


def _streak_tiff(tags: Tree) -> dict[str, Quantity | None]:
    comment = lookup(tags, _TIFF)
    return _hamamatsu(comment) if isinstance(comment, Mapping) else {}


# -- S&I TriVista ---------------------------------------------------------------------------------------------------


def _trivista(tree: Tree) -> dict[str, Quantity | None]:
    """Read the spectrometers, of which a measurement uses up to three, their slits in micrometres, and the exposure.

    The slit that light enters by is the first one's, the grating that disperses for the detector the last one's.
    """
    used = lookup(tree, "Document.InfoSerialized.Spectrometers")
    spectrometers = [one for one in used.values() if isinstance(one, Mapping)] if isinstance(used, Mapping) else []
    detector = "Document.InfoSerialized.Detector"
    exposure, repeats = lookup(tree, f"{detector}.Exposure_Time_(ms)"), lookup(tree, f"{detector}.No_of_Accumulations")
    found = {
        "Exposure Time": quantity("Exposure Time", exposure, "ms"),
        "Frames": quantity("Frames", repeats),
        "Detector Temperature": quantity(
            "Detector Temperature", lookup(tree, f"{detector}.Detector_Temperature"), "°C"
        ),
    }
    if not spectrometers:
        return found
    blaze = lookup(tree, "Hardware.Spectrometers.Spectrometer.Gratings.Grating.Blaze")
    number = str(blaze or "").upper().removesuffix("NM")
    models = [str(model) for one in spectrometers if (model := one.get("Model"))]
    return {
        **found,
        "Spectrometer": quantity("Spectrometer", list(dict.fromkeys(models))),
        "Grating Density": quantity("Grating Density", _lines(spectrometers[-1].get("Groove_Density")), "1/mm"),
        "Spectrometer Focal Length": quantity("Spectrometer Focal Length", spectrometers[-1].get("Focallength"), "mm"),
        "Blaze Wavelength": quantity("Blaze Wavelength", number if number.isdigit() else None, "nm"),
        "Entrance Slit Width": _widest(spectrometers[0], "Entrance", "Entrance Slit Width"),
        "Exit Slit Width": _widest(spectrometers[-1], "Exit", "Exit Slit Width"),
    }


def _lines(density: object) -> str | None:
    """Return the number of ``750 g/mm``."""
    return str(density).split(" ", 1)[0] if density else None


def _widest(spectrometer: Tree, kind: str, name: str) -> Quantity | None:
    """Return the width of the wider one of two slits, as its reader does: light takes one of them."""
    widths = [spectrometer.get(f"Slit_{kind}-{side}") for side in ("Front", "Side")]
    numbers = [float(width) for width in widths if isinstance(width, int | float)]
    return quantity(name, max(numbers), "µm") if numbers else None


VENDORS = (
    Vendor("Renishaw", rules=terms_light.RENISHAW, special=_renishaw),
    Vendor(
        "JobinYvon",
        root=("experimental_setup",),
        rules=terms_light.HORIBA,
        special=_horiba,
        units={"Spectrometer.entrance_slit_width": None},
    ),
    Vendor(
        "Hamamatsu",
        root=(_ITEX,),
        rules=terms_light.HAMAMATSU,
        special=_hamamatsu,
        units={"Spectrometer.entrance_slit_width": None},
    ),
    Vendor(
        "TIFF",
        holds=_TIFF,
        format="Hamamatsu streak TIFF",
        rules=tuple(replace(rule, path=f"{_TIFF}.{rule.path}") for rule in terms_light.HAMAMATSU),
        special=_streak_tiff,
    ),
    Vendor("TriVista", rules=terms_light.TRIVISTA, special=_trivista),
)
