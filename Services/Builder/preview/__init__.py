"""Draws the preview of a dataset: a PNG of at most `SIZE` pixels a side.

`sampling` takes from an array what a picture of that size can show, `greys` makes pixels of values, `pictures` composes
images with Pillow, `plots` draws spectra with matplotlib, `text` sets text.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Reading

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 500
"""Longest side of a preview in pixels."""


def png(reading: Reading, kind: Kind) -> bytes:
    """Return the preview of a reading as PNG; raises when there is nothing to draw."""
    buffer = io.BytesIO()
    # the highest compression takes ten times as long for a tenth of the bytes
    _image(reading, kind).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _image(reading: Reading, kind: Kind) -> Image:
    signal = reading.main
    if kind.layout == "text" or signal is None:
        from Services.Builder.preview.text import page

        return page(reading.text or "", SIZE)
    if kind.layout in ("spectrum", "curve", "spectrum image"):
        from Services.Builder.extraction.signals.conditions import conditions_of
        from Services.Builder.preview import plots

        draw = plots.spectrum_image if kind.layout == "spectrum image" else plots.curve
        return draw(signal, kind, SIZE, conditions_of(reading, signal))
    from Services.Builder.preview import pictures

    if kind.layout == "4D":
        shown = pictures.scanned_patterns(signal, kind, SIZE)
    elif kind.layout == "stack":
        shown = pictures.tableau(signal, kind, SIZE)
    else:
        # scanning microscopes write their data bar into the lower edge
        shown = pictures.single(signal, kind, SIZE, bar_at_top=reading.column in ("SEM", "FIB", "HIM"))
    return shown if signal.colour else shown.convert("L")
