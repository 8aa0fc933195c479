"""The four panels that show how a session's files fall into acquisition activities."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from NexusCore.errors import NexusError
from NexusCore.text import counted
from Services.Builder.grouping.clusterer import ActivityClusterer
from Services.Builder.grouping.density import Floats

_TIME_UNITS = ((3 * 86400.0, 86400.0, "d"), (3 * 3600.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From which span on, how many seconds it has, and its symbol."""
_FILE_COLOUR, _LINE_COLOUR = "#33658a", "#c1440e"
_SHADES = ("#33658a", "#86bbd8")
"""Colours of the activities, in turn."""
_POINTS = 4000
"""At which the density is drawn."""


class PlotRefused(NexusError):
    """The figure cannot be written to {path} ({reason})."""


def draw(seconds: Floats, clusterer: ActivityClusterer, target: Path) -> None:
    """Write the figure of what a clusterer has found, in the format that the name of `target` ends in.

    `seconds` are the times that it was fitted to, from the first one on, in ascending order.

    Panels: (a) the time of each file; (b) how long each file came after the one before; (c) the density of the files'
    times and the boundaries in its minima; (d) the boundaries among the files.
    """
    if not len(seconds):
        raise PlotRefused(path=target, reason="no files were given")
    figure = Figure(figsize=(10, 7), layout="constrained")
    (files, gaps), (density, result) = figure.subplots(2, 2)
    scale, unit = next((scale, unit) for least, scale, unit in _TIME_UNITS if seconds[-1] >= least)
    numbers, times = np.arange(1, len(seconds) + 1), seconds / scale
    boundaries = clusterer.boundaries_ / scale

    files.plot(numbers, times, ".", color=_FILE_COLOUR)
    _label(files, "(a) Files in order of time", "File number", f"Time after the first file ({unit})")
    _draw_gaps(gaps, np.diff(seconds))
    _draw_density(density, seconds, clusterer, (scale, unit))

    shades = np.array(_SHADES)[clusterer.labels_ % len(_SHADES)]
    result.scatter(numbers, times, s=16, c=shades, zorder=2)
    result.hlines(boundaries, 0.5, len(numbers) + 0.5, color=_LINE_COLOUR, linewidth=0.8, zorder=1)
    title = f"(d) {counted(len(boundaries) + 1, 'activity', 'activities')}"
    _label(result, title, "File number", f"Time after the first file ({unit})")
    for axes in (files, result):
        axes.set_xlim(0.5, len(numbers) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    try:
        figure.savefig(target, dpi=110)
    except (OSError, ValueError) as error:
        raise PlotRefused(path=target, reason=error) from None


def _draw_gaps(axes: Axes, gaps: Floats) -> None:
    _label(axes, "(b) Time from one file to the next", "Gap (s)", "Number of gaps")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if not gaps.any():
        return
    # Gaps differ by orders of magnitude; those below a tenth of a second count as that on the logarithmic axis.
    least = max(float(gaps[gaps > 0].min()), 0.1)
    edges = np.geomspace(least / 1.1, max(float(gaps.max()), least) * 1.1, 31)
    axes.hist(np.maximum(gaps, least), bins=edges.tolist(), color=_FILE_COLOUR)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_density(axes: Axes, times: Floats, clusterer: ActivityClusterer, axis: tuple[float, str]) -> None:
    scale, unit = axis
    title, width = "(c) Density of file times", clusterer.bandwidth_
    if math.isfinite(width):
        seconds = np.linspace(-4 * width, times[-1] + 4 * width, _POINTS)
        density = 60 * len(times) * np.exp(clusterer.score_samples(seconds[:, np.newaxis]))
        axes.fill_between(seconds / scale, density, color=_SHADES[1], linewidth=0)
        axes.plot(seconds / scale, density, color=_FILE_COLOUR, linewidth=0.8)
        axes.set_ylim(bottom=0)
        title += f", kernel width {width:.3g} s"
    for boundary in clusterer.boundaries_:
        axes.axvline(boundary / scale, color=_LINE_COLOUR, linewidth=0.8)
    _label(axes, title, f"Time after the first file ({unit})", "Files per minute")


def _label(axes: Axes, title: str, horizontal: str, vertical: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.spines[["top", "right"]].set_visible(False)
