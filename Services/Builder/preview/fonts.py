"""The typefaces of previews: DejaVu, which matplotlib brings along and which has µ, Å and superscripts."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def font(size: int, face: str = "DejaVuSans") -> Font:
    """Return a typeface of a size in pixels; Pillow's own where matplotlib is not installed."""
    package = find_spec("matplotlib")  # found, not imported: that takes longer than drawing an image
    if package and package.origin:
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)
