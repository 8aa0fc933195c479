"""Which technique a signal was recorded with: by what its reader states, by its axes, by names where those are silent.

The signal types are those of the readers of RosettaSciIO and of HyperSpy's extensions: exspy (``EELS``, ``EDS_SEM``),
lumispy (``CL_SEM``, ``Luminescence``, ``LumiTransientSpectrum``), pyxem (``electron_diffraction``, ``diffraction1d``).
"""

from __future__ import annotations

import re

from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal
from Services.Builder.extraction.extractors.tree import lookup

_STATED = (
    ("CL", re.compile(r"cl(?![a-z])|cathodoluminescence")),
    ("EELS", re.compile(r"eels")),
    ("XRF", re.compile(r"(µ|micro)?xrf")),
    ("EDS", re.compile(r"ed[sx]|xeds")),
    ("SIMS", re.compile(r".*sims")),
    ("Mass_Spectrometry", re.compile(r"ms(?![a-z])|mass ?spectr")),
    ("XPS", re.compile(r"xps")),
    ("Photoluminescence", re.compile(r"pl(?![a-z])|photoluminescence")),
    ("Raman", re.compile(r"raman")),
)
"""Techniques by how a signal type in small letters begins."""
_TRANSIENT = re.compile(r"transient|^trlumi|time-resolved|streak")
_KINDS_BY_NAME = (
    ("EELS", re.compile(r"(?<![a-z])eels(?![a-z])", re.IGNORECASE)),
    ("EDS", re.compile(r"(?<![a-z])(eds|edx|edxs|xeds)(?![a-z])", re.IGNORECASE)),
)
_X_RAY_END = 5.0
"""keV at which a spectrum in energy ends at least if it is one of X-rays."""
_SYMBOLS = frozenset(
    re.findall(
        "[A-Z][a-z]?",
        "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaScTiVCrMnFeCoNiCuZnGaGeAsSeBrKrRbSrYZrNbMoTcRuRhPdAgCdInSnSbTeIXeCsBaLaCePrNd"
        "PmSmEuGdTbDyHoErTmYbLuHfTaWReOsIrPtAuHgTlPbBiPoAtRnFrRaAcThPaUNpPuAmCm",
    )
)
_SYMBOL = "|".join(sorted(_SYMBOLS, key=len, reverse=True))
_X_RAY_LINE = re.compile(rf"({_SYMBOL})[ _-]*[KLM](?:[ _-]*(?:[αβγ]|alpha|beta|[abl])?[ _-]*\d?)?(?![A-Za-z])")
"""The line of an element: ``Fe K``, ``Si-Kα1``, ``O_Ka``."""
_X_RAY_MAP = re.compile(r"(?<![a-z])(x-?ray|eds|edx|element(al)?) ?map", re.IGNORECASE)


def technique_of_spectra(signal: Signal, axis: Axis, column: str | None, hints: str) -> str | None:
    """Return the technique of one-dimensional measurements; None where they are no spectra.

    Parameters
    ----------
    signal
        Holds them.
    axis
        Along which a single one runs.
    column
        Kind of microscope, as far as known.
    hints
        Names of signal and file.
    """
    stated = stated_technique(signal)
    if stated and axis.dimension not in ("length", "time", "reciprocal"):
        return stated
    if axis.dimension == "mass":
        return "Mass_Spectrometry"
    if axis.dimension == "wavenumber":
        return "Raman" if "raman" in axis.name.lower() or stated == "Raman" else _optical(signal, stated)
    if axis.dimension == "wavelength":
        return _optical(signal, stated)
    if axis.dimension != "energy":
        return None
    for technique, pattern in _KINDS_BY_NAME:
        if pattern.search(hints):
            return technique
    last = max(axis.ends) * (0.001 if axis.unit == "eV" else 1.0)
    if "luminescence" in signal.signal_type.lower():
        return "Optical_Spectroscopy"
    if last >= _X_RAY_END:
        return "EDS"
    return "EELS" if axis.unit == "eV" and column in ("TEM", "STEM") else None


def _optical(signal: Signal, stated: str | None) -> str:
    if stated in ("CL", "Photoluminescence"):
        return stated
    return "CL" if signal.quantity.startswith("CL") else "Optical_Spectroscopy"


def stated_technique(signal: Signal) -> str | None:
    """Return the technique that a reader states; None where it states none, or one of another sort."""
    for stated in (signal.signal_type.lower(), _noted(signal).lower()):
        for technique, beginning in _STATED:
            if beginning.match(stated):
                return technique
    return None


def stated_column(signal: Signal) -> str | None:
    """Return the kind of microscope that a reader states with the technique (``CL_SEM``)."""
    ends = (text.rpartition("_")[2] for text in (signal.signal_type, _noted(signal)))
    return next((end for end in ends if end in ("TEM", "STEM", "SEM")), None)


def _noted(signal: Signal) -> str:
    """Return the technique that stands beside the signal type, which may be of another sort (see `stated`)."""
    return str(lookup(signal.metadata, "Signal.technique") or "")


def is_time_resolved(signal: Signal) -> bool:
    """Return whether a signal follows the decay of light after a pulse: recorded by a streak camera or photon counter.

    A series of spectra over seconds is not: there each was recorded on its own.
    """
    return bool(_TRANSIENT.search(signal.signal_type.lower()))


def time_resolved(signal: Signal) -> str:
    """Return what the technique is called of a signal that is time-resolved."""
    return "Time_Resolved_CL" if stated_technique(signal) == "CL" else "Time_Resolved_Spectroscopy"


def technique_of_images(signal: Signal, reading: Reading) -> str:
    """Return the technique of pictures of the specimen; ``Imaging`` where none is stated."""
    stated = stated_technique(signal)
    if stated == "CL" or signal.quantity.startswith("CL"):
        return "CL"
    if stated in ("EDS", "XRF"):
        return f"{stated}_Map"
    if stated:
        return stated
    return "EDS_Map" if shows_element(signal, reading) else "Imaging"


def shows_element(signal: Signal, reading: Reading) -> bool:
    """Return whether a picture is the map of an element's X-rays.

    Its title names a line, or an element and the file holds X-ray spectra, elements, or maps of several: a title of one
    or two letters alone may be anything.
    """
    title = signal.title.strip()
    if _X_RAY_LINE.match(title) or _X_RAY_MAP.search(title):
        return True
    if title not in _SYMBOLS:
        return False
    named = {other.title.strip() for other in reading.signals} & set(_SYMBOLS)
    spectra = any(stated_technique(other) in ("EDS", "XRF") for other in reading.signals)
    return spectra or len(named) > 1 or "Elements" in reading.meta
