"""Reads the settings of FEI's TIFF: an INI file in tag 34680 or 34682, all values in SI units and radians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from Services.Builder.extractors.quantities import quantity
from Services.Builder.extractors.rosettasciio.conventions import Rule, applied
from Services.Builder.extractors.rosettasciio.read import described, loaded
from Services.Builder.extractors.signal import Reading
from Services.Builder.extractors.tree import lookup
from Services.Builder.model import Quantity

SETTINGS = (
    Rule("System.SystemType", "Instrument"),
    Rule("User.User", "Operator"),
    Rule("User.UserText", "Comment"),
    Rule("Beam.HV", "Acceleration Voltage", "V"),
    Rule("Beam.Spot", "Spot Size"),
    Rule("Beam.ScanRotation", "Scan Rotation", "rad"),
    Rule("Beam.ImageMode", "Imaging Mode"),
    Rule("Scan.Dwelltime", "Dwell Time", "s"),
    Rule("Scan.FrameTime", "Frame Time", "s"),
    Rule("Scan.HorFieldsize", "Horizontal Field Width", "m"),
    Rule("Scan.VerFieldsize", "Vertical Field Width", "m"),
    Rule("Stage.StageX", "Stage X", "m"),
    Rule("Stage.StageY", "Stage Y", "m"),
    Rule("Stage.StageZ", "Stage Z", "m"),
    Rule("Stage.StageR", "Stage Rotation", "rad"),
    Rule("Stage.StageT", "Stage Tilt", "rad"),
    Rule("Stage.WorkingDistance", "Working Distance", "m"),
    Rule("Vacuum.ChPressure", "Chamber Pressure", "Pa"),
    Rule("Vacuum.UserMode", "Vacuum Mode"),
    Rule("System.Source", "Electron Source"),
    Rule("System.Software", "Software"),
)

BEAM = (
    Rule("BeamCurrent", "Beam Current", "A"),
    Rule("EmissionCurrent", "Emission Current", "A"),
    Rule("ApertureDiameter", "Aperture Diameter", "m"),
    Rule("WD", "Working Distance", "m"),
    Rule("LensMode", "Lens Mode"),
)
"""In the section of the beam that took the image, which ``Beam.Beam`` names."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    reading = described("TIFF", path, loaded("rsciio.tiff", path))
    signal = reading.main
    settings = lookup(signal.original_metadata, "fei_metadata") if signal else None
    if not isinstance(settings, Mapping):
        return reading
    beam = str(lookup(settings, "Beam.Beam") or "EBeam")
    return replace(
        reading,
        format="FEI/Thermo Fisher TIFF",
        meta={**_kept(reading.meta), **_settings(settings, beam)},
        acquired=reading.acquired or _created(settings),
        column="FIB" if beam.startswith("I") else "SEM",
    )


def _kept(meta: Mapping[str, Quantity]) -> dict[str, Quantity]:
    # RosettaSciIO hands stage positions on in metres and radians where its conventions are millimetres and degrees
    return {name: value for name, value in meta.items() if not name.startswith("Stage ")}


def _settings(settings: Mapping[str, Any], beam: str) -> dict[str, Quantity]:
    section = lookup(settings, beam)
    found = applied(SETTINGS, settings)
    found.update(applied(BEAM, section if isinstance(section, Mapping) else {}))
    detector = [lookup(settings, f"Detectors.{key}") for key in ("Name", "Mode")]
    canvas, field = lookup(settings, "Image.MagCanvasRealWidth"), lookup(settings, "Scan.HorFieldsize")
    if isinstance(canvas, float) and isinstance(field, float) and field > 0:
        # FEI's magnification is that of the picture on a canvas of this width, 12.8 cm or the screen's
        found["Magnification"] = Quantity(round(canvas / field))
    named = quantity("Detector", [one for one in dict.fromkeys(detector) if one and one != "None"])
    return {**found, **({"Detector": named} if named else {})}


def _created(settings: Mapping[str, Any]) -> datetime | None:
    text = str(lookup(settings, "PrivateFei.TimeOfCreation") or "")
    try:
        return datetime.strptime(text, "%d.%m.%Y %H:%M:%S").astimezone()
    except ValueError:
        return None
