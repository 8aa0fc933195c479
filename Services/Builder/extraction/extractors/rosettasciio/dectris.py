"""Reads what a DECTRIS detector writes about itself into the master file, which RosettaSciIO's Arina reader leaves out.

The master file is NeXus, application definition NXmx: ``entry/instrument/detector`` is an NXdetector whose fields have
their unit as the attribute ``units`` (https://manual.nexusformat.org, NXdetector; DECTRIS' SIMPLON interface). Only
single values of the file itself are read, never links into others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.cleaning import decode

KEY = "entry"
"""Where the fields stand in the original metadata, each as ``{"value": ..., "unit": ...}``."""
_GROUPS = ("instrument", "sample")
_MOST_FIELDS = 500


def with_detector(path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the Arina reader returned, with the fields of the detector in the original metadata."""
    import h5py

    with h5py.File(path, "r") as file:
        entry = file.get("entry", getlink=False)
        fields = {name: _fields(entry[name]) for name in _GROUPS if _is_group(entry, name)} if entry is not None else {}
    return [{**signal, "original_metadata": {**signal["original_metadata"], KEY: fields}} for signal in signals]


def _fields(group: Any) -> dict[str, Any]:
    """Return the single values of a group and of those in it."""
    import h5py

    found: dict[str, Any] = {}
    for name in list(group)[:_MOST_FIELDS]:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            found[name] = _fields(item)
        elif item.shape == ():
            found[name] = {"value": _plain(item[()]), "unit": _plain(item.attrs.get("units"))}
    return found


def _is_group(entry: Any, name: str) -> bool:
    import h5py

    return (
        name in entry and isinstance(entry.get(name, getlink=True), h5py.HardLink) and isinstance(entry[name], Mapping)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return decode(value).strip("\0 ")
    return value.item() if hasattr(value, "item") else value
