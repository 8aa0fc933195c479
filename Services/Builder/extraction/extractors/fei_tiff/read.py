"""Reads the settings of FEI's TIFF: an INI file in tag 34680 or 34682, all values in SI units and radians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.acquisition_time import Acquired, resolved
from Services.Builder.extraction.extractors.fei_tiff import xml_settings
from Services.Builder.extraction.extractors.people_dates import decided, written
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.safe_xml import name_of, parsed
from Services.Builder.extraction.extractors.settings import (
    MicroscopeSettings,
    moment,
    number,
    with_settings,
)
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.extractors.terms import Rule, applied
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    reading = read_by("TIFF", path)
    signal = reading.main
    settings = lookup(signal.original_metadata, "fei_metadata") if signal else None
    if not isinstance(settings, Mapping):
        return reading
    beam, scan = (str(lookup(settings, f"Beam.{kind}") or f"E{kind}") for kind in ("Beam", "Scan"))
    detector = str(lookup(settings, "Detectors.Name") or "")
    beside = _xml(signal.original_metadata if signal else {})
    known = MicroscopeSettings(
        format="FEI/Thermo Fisher TIFF",
        tree=settings,
        rules=(
            *terms_tiff.FEI_TIFF,
            *_below(beam, terms_tiff.FEI_BEAM),
            *_below(scan, terms_tiff.FEI_SCAN),
            *_below(detector, terms_tiff.FEI_DETECTOR),
        ),
        column=column(settings),
        acquired=_acquired(settings, reading, path, xml_settings.acquisition_time(beside.tree) if beside else None),
        special=_special(settings, beam),
    )
    # RosettaSciIO hands stage positions on in metres and radians where its conventions are millimetres and degrees
    meta = {name: value for name, value in reading.meta.items() if not name.startswith("Stage ")}
    found = with_settings(replace(reading, meta={**meta, **(_xml_alone(beside) if beside else {})}), known)
    return replace(found, column=known.column)


def column(settings: Mapping[str, Any]) -> str | None:
    """Return the kind of microscope by the beam that took the image; None of a camera's (infrared, navigation).

    Parameters
    ----------
    settings
        The sections of the INI file. Where none of them names the beam, it is the electrons'.
    """
    beam = str(lookup(settings, "Beam.Beam") or "")
    if not beam:
        return None if "IRBeam" in settings else "SEM"
    return {"EBEAM": "SEM", "IBEAM": "FIB"}.get(beam.upper())


def _below(section: str, rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules for a section; none where the file does not name it."""
    return [replace(rule, path=f"{section}.{rule.path}") for rule in rules] if section else []


def _xml(tags: Mapping[str, Any]) -> MicroscopeSettings | None:
    """Return what the XML holds that newer programs write beside the INI file, with more of the vacuum and the beam."""
    content = tags.get("FEI_TITAN")
    root = parsed(content) if isinstance(content, str | bytes) else None
    return xml_settings.settings(root) if root is not None and name_of(root) == "Metadata" else None


def _xml_alone(known: MicroscopeSettings) -> dict[str, Quantity]:
    """Return its quantities, which the INI file's go before."""
    special = {name: value for name, value in known.special.items() if value is not None}
    return {**applied(known.rules, known.tree), **special}


def _acquired(settings: Mapping[str, Any], reading: Reading, path: Path, in_xml: datetime | None) -> Acquired:
    """Return the time by the program's own clock, else by the user's date, in the order of the PC's language.

    The program's is in an entry of the INI file, or in the XML. Of the user's RosettaSciIO takes the month for first
    wherever it can; the tag DateTime is another clock.
    """
    created = moment(lookup(settings, "PrivateFei.TimeOfCreation"), "%d.%m.%Y %H:%M:%S") or in_xml
    tag = written(lookup(reading.main.original_metadata, "DateTime") if reading.main else None).moment
    stated = decided(written(lookup(settings, "User.Date"), lookup(settings, "User.Time")), near=tag)
    if created is not None or not stated.text:
        return Acquired(created or reading.acquired)
    return resolved(stated, settings, path)


def _special(settings: Mapping[str, Any], beam: str = "EBeam") -> dict[str, Quantity | None]:
    detector = [lookup(settings, f"Detectors.{key}") for key in ("Name", "Mode")]
    canvas, field = number(lookup(settings, "Image.MagCanvasRealWidth")), number(lookup(settings, "Scan.HorFieldsize"))
    return {
        "Detector": quantity("Detector", [name for name in dict.fromkeys(detector) if name and name != "None"]),
        "Landing Energy": quantity("Landing Energy", lookup(settings, "EBeamDeceleration.LandingEnergy"), "eV")
        if lookup(settings, "EBeamDeceleration.ModeOn") == "On"
        else None,
        "Tilt Correction": quantity("Tilt Correction", lookup(settings, f"{beam}.TiltCorrectionAngle"), "rad")
        if lookup(settings, f"{beam}.TiltCorrectionIsOn") == "yes"
        else None,
        # FEI's magnification is that of the picture on a canvas of this width, 12.8 cm or the screen's
        "Magnification": Quantity(round(canvas / field)) if canvas > 0 and field > 0 else None,
    }
