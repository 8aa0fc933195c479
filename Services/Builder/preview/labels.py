"""Labels of plots: what an axis is called, and that no label leaves the picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from Services.Builder.extraction.extractors.quantities import symbol
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.preview.lettering import fitted_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLOUR = "#333333"
_PALE = "#777777"
_SIZES = (12, 11, 10)
"""Heights of a label's letters in pixels, the preferred one first."""
_WITH_UNIT = re.compile(r"(?P<name>[^()]+) \((?P<unit>[^()]+)\)")
_POINTS = 72
_APART = 10
"""Pixels between two numbers of an axis."""
_EDGE = 3
"""Pixels between a label and the edge of the picture."""
_ATTEMPTS = 3
"""Margins that are wider make axes shorter, and their labels may then need more lines."""
_LEAST = 0.2
"""Share of the picture that the axes keep."""
_NAMELESS = ("", "x", "y", "z", "0", "1", "2", "3", "i")
_SIDES = ("width", "height", "depth")
"""What readers call the sides of any picture: less than what one is known to measure."""
_CALLED = {
    "energy": "Energy",
    "wavelength": "Wavelength",
    "wavenumber": "Raman shift",
    "mass": "m/z",
    "time": "Time",
    "angle": "Angle",
    "reciprocal": "Spatial frequency",
}
_UNIT_SYMBOLS = {"1/cm": "cm⁻¹", "1/nm": "nm⁻¹", "1/µm": "µm⁻¹", "1/m": "m⁻¹", "1/Å": "Å⁻¹", "1/mm": "mm⁻¹"}


def titled(axis: Axis, otherwise: str) -> str:
    """Return the name of an axis with its unit; `otherwise` names one that measures nothing known."""
    stated = axis.name.lower()
    nameless = stated in _NAMELESS or (stated in _SIDES and axis.dimension in _CALLED)
    name = _CALLED.get(axis.dimension, otherwise) if nameless else axis.name
    name = name if "/" in name else name[0].upper() + name[1:]  # m/z
    return f"{name} ({_UNIT_SYMBOLS.get(axis.unit, axis.unit)})" if axis.unit else name


def ordinate(signal: Signal) -> str:
    """Return what the values of a signal are, with their unit's symbol as far as the file says: ``Temperature (°C)``.

    X-rays are counted; any other intensity without a unit is in arbitrary ones.
    """
    if signal.quantity.lower() not in ("", "intensity"):
        stated = _WITH_UNIT.fullmatch(signal.quantity)
        unit = symbol(stated["unit"]) if stated else None
        return f"{stated['name']} ({unit})" if stated and unit else signal.quantity
    if signal.signal_type.upper().startswith("EDS") and signal.data.dtype.kind in "ui":
        return "Counts"
    return "Intensity (a.u.)"


def set_labels(axes: Axes, across: str = "", up: str = "") -> None:
    """Label axes, within the length of each; `keep_inside` makes the margins wide enough for them."""
    for label, text in ((axes.xaxis.label, across), (axes.yaxis.label, up)):
        label.set_gid(text)  # the whole text, for when the axes become shorter
    _fit_labels(axes)


def _fit_labels(axes: Axes) -> bool:
    """Fit the labels into the lengths of the axes; return whether one changed."""
    before = [(label.get_text(), label.get_fontsize()) for label in (axes.xaxis.label, axes.yaxis.label)]
    figure = axes.figure
    box = axes.get_position()
    width, height = figure.bbox.width, figure.bbox.height
    for label, room in ((axes.xaxis.label, box.width * width), (axes.yaxis.label, box.height * height)):
        if text := label.get_gid():
            _set(label, text, room, figure.dpi)
    return before != [(label.get_text(), label.get_fontsize()) for label in (axes.xaxis.label, axes.yaxis.label)]


def add_note(axes: Axes, text: str) -> None:
    """Write a remark into the upper right corner of a plot."""
    figure = axes.figure
    room = axes.get_position().width * figure.bbox.width
    shown, size = fitted_label(text, 0.9 * room, (11, 10))
    axes.text(
        0.985, 0.95, shown, transform=axes.transAxes, ha="right", va="top", fontsize=size * _POINTS / figure.dpi,
        color=_PALE, parse_math=False, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def keep_inside(canvas: FigureCanvasAgg) -> None:
    """Mend a figure before it is drawn: no two numbers overlap, and no label or number leaves the picture.

    Numbers and labels have their places without that; to draw the figure for them would take as long as all of this.
    """
    for axes in canvas.figure.axes:
        _thin(axes, canvas)
    for _ in range(_ATTEMPTS):
        beyond = _beyond(canvas)
        if max(beyond.values(), default=0) <= 0 or not _widened(canvas.figure, beyond):
            return
        changed = [(_fit_labels(axes), _thin(axes, canvas)) for axes in canvas.figure.axes]
        if not any(map(any, changed)):  # as wide as was measured
            return


def _thin(axes: Axes, canvas: FigureCanvasAgg) -> bool:
    """Leave fewer ticks on a horizontal axis whose numbers are so long that they overlap; return whether they did."""
    texts = [label for label in axes.get_xticklabels() if label.get_text() and label.get_visible()]
    if len(texts) < 2:
        return False
    pen = canvas.get_renderer()  # type: ignore[no-untyped-call] # matplotlib leaves it without types
    widest = max(label.get_window_extent(pen).width for label in texts) + _APART
    room = axes.get_position().width * canvas.figure.bbox.width
    if widest * (len(texts) - 1) <= room:
        return False
    axes.xaxis.set_major_locator(MaxNLocator(max(1, int(room / widest) - 1)))
    return True


def _beyond(canvas: FigureCanvasAgg) -> dict[str, float]:
    """Return how many pixels the labels of a figure go beyond each edge; negative ones where there is room."""
    figure = canvas.figure
    width, height = figure.bbox.width, figure.bbox.height
    pen = canvas.get_renderer()  # type: ignore[no-untyped-call] # as above
    boxes = [box for axes in figure.axes if (box := axes.get_tightbbox(pen)) is not None]
    if not boxes:
        return {}
    return {
        "left": _EDGE - min(box.x0 for box in boxes),
        "right": max(box.x1 for box in boxes) - (width - _EDGE),
        "bottom": _EDGE - min(box.y0 for box in boxes),
        "top": max(box.y1 for box in boxes) - (height - _EDGE),
    }


def _widened(figure: Figure, beyond: dict[str, float]) -> bool:
    """Widen the margins by so many pixels; return whether there was room for that."""
    width, height = figure.bbox.width, figure.bbox.height
    share = {"left": width, "right": -width, "bottom": height, "top": -height}
    moved = {side: getattr(figure.subplotpars, side) + max(0.0, beyond[side]) / share[side] for side in share}
    if moved["right"] - moved["left"] < _LEAST or moved["top"] - moved["bottom"] < _LEAST:
        return False
    figure.subplots_adjust(**moved)
    return True


def _set(label: Text, text: str, room: float, dpi: float) -> None:
    shown, size = fitted_label(text, float(np.floor(room)), _SIZES)
    # a lone $ in a file's text is not a formula
    label.set(text=shown, fontsize=size * _POINTS / dpi, color=COLOUR, parse_math=False, linespacing=1.0)
