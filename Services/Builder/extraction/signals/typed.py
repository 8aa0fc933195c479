"""Makes exspy's signals of spectra: with their axes, on the data as they are, nothing computed."""

from __future__ import annotations

from typing import Any

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.extraction.signals.conditions import Conditions, is_loss
from Services.Builder.extraction.signals.libraries import exspy, hyperspy


def typed(signal: Signal, kind: Kind, conditions: Conditions) -> Any:
    """Return the signal of exspy that spectra of X-rays or energy losses are.

    exspy fills in what it does not find: elevation, azimuth and tilt are its preferences', not the file's. They are
    not to be asked for here.

    Parameters
    ----------
    signal
        Spectra.
    kind
        What they are: one dimension is measured.
    conditions
        What is known of beam and detector.
    """
    exspy()
    (at,) = kind.measured
    order = (*kind.scanned, at)
    data = signal.data[tuple(slice(None) if number in order else 0 for number in range(len(signal.axes)))]
    kept = [number for number in range(len(signal.axes)) if number in order]
    data = data.transpose([kept.index(number) for number in order])
    loss = is_loss(kind)
    made = hyperspy().dict2signal(
        {
            "data": data,
            "axes": [_axis(signal.axes[number], number != at) for number in order],
            "metadata": {"General": {}, "Signal": {}},
            "original_metadata": {},
        },
        lazy=hasattr(data, "dask"),
    )
    column = "SEM" if not loss and kind.data_type.startswith("SEM") else "TEM"
    made.set_signal_type("EELS" if loss else f"EDS_{column}")
    if not loss:
        section = f"Acquisition_instrument.{column}"
        if conditions.beam:
            made.metadata.set_item(f"{section}.beam_energy", conditions.beam)
        made.metadata.set_item(f"{section}.Detector.EDS.energy_resolution_MnKa", conditions.resolution)
    return made


def _axis(axis: Axis, navigate: bool) -> dict[str, Any]:
    common = {"name": axis.name, "navigate": navigate, **({"units": axis.unit} if axis.unit else {})}
    if axis.values is not None:
        return {**common, "axis": list(axis.values)}
    return {**common, "size": axis.size, "scale": axis.scale, "offset": axis.offset}
