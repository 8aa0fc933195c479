"""Marks quantities that contradict each other: shown, because one of them may be right, but as unreliable.

A file does not say which of two is wrong: a live time above the real time was seen where a program sums the one over
detectors or points and not the other, a dwell time far too short where a program hands on that of the image on which
the spectra were placed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from Services.Builder.extraction.extractors.signal import SPECTRAL, Signal, split
from Services.Builder.model import Quantity

ROUNDING = 1.001
"""Times may exceed each other by so much: they are written with few digits."""
OVERHEAD = 50.0
"""A frame takes longer than its points, for the beam has to fly back, but never as many times as this."""
_SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}


def mark_contradictions(meta: Mapping[str, Quantity], signal: Signal | None) -> dict[str, Quantity]:
    """Return the quantities, those that contradict each other marked as unreliable.

    Parameters
    ----------
    meta
        Quantities by display name.
    signal
        What they belong to; None where the array is not known.
    """
    doubtful: dict[str, str] = {}
    live, real, dwell, frame = (_seconds(meta, name) for name in ("Live Time", "Real Time", "Dwell Time", "Frame Time"))
    if live and real and live > real * ROUNDING:
        doubtful |= dict.fromkeys(("Live Time", "Real Time"), "The live time is longer than the real time.")
    spectra, points = _scan(signal) if signal else (False, 0)
    if points and dwell and frame and frame > dwell * points * OVERHEAD:
        reason = "The frame time is far longer than the dwell time multiplied by the number of points."
        doubtful |= dict.fromkeys(("Dwell Time", "Frame Time"), reason)
    if points and spectra and dwell and real and real > dwell * points * _frames(meta) * OVERHEAD:
        doubtful["Dwell Time"] = "The real time is far longer than the dwell time multiplied by the number of points."
    return {
        name: replace(value, warning=True, reason=value.reason or doubtful[name]) if name in doubtful else value
        for name, value in meta.items()
    }


def _seconds(meta: Mapping[str, Quantity], name: str) -> float | None:
    time = meta.get(name)
    if time is None or isinstance(time.value, str | bool) or time.unit not in _SECONDS_PER_UNIT:
        return None
    return time.value * _SECONDS_PER_UNIT[time.unit]


def _frames(meta: Mapping[str, Quantity]) -> float:
    frames = meta.get("Frames")
    return 1.0 if frames is None or isinstance(frames.value, str | bool) else max(frames.value, 1.0)


def _scan(signal: Signal) -> tuple[bool, int]:
    """Return whether spectra were taken, and at how many points the beam stopped; 0 if unknown."""
    scanned, measured = split(signal) if signal.shape else ((), ())
    spectra = any(signal.axes[index].dimension in SPECTRAL for index in measured)
    if not spectra and (len(measured) != 2 or len(scanned) > 1):
        return spectra, 0
    counted = scanned if spectra else measured
    return spectra, prod(signal.axes[index].size for index in counted) if counted else 0
