"""Draws spectra and curves with matplotlib's object interface: `pyplot` would keep every figure."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from Services.Builder.extraction.extractors.dimensions import readable
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.preview.pictures import picture_of
from Services.Builder.preview.sampling import MOST_VALUES, Mean, fetched, means, numbers, strided
from Services.Builder.preview.spectra import PlottedSpectrum, annotate

_DOTS = 100
_AXES_COLOUR, _CURVE_COLOUR, _FILL = "#333333", "#1f4e79", "#c6d7e8"
_MOST_POINTS = 20_000
_NOISE = 0.15
"""keV below which the counts of an X-ray detector are its electronics' own."""
_NAMELESS = ("", "x", "y", "z", "0", "1", "2", "3", "i")
_CALLED = {"energy": "Energy", "wavelength": "Wavelength", "wavenumber": "Raman shift", "mass": "m/z", "time": "Time"}
_MEAN = "mean of all spectra"
_UNIT_SYMBOLS = {"1/cm": "cm⁻¹", "1/nm": "nm⁻¹"}


def curve(signal: Signal, kind: Kind, size: int, conditions: Conditions) -> Image.Image:
    """Return a line plot of a spectrum, a time series or a profile."""
    (at,) = kind.measured
    index, axis = strided(signal.shape, {at: _MOST_POINTS}), readable(signal.axes[at])
    values = numbers(fetched(signal.data, index)[0]).reshape(-1)
    figure, (axes,) = _figure(size, round(0.68 * size), 1)
    positions = _positions(axis)[index[at]]
    _plot(axes, positions, values, signal, axis)
    _noted(axes, annotate(axes, PlottedSpectrum(positions, values, axis), kind, conditions))
    return _rendered(figure)


def spectrum_image(signal: Signal, kind: Kind, size: int, conditions: Conditions) -> Image.Image:
    """Return a spectrum image's sum image above its mean spectrum; a line scan's spectra above one another."""
    (at,) = kind.measured
    axis = readable(signal.axes[at])
    if len(kind.scanned) == 1:
        return _line_scan(signal, kind, size, conditions)
    rows, columns = kind.scanned[-2:]
    spectrum, overview = means(signal.data, Mean((at,)), Mean((rows, columns), size))
    image = picture_of(overview, (signal.axes[rows], signal.axes[columns]), (size, size // 2 - 10))
    figure, (axes,) = _figure(size, size // 2, 1)
    _plot(axes, _positions(axis), spectrum, signal, axis)
    plotted = PlottedSpectrum(_positions(axis), spectrum, axis, _spectra(signal, kind))
    _noted(axes, _MEAN, annotate(axes, plotted, kind, conditions))
    plot = _rendered(figure)
    canvas = Image.new("RGB", (size, image.height + 10 + plot.height), "white")
    canvas.paste(image, ((size - image.width) // 2, 0))
    canvas.paste(plot, (0, image.height + 10))
    return canvas


def _line_scan(signal: Signal, kind: Kind, size: int, conditions: Conditions) -> Image.Image:
    (at,), (line,) = kind.measured, kind.scanned
    axis, along = readable(signal.axes[at]), signal.axes[line]
    spectrum, spectra = means(signal.data, Mean((at,)), Mean((line, at), 2 * size))
    shown = np.log1p(spectra - np.nanmin(spectra))
    figure, (above, below) = _figure(size, round(0.9 * size), 2)
    extent = (*axis.ends, along.ends[1], along.ends[0])
    above.imshow(shown, aspect="auto", cmap="magma", extent=extent, interpolation="nearest")
    above.set_ylabel(_titled(along, "Position"))
    _dressed(above, grid=False)
    _plot(below, _positions(axis), spectrum, signal, axis)
    plotted = PlottedSpectrum(_positions(axis), spectrum, axis, _spectra(signal, kind))
    _noted(below, _MEAN, annotate(below, plotted, kind, conditions))
    return _rendered(figure)


def _spectra(signal: Signal, kind: Kind) -> int:
    """Return of how many spectra the mean was taken."""
    return min(prod(signal.axes[at].size for at in kind.scanned), MOST_VALUES // signal.axes[kind.measured[0]].size + 1)


def _noted(axes: Axes, *notes: str) -> None:
    """Write remarks above the right end of a plot."""
    text = ", ".join(note for note in notes if note)
    if text:
        axes.text(1.0, 1.015, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8, color="#777777")


def _figure(width: int, height: int, rows: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many pixels with plots above one another.

    The margins are fixed: matplotlib's own layouts measure every label, which takes longer than drawing the plot.
    """
    figure = Figure(figsize=(width / _DOTS, height / _DOTS), dpi=_DOTS)
    grid = figure.add_gridspec(rows, 1, left=66 / width, right=1 - 10 / width, top=1 - 18 / height, bottom=44 / height)
    first = figure.add_subplot(grid[0])
    return figure, [first, *(figure.add_subplot(grid[row], sharex=first) for row in range(1, rows))]


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
    axes.set_xlabel(_titled(axis, "Position"))
    axes.set_ylabel(signal.quantity or "Intensity")
    _dressed(axes)


def _top(positions: NDArray[Any], values: NDArray[Any], axis: Axis) -> float | None:
    """Return where the ordinate of an X-ray spectrum ends: its noise peak at zero may run out of the picture."""
    signal = values[positions > _NOISE] if axis.unit == "keV" else values[:0]
    highest = float(np.max(signal, initial=0.0, where=np.isfinite(signal)))
    return 1.15 * highest if 0 < highest < 0.5 * float(np.nanmax(values)) else None


def _dressed(axes: Axes, grid: bool = True) -> None:
    if grid:
        axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=8, colors=_AXES_COLOUR, width=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
    axes.yaxis.get_offset_text().set_fontsize(8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=9, color=_AXES_COLOUR, parse_math=False)  # a lone $ in a file's text is not a formula


def _positions(axis: Axis) -> NDArray[Any]:
    if axis.values is not None:
        return np.asarray(axis.values)
    return axis.offset + axis.scale * np.arange(axis.size)


def _titled(axis: Axis, otherwise: str) -> str:
    name = _CALLED.get(axis.dimension, otherwise) if axis.name.lower() in _NAMELESS else axis.name
    name = name if "/" in name else name[0].upper() + name[1:]  # m/z
    return f"{name} ({_UNIT_SYMBOLS.get(axis.unit, axis.unit)})" if axis.unit else name


def _rendered(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call] # matplotlib leaves these two without types
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    return Image.fromarray(np.asarray(pixels)).convert("RGB")
