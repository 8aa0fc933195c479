"""Gives the axes of NanoMEGAS Topspin's data their units.

A calibration in these files has a type beside offset and scale: ``Position`` in metres, ``Angle`` in radians. The
reader takes the type's name for the unit of patterns, and every picture for one of the specimen in nm. That angles are
in radians is inferred: the patterns' half width, 0.03, is one of diffraction in radians.

The pictures that Topspin makes of the patterns have names there, too: ``SaturationImage``, ``VirtualStemImageResult``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from Services.Builder.extraction.extractors.settings import number

_UNITS: Mapping[str, str | None] = {"Position": "m", "Angle": "rad"}
_NANOMETRES = 1e9
"""The reader's factor from metres."""
_LARGEST = 16_000_000
"""Characters of a description that is looked through."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """What a file says of one of its pictures."""

    name: str
    scale: float
    offset: float
    unit: str | None


def calibrated(path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the Topspin reader returned, with the units of its axes and the names of its pictures."""
    pictures = list(_pictures(path)) if any(len(signal["axes"]) == 2 for signal in signals) else []
    return [
        _as_named(signal, pictures) if len(signal["axes"]) == 2 else {**signal, "axes": _with_units(signal["axes"])}
        for signal in signals
    ]


def _with_units(axes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    known = (*_UNITS, "nm")
    return [
        {**axis, "units": _UNITS.get(axis["units"], axis["units"]) if axis["units"] in known else None} for axis in axes
    ]


def _as_named(signal: dict[str, Any], pictures: Sequence[_Picture]) -> dict[str, Any]:
    axis = signal["axes"][0]  # the reader gives it the calibration called X
    scale, offset = number(axis.get("scale")), number(axis.get("offset"))
    for picture in pictures:
        same = isclose(picture.scale * _NANOMETRES, scale, rel_tol=1e-9)
        if same and isclose(picture.offset * _NANOMETRES, offset, rel_tol=1e-9):
            break
    else:
        return signal
    metadata = dict(signal["metadata"])
    metadata["General"] = {**metadata.get("General", {}), "title": picture.name}
    if picture.unit == "m":  # as the reader took it to be
        return {**signal, "metadata": metadata}
    axes = [
        {
            **one,
            "units": picture.unit,
            "scale": number(one.get("scale")) / _NANOMETRES,
            "offset": number(one.get("offset")) / _NANOMETRES,
        }
        for one in signal["axes"]
    ]
    return {**signal, "metadata": metadata, "axes": axes}


def _pictures(path: Path) -> Iterator[_Picture]:
    """Yield the pictures that the descriptions in a file tell of."""
    import h5py

    with h5py.File(path, "r") as file:
        links = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        groups = [file, *(file[name] for name in links if isinstance(file[name], h5py.Group))]
        for group in groups:
            if isinstance(group.get("Metadata"), h5py.Dataset):
                text = group["Metadata"].asstr()[()]
                if isinstance(text, str) and len(text) <= _LARGEST:
                    yield from _described(text)


def _described(text: str) -> Iterator[_Picture]:
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - expat limits what entities expand to
    except (ElementTree.ParseError, ValueError):
        return
    for item in root.iter("Item"):
        value = item.find("Value")
        if value is None or value.get("Serializer") != "ImageDataSerializer":
            continue
        calibration = "Calibration/X"
        yield _Picture(
            name=item.findtext("Name") or "",
            scale=number(value.findtext(f"{calibration}/Scale")),
            offset=number(value.findtext(f"{calibration}/Offset")),
            unit=_UNITS.get(value.findtext(f"{calibration}/Type/Text") or ""),
        )
