"""Reads the settings of FEI's TIFF: an INI file in tag 34680 or 34682, all values in SI units and radians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.acquisition_time import Acquired, resolved
from Services.Builder.extraction.extractors.people_dates import decided, written
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import (
    MicroscopeSettings,
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
    known = MicroscopeSettings(
        format="FEI/Thermo Fisher TIFF",
        tree=settings,
        rules=(*terms.FEI_TIFF, *(replace(rule, path=f"{beam}.{rule.path}") for rule in terms.FEI_BEAM)),
        column="FIB" if beam.startswith("I") else "SEM",
        acquired=_acquired(settings, reading, path),
        special=_special(settings),
    )
    # RosettaSciIO hands stage positions on in metres and radians where its conventions are millimetres and degrees
    meta = {name: value for name, value in reading.meta.items() if not name.startswith("Stage ")}
    return with_settings(replace(reading, meta=meta), known)


def _acquired(settings: Mapping[str, Any], reading: Reading, path: Path) -> Acquired:
    """Return the time by the program's own clock, else by the user's date, in the order of the PC's language.

    Of that RosettaSciIO takes the month for first wherever it can; the tag DateTime is another clock.
    """
    created = moment(lookup(settings, "PrivateFei.TimeOfCreation"), "%d.%m.%Y %H:%M:%S")
    tag = written(lookup(reading.main.original_metadata, "DateTime") if reading.main else None).moment
    stated = decided(written(lookup(settings, "User.Date"), lookup(settings, "User.Time")), near=tag)
    if created is not None or not stated.text:
        return Acquired(created or reading.acquired)
    return resolved(stated, settings, path)


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
