"""Draws the preview of a dataset: a PNG of at most `SIZE` pixels a side.

`sampling` takes from an array what a picture of that size can show, `greys` makes pixels of values, `pictures` composes
images with Pillow, `plots` draws spectra with matplotlib, `text` sets text.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.preview.shown_dimensions import colour_axis, measured_plane

if TYPE_CHECKING:
    from PIL.Image import Image

    from Services.Builder.extraction.signals.conditions import Conditions

SIZE = 500
"""Longest side of a preview in pixels."""


def png(reading: Reading, kind: Kind, caption: str = "", conditions: Conditions | None = None) -> bytes:
    """Return the preview of a reading as PNG; raises when there is nothing to draw.

    Parameters
    ----------
    reading, kind
        Its main signal is drawn, as what the kind says.
    caption
        What it shows, to be written into it; "" where nothing needs to be said.
    conditions
        What is known of specimen, beam and detector of spectra; by default what the file says.
    """
    buffer = io.BytesIO()
    # the highest compression takes ten times as long for a tenth of the bytes
    _image(reading, kind, caption, conditions).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _image(reading: Reading, kind: Kind, caption: str, conditions: Conditions | None) -> Image:
    signal = reading.main
    if kind.layout == "text" or signal is None:
        from Services.Builder.preview.text import page

        return page(reading.text or "", SIZE)
    # scanning microscopes write their data bar into the lower edge
    bar_at_top = reading.column in ("SEM", "FIB", "HIM")
    colours = colour_axis(signal)
    if colours is not None:
        from Services.Builder.preview import pictures

        return pictures.coloured(signal, colours, SIZE, bar_at_top)
    if measured_plane(signal, kind) is not None:
        from Services.Builder.preview.planes import mapped

        return mapped(signal, kind, SIZE)
    if kind.layout in ("spectrum", "curve", "spectrum image"):
        from Services.Builder.extraction.signals.conditions import conditions_of
        from Services.Builder.preview import plots

        known = conditions or conditions_of(reading, signal)
        if kind.layout == "spectrum image":
            return plots.spectrum_image(signal, kind, SIZE, known)
        return plots.curve(signal, kind, SIZE, known, caption)
    from Services.Builder.preview import pictures

    if kind.layout == "4D":
        shown = pictures.scanned_patterns(signal, kind, SIZE)
    elif kind.layout == "stack":
        shown = pictures.tableau(signal, kind, SIZE)
    else:
        shown = pictures.single(signal, kind, SIZE, bar_at_top, caption)
    return shown if _has_colours(shown) else shown.convert("L")


def _has_colours(picture: Image) -> bool:
    """Return whether not every pixel is grey: a picture without colours takes a third of the room."""
    if picture.mode != "RGB":
        return False
    red, green, blue = picture.split()
    return red.tobytes() != green.tobytes() or red.tobytes() != blue.tobytes()
