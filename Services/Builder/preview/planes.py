"""Draws pictures whose sides measure different things, with both axes ticked: time × wavelength, angle × energy."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from Services.Builder.extraction.extractors.dimensions import readable
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.preview.frame import dress, figure_of, positions_of, rendered
from Services.Builder.preview.labels import set_labels, titled
from Services.Builder.preview.pictures import picture_of
from Services.Builder.preview.sampling import Mean, means
from Services.Builder.preview.shown_dimensions import measured_plane, scan_plane

_GAP = 10
_CLIPPED = (0.3, 99.7)
"""Percentiles of the values that become the darkest and the brightest colour."""


def mapped(signal: Signal, kind: Kind, size: int) -> Image.Image:
    """Return the picture that was measured, as the mean of all points, below the map where there is one.

    Parameters
    ----------
    signal, kind
        For which `measured_plane` is not None.
    size
        Longest side in pixels.
    """
    plane, scan = measured_plane(signal, kind), scan_plane(signal, kind)
    assert plane is not None  # noqa: S101 - the caller has asked
    if scan is None:
        (values,) = means(signal.data, Mean(plane, 2 * size))
        return _plotted(signal, plane, values, (size, round(0.8 * size)), _note(signal, plane))
    overview, values = means(signal.data, Mean(scan, size), Mean(plane, 2 * size))
    above = picture_of(overview, (signal.axes[scan[0]], signal.axes[scan[1]]), (size, round(0.45 * size)))
    below = _plotted(signal, plane, values, (size, size - above.height - _GAP), _note(signal, plane))
    canvas = Image.new("RGB", (size, above.height + _GAP + below.height), "white")
    canvas.paste(above, ((size - above.width) // 2, 0))
    canvas.paste(below, (0, above.height + _GAP))
    return canvas


def _note(signal: Signal, plane: tuple[int, int]) -> str:
    several = any(axis.size > 1 for at, axis in enumerate(signal.axes) if at not in plane)
    return "mean of all points" if several else ""


def _plotted(
    signal: Signal, plane: tuple[int, int], values: NDArray[Any], box: tuple[int, int], note: str
) -> Image.Image:
    up, across = (readable(signal.axes[at]) for at in plane)
    figure, (axes,) = figure_of(*box, 1)
    _show(axes, values, (up, across))
    dress(axes, grid=False)
    set_labels(axes, titled(across, "Position"), titled(up, "Position"))
    if note:
        axes.set_title(note, fontsize=8, color="#777777", loc="right", pad=3)
    return rendered(figure)


def _show(axes: Axes, values: NDArray[Any], sides: tuple[Axis, Axis]) -> None:
    known = values[np.isfinite(values)]
    low, high = (float(bound) for bound in np.percentile(known, _CLIPPED)) if known.size else (0.0, 1.0)
    if high <= low:
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    positions = [
        positions_of(side)[:: ceil(side.size / length)][:length]
        for side, length in zip(sides, values.shape, strict=True)
    ]
    if all(_rises(place) for place in positions):
        axes.pcolormesh(
            positions[1], positions[0], values, cmap="magma", vmin=low, vmax=high, shading="nearest", rasterized=True
        )
    else:
        axes.imshow(values, aspect="auto", cmap="magma", vmin=low, vmax=high, interpolation="nearest", origin="lower")


def _rises(positions: NDArray[Any]) -> bool:
    """Return whether positions are all known and in order."""
    steps = np.diff(positions)
    return (
        bool(np.isfinite(positions).all())
        and bool(positions.size > 1)
        and (bool((steps > 0).all()) or bool((steps < 0).all()))
    )
