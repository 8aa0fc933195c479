"""Makes exspy's signals of spectra, to compare what is computed here with what exspy computes."""

from __future__ import annotations

from typing import Any

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Signal
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.extraction.signals.layout import library_axis, spectra_last
from Services.Builder.extraction.signals.libraries import exspy, hyperspy


def typed(signal: Signal, kind: Kind, conditions: Conditions) -> Any:
    """Return the signal of exspy that spectra of X-rays are, on the data as they are.

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
    axes = [library_axis(signal.axes[number], True).get_axis_dictionary() for number in kind.scanned]
    axes.append(library_axis(signal.axes[kind.measured[0]]).get_axis_dictionary())
    data = spectra_last(signal, kind)
    made = hyperspy().dict2signal(
        {"data": data, "axes": axes, "metadata": {"General": {}, "Signal": {}}, "original_metadata": {}},
        lazy=hasattr(data, "dask"),
    )
    column = "SEM" if kind.data_type.startswith("SEM") else "TEM"
    made.set_signal_type(f"EDS_{column}")
    section = f"Acquisition_instrument.{column}"
    if conditions.beam:
        made.metadata.set_item(f"{section}.beam_energy", conditions.beam)
    made.metadata.set_item(f"{section}.Detector.EDS.energy_resolution_MnKa", conditions.resolution)
    return made
