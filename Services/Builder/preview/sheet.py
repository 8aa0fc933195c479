"""Draws contact sheets: the previews of several datasets in a grid, each above its name and what it is.

The previews were drawn by processes that read hostile files: they are decoded only as PNG, up to the size that a
preview has. One that cannot be decoded leaves its place blank.
"""

from __future__ import annotations

import io
from math import ceil

from PIL import Image, ImageDraw

from Services.Builder.model import ContactSheet, SheetEntry
from Services.Builder.preview.lettering import legible, shortened, wrapped
from Services.Builder.preview.text import font

LARGEST_SIDE = 2000
"""Pixels; what is larger is no preview."""
_THUMBNAIL, _GAP, _MARGIN = 180, 14, 20
_NAME, _NOTE, _TITLE, _LEADING = 12, 11, 18, 16
_LINES = 3
"""Lines of text below a thumbnail: one of the name, two of the note."""
_MOST_COLUMNS, _FEWEST = 6, 3
"""Thumbnails side by side: at most, and the room for how many there is at least, for the title."""
_INK, _PALE, _BLANK, _EDGE = (40, 40, 40), (120, 120, 120), (240, 240, 240), (215, 215, 215)


def png(sheet: ContactSheet) -> bytes:
    """Return a contact sheet as PNG."""
    buffer = io.BytesIO()
    draw(sheet).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def draw(sheet: ContactSheet) -> Image.Image:
    """Return a contact sheet as a picture; see `ContactSheet`."""
    columns = _columns(len(sheet.entries))
    room = max(columns, _FEWEST)
    width = 2 * _MARGIN + room * _THUMBNAIL + (room - 1) * _GAP
    letters = font(_TITLE)
    title = wrapped(legible(sheet.title), letters, width - 2 * _MARGIN, 3)
    top = _MARGIN + len(title) * (_TITLE + 6) + _GAP // 2
    cell = _THUMBNAIL + 6 + _LINES * _LEADING
    rows = ceil(len(sheet.entries) / columns)
    more = _LEADING + _GAP if sheet.more else 0
    height = top + rows * cell + (rows - 1) * _GAP + more + _MARGIN
    canvas = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(title):
        pen.text((_MARGIN, _MARGIN + number * (_TITLE + 6)), line, font=letters, fill=_INK)
    for place, entry in enumerate(sheet.entries):
        left = _MARGIN + place % columns * (_THUMBNAIL + _GAP)
        _draw_entry(canvas, entry, (left, top + place // columns * (cell + _GAP)))
    if sheet.more:
        pen.text((_MARGIN, height - _MARGIN - _LEADING), f"and {sheet.more:,} more", font=font(_NAME), fill=_PALE)
    return canvas


def _columns(entries: int) -> int:
    """Return how many thumbnails stand side by side: a grid that is wider than it is high."""
    return next((columns for columns in range(1, _MOST_COLUMNS) if columns * columns >= entries), _MOST_COLUMNS)


def _draw_entry(canvas: Image.Image, entry: SheetEntry, corner: tuple[int, int]) -> None:
    left, top = corner
    pen = ImageDraw.Draw(canvas)
    picture = thumbnail(entry.preview, _THUMBNAIL) if entry.preview is not None else None
    if picture is None:
        pen.rectangle((left, top, left + _THUMBNAIL - 1, top + _THUMBNAIL - 1), fill=_BLANK)
        centre = (left + _THUMBNAIL / 2, top + _THUMBNAIL / 2)
        pen.text(centre, "no preview", font=font(_NOTE), fill=_PALE, anchor="mm")
    else:
        place = left + (_THUMBNAIL - picture.width) // 2, top + (_THUMBNAIL - picture.height) // 2
        canvas.paste(picture, place)
        edge = (place[0] - 1, place[1] - 1, place[0] + picture.width, place[1] + picture.height)
        pen.rectangle(edge, outline=_EDGE)
    name = shortened(legible(entry.name), font(_NAME), _THUMBNAIL, middle=True)
    lines = [(name, _NAME, _INK)]
    lines += [(line, _NOTE, _PALE) for line in wrapped(legible(entry.note), font(_NOTE), _THUMBNAIL, _LINES - 1)]
    for number, (line, size, ink) in enumerate(lines):
        pen.text((left, top + _THUMBNAIL + 6 + number * _LEADING), line, font=font(size), fill=ink)


def thumbnail(content: bytes, size: int) -> Image.Image | None:
    """Return a preview, reduced to at most `size` pixels a side; None where it is not the PNG of a preview."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if max(picture.size) > LARGEST_SIDE:
                return None
            picture.load()
            shown = picture.copy() if picture.mode in ("L", "RGB") else picture.convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow raises what it likes; a blank place shows it
        return None
    shown.thumbnail((size, size), Image.Resampling.BOX, reducing_gap=None)
    return shown
