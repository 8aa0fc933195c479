"""Draws spectra and curves with matplotlib's object interface: `pyplot` would keep every figure."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from Services.Builder.extraction.extractors.dimensions import readable
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import SPECTRAL, Axis, Signal
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.preview.frame import dress, figure_of, positions_of, rendered
from Services.Builder.preview.labels import add_note, ordinate, set_labels, titled
from Services.Builder.preview.pictures import picture_of
from Services.Builder.preview.sampling import MOST_VALUES, Mean, fetched, means, numbers, strided
from Services.Builder.preview.shown_dimensions import scan_plane
from Services.Builder.preview.spectra import PlottedSpectrum, annotate

_CURVE_COLOUR, _FILL = "#1f4e79", "#c6d7e8"
_MOST_POINTS = 20_000
_NOISE = 0.15
"""keV below which the counts of an X-ray detector are its electronics' own."""


def curve(signal: Signal, kind: Kind, size: int, conditions: Conditions, note: str = "") -> Image.Image:
    """Return a line plot of a spectrum, a time series or a profile; a note says what it is."""
    (at,) = kind.measured
    index, axis = strided(signal.shape, {at: _MOST_POINTS}), readable(signal.axes[at])
    values = numbers(fetched(signal.data, index)[0]).reshape(-1)
    figure, (axes,) = figure_of(size, round(0.68 * size), 1)
    positions = positions_of(axis)[index[at]]
    _plot(axes, positions, values, signal, axis)
    _noted(axes, note, annotate(axes, PlottedSpectrum(positions, values, axis), kind, conditions))
    return rendered(figure)


def spectrum_image(signal: Signal, kind: Kind, size: int, conditions: Conditions) -> Image.Image:
    """Return a spectrum image's sum image above its mean spectrum; a line scan's spectra above one another."""
    (at,) = kind.measured
    axis = readable(signal.axes[at])
    scan = scan_plane(signal, kind)
    if scan is None:
        return _line_scan(signal, kind, size, conditions)
    rows, columns = scan
    spectrum, overview = means(signal.data, Mean((at,)), Mean((rows, columns), size))
    image = picture_of(overview, (signal.axes[rows], signal.axes[columns]), (size, size // 2 - 10))
    figure, (axes,) = figure_of(size, size // 2, 1)
    _plot(axes, positions_of(axis), spectrum, signal, axis)
    plotted = PlottedSpectrum(positions_of(axis), spectrum, axis, _spectra(signal, kind))
    _noted(axes, _mean_of_all(axis), annotate(axes, plotted, kind, conditions))
    plot = rendered(figure)
    canvas = Image.new("RGB", (size, image.height + 10 + plot.height), "white")
    canvas.paste(image, ((size - image.width) // 2, 0))
    canvas.paste(plot, (0, image.height + 10))
    return canvas


def _line_scan(signal: Signal, kind: Kind, size: int, conditions: Conditions) -> Image.Image:
    (at,) = kind.measured
    line = kind.scanned[-1]
    axis, along = readable(signal.axes[at]), readable(signal.axes[line])
    spectrum, spectra = means(signal.data, Mean((at,)), Mean((line, at), 2 * size))
    shown = np.log1p(spectra - np.nanmin(spectra))
    figure, (above, below) = figure_of(size, round(0.9 * size), 2)
    extent = (*axis.ends, along.ends[1], along.ends[0])
    above.imshow(shown, aspect="auto", cmap="magma", extent=extent, interpolation="nearest")
    dress(above, grid=False)
    set_labels(above, up=titled(along, "Position" if along.unit else "Spectrum number"))
    _plot(below, positions_of(axis), spectrum, signal, axis)
    plotted = PlottedSpectrum(positions_of(axis), spectrum, axis, _spectra(signal, kind))
    _noted(below, _mean_of_all(axis), annotate(below, plotted, kind, conditions))
    return rendered(figure)


def _spectra(signal: Signal, kind: Kind) -> int:
    """Return of how many spectra the mean was taken."""
    return min(prod(signal.axes[at].size for at in kind.scanned), MOST_VALUES // signal.axes[kind.measured[0]].size + 1)


def _noted(axes: Axes, *notes: str) -> None:
    """Write remarks above the right end of a plot."""
    text = ", ".join(note for note in notes if note)
    if text:
        add_note(axes, text)


def _mean_of_all(axis: Axis) -> str:
    return "mean of all spectra" if axis.dimension in SPECTRAL else "mean of all curves"


def _plot(axes: Axes, positions: NDArray[Any], values: NDArray[Any], signal: Signal, axis: Axis) -> None:
    if values.size <= 3:
        axes.plot(positions, values, "o-", color=_CURVE_COLOUR, markersize=4, linewidth=1)
    else:
        axes.plot(positions, values, color=_CURVE_COLOUR, linewidth=0.9)
    known = values[np.isfinite(values)]
    if axis.dimension == "energy" and known.size and known.min() >= 0:
        axes.fill_between(positions, values, color=_FILL, linewidth=0)
        axes.set_ylim(0, _top(positions, values, axis))
    if values.size > 1:
        axes.set_xlim(float(np.min(positions)), float(np.max(positions)))
    dress(axes)
    set_labels(axes, titled(axis, "Position"), ordinate(signal))


def _top(positions: NDArray[Any], values: NDArray[Any], axis: Axis) -> float | None:
    """Return where the ordinate of an X-ray spectrum ends: its noise peak at zero may run out of the picture."""
    signal = values[positions > _NOISE] if axis.unit == "keV" else values[:0]
    highest = float(np.max(signal, initial=0.0, where=np.isfinite(signal)))
    return 1.15 * highest if 0 < highest < 0.5 * float(np.nanmax(values)) else None
