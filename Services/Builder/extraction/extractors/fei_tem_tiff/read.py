"""Reads the XML of FEI's and Thermo Fisher's transmission microscopes.

There are two kinds: TIA's list of labels, values and units (``<Label>High tension</Label><Value>200</Value>``), and the
``Metadata`` of newer programs, which is that of their scanning microscopes and of Velox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from Services.Builder.extraction.extractors import terms_tiff, tiff_directory
from Services.Builder.extraction.extractors.fei_tem_tiff.recognise import xml
from Services.Builder.extraction.extractors.fei_tiff import xml_settings
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.safe_xml import name_of, nested, parsed
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, with_settings
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Quantity

Entry = tuple[str, str, str]
"""Label, value and unit."""
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 65450, 65451, 65452
_CENTIMETRE, _INCH = 0.01, 0.0254
_UNITS = {2: _INCH, 3: _CENTIMETRE}
_D_NUMBER = re.compile(r"\bD\d{3,5}\b")


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    reading, root = read_by("TIFF", path), parsed(xml(path))
    if root is None:
        return reading
    if name_of(root) == "Metadata":
        return with_settings(reading, xml_settings.settings(root))
    tree = _labels(root)
    mode = tree.get("Mode", ("", "", ""))[1]
    column = "STEM" if "STEM" in mode.upper() else "TEM"
    return with_settings(
        reading,
        MicroscopeSettings(
            format="FEI/Thermo Fisher TEM TIFF",
            tree=tree,
            rules=terms_tiff.FEI_TEM,
            column=column,
            # the projector shows a pattern, which has no lengths; in STEM it always does
            pixel=None if column == "TEM" and "diffraction" in mode.lower() else pixel(path),
            special=_special(tree),
        ),
    )


def pixel(path: Path) -> tuple[float, float] | None:
    """Return height and width of a pixel in metres, from three private tags; None where they are missing.

    They are not documented. That 65450, 65451 and 65452 repeat XResolution, YResolution and ResolutionUnit of the TIFF
    6.0 specification (pixels per inch or centimetre), at the specimen, is inferred from a file whose standard tags hold
    the 96 pixels per inch of a screen: these hold 2754452 pixels per cm, which makes a field 7.4 µm wide at the
    magnification 6300.
    """
    found = tiff_directory.rationals(path, _X_RESOLUTION, _Y_RESOLUTION)
    unit = _UNITS.get(tiff_directory.short(path, _RESOLUTION_UNIT) or 0)
    if unit is None or len(found) < 2:
        return None
    return unit / found[_Y_RESOLUTION], unit / found[_X_RESOLUTION]


def _labels(root: etree._Element) -> dict[str, Entry]:
    """Return the entries by their labels, those without a value left out.

    A magnification's x is no unit, and its kx the thousand.
    """
    entries: dict[str, Entry] = {}
    for element in root.iter("{*}Data"):
        content = nested(element)
        label, value, unit = (str(content.get(key) or "").strip() for key in ("Label", "Value", "Unit"))
        if label and value:
            times = unit.lower() in ("x", "kx")
            entries.setdefault(label, (label, f"{value}{unit[:-1]}" if times else value, "" if times else unit))
    return entries


def _special(tree: Mapping[str, Any]) -> dict[str, Quantity | None]:
    """Read the microscope's name, which TIA begins with "Microscope" and which holds its D-number."""
    name = tree.get("Microscope", ("", "", ""))[1].removeprefix("Microscope ")
    number = _D_NUMBER.search(name)
    return {
        "Instrument": quantity("Instrument", name),
        "Serial Number": quantity("Serial Number", number[0] if number else None),
    }
