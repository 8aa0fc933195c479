"""A tableau of element maps: where in a spectrum image the elements are."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.quantities import factor
from Services.Builder.extraction.extractors.signal import Axis, Reading
from Services.Builder.extraction.signals.conditions import Conditions, conditions_of
from Services.Builder.preview import SIZE, greys
from Services.Builder.preview.sampling import Mean, means
from Services.Builder.preview.scale_bar import with_scale_bar
from Services.Builder.preview.spectra import BOOKED, elements_of
from Services.Builder.preview.text import font

_GAP, _CAPTION, _TITLE = 6, 18, 22
_COLOURS = (
    (230, 85, 13), (49, 163, 84), (66, 133, 244), (214, 60, 160), (224, 190, 40), (40, 180, 190), (170, 120, 240),
    (240, 110, 100), (150, 200, 70),
)  # fmt: skip
_STRETCH = 8.0
"""Ratio of the sides beyond which a map is not shown true to scale."""


def png(reading: Reading, kind: Kind, conditions: Conditions | None = None) -> bytes | None:
    """Return the maps of the elements as PNG; None where none is named or found. Raises what reading the data raises.

    Parameters
    ----------
    reading
        Of one signal, of which `conditions.has_maps` says that it has some.
    kind
        What it is.
    conditions
        What is known of specimen, beam and detector; by default what the file says.
    """
    from Services.Builder.extraction.signals.maps import MOST_ELEMENTS, element_maps, mapped_lines

    signal = reading.main
    assert signal is not None  # noqa: S101 - what has no signal has no maps
    conditions = conditions or conditions_of(reading, signal)
    elements, origin = _elements(reading, kind, conditions)
    lines = mapped_lines(elements[:MOST_ELEMENTS], signal.axes[kind.measured[0]], conditions)
    if not lines or min(signal.axes[at].size for at in kind.scanned[-2:]) < 2:
        return None
    if origin == BOOKED:
        conditions.labelled.add(*(line.element for line in lines))
    maps = element_maps(signal, kind, conditions, lines)
    remark = origin if maps.thinned == 1 else f"{origin}, one of {maps.thinned} rows and columns"
    tiles = [
        (
            f"{each.line.label}, {'net ' if each.less_background else ''}counts to {_shown(each.counts)}",
            each.counts,
        )
        for each in maps.maps
    ]
    buffer = io.BytesIO()
    _tableau(tiles, maps.axes, f"Element maps ({remark})").save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _elements(reading: Reading, kind: Kind, conditions: Conditions) -> tuple[tuple[str, ...], str]:
    signal = reading.main
    assert signal is not None  # noqa: S101 - as above
    (at,) = kind.measured
    axis = signal.axes[at]
    unit = factor(axis.unit or "", "keV") or 1.0
    energies = (axis.offset + axis.scale * np.arange(axis.size)) * unit
    (spectrum,) = means(signal.data, Mean((at,)))
    spectra = int(np.prod([signal.axes[number].size for number in kind.scanned]))
    return elements_of(energies, np.nan_to_num(spectrum) * spectra, conditions)


def _shown(counts: NDArray[Any]) -> str:
    return f"{max(0.0, float(np.nanpercentile(counts, 99.9))):.3g}"


def _tableau(tiles: Sequence[tuple[str, NDArray[Any]]], axes: tuple[Axis, Axis], title: str) -> Image.Image:
    across = _across(len(tiles), axes)
    down = ceil(len(tiles) / across)
    box = (
        (SIZE - (across - 1) * _GAP) // across,
        (SIZE - _TITLE - down * _CAPTION - (down - 1) * _GAP) // down,
    )
    tall, wide = _sides(axes)
    scale = min(box[0] / wide, box[1] / tall)
    width, height = max(1, round(wide * scale)), max(1, round(tall * scale))
    canvas = Image.new("RGB", (SIZE, _TITLE + down * (height + _CAPTION) + (down - 1) * _GAP), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((SIZE / 2, _TITLE / 2), title, font=_fitting(title, 12, SIZE), fill=(60, 60, 60), anchor="mm")
    for place, (caption, counts) in enumerate(tiles):
        left = place % across * (box[0] + _GAP)
        top = _TITLE + place // across * (height + _CAPTION + _GAP)
        tile = _coloured(counts, _COLOURS[place % len(_COLOURS)], (width, height))
        if place == len(tiles) - 1:
            tile = with_scale_bar(tile, axes[1], 11)
        letters = _fitting(caption, 11, box[0])
        pen.text((left + box[0] / 2, top + _CAPTION / 2), caption, font=letters, fill=(30, 30, 30), anchor="mm")
        canvas.paste(tile, (left + (box[0] - width) // 2, top + _CAPTION))
    return canvas


def _fitting(text: str, size: int, room: int):  # type: ignore[no-untyped-def] # Pillow's two types of fonts
    """Return a typeface in which a text is not wider than its room."""
    while size > 7 and font(size).getlength(text) > room:
        size -= 1
    return font(size)


def _coloured(counts: NDArray[Any], colour: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    """Return a map from black to a colour, and white for what is far above the rest."""
    grey = greys.linear(np.clip(counts, 0, None).astype(np.float32))
    enlarged = size[0] > grey.shape[1] or size[1] > grey.shape[0]
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    level = np.asarray(Image.fromarray(grey).resize(size, how), np.float32)[..., None] / 255
    pixels = level * np.array(colour, np.float32) * (0.4 + 0.6 * level) + 255 * np.clip(level - 0.9, 0, None)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _across(tiles: int, axes: tuple[Axis, Axis]) -> int:
    """Return how many maps stand side by side when they are as large as possible."""
    tall, wide = _sides(axes)

    def scale(across: int) -> float:
        down = ceil(tiles / across)
        return min(SIZE / (across * wide), (SIZE - _TITLE - down * _CAPTION) / (down * tall))

    # captions need some width
    return max(range(1, min(tiles, 3) + 1), key=lambda across: (scale(across), across))


def _sides(axes: tuple[Axis, Axis]) -> tuple[float, float]:
    """Return height and width in proportion, true to the axes where they measure the same."""
    tall, wide = float(axes[0].size), float(axes[1].size)
    if axes[0].unit == axes[1].unit and axes[0].unit and axes[0].scale and axes[1].scale:
        tall, wide = tall * abs(axes[0].scale), wide * abs(axes[1].scale)
    if not 1 / _STRETCH <= tall / wide <= _STRETCH:
        return (_STRETCH, 1.0) if tall > wide else (1.0, _STRETCH)
    return tall, wide
