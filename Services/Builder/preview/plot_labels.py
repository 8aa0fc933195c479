"""Labels of lines and edges in a plot: at most a dozen, none across another or the plot's frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

MOST_LABELS = 12
LETTERS = 7.5
"""Points."""
_LETTER, _LINE = 0.62, 1.35
"""Width of a letter and height of a line of text, in the size of the letters; DejaVu's widest are narrower."""
_COLOUR, _THREAD = "#8c2d04", "#c8a58f"
_NOTE, _NOTE_LINE = 0.05, 11.0
"""Height of the remark in the upper right corner: a share of the plot, and points (`labels.add_note`)."""
_LEVELS = 5
"""Heights above its place at which a label is tried."""


@dataclass(frozen=True, slots=True)
class PlotLabel:
    """A name at a place of the abscissa."""

    place: float
    text: str
    weight: float
    """Labels of a greater weight are placed first."""


def place_above(axes: Axes, labels: Sequence[PlotLabel], positions: NDArray, values: NDArray) -> list[str]:  # type: ignore[type-arg]
    """Write labels above a curve, each over its place; return the texts that found room.

    Parameters
    ----------
    axes
        With its limits set; there is room above the curve.
    labels
        Those outside the limits are left out.
    positions, values
        The curve.
    """
    width, height = _points(axes)
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"

    def up(value: float) -> float:
        if logarithmic:
            value, bottom, top = np.log(max(value, low)), np.log(low), np.log(high)
        else:
            bottom, top = low, high
        return float((value - bottom) / (top - bottom)) * height

    curve_x = (positions - left) / (right - left) * width
    curve_y = np.array([up(value) for value in np.nan_to_num(values, nan=low)])
    taken: list[tuple[float, float, float, float]] = []
    shown: list[str] = []
    for label in sorted(labels, key=lambda one: -one.weight):
        if len(shown) == MOST_LABELS:
            break
        x = (label.place - left) / (right - left) * width
        box = _room(label.text, x, (curve_x, curve_y), taken, (width, height)) if 0 <= x <= width else None
        if box is None:
            continue
        taken.append(box)
        shown.append(label.text)
        middle, bottom = (box[0] + box[2]) / 2, box[1]
        near = np.abs(curve_x - x) < 3
        top = float(curve_y[near].max()) if near.any() else bottom
        if bottom - top > 3:
            axes.plot(
                [x / width, x / width], [(top + 1.5) / height, (bottom - 0.5) / height],
                transform=axes.transAxes, color=_THREAD, linewidth=0.6, zorder=1.5,
            )  # fmt: skip
        axes.text(
            middle / width, (bottom + box[3]) / 2 / height, label.text, transform=axes.transAxes,
            ha="center", va="center", fontsize=LETTERS, color=_COLOUR, parse_math=False,
        )  # fmt: skip
    return shown


def place_at_lines(axes: Axes, labels: Sequence[PlotLabel]) -> list[str]:
    """Draw a line at each place and write its label beside its upper end, below the remark; return those shown."""
    width, height = _points(axes)
    left, right = axes.get_xlim()
    ends = [0.0] * 3
    """Where the text of each row ends."""
    shown: list[str] = []
    chosen = sorted(sorted(labels, key=lambda one: -one.weight)[:MOST_LABELS], key=lambda one: one.place)
    for label in chosen:
        x = (label.place - left) / (right - left) * width
        long = len(label.text) * _LETTER * LETTERS
        start = x + 2 if x + 2 + long <= width else x - 2 - long
        row = next((number for number, end in enumerate(ends) if start >= end), None)
        if not 0 <= x <= width or row is None:
            continue
        ends[row] = max(start + long, x) + 4
        shown.append(label.text)
        top = 1 - _NOTE - (_NOTE_LINE + row * _LINE * LETTERS) / height
        axes.plot([x / width] * 2, [0, top], transform=axes.transAxes, color=_THREAD, linewidth=0.8, linestyle="--")
        axes.text(
            start / width, top - 0.2 * LETTERS / height, label.text, transform=axes.transAxes, ha="left", va="top",
            fontsize=LETTERS, color=_COLOUR, parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip
    return shown


def _points(axes: Axes) -> tuple[float, float]:
    """Return width and height of the plot in points."""
    figure = axes.figure
    assert figure is not None  # noqa: S101 - it was made in one
    inches = axes.get_position()
    wide, tall = figure.get_size_inches()  # type: ignore[union-attr]
    return float(inches.width * wide * 72), float(inches.height * tall * 72)


def _room(
    text: str,
    x: float,
    curve: tuple[NDArray, NDArray],  # type: ignore[type-arg]
    taken: Sequence[tuple[float, float, float, float]],
    size: tuple[float, float],
) -> tuple[float, float, float, float] | None:
    """Return the box of a label: left, bottom, right, top in points; None where there is no room."""
    long, tall = len(text) * _LETTER * LETTERS, _LINE * LETTERS
    left = min(max(x - long / 2, 0.0), size[0] - long)
    under = (curve[0] >= left - 1) & (curve[0] <= left + long + 1)
    base = float(curve[1][under].max(initial=0.0)) + 2
    for level in range(_LEVELS):
        box = (left, base + level * tall, left + long, base + (level + 1) * tall)
        if box[3] > size[1]:
            return None
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            return box
    return None
