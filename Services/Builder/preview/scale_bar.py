"""Draws a scale bar into a picture."""

from __future__ import annotations

from math import floor, log10

from PIL import Image, ImageDraw

from Services.Builder.extraction.extractors.quantities import factor
from Services.Builder.extraction.extractors.signal import Axis
from Services.Builder.preview.text import font

_LADDERS = {
    "length": (("pm", 0.0), ("nm", 0.1), ("µm", 1.0), ("mm", 1.0), ("m", 1.0)),
    "reciprocal": (("1/µm", 0.0), ("1/nm", 0.05)),
    "angle": (("µrad", 0.0), ("mrad", 0.1), ("rad", 1.0)),
}
"""Units for a bar of some dimension, each with the length from which it is used."""
_SHOWN = {"1/nm": "nm⁻¹", "1/µm": "µm⁻¹"}
_SHARE = 0.3
"""Of the picture's width that the bar takes at most."""


def with_scale_bar(picture: Image.Image, axis: Axis, size: int = 15, at_top: bool = False) -> Image.Image:
    """Return the picture with a scale bar at its left edge, where the axis is calibrated and there is room.

    Parameters
    ----------
    picture
        Shows the whole axis from its left to its right edge.
    axis
        Of the columns.
    size
        Height of the letters in pixels.
    at_top
        Put it into the upper corner instead of the lower one.
    """
    bar = bar_for(axis, _SHARE)
    if bar is None or picture.width < 100 or picture.height < 3 * size:
        return picture
    share, label = bar
    length = max(2, round(share * picture.width))
    canvas = picture.convert("RGB")
    letters, pen = font(size), ImageDraw.Draw(canvas, "RGBA")
    left, top, right, bottom = pen.textbbox((0, 0), label, font=letters)
    width, height = max(length, right - left), bottom - top
    pad, thick = size // 2, max(3, size // 4)
    tall = height + thick + 3 * pad
    box_bottom = pad + tall if at_top else canvas.height - pad
    box = (pad, box_bottom - tall, pad + width + 2 * pad, box_bottom)
    pen.rounded_rectangle(box, radius=pad // 2 + 1, fill=(0, 0, 0, 150))
    centre = (box[0] + box[2]) / 2
    pen.text((centre - (right - left) / 2 - left, box[1] + pad - top), label, font=letters, fill=(255, 255, 255, 255))
    bar_top = box_bottom - pad - thick
    pen.rectangle((centre - length / 2, bar_top, centre + length / 2, bar_top + thick - 1), fill=(255, 255, 255, 255))
    return canvas


def bar_for(axis: Axis, share: float) -> tuple[float, str] | None:
    """Return a round length that takes at most `share` of the axis: its share and its label; None without a unit."""
    ladder = _LADDERS.get(axis.dimension)
    extent = abs(axis.scale) * axis.size
    if not ladder or not axis.unit or extent <= 0:
        return None
    reachable = [(name, size, least) for name, least in ladder if (size := factor(axis.unit, name))]
    fitting = [(name, size) for name, size, least in reachable if extent * size * share >= least]
    if not fitting:
        return None
    unit, multiplier = fitting[-1]
    room = extent * multiplier * share
    decade = 10.0 ** floor(log10(room))
    length = next(step * decade for step in (5, 2, 1) if step * decade <= room)
    return length / (extent * multiplier), f"{length:g} {_SHOWN.get(unit, unit)}"
