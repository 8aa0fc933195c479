"""Reads what ImageJ keeps: scale and unit, and in the property Info the tags of the DigitalMicrograph file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.acquisition_time import Acquired, resolved
from Services.Builder.extraction.extractors.people_dates import written
from Services.Builder.extraction.extractors.quantities import dimension, factor, quantity, symbol
from Services.Builder.extraction.extractors.registry import HEAD
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, number, tiff_tags, with_settings
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.extractors.tree import lookup, put
from Services.Builder.model import Quantity

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _PROPERTIES = 270, 282, 283, 50839


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO, and the scale and the tags where ImageJ writes them."""
    with path.open("rb") as file:
        tags = tiff_tags(file.read(HEAD), path, _DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _PROPERTIES)
    description = dict(line.split("=", 1) for line in str(tags.get(_DESCRIPTION, "")).splitlines() if "=" in line)
    properties = tags.get(_PROPERTIES)
    tree = _tags(properties) if isinstance(properties, Mapping) else {}
    known = MicroscopeSettings(
        format="ImageJ TIFF",
        tree=tree,
        rules=terms.DIGITALMICROGRAPH_ALONE,
        column=_column(tree),
        pixel=_pixel(description, tags),
        acquired=_acquired(tree, path),
    )
    return _with_steps(with_settings(read_by("TIFF", path), known), description)


_STEPS = {"depth": ("Z Step", "spacing", "unit"), "time": ("Frame Interval", "finterval", "tunit")}
"""By the name of an axis its quantity, and ImageJ's properties for its step and unit."""


def _with_steps(reading: Reading, description: Mapping[str, str]) -> Reading:
    """Return the reading with the steps of a stack, in depth or in time; ImageJ's unit of time is the second."""
    signals = list(reading.signals)
    found: dict[str, Quantity | None] = {}
    for at, signal in enumerate(signals):
        axes = list(signal.axes)
        for place, axis in enumerate(axes):
            name, key, unit_key = _STEPS.get(axis.name, ("", "", ""))
            step, unit = number(description.get(key)), _unit(description.get(unit_key, "s" if name != "Z Step" else ""))
            if 0 < step < inf and dimension(unit):
                axes[place] = replace(axis, scale=step, offset=0.0, unit=unit)
                found[name] = quantity(name, step, unit)
        signals[at] = replace(signal, axes=tuple(axes))
    meta = {**reading.meta, **{name: value for name, value in found.items() if value is not None}}
    return replace(reading, signals=tuple(signals), meta=meta)


def _unit(text: str) -> str | None:
    """Return the unit of a property, which has escapes for what is not ASCII."""
    return symbol(text.encode("latin-1", "replace").decode("unicode-escape", "replace"))


def _acquired(tree: Mapping[str, Any], path: Path) -> Acquired | None:
    stated = written(*(lookup(tree, f"DataBar.Acquisition {part}") for part in ("Date", "Time")))
    return resolved(stated, tree, path) if stated.text else None


def _tags(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image's tags from lines like ``root.ImageList.1.ImageTags.Microscope Info.Voltage = 200000.0``."""
    text = properties.get("Info") or next(iter(properties.get("Labels") or ()), "")
    tree: dict[str, Any] = {}
    for line in str(text).splitlines():
        key, equals, value = line.partition(" = ")
        _before, separator, tag = key.partition(".ImageTags.")
        if equals and separator:
            put(tree, tag, value.strip("{} ").split(",") if value.startswith("{") else value.strip())
    return tree


def _column(tree: Mapping[str, Any]) -> str | None:
    mode = lookup(tree, "Microscope Info.Illumination Mode")
    return ("STEM" if "STEM" in str(mode).upper() else "TEM") if mode else None


def _pixel(description: Mapping[str, str], tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """Return the size of a pixel: the resolution is in pixels for each of the units that the description names."""
    unit = _unit(description.get("unit", ""))
    sizes = [tags.get(code) for code in (_Y_RESOLUTION, _X_RESOLUTION)]
    metres = factor(unit, "m") if unit and dimension(unit) == "length" else None
    if metres is None or not all(isinstance(size, tuple) and len(size) == 2 and size[0] > 0 for size in sizes):
        return None
    height, width = (size[1] / size[0] * metres for size in sizes if size)
    return height, width
