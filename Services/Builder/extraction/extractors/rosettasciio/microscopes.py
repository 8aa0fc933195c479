"""Which microscope a spectrum is from, where its reader only guesses.

Files of Bruker, JEOL, EDAX and EMSA/MAS do not say whether the microscope scans or transmits. Their readers conclude it
from the energy of the beam: a scanning microscope has one of at most 30 keV (`guess_mode` of `rsciio.bruker`, the same
in `rsciio.jeol` and `rsciio.msa`); EDAX's takes every one for scanning, and EMSA's files all under TEM. Without an
energy that concludes nothing, and no microscope is named; an EMSA file may still say that its specimen is thin or that
it was taken in diffraction, which a scanning microscope's is not (ISO 22029: THICKNESS, OPERMODE).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup

GUESSING = ("Bruker", "EDAX", "JEOL", "MSA")
"""Readers that conclude the microscope from the beam, or take it for granted."""
SCANNING_KEV = 30.0
"""Up to which the beam is that of a scanning microscope."""
_PARENT = "Acquisition_instrument"
_COLUMNS = ("TEM", "SEM")
_BY_BEAM = ("EDS", "WDS", "CLS", "")
"""Types of an EMSA spectrum that electrons excite in a microscope: of photo-electrons or gamma rays it has none."""
_DIFFRACTION = ("DIF", "SCD")


def grounded(plugin: str, dictionary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one of a reader's dictionaries, with the microscope that its evidence allows, or with none.

    Parameters
    ----------
    plugin
        Name of the reader.
    dictionary
        ``metadata``, ``original_metadata`` and ``mapping`` as RosettaSciIO's readers return them.
    """
    if plugin not in GUESSING:
        return dictionary
    metadata = dict(dictionary.get("metadata") or {})
    about = metadata.get("Signal")
    technique, _, claimed = str(about.get("signal_type") or "" if isinstance(about, Mapping) else "").partition("_")
    below = metadata.get(_PARENT)
    stated = {name: below[name] for name in _COLUMNS if name in below} if isinstance(below, Mapping) else {}
    if technique == "EELS" or not (stated or claimed):
        return dictionary
    column = _column(plugin, dictionary, stated)
    if isinstance(below, Mapping) and stated:
        rest = {name: value for name, value in below.items() if name not in _COLUMNS}
        of_it: dict[str, Any] = {}
        for section in stated.values():
            of_it.update(section if isinstance(section, Mapping) else {})
        metadata[_PARENT] = {**rest, column: of_it} if column else {**rest, **of_it}
    if isinstance(about, Mapping) and claimed:
        metadata["Signal"] = {**about, "signal_type": f"{technique}_{column}" if column else technique}
    return {**dictionary, "metadata": metadata, "mapping": _mapping(dictionary.get("mapping"), column)}


def _column(plugin: str, dictionary: Mapping[str, Any], stated: Mapping[str, Any]) -> str | None:
    """Return the kind of microscope; None where nothing says which."""
    file = dictionary.get("original_metadata") or {}
    kind = str(lookup(file, "SIGNALTYPE") or "").strip().upper() if plugin == "MSA" else ""
    if kind not in _BY_BEAM:
        return None
    beam = max((number(lookup(section, "beam_energy")) for section in stated.values()), default=0.0)
    if isfinite(beam) and beam > 0:
        return "TEM" if beam > SCANNING_KEV else "SEM"
    return "TEM" if plugin == "MSA" and _transmits(file) else None


def _transmits(header: Mapping[str, Any]) -> bool:
    """Return whether the header of an EMSA file says what only a transmission microscope does."""
    thickness = next((header[key] for key in header if str(key).partition("-")[0].strip() == "THICKNESS"), None)
    mode = str(lookup(header, "OPERMODE") or "").strip().upper()
    return number(thickness) > 0 or mode.startswith(_DIFFRACTION)


def _mapping(mapping: Any, column: str | None) -> Any:
    """Return a reader's mapping, whose targets are below the microscope, with the right one."""
    if not isinstance(mapping, Mapping):
        return mapping
    return {path: (_moved(target[0], column), *target[1:]) if target else target for path, target in mapping.items()}


def _moved(target: str, column: str | None) -> str:
    for name in _COLUMNS:
        beginning = f"{_PARENT}.{name}."
        if target.startswith(beginning):
            return ".".join((_PARENT, *([column] if column else []), target.removeprefix(beginning)))
    return target
