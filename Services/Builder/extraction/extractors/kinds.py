"""Decides what a signal is: the rules from dimensions, units and names to the record's types.

`Kind.dataset_type` is one of the schema's seven; `Kind.data_type` is the free text people filter by, technique after
instrument (``STEM_EELS``); `Kind.layout` is how its preview is drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from Services.Builder.extraction.extractors.signal import (
    SPECTRAL,
    Reading,
    Signal,
    is_diffraction,
    is_pattern,
    is_spectral,
    split,
)
from Services.Builder.extraction.extractors.techniques import (
    is_time_resolved,
    stated_column,
    stated_technique,
    technique_of_images,
    technique_of_spectra,
    time_resolved,
)
from Services.Builder.extraction.extractors.tree import lookup

_FFT = re.compile(r"(?<![a-z])(fft|power ?spectrum|diffractogram)(?![a-z])", re.IGNORECASE)
_PATTERN = re.compile(
    r"(?<![a-z])(saed|saedp|sadp|cbed|lacbed|nbed|ebsp|kikuchi|diffraction|diff ?pattern|4d[- ]?stem)(?![a-z])",
    re.IGNORECASE,
)
_PACKED_COMPLEX = (5, 27, 28)
"""DigitalMicrograph's data types for half of a Fourier transform (DM3/DM4 format description: packed complex)."""


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
    if signal.colour:
        return _picture(signal, reading, scanned, measured)
    if len(measured) == 1:
        return _one_dimensional(signal, reading.column, hints, scanned, measured)
    if is_spectral(signal, measured):
        return _spectra_over_two_axes(signal, reading.column, hints, scanned, measured)
    return _two_dimensional(signal, reading, hints, scanned, measured)


def _one_dimensional(
    signal: Signal, column: str | None, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> Kind:
    axis = signal.axes[measured[0]]
    technique = technique_of_spectra(signal, axis, column, hints)
    if is_diffraction(signal):  # a profile through patterns, or their azimuthal mean
        data_type = _joined(column or "TEM", "Diffraction_Profile")
        return Kind("Diffraction", data_type, "spectrum image" if scanned else "curve", scanned, measured)
    if is_time_resolved(signal):
        technique = time_resolved(signal)
    elif technique is None and axis.dimension not in SPECTRAL:
        return _profiles(signal, column, scanned, measured)
    technique = technique or "Spectroscopy"
    column = _column(signal, column, technique)
    if not scanned:
        return Kind("Spectrum", _joined(column, technique), "spectrum", (), measured)
    if _over_specimen(signal, scanned):
        column = "STEM" if column == "TEM" else column  # a spectrum for each point: the probe was scanned
        return Kind("SpectrumImage", _joined(column, technique), "spectrum image", scanned, measured)
    return Kind("Spectrum", _joined(column, technique), "spectrum image", scanned, measured)


def _profiles(signal: Signal, column: str | None, scanned: tuple[int, ...], measured: tuple[int, ...]) -> Kind:
    profiles = _joined(column, "Profiles")
    if len(scanned) > 1:  # a map of them, as of spectra
        return Kind("Misc", profiles, "spectrum image", scanned, measured)
    if scanned:  # lines of unknown meaning are better shown as an image
        return Kind("Misc", profiles, "image", (), (*scanned, *measured))
    series = "Time_Series" if signal.axes[measured[0]].dimension == "time" else _joined(column, "Profile")
    return Kind("Misc", series, "curve", (), measured)


def _spectra_over_two_axes(
    signal: Signal, column: str | None, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> Kind:
    """Return the kind of spectra over time or angle, as streak cameras and angle-resolved spectrometers record them."""
    at = next(index for index in measured if signal.axes[index].dimension in SPECTRAL)
    (other,) = (index for index in measured if index != at)
    technique = technique_of_spectra(signal, signal.axes[at], column, hints)
    if is_time_resolved(signal):
        technique = time_resolved(signal)
    data_type = _joined(_column(signal, column, technique), technique or "Spectroscopy")
    if not scanned:  # drawn like a line scan: one axis downwards, the spectrum to the right
        return Kind("Spectrum", data_type, "spectrum image", (other,), (at,))
    return Kind("SpectrumImage", data_type, "4D" if len(scanned) > 1 else "stack", scanned, measured)


def _over_specimen(signal: Signal, scanned: tuple[int, ...]) -> bool:
    """Return whether spectra belong to points of the specimen; those over time or angle alone belong to one point."""
    scan = [signal.axes[index] for index in scanned]
    if len(scan) == 1 and scan[0].navigate is False and not scan[0].dimension:  # the other direction of a camera
        return False
    return any(axis.dimension not in ("time", "angle") for axis in scan)


def _column(signal: Signal, column: str | None, technique: str | None) -> str | None:
    """Return the kind of microscope, which the technique or the signal type may tell."""
    if column is None and technique == "EELS":
        return "TEM"
    return column or stated_column(signal)


def _two_dimensional(
    signal: Signal, reading: Reading, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> Kind:
    column = reading.column
    if is_time_resolved(signal):  # of a streak camera whose spectrograph was not calibrated
        layout = "image" if not scanned else "4D" if len(scanned) > 1 else "stack"
        data_type = _joined(_column(signal, column, None), time_resolved(signal))
        return Kind("Spectrum", data_type, layout, scanned, measured)
    pattern = _reciprocal(signal, reading, hints, scanned, measured)
    if pattern == "FFT" and not scanned:
        return Kind("Diffraction", _joined(column, "FFT"), "diffraction", (), measured)
    if pattern:
        if len(scanned) >= 2:
            return Kind("Diffraction", _joined("SEM" if column == "SEM" else "STEM", "4D"), "4D", scanned, measured)
        layout = "stack" if scanned else "diffraction"
        return Kind("Diffraction", _joined(column or "TEM", "Diffraction"), layout, scanned, measured)
    return _picture(signal, reading, scanned, measured)


def _picture(signal: Signal, reading: Reading, scanned: tuple[int, ...], measured: tuple[int, ...]) -> Kind:
    technique = technique_of_images(signal, reading)
    data_type = _joined(_column(signal, reading.column, technique), technique)
    if len(scanned) > 1 and stated_technique(signal) == "CL":  # the light's directions at each point
        return Kind("Image", data_type, "4D", scanned, measured)
    return Kind("Image", data_type, "stack" if scanned else "image", scanned, measured)


def _reciprocal(
    signal: Signal, reading: Reading, hints: str, scanned: tuple[int, ...], measured: tuple[int, ...]
) -> str | None:
    """Return "FFT" or "pattern" for a picture of reciprocal space, None for one of the specimen.

    The axes' units decide. Names count only where the axes are not calibrated, for a diffraction experiment's survey
    image is an image; likewise the projector's mode, and only in TEM, for in STEM it is always diffraction. A complex
    picture is a Fourier transform where its axes, its name or its data type say so: an exit wave is complex, too.
    """
    if _is_packed_transform(signal):
        return "FFT"
    dimensions = {signal.axes[index].dimension for index in measured}
    diffraction = is_diffraction(signal)
    if dimensions == {"length"} and not diffraction:
        return None
    reciprocal = dimensions <= {"reciprocal", "angle"}
    # A picture by light or X-rays is a map; one by an energy filter may be either.
    if stated_technique(signal) in ("CL", "EDS", "XRF") and not reciprocal:
        return None
    if (reciprocal or diffraction) and _FFT.search(hints):
        return "FFT"
    if reciprocal and signal.data.dtype.kind == "c":
        return "FFT"
    mode = reading.meta.get("Imaging Mode")
    projector = reading.column == "TEM" and mode is not None and re.search("diff", str(mode.value), re.IGNORECASE)
    if is_pattern(signal, scanned, measured) or projector or _PATTERN.search(hints):
        return "pattern"
    return "FFT" if _FFT.search(hints) else None


def _is_packed_transform(signal: Signal) -> bool:
    """Return whether DigitalMicrograph stored a picture as half of a Fourier transform."""
    images = lookup(signal.original_metadata, "ImageList.TagGroup0.ImageData.DataType")
    return signal.data.dtype.kind == "c" and images in _PACKED_COMPLEX


def _joined(column: str | None, technique: str) -> str:
    return f"{column}_{technique}" if column else technique
