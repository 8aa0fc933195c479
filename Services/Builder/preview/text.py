"""Text in previews: the typeface, and the beginning of a text as a page.

The typeface is DejaVu, which matplotlib brings along and which has µ, Å and superscripts.
"""

from __future__ import annotations

import textwrap
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_MARGIN = 16
_LETTERS = 13
_LEADING = 18
_TEXT_COLOUR, _PALE = (40, 40, 40), (150, 150, 150)


@cache
def font(size: int, face: str = "DejaVuSans") -> Font:
    """Return a typeface of a size in pixels; Pillow's own where matplotlib is not installed."""
    package = find_spec("matplotlib")  # found, not imported: that takes longer than drawing an image
    if package and package.origin:
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)


def page(text: str, size: int) -> Image.Image:
    """Return the first lines of a text, wrapped, on a white page of at most `size` pixels a side."""
    letters = font(_LETTERS, "DejaVuSansMono")
    columns = int((size - 2 * _MARGIN) / letters.getlength("m"))
    room = (size - 2 * _MARGIN) // _LEADING
    lines: list[str] = []
    for line in text.expandtabs(4).split("\n"):
        lines += textwrap.wrap(line, columns, drop_whitespace=True, replace_whitespace=False) or [""]
        if len(lines) > room:
            break
    while lines and not lines[-1].strip():
        lines.pop()
    cut = len(lines) > room
    lines = lines[: room - 1] if cut else lines
    canvas = Image.new("RGB", (size, max(4, len(lines) + cut) * _LEADING + 2 * _MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    for place, line in enumerate(lines or ["(empty)"]):
        pen.text((_MARGIN, _MARGIN + place * _LEADING), line, font=letters, fill=_TEXT_COLOUR if lines else _PALE)
    if cut:
        pen.text((_MARGIN, _MARGIN + len(lines) * _LEADING), "…", font=letters, fill=_PALE)
    pen.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=(205, 205, 205))
    return canvas
