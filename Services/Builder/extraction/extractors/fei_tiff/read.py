"""Reads the settings of FEI's TIFF: an INI file in tag 34680 or 34682, all values in SI units and radians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import (
    MicroscopeSettings,
    either_order,
    is_day_in_figures,
    moment,
    number,
    with_settings,
)
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    reading = read_by("TIFF", path)
    signal = reading.main
    settings = lookup(signal.original_metadata, "fei_metadata") if signal else None
    if not isinstance(settings, Mapping):
        return reading
    beam = str(lookup(settings, "Beam.Beam") or "EBeam")
    # Where its order is open, RosettaSciIO takes the month for first.
    day = f"{lookup(settings, 'User.Date')} {lookup(settings, 'User.Time')}"
    if is_day_in_figures(day):
        reading = replace(reading, acquired=None)
    known = MicroscopeSettings(
        format="FEI/Thermo Fisher TIFF",
        tree=settings,
        rules=(*terms.FEI_TIFF, *(replace(rule, path=f"{beam}.{rule.path}") for rule in terms.FEI_BEAM)),
        column="FIB" if beam.startswith("I") else "SEM",
        acquired=moment(lookup(settings, "PrivateFei.TimeOfCreation"), "%d.%m.%Y %H:%M:%S") or either_order(day),
        special=_special(settings),
    )
    # RosettaSciIO hands stage positions on in metres and radians where its conventions are millimetres and degrees
    meta = {name: value for name, value in reading.meta.items() if not name.startswith("Stage ")}
    return with_settings(replace(reading, meta=meta), known)


def _special(settings: Mapping[str, Any]) -> dict[str, Quantity | None]:
    detector = [lookup(settings, f"Detectors.{key}") for key in ("Name", "Mode")]
    canvas, field = number(lookup(settings, "Image.MagCanvasRealWidth")), number(lookup(settings, "Scan.HorFieldsize"))
    return {
        "Detector": quantity("Detector", [name for name in dict.fromkeys(detector) if name and name != "None"]),
        "Landing Energy": quantity("Landing Energy", lookup(settings, "EBeamDeceleration.LandingEnergy"), "eV")
        if lookup(settings, "EBeamDeceleration.ModeOn") == "On"
        else None,
        # FEI's magnification is that of the picture on a canvas of this width, 12.8 cm or the screen's
        "Magnification": Quantity(round(canvas / field)) if canvas > 0 and field > 0 else None,
    }
