"""Composes previews of images, diffraction patterns, stacks and scanned patterns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.preview import greys
from Services.Builder.preview.sampling import Mean, means, plane
from Services.Builder.preview.scale_bar import with_scale_bar
from Services.Builder.preview.text import font

FRAMES = 9
"""Frames of a stack that its tableau shows."""
_PANEL_GAP = 6
_CAPTION = 20
_STRETCH = 8.0
"""Ratio of the sides beyond which a picture is not shown true to scale: a line must stay visible."""

Tone = Callable[[NDArray[Any]], greys.Pixels]


def single(signal: Signal, kind: Kind, size: int, bar_at_top: bool = False) -> Image.Image:
    """Return one image, with a scale bar; patterns and transforms on a logarithmic scale."""
    rows, columns = _plane(kind)
    values = plane(signal.data, (rows, columns), {}, 2 * size)
    tone = greys.logarithmic if kind.layout == "diffraction" else greys.linear
    shown = _picture(values, (signal.axes[rows], signal.axes[columns]), (size, size), tone)
    return with_scale_bar(shown, signal.axes[columns], at_top=bar_at_top)


def tableau(signal: Signal, kind: Kind, size: int) -> Image.Image:
    """Return frames of a stack, evenly chosen from the first to the last, each on a grey scale of its own."""
    rows, columns = _plane(kind)
    axes, chosen = (signal.axes[rows], signal.axes[columns]), _frames(signal, kind)
    across = _columns(len(chosen), axes, size)
    down = ceil(len(chosen) / across)
    box = (size - (across - 1) * _PANEL_GAP) // across, (size - (down - 1) * _PANEL_GAP) // down
    tone = greys.logarithmic if kind.dataset_type == "Diffraction" else greys.linear
    planes = [plane(signal.data, (rows, columns), position, 2 * max(box)) for position in chosen]
    tiles = [_picture(plane, axes, box, tone) for plane in planes]
    width, height = tiles[0].size
    canvas = Image.new(
        "RGB", (across * width + (across - 1) * _PANEL_GAP, down * height + (down - 1) * _PANEL_GAP), "white"
    )
    total = int(np.prod([signal.axes[at].size for at in kind.scanned]))
    for place, (tile, position) in enumerate(zip(tiles, chosen, strict=True)):
        corner = (place % across * (width + _PANEL_GAP), place // across * (height + _PANEL_GAP))
        tile = with_scale_bar(tile, axes[1], 11) if place == len(tiles) - 1 else tile.convert("RGB")
        canvas.paste(tile, corner)
        number = int(np.ravel_multi_index(tuple(position.values()), [signal.axes[at].size for at in position])) + 1
        _label(canvas, corner, f"{number} of {total}" if place == 0 else str(number))
    return canvas


def scanned_patterns(signal: Signal, kind: Kind, size: int) -> Image.Image:
    """Return the specimen as its patterns' mean intensities show it, beside the mean pattern."""
    side = (size - _PANEL_GAP) // 2
    across = kind.scanned[-2:]
    overview, pattern = means(signal.data, Mean(across, side), Mean(kind.measured, 2 * side))
    left = _picture(overview, _axes(signal, across), (side, side), greys.linear)
    right = _picture(pattern, _axes(signal, kind.measured), (side, side), greys.logarithmic)
    left = with_scale_bar(left, signal.axes[across[-1]], 12)
    right = with_scale_bar(right, signal.axes[kind.measured[-1]], 12)
    return beside((("mean intensity", left), ("mean pattern", right)), size)


def beside(panels: Sequence[tuple[str, Image.Image]], size: int) -> Image.Image:
    """Return pictures side by side on white, each under its caption."""
    height = max(picture.height for _caption, picture in panels)
    canvas = Image.new("RGB", (size, height + _CAPTION), "white")
    pen, room = ImageDraw.Draw(canvas), (size - _PANEL_GAP * (len(panels) - 1)) // len(panels)
    for place, (caption, picture) in enumerate(panels):
        left = place * (room + _PANEL_GAP)
        pen.text((left + room / 2, _CAPTION / 2), caption, font=font(12), fill=(60, 60, 60), anchor="mm")
        canvas.paste(picture, (left + (room - picture.width) // 2, _CAPTION + (height - picture.height) // 2))
    return canvas


def picture_of(values: NDArray[Any], axes: tuple[Axis, Axis], box: tuple[int, int]) -> Image.Image:
    """Return values as a grey picture with a scale bar that fits into a box of width × height pixels.

    Parameters
    ----------
    values
        Rows and columns.
    axes
        Of the rows and of the columns.
    box
        Width and height in pixels.
    """
    return with_scale_bar(_picture(values, axes, box, greys.linear), axes[1], 12)


def _plane(kind: Kind) -> tuple[int, int]:
    # a lone dimension cannot come here: `kinds` calls it a curve or a spectrum
    return kind.measured[0], kind.measured[-1]


def _axes(signal: Signal, dimensions: Sequence[int]) -> tuple[Axis, Axis]:
    return signal.axes[dimensions[0]], signal.axes[dimensions[-1]]


def _frames(signal: Signal, kind: Kind) -> list[dict[int, int]]:
    lengths = [signal.axes[at].size for at in kind.scanned]
    total = int(np.prod(lengths))
    numbers_ = np.unique(np.linspace(0, total - 1, min(FRAMES, total)).round().astype(int))
    positions = [np.unravel_index(number, lengths) for number in numbers_]
    return [dict(zip(kind.scanned, (int(index) for index in position), strict=True)) for position in positions]


def _picture(values: NDArray[Any], axes: tuple[Axis, Axis], box: tuple[int, int], tone: Tone) -> Image.Image:
    pixels = greys.colours(values) if values.dtype.names else tone(values)
    return _fitted(Image.fromarray(pixels), axes, box)


def _columns(frames: int, axes: tuple[Axis, Axis], size: int) -> int:
    """Return how many frames stand side by side when they are shown as large as possible."""
    tall, wide = _sides(axes)

    def scale(across: int) -> float:
        return min(size / (across * wide), size / (ceil(frames / across) * tall))

    return max(range(1, frames + 1), key=lambda across: (scale(across), across))


def _sides(axes: tuple[Axis, Axis]) -> tuple[float, float]:
    """Return height and width in proportion, true to the axes where they measure the same."""
    tall, wide = float(axes[0].size), float(axes[1].size)
    if axes[0].unit == axes[1].unit and axes[0].unit and axes[0].scale and axes[1].scale:
        tall, wide = tall * abs(axes[0].scale), wide * abs(axes[1].scale)
    if not 1 / _STRETCH <= tall / wide <= _STRETCH:
        return (_STRETCH, 1.0) if tall > wide else (1.0, _STRETCH)
    return tall, wide


def _fitted(picture: Image.Image, axes: tuple[Axis, Axis], box: tuple[int, int]) -> Image.Image:
    """Scale a picture into a box."""
    tall, wide = _sides(axes)
    scale = min(box[0] / wide, box[1] / tall)
    target = max(1, round(wide * scale)), max(1, round(tall * scale))
    enlarged = target[0] > picture.width or target[1] > picture.height
    return picture.resize(target, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)


def _label(canvas: Image.Image, corner: tuple[int, int], text: str) -> None:
    pen, letters = ImageDraw.Draw(canvas, "RGBA"), font(11)
    left, top, right, bottom = pen.textbbox((corner[0] + 6, corner[1] + 5), text, font=letters)
    pen.rounded_rectangle((left - 3, top - 2, right + 3, bottom + 2), radius=3, fill=(0, 0, 0, 150))
    pen.text((corner[0] + 6, corner[1] + 5), text, font=letters, fill=(255, 255, 255, 255))
