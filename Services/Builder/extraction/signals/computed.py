"""Quantities that are computed from a signal's values, by names and reasons that say so.

They are computed after the metadata have been handed on: those need no value of the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.quantities import factor, quantity
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.extraction.signals.conditions import is_loss
from Services.Builder.extraction.signals.low_loss import FARTHEST, relative_thickness, zero_loss
from Services.Builder.model import Quantity
from Services.Builder.preview.sampling import Mean, means

ZERO_LOSS = "Computed Zero-Loss Position"
THICKNESS = "Computed t/λ"
_PEAK = "Computed from the highest point of {spectrum}."
_RATIO = "Computed from {spectrum} as ln(I_total/I_zero-loss), the log-ratio method, from {first:.3g} to {last:.4g} eV."


def computable(signal: Signal | None, kind: Kind) -> bool:
    """Return whether something is computed of such a signal: of energy losses that begin before zero."""
    if signal is None or not is_loss(kind):
        return False
    axis = signal.axes[kind.measured[0]]
    return axis.values is None and axis.dimension == "energy" and axis.ends[0] <= 0 < axis.ends[1]


def computed(signal: Signal, kind: Kind) -> dict[str, Quantity]:
    """Return the quantities by display name; raises what the libraries raise.

    Parameters
    ----------
    signal
        One that is `computable`.
    kind
        What it is.
    """
    (at,) = kind.measured
    energies = energies_of(signal.axes[at])
    (spectrum,) = means(signal.data, Mean((at,)))
    peak = None if saturated(signal, float(np.nanmax(spectrum, initial=0.0))) else zero_loss(energies, spectrum)
    if peak is None or abs(peak.position) > FARTHEST:
        return {}
    which = "the mean of all spectra" if kind.scanned else "the spectrum"
    values = {
        ZERO_LOSS: _marked(quantity(ZERO_LOSS, peak.position, "eV"), _PEAK.format(spectrum=which)),
    }
    thickness = relative_thickness(energies, spectrum, peak)
    if thickness is not None:
        how = _RATIO.format(spectrum=which, first=float(energies[0]), last=float(energies[-1]))
        values[THICKNESS] = _marked(quantity(THICKNESS, thickness), how)
    return {name: value for name, value in values.items() if value is not None}


def energies_of(axis: Axis) -> NDArray[Any]:
    """Return the positions along an axis of energy in eV."""
    multiplier = factor(axis.unit, "eV") if axis.unit else None
    return (axis.offset + axis.scale * np.arange(axis.size)) * (multiplier or 1.0)


def saturated(signal: Signal, highest: float) -> bool:
    """Return whether a value is the largest that the file's type of integers can have."""
    kind = signal.data.dtype
    return kind.kind in "iu" and kind.itemsize < 4 and highest >= np.iinfo(kind).max


def _marked(value: Quantity | None, reason: str) -> Quantity | None:
    return None if value is None else Quantity(value.value, value.unit, warning=True, reason=reason)
