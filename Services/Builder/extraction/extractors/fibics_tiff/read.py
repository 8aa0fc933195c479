"""Reads Fibics' settings: XML with a section for image, scan, stage, beam and detector.

The tag's number is registered with Adobe as FibicsXML. Values have an attribute ``units``; those of beam and detector
stand in elements ``item`` with a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.fibics_tiff.recognise import xml
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.safe_xml import children, name_of, parsed
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, number, with_settings
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Tree = Mapping[str, Mapping[str, Any]]
_APERTURE = re.compile(r"([\d.]+)\s*([µμu]m)")
_NEAREST, _FARTHEST = 1e-4, 0.2
"""Metres between which a focus is a working distance."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    reading, root = read_by("TIFF", path), parsed(xml(path))
    if root is None:
        return reading
    tree = {name_of(section): _section(section) for section in children(root)}
    known = MicroscopeSettings(
        format="Fibics TIFF",
        tree=tree,
        rules=terms_tiff.FIBICS,
        column=_column(tree),
        pixel=_pixel(tree),
        acquired=_time(lookup(tree, "Application.Date")),
        special=_special(tree),
    )
    return with_settings(reading, known)


def _section(section: etree._Element) -> dict[str, Any]:
    """Return the entries of a section, with their units where they have some; ``=500.0 V`` is 500.0 V."""
    entries: dict[str, Any] = {}
    for element in children(section):
        name = str(element.get("name")) if name_of(element) == "item" else name_of(element)
        value, unit = (element.text or "").strip().removeprefix("="), element.get("units")
        if value:
            entries[name] = (name, value, unit) if unit else value
    return entries


def _value(tree: Tree, path: str) -> str:
    value = lookup(tree, path)
    return str(value[1] if isinstance(value, tuple) else value or "")


def _column(tree: Tree) -> str | None:
    """Return the kind of microscope by the beam's name; an ion source of gas makes it a helium-ion microscope."""
    beam = _value(tree, "Image.Beam").lower()
    if lookup(tree, "BeamInfo.GFISGas") is not None or beam in ("orion", "gfis", "him"):
        return "HIM"
    if "fib" in beam or "ion" in beam:
        return "FIB"
    return "SEM" if beam in ("sem", "ebeam", "e-beam", "electron") else None


def _pixel(tree: Tree) -> tuple[float, float] | None:
    """Return height and width of a pixel in metres: the lengths of the vectors U and V, which are in micrometres."""
    steps = [[number(_value(tree, f"Scan.{name}{axis}")) for axis in "xy"] for name in "VU"]
    height, width = ((x * x + y * y) ** 0.5 * 1e-6 for x, y in steps)
    return (height, width) if height > 0 and width > 0 else None


def _time(text: object) -> datetime | None:
    """Return the time the image was saved with its zone, as ISO 8601."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _special(tree: Tree) -> dict[str, Quantity | None]:
    """Read the aperture's diameter from its name, and the working distance, which is the focus.

    That the focus is in metres is inferred from a file of an Orion (0.0119), whose working distance is around 12 mm.
    """
    aperture = _APERTURE.search(_value(tree, "Image.Aperture"))
    focus = number(_value(tree, "Scan.Focus"))
    return {
        "Aperture Diameter": quantity("Aperture Diameter", aperture[1] if aperture else None, "µm"),
        "Working Distance": quantity("Working Distance", focus, "m") if _NEAREST < focus < _FARTHEST else None,
    }
