"""Reads pictures with Pillow, with what the camera or program noted in EXIF."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL import __version__ as version

from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal

_FORMAT_NAMES = {"JPEG": "JPEG image", "PNG": "PNG image", "BMP": "bitmap image", "GIF": "GIF image"}


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the picture's first frame, its EXIF entries and its texts."""
    with Image.open(path) as picture:
        exif = picture.getexif()
        frames = getattr(picture, "n_frames", 1)
        name = _FORMAT_NAMES.get(picture.format or "", f"{picture.format} image")
        pixels = _pixels(picture)
        texts = _texts(picture)
    stated = {
        "Instrument": exif.get(ExifTags.Base.Model),
        "Operator": exif.get(ExifTags.Base.Artist),
        "Software": exif.get(ExifTags.Base.Software),
        "Frames": frames if frames > 1 else None,
    }
    quantities = {key: quantity(key, value) for key, value in stated.items()}
    axes = (Axis(pixels.shape[0], "y"), Axis(pixels.shape[1], "x"))
    tags = {ExifTags.TAGS.get(key, str(key)): value for key, value in exif.items()} | texts
    return Reading(
        format=name,
        reader=f"Pillow {version}",
        signals=(Signal(pixels, axes, original_metadata=tags),),
        meta={key: value for key, value in quantities.items() if value is not None},
        acquired=_time_taken(exif.get_ifd(ExifTags.IFD.Exif)),
    )


def _pixels(picture: Image.Image) -> np.ndarray:
    if picture.mode in ("L", "I;16", "I", "F"):
        return np.asarray(picture)
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    colours = np.ascontiguousarray(np.asarray(picture.convert("RGB")))
    return colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]


def _texts(picture: Image.Image) -> dict[str, Any]:
    """Return the texts in a picture, under the name of their place: each has a keyword of its own.

    PNG keeps them in the chunks ``tEXt``, ``zTXt`` and ``iTXt`` (PNG specification, 11.3.3), some after the pixels, so
    that they are there once these are read; JPEG and GIF have a comment.
    """
    texts = dict(getattr(picture, "text", {}))
    comment = picture.info.get("comment")
    return ({"PNG texts": texts} if texts else {}) | ({"Comment": comment} if comment else {})


def _time_taken(exif: Mapping[int, Any]) -> datetime | None:
    """Read EXIF's own way of writing a time: that of the camera's clock, with its offset if the camera knows it."""
    text = f"{exif.get(ExifTags.Base.DateTimeOriginal)} {exif.get(ExifTags.Base.OffsetTimeOriginal) or ''}".strip()
    for form in ("%Y:%m:%d %H:%M:%S %z", "%Y:%m:%d %H:%M:%S"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form)  # noqa: DTZ007 - the second form's zone is the instrument's
    return None
