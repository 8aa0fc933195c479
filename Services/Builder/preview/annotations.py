"""Draws what the user of DigitalMicrograph has drawn over an image: regions, boxes, lines, texts, the beam's position.

They stand in the file's tags as ``DocumentObjectList.TagGroup0.AnnotationGroupList``, each with its type, its
``Rectangle`` (top, left, bottom, right, in pixels of the image) and its colour (16 bits a component, signed). The
numbers of the types are those of the component types in Gatan's scripting language (``ComponentGetType``); those of
regions (23, a rectangle, and 27, a point) are from survey images, where they are labelled ``Spectrum Image`` and
``Beam``. The program's own scale bar (31) is left out: the preview has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import hypot, isfinite
from typing import Any

from PIL import Image, ImageDraw

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.signal import Signal
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.preview.lettering import legible, shortened
from Services.Builder.preview.text import font

_LINE, _ARROW, _DOUBLE_ARROW, _BOX, _OVAL, _TEXT, _REGION, _POINT = 2, 3, 4, 5, 6, 13, 23, 27
_DRAWN = (_LINE, _ARROW, _DOUBLE_ARROW, _BOX, _OVAL, _TEXT, _REGION, _POINT)
_MOST = 60
"""Annotations that are drawn."""
_ARROW_HEAD = 9
_CROSS = 6
_LETTERS = 12
_DARK = 110
_DEFAULT = (255, 60, 60)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One thing drawn over an image."""

    type: int
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, in pixels of the image."""
    colour: tuple[int, int, int]
    text: str = ""


def annotations_of(signal: Signal) -> list[Annotation]:
    """Return what was drawn over an image; nothing where the document shows several, and it is not clear over which."""
    sources = lookup(signal.original_metadata, "ImageSourceList")
    if not isinstance(sources, Mapping) or sum(isinstance(source, Mapping) for source in sources.values()) != 1:
        return []
    objects = lookup(signal.original_metadata, "DocumentObjectList.TagGroup0.AnnotationGroupList")
    if not isinstance(objects, Mapping):
        return []
    found = (_annotation(each) for each in objects.values() if isinstance(each, Mapping))
    return list(islice(filter(None, found), _MOST))


def drawn_into(picture: Image.Image, signal: Signal, shape: tuple[int, int]) -> Image.Image:
    """Return a picture with the annotations of its signal.

    Parameters
    ----------
    picture
        Shows the whole image.
    signal
        The image.
    shape
        Its rows and columns.
    """
    annotations = annotations_of(signal)
    if not annotations:
        return picture
    canvas = picture.convert("RGB")
    pen = ImageDraw.Draw(canvas)
    scale = picture.width / shape[1], picture.height / shape[0]
    for each in annotations:
        left, top, right, bottom = (
            min(max(place * scale[number % 2], -1.0), picture.size[number % 2] + 1.0)
            for number, place in enumerate(each.box)
        )
        _draw(pen, each, (left, top, right, bottom))
        _write(pen, each, (left, top, right, bottom), canvas.size)
    return canvas


def _annotation(tags: Mapping[str, Any]) -> Annotation | None:
    kind, corners = tags.get("AnnotationType"), tags.get("Rectangle")
    if kind not in _DRAWN or tags.get("IsVisible", 1) == 0:
        return None
    try:
        top, left, bottom, right = (float(place) for place in corners or ())
    except (TypeError, ValueError, OverflowError):
        return None
    if not all(map(isfinite, (top, left, bottom, right))) or (
        kind not in (_POINT, _TEXT) and (top, left) == (bottom, right)
    ):
        return None
    text = next((value for key in ("Text", "Label") if isinstance(value := tags.get(key), str)), "")
    colour = tags.get("Color") if kind in (_REGION, _POINT) else tags.get("ForegroundColor")
    return Annotation(int(kind), (left, top, right, bottom), _colour(colour), one_line(text, 100))


def _colour(components: Any) -> tuple[int, int, int]:
    try:
        red, green, blue = ((int(component) & 0xFFFF) >> 8 for component in components)
    except (TypeError, ValueError, OverflowError):  # not a number, or an infinite one
        return _DEFAULT
    return red, green, blue


def _ground(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a ground on which a colour can be read: by its luma (Rec. 601), dark or light."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > _DARK else (235, 235, 235)


def _draw(pen: ImageDraw.ImageDraw, annotation: Annotation, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    ordered = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
    if annotation.type in (_BOX, _REGION):
        pen.rectangle(ordered, outline=annotation.colour, width=2)
    elif annotation.type == _OVAL:
        pen.ellipse(ordered, outline=annotation.colour, width=2)
    elif annotation.type == _POINT:
        pen.line((left - _CROSS, top, left + _CROSS, top), fill=annotation.colour, width=2)
        pen.line((left, top - _CROSS, left, top + _CROSS), fill=annotation.colour, width=2)
    elif annotation.type in (_LINE, _ARROW, _DOUBLE_ARROW):
        pen.line(box, fill=annotation.colour, width=2)
        if annotation.type != _LINE:
            pen.polygon(list(_head((left, top), (right, bottom))), fill=annotation.colour)
        if annotation.type == _DOUBLE_ARROW:
            pen.polygon(list(_head((right, bottom), (left, top))), fill=annotation.colour)


def _head(start: tuple[float, float], end: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """Yield the corners of an arrow's head."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = hypot(across, down) or 1.0
    across, down = across / length * _ARROW_HEAD, down / length * _ARROW_HEAD
    yield end
    yield end[0] - across - down / 2, end[1] - down + across / 2
    yield end[0] - across + down / 2, end[1] - down - across / 2


def _write(
    pen: ImageDraw.ImageDraw, annotation: Annotation, box: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    if not annotation.text:
        return
    letters = font(_LETTERS)
    shown = shortened(legible(annotation.text), letters, size[0] - 6)
    left, top = min(box[0], box[2]) + 4, min(box[1], box[3]) + 2
    if annotation.type == _POINT:
        left, top = left + _CROSS, top - 2 * _LETTERS
    left = max(3.0, min(left, size[0] - letters.getlength(shown) - 3))
    top = max(1.0, min(top, size[1] - _LETTERS - 5.0))
    bounds = pen.textbbox((left, top), shown, font=letters)
    pen.rectangle((bounds[0] - 2, bounds[1] - 2, bounds[2] + 2, bounds[3] + 2), fill=_ground(annotation.colour))
    pen.text((left, top), shown, font=letters, fill=annotation.colour)
