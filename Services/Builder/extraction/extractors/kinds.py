"""Decides what a signal is: the rules from dimensions, units and names to the record's types.

`Kind.dataset_type` is one of the schema's seven; `Kind.data_type` is the free text people filter by, technique after
instrument (``STEM_EELS``); `Kind.layout` is how its preview is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from Services.Builder.extraction.extractors.signal import SPECTRAL, Axis, Reading, Signal
from Services.Builder.model import Quantity

_FFT = re.compile(r"(?<![a-z])(fft|power ?spectrum|diffractogram)(?![a-z])", re.IGNORECASE)
_PATTERN = re.compile(
    r"(?<![a-z])(saed|saedp|sadp|cbed|lacbed|nbed|ebsp|kikuchi|diffraction|diff ?pattern)(?![a-z])", re.IGNORECASE
)
_KINDS_BY_NAME = (
    ("EELS", re.compile(r"(?<![a-z])eels(?![a-z])", re.IGNORECASE)),
    ("EDS", re.compile(r"(?<![a-z])(eds|edx|edxs|xeds)(?![a-z])", re.IGNORECASE)),
)
_X_RAY_END = 5.0
"""keV at which a spectrum in energy ends at least if it is one of X-rays."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a signal is, for the record and for its preview."""

    dataset_type: str
    data_type: str
    layout: str
    """How it is drawn: as ``image``, ``diffraction``, ``spectrum``, ``spectrum image``, ``stack``, ``4D``, ``curve``,
    ``text`` or not at all (``none``).
    """
    scanned: tuple[int, ...] = ()
    """Dimensions of the array that number the measurements."""
    measured: tuple[int, ...] = ()
    """Dimensions of one measurement: one for a spectrum or curve, two for an image."""


TEXT_KIND = Kind("Notes", "Notes", "text")
UNKNOWN = Kind("Unknown", "Unknown", "none")


def kind_of(reading: Reading, name: str) -> Kind:
    """Decide what a reading is; `name` is the file's name without its extension, which may hold a hint.

    Parameters
    ----------
    reading
        What a format's `read` returned.
    name
        The file's name without its extension, which may hold a hint (``diff``, ``FFT``).
    """
    if reading.text is not None:
        return TEXT_KIND
    signal = reading.main
    if signal is None or not signal.shape:
        return UNKNOWN
    scanned, measured = split(signal)
    hints = " ".join((signal.title, name)).replace("_", " ")
    if len(measured) == 1:
        return _one_dimensional(signal, reading.column, hints, scanned, measured)
    return _two_dimensional(signal, reading, hints, scanned, measured)


def split(signal: Signal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divide the dimensions into those that were scanned and those of one measurement.

    An energy or wavelength axis makes spectra, wherever it stands: DigitalMicrograph stores spectrum images as a stack
    of images, one per energy. Otherwise the reader's opinion counts if it leaves one or two dimensions for the
    measurement; else the last two are an image. Dimensions of one element are not counted.
    """
    used = [index for index, axis in enumerate(signal.axes) if axis.size != 1] or list(range(len(signal.axes)))
    spectral = [index for index in used if signal.axes[index].dimension in SPECTRAL]
    flagged = [index for index in used if signal.axes[index].navigate is False]
    if signal.colour or len(used) == 1:
        measured = used[-2:]
    elif len(spectral) == 1:
        measured = spectral
    elif len(flagged) in (1, 2):
        measured = flagged
    else:
        measured = used[-2:]
    return tuple(index for index in used if index not in measured), tuple(measured)


def _one_dimensional(
    signal: Signal, column: str | None, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> Kind:
    axis = signal.axes[measured[0]]
    technique = _technique(signal, axis, column, hints)
    if technique is None and axis.dimension not in SPECTRAL:
        profiles = _joined(column, "Profiles")
        if len(scanned) > 1:  # a map of them, as of spectra
            return Kind("Misc", profiles, "spectrum image", scanned, measured)
        if scanned:  # lines of unknown meaning are better shown as an image
            return Kind("Misc", profiles, "image", (), (*scanned, *measured))
        series = "Time_Series" if axis.dimension == "time" else _joined(column, "Profile")
        return Kind("Misc", series, "curve", (), measured)
    technique = technique or "Spectroscopy"
    if column is None and technique == "EELS":
        column = "TEM"
    if column is None and signal.signal_type.startswith("EDS_"):
        column = signal.signal_type.removeprefix("EDS_")
    if scanned:
        column = "STEM" if column == "TEM" else column  # a spectrum for each point: the probe was scanned
        return Kind("SpectrumImage", _joined(column, technique), "spectrum image", scanned, measured)
    return Kind("Spectrum", _joined(column, technique), "spectrum", (), measured)


def _technique(signal: Signal, axis: Axis, column: str | None, hints: str) -> str | None:
    stated = signal.signal_type.upper()
    for technique in ("EELS", "EDS", "CL"):
        if stated.startswith(technique):
            return technique
    if axis.dimension == "mass":
        return "SIMS" if "SIMS" in stated else "Mass_Spectrometry"
    if axis.dimension == "wavenumber":
        return "Raman"
    if axis.dimension == "wavelength":
        return "CL" if signal.quantity.startswith("CL") else "Optical_Spectroscopy"
    if axis.dimension != "energy":
        return None
    for technique, pattern in _KINDS_BY_NAME:
        if pattern.search(hints):
            return technique
    last = max(axis.ends) * (0.001 if axis.unit == "eV" else 1.0)
    if last >= _X_RAY_END:
        return "EDS"
    return "EELS" if axis.unit == "eV" and column in ("TEM", "STEM") else None


def _two_dimensional(
    signal: Signal, reading: Reading, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> Kind:
    column = reading.column
    pattern = _reciprocal(signal, reading.meta, column, hints, measured)
    if pattern == "FFT" and not scanned:
        return Kind("Diffraction", _joined(column, "FFT"), "diffraction", (), measured)
    if pattern:
        if len(scanned) >= 2:
            return Kind("Diffraction", _joined("SEM" if column == "SEM" else "STEM", "4D"), "4D", scanned, measured)
        layout = "stack" if scanned else "diffraction"
        return Kind("Diffraction", _joined(column or "TEM", "Diffraction"), layout, scanned, measured)
    technique = _image_technique(signal)
    return Kind("Image", _joined(column, technique), "stack" if scanned else "image", scanned, measured)


def _reciprocal(
    signal: Signal, meta: Mapping[str, Quantity], column: str | None, hints: str, measured: tuple[int, ...]
) -> str | None:
    """Return "FFT" or "pattern" for a picture of reciprocal space, None for one of the specimen.

    The axes' units decide. Names count only where the axes are not calibrated, for a diffraction experiment's survey
    image is an image; likewise the projector's mode, and only in TEM, for in STEM it is always diffraction.
    """
    dimensions = {signal.axes[index].dimension for index in measured}
    reciprocal = dimensions <= {"reciprocal", "angle"} or "diffraction" in signal.signal_type
    if dimensions == {"length"} and "diffraction" not in signal.signal_type:
        return None
    if (reciprocal or signal.data.dtype.kind == "c") and (_FFT.search(hints) or signal.data.dtype.kind == "c"):
        return "FFT"
    mode = meta.get("Imaging Mode")
    projector = column == "TEM" and mode is not None and re.search("diff", str(mode.value), re.IGNORECASE)
    if reciprocal or projector or _PATTERN.search(hints):
        return "pattern"
    return "FFT" if _FFT.search(hints) else None


def _image_technique(signal: Signal) -> str:
    stated = signal.signal_type.upper()
    if stated.startswith("CL") or signal.quantity.startswith("CL"):
        return "CL"
    return next((technique for technique in ("EELS", "EDS") if stated.startswith(technique)), "Imaging")


def _joined(column: str | None, technique: str) -> str:
    return f"{column}_{technique}" if column else technique
