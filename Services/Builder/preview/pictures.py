"""Composes previews of images, diffraction patterns, stacks and scanned patterns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.preview import colour, fourier, greys
from Services.Builder.preview.annotations import drawn_into
from Services.Builder.preview.channels import channel_names
from Services.Builder.preview.lettering import legible, shortened
from Services.Builder.preview.sampling import MOST_VALUES, Mean, fetched, means, plane, reduced
from Services.Builder.preview.scale_bar import with_scale_bar
from Services.Builder.preview.shown_dimensions import scan_plane
from Services.Builder.preview.text import font

FRAMES = 9
"""Frames of a stack that its tableau shows."""
_PANEL_GAP = 6
_CAPTION = 20
_LABEL, _LABEL_EDGE = 11, 6
_STRETCH = 8.0
"""Ratio of the sides beyond which a picture is not shown true to scale: a line must stay visible."""

Tone = Callable[[NDArray[Any]], greys.Pixels]


def single(signal: Signal, kind: Kind, size: int, bar_at_top: bool = False, caption: str = "") -> Image.Image:
    """Return one image, with a scale bar; patterns and transforms on a logarithmic scale.

    Parameters
    ----------
    signal, kind
        The signal, and what it is.
    size
        Longest side in pixels.
    bar_at_top
        Put the scale bar into the upper corner, where the instrument writes its own data into the lower edge.
    caption
        What the image shows, for its corner.
    """
    rows, columns = _plane(kind)
    axes = signal.axes[rows], signal.axes[columns]
    if kind.data_type.endswith("FFT") and axes[0].size * axes[1].size <= MOST_VALUES:
        values = fourier.centred(plane(signal.data, (rows, columns), {}, max(axes[0].size, axes[1].size)))
        axes = _resized(axes, values.shape)
        values = reduced(values, 2 * size)
    else:
        values = plane(signal.data, (rows, columns), {}, 2 * size)
    tone = greys.logarithmic if kind.layout == "diffraction" else greys.linear
    shown = _picture(values, axes, (size, size), tone)
    shown = drawn_into(shown, signal, (axes[0].size, axes[1].size))
    shown = with_scale_bar(shown, axes[1], at_top=bar_at_top)
    if caption:
        shown = shown.convert("RGB")
        _label(shown, (0, 0), caption, shown.width, right=bar_at_top)
    return shown


def coloured(signal: Signal, at: int, size: int, bar_at_top: bool = False) -> Image.Image:
    """Return the picture of an array one of whose dimensions, `at`, numbers the colours of a pixel."""
    rows, columns = [place for place, axis in enumerate(signal.axes) if place != at and axis.size > 1]
    steps = [slice(None, None, max(1, axis.size // (2 * size))) for axis in signal.axes]
    steps[at] = slice(None)
    (values,) = fetched(signal.data, steps)
    values = np.transpose(values, [*(place for place in range(values.ndim) if place not in (rows, columns, at)),
                                   rows, columns, at])  # fmt: skip
    axes = signal.axes[rows], signal.axes[columns]
    return with_scale_bar(
        _fitted(Image.fromarray(colour.pixels(values.reshape(values.shape[-3:]))), axes, (size, size)),
        axes[1],
        at_top=bar_at_top,
    )


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
    total, names = prod(signal.axes[at].size for at in kind.scanned), channel_names(signal, kind)
    for place, (tile, position) in enumerate(zip(tiles, chosen, strict=True)):
        corner = (place % across * (width + _PANEL_GAP), place // across * (height + _PANEL_GAP))
        tile = with_scale_bar(tile, axes[1], 11) if place == len(tiles) - 1 else tile.convert("RGB")
        canvas.paste(tile, corner)
        number = int(np.ravel_multi_index(tuple(position.values()), [signal.axes[at].size for at in position])) + 1
        text = names[number - 1] if names else f"{number} of {total}" if place == 0 else str(number)
        _label(canvas, corner, text, tile.width)
    return canvas


def scanned_patterns(signal: Signal, kind: Kind, size: int) -> Image.Image:
    """Return the specimen as its patterns' mean intensities show it, beside the mean pattern."""
    side = (size - _PANEL_GAP) // 2
    across = scan_plane(signal, kind) or kind.scanned[-2:]
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
    pixels = colour.pixels(values) if values.dtype.names else tone(values)
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


def _resized(axes: tuple[Axis, Axis], shape: tuple[int, ...]) -> tuple[Axis, Axis]:
    down, across = (replace(axis, size=length, values=None) for axis, length in zip(axes, shape, strict=True))
    return down, across


def _label(canvas: Image.Image, corner: tuple[int, int], text: str, width: int, right: bool = False) -> None:
    """Write into the upper corner of a tile of some width, which begins at `corner`."""
    pen, letters = ImageDraw.Draw(canvas, "RGBA"), font(_LABEL)
    shown = shortened(legible(text), letters, width - 2 * _LABEL_EDGE, middle=True)  # names may differ in their ends
    start = corner[0] + (width - _LABEL_EDGE - letters.getlength(shown) if right else _LABEL_EDGE), corner[1] + 5
    box = pen.textbbox(start, shown, font=letters)
    pen.rounded_rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), radius=3, fill=(0, 0, 0, 150))
    pen.text(start, shown, font=letters, fill=(255, 255, 255, 255))
