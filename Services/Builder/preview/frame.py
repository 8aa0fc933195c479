"""The frame of a plot: the figure, its axes and ticks, and the picture that it becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray
from PIL import Image

from Services.Builder.extraction.extractors.signal import Axis
from Services.Builder.preview.labels import COLOUR, keep_inside

DOTS = 100
"""Pixels of an inch."""


def figure_of(width: int, height: int, rows: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many pixels with plots above one another.

    The margins are fixed, and widened only where a label needs it: matplotlib's own layouts measure every label several
    times, which takes longer than drawing the plot.
    """
    figure = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS)
    figure.subplots_adjust(left=66 / width, right=1 - 10 / width, top=1 - 18 / height, bottom=44 / height)
    grid = figure.add_gridspec(rows, 1)
    first = figure.add_subplot(grid[0])
    return figure, [first, *(figure.add_subplot(grid[row], sharex=first) for row in range(1, rows))]


def dress(axes: Axes, grid: bool = True) -> None:
    """Give axes their ticks and colours."""
    if grid:
        axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=8, colors=COLOUR, width=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.yaxis.set_major_formatter(_Numbers())
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(8)


class _Numbers(ScalarFormatter):
    """The numbers beside an axis, and above it the power of ten that they are multiples of.

    Only that one is a formula: to set a number as a formula takes longer than to draw the curve.
    """

    def get_offset(self) -> str:
        self.set_useMathText(True)
        try:
            return str(super().get_offset())
        finally:
            self.set_useMathText(False)


def positions_of(axis: Axis) -> NDArray[Any]:
    """Return the positions of an axis's elements, in its unit."""
    if axis.values is not None:
        return np.asarray(axis.values)
    return axis.offset + axis.scale * np.arange(axis.size)


def rendered(figure: Figure) -> Image.Image:
    """Return a figure as a picture in which no label is cut off."""
    canvas = FigureCanvasAgg(figure)
    keep_inside(canvas)
    canvas.draw()  # type: ignore[no-untyped-call] # matplotlib leaves these two without types
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    return Image.fromarray(np.asarray(pixels)).convert("RGB")
