"""Lays spectra out for what is computed from them: the energies last, on HyperSpy's axis."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.extraction.signals.libraries import hyperspy


def spectra_last(signal: Signal, kind: Kind) -> Any:
    """Return the array with the dimension of the spectra last, after those that were scanned; the first of others."""
    order = (*kind.scanned, *kind.measured)
    data = signal.data[tuple(slice(None) if number in order else 0 for number in range(len(signal.axes)))]
    kept = [number for number in range(len(signal.axes)) if number in order]
    return data.transpose([kept.index(number) for number in order])


def library_axis(axis: Axis, navigate: bool = False) -> Any:
    """Return HyperSpy's axis of these positions.

    Parameters
    ----------
    axis
        The axis.
    navigate
        Whether it was scanned.
    """
    hyperspy()
    named = {"name": axis.name, "navigate": navigate, **({"units": axis.unit} if axis.unit else {})}
    positions = (
        {"axis": list(axis.values)}
        if axis.values is not None
        else {"size": axis.size, "scale": axis.scale, "offset": axis.offset}
    )
    return import_module("hyperspy.axes").create_axis(**named, **positions)
