"""States what single readers of RosettaSciIO leave unsaid: what was scanned, what was measured, and by which technique.

A function of this module takes a file and its reader's dictionaries and returns them completed. Techniques are stated
as signal types that HyperSpy's extensions know, or, where these have none, as ``Signal.technique`` of the metadata.

Facts of the formats
--------------------
Delmic ODEMIS
    The reader finds out which kind of acquisition an array is, and keeps that in ``_acq_type``: ``pmt`` is the
    intensity of cathodoluminescence, ``ar`` and ``ek1`` are resolved by angle, ``temporal`` by time; the others are
    of electrons.
Hamamatsu HPD-TA
    A streak camera's picture is time-resolved unless its vertical axis is that of the camera (focus mode). Behind a
    spectrograph, its horizontal axis in nm is one of wavelengths in both modes.
Bruker ESPRIT
    What an M4 Tornado writes has a ``TRTXrfHeader`` with voltage and angle of the X-ray tube; the reader keeps these
    two as the whole header of the (electron) analysis.
NanoMEGAS block file
    The reader leaves out dimensions of one point, and names the remaining ones from the first name on.
CEOS Panta Rhei
    The content of each axis is its name: ScanX, ScanY, CameraX, CameraY, Energy.
EMD 1.0, py4DSTEM
    The axes of the scan are called Rx and Ry (older R_x), those of the patterns Qx and Qy.
FEI TIA
    Of several objects in an .emi file, acquired together, only the picture has the conditions of the microscope.
DigitalMicrograph
    ``Meta Data`` of an image says whether it is an image, a spectrum or a spectrum image (``Format``). The reader calls
    the first axis in nm of cathodoluminescence a wavelength, that of a picture of the specimen, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.rosettasciio import merlin
from Services.Builder.extraction.extractors.tree import lookup

Signals = list[dict[str, Any]]
_DIFFRACTION = "electron_diffraction"
_STREAK, _LIGHT = "LumiTransientSpectrum", "Luminescence"
_TIMES = ("s", "ms", "µs", "us", "ns", "ps", "fs")
_CL_OF_ODEMIS = ("pmt", "ar", "ek1", "temporal spectrum", "temporal", "spectrum")
_RESOLVED_IN_TIME = {"temporal spectrum": _STREAK, "temporal": "LumiTransient"}
_SCAN, _PATTERN = re.compile(r"R_?[xy]"), re.compile(r"Q_?[xy]")
_OF_THE_MICROSCOPE = ("ExperimentalDescription", "ExperimentalConditions", "Manufacturer")
_XRF = b"TRTXrfHeader"
_LARGEST_XML = 64 * 1024 * 1024


def _with_type(
    signal: Mapping[str, Any], signal_type: str | None = None, technique: str | None = None
) -> dict[str, Any]:
    """Return a signal's dictionary with a signal type or a technique."""
    metadata = dict(signal.get("metadata") or {})
    about = dict(metadata.get("Signal") or {})
    if signal_type is not None:
        about["signal_type"] = signal_type
    if technique is not None:
        about["technique"] = technique
    return {**signal, "metadata": {**metadata, "Signal": about}}


def delmic(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the Delmic reader returned, with cathodoluminescence called so."""
    return [_of_odemis(signal) for signal in signals]


def _of_odemis(signal: dict[str, Any]) -> dict[str, Any]:
    kind = getattr(signal.get("_acq_type"), "value", None)
    if kind not in _CL_OF_ODEMIS:
        return signal
    return _with_type(signal, _RESOLVED_IN_TIME.get(str(kind), "CL_SEM"), "CL_SEM")


def streak(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the readers of Hamamatsu's files returned, with pictures of streak cameras called so."""
    return [_of_hamamatsu(signal) for signal in signals]


def _of_hamamatsu(signal: dict[str, Any]) -> dict[str, Any]:
    comment = _hamamatsu_comment(signal)
    if len(signal["axes"]) < 2:
        return signal
    named = {**signal, "axes": [_of_streak(axis) for axis in signal["axes"]]}
    if any(axis.get("units") in _TIMES for axis in signal["axes"]):
        return _with_type(named, _STREAK) if comment else signal
    spectra = "Spectrograph" in comment and any(axis["name"] == "Wavelength" for axis in named["axes"])
    return _with_type(named, _LIGHT) if spectra else signal


def _of_streak(axis: Mapping[str, Any]) -> dict[str, Any]:
    """Return an axis of a streak camera's picture; the TIFF reader calls them height and width."""
    if axis.get("name") not in ("height", "width"):
        return dict(axis)
    name = "Time" if axis.get("units") in _TIMES else "Wavelength" if axis.get("units") == "nm" else axis["name"]
    return {**axis, "name": name, "navigate": False}


def _hamamatsu_comment(signal: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the sections of settings that HPD-TA keeps with a picture; empty where there are none."""
    original = signal.get("original_metadata") or {}
    comment = lookup(original, "Comment") or lookup(original, "ImageDescriptionParsed")
    return comment if isinstance(comment, Mapping) else {}


def bruker(path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the Bruker reader returned, with X-ray fluorescence called so: there is no electron beam."""
    spectra = [signal for signal in signals if lookup(signal.get("original_metadata") or {}, "Analysis") is not None]
    headers = [lookup(signal["original_metadata"], "Analysis") for signal in spectra]
    of_a_tube = bool(headers) and all(set(header) <= {"PrimaryEnergy", "ElevationAngle"} for header in headers)
    if not (of_a_tube and _XRF in _bruker_header(path)):
        return list(signals)
    return [_without_electrons(signal) for signal in signals]


def _bruker_header(path: Path) -> bytes:
    """Return the XML that describes the spectra of a file."""
    if path.suffix.lower() == ".bcf":
        from rsciio.bruker._api import SFS_reader

        return bytes(SFS_reader(str(path)).get_file("EDSDatabase/HeaderData").get_as_BytesIO_string().getvalue())
    with path.open("rb") as file:
        return file.read(_LARGEST_XML)


def _without_electrons(signal: dict[str, Any]) -> dict[str, Any]:
    """Return a signal whose conditions are not filed under a microscope, and whose tube has a voltage, not a beam."""
    metadata = dict(signal.get("metadata") or {})
    filed = metadata.get("Acquisition_instrument")
    filed = filed if isinstance(filed, Mapping) else {}
    conditions: dict[str, Any] = {}
    for column, branch in filed.items():
        conditions |= dict(branch) if column in ("TEM", "SEM") and isinstance(branch, Mapping) else {column: branch}
    if "beam_energy" in conditions:
        conditions["tube_voltage"] = conditions.pop("beam_energy")
    mapping = {
        entry: (re.sub(r"\.(TEM|SEM)\.", ".", target[0], count=1), *target[1:])
        for entry, target in (signal.get("mapping") or {}).items()
        if target
    }
    plain = {**signal, "metadata": {**metadata, "Acquisition_instrument": conditions}, "mapping": mapping}
    return _with_type(plain, "XRF") if lookup(signal.get("metadata") or {}, "Signal.signal_type") else plain


def blockfile(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the block file's reader returned, with the names of the axes that are left."""
    return [_of_blockfile(signal) if len(signal["axes"]) < 4 else signal for signal in signals]


def _of_blockfile(signal: dict[str, Any]) -> dict[str, Any]:
    header = lookup(signal.get("original_metadata") or {}, "blockfile_header") or {}
    steps = {letter: lookup(header, f"S{letter.upper()}") for letter in "yx"}
    points = [letter for letter in "yx" if (lookup(header, f"N{letter.upper()}") or 0) > 1]
    axes, frame = list(signal["axes"]), len(signal["axes"]) - 2
    if frame != len(points) or frame < 0:
        return signal
    pattern = {"offset": 0.0, "units": "cm", "navigate": False, "scale": _pattern_scale(header)}
    named = [
        {**axes[at], "name": letter, "scale": float(steps[letter] or 0), "units": "nm", "navigate": True}
        for at, letter in enumerate(points)
    ]
    named += [{**axes[frame + at], **pattern, "name": name} for at, name in enumerate(("dy", "dx"))]
    return {**signal, "axes": named}


def _pattern_scale(header: Mapping[str, Any]) -> float:
    """Return the width of a pixel of the pattern in cm, as the reader takes it from hundredths of pixels per cm."""
    pixels = float(lookup(header, "SDP") or 0)
    return 100.0 / pixels if pixels > 0 else 0.0


def tvips(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the TVIPS reader returned, without a step of the scan, which the file does not hold."""
    return [
        {**signal, "axes": [{**axis, "units": None} if axis["name"] in ("x", "y") else axis for axis in signal["axes"]]}
        if len(signal["axes"]) == 4
        else signal
        for signal in signals
    ]


def merlin_scan(path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the reader of Merlin files returned, a series of frames as the scan that it is."""
    return [_scanned_by_merlin(path, signal) for signal in signals]


def _scanned_by_merlin(path: Path, signal: dict[str, Any]) -> dict[str, Any]:
    data = signal["data"]
    if data.ndim != 3:
        return signal
    line = merlin.line_of(path, data.shape[0])
    if line is None:
        return signal
    shape = data.shape[0] // line, line
    point = {"name": "", "scale": 1.0, "offset": 0.0, "units": "", "navigate": True}
    frame = [{key: value for key, value in axis.items() if key != "index_in_array"} for axis in signal["axes"][-2:]]
    axes = [*({**point, "size": size} for size in shape), *frame]
    return {**signal, "axes": axes, "data": data.reshape(*shape, *data.shape[1:])}


def emd(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the EMD reader returned, with scans and patterns told apart by the names of py4DSTEM's axes."""
    return [_of_py4dstem(signal) for signal in signals]


def _of_py4dstem(signal: dict[str, Any]) -> dict[str, Any]:
    names = [str(axis.get("name") or "") for axis in signal["axes"]]
    if sum(bool(_PATTERN.fullmatch(name)) for name in names) != 2:
        return signal
    axes = [
        {**axis, "navigate": bool(_SCAN.fullmatch(name)) or not _PATTERN.fullmatch(name)}
        for axis, name in zip(signal["axes"], names, strict=True)
    ]
    return _with_type({**signal, "axes": axes}, _DIFFRACTION)


def pantarhei(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the Panta Rhei reader returned, with a camera's frames for the points of a scan called patterns."""
    return [
        _with_type(signal, _DIFFRACTION)
        if {"ScanX", "CameraX", "CameraY"} <= {str(axis.get("name")) for axis in signal["axes"]}
        else signal
        for signal in signals
    ]


def tia(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what the TIA reader returned, each signal with the conditions of the microscope that one of them has."""
    objects = [lookup(signal.get("original_metadata") or {}, "ObjectInfo") for signal in signals]
    known = next((one for one in objects if isinstance(one, Mapping) and _OF_THE_MICROSCOPE[0] in one), None)
    if known is None:
        return list(signals)
    common = {key: known[key] for key in _OF_THE_MICROSCOPE if key in known}
    return [
        {**signal, "original_metadata": {**signal["original_metadata"], "ObjectInfo": {**common, **own}}}
        if isinstance(own, Mapping)
        else signal
        for signal, own in zip(signals, objects, strict=True)
    ]


def digitalmicrograph(_path: Path, signals: Sequence[dict[str, Any]]) -> Signals:
    """Return what DigitalMicrograph's reader returned: axes of pictures are lengths, patterns are called so."""
    return [_of_digitalmicrograph(signal) for signal in signals]


def _of_digitalmicrograph(signal: dict[str, Any]) -> dict[str, Any]:
    about = lookup(signal.get("original_metadata") or {}, "ImageList.TagGroup0.ImageTags.Meta Data")
    about = about if isinstance(about, Mapping) else {}
    stated = [str(about.get(key) or "").lower() for key in ("Format", "Signal")]
    if any("diffraction" in text for text in stated) and not lookup(signal["metadata"], "Signal.signal_type"):
        signal = _with_type(signal, "diffraction")
    if stated[0] == "image":
        letters = dict(enumerate(("y", "x"), start=len(signal["axes"]) - 2))
        axes = [
            {**axis, "name": letters.get(at, "z")} if axis.get("name") == "Wavelength" else axis
            for at, axis in enumerate(signal["axes"])
        ]
        signal = {**signal, "axes": axes}
    return signal
