"""Dictionaries as RosettaSciIO's readers return them, for formats of which no instrument's file is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Services.Builder.extraction.extractors import Reading
from Services.Builder.extraction.extractors.kinds import Kind, kind_of
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import _COMPLETED, reading_of
from Services.Builder.model import DATASET_TYPES


def uniform(size: int, name: str, units: str | None, navigate: bool | None, scale: float = 1.0) -> dict[str, Any]:
    """Return an axis with a scale."""
    axis = {"size": size, "name": name, "units": units, "scale": scale, "offset": 0.0}
    return axis if navigate is None else {**axis, "navigate": navigate}


def positions(values: Sequence[float], name: str, units: str | None, navigate: bool = False) -> dict[str, Any]:
    """Return an axis with a value for each position."""
    return {"axis": np.asarray(values, float), "name": name, "units": units, "navigate": navigate}


def signal(
    *axes: dict[str, Any],
    signal_type: str = "",
    title: str = "",
    dtype: Any = "f4",
    original: Mapping[str, Any] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Return a signal of zeros with these axes."""
    shape = [len(axis["axis"]) if "axis" in axis else axis["size"] for axis in axes]
    metadata = {"General": {"title": title}, "Signal": {"signal_type": signal_type}}
    return {
        "data": np.zeros(shape, dtype), "axes": [dict(axis) for axis in axes], "metadata": metadata,
        "original_metadata": dict(original or {}), **others,
    }  # fmt: skip


def reading(plugin: str, *signals: dict[str, Any], name: str = "a.dat") -> Reading:
    """Return what is made of a reader's dictionaries."""
    by = next(reader for reader in DECLARED_READERS if reader.plugin == plugin)
    complete = _COMPLETED.get(plugin, lambda _path, given: list(given))
    return reading_of(by, Path(name), complete(Path(name), signals))


def kind(plugin: str, *signals: dict[str, Any], name: str = "a.dat") -> Kind:
    """Return the kind of a file of which a reader returns these dictionaries."""
    return kind_of(reading(plugin, *signals, name=name), Path(name).stem)


def summary(plugin: str, *signals: dict[str, Any], name: str = "a.dat") -> tuple[str, str, str]:
    """Return type, data type and layout of such a file."""
    found = kind(plugin, *signals, name=name)
    assert found.dataset_type in DATASET_TYPES
    return found.dataset_type, found.data_type, found.layout
