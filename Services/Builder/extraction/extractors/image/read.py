"""Reads pictures with Pillow, with what the camera or program noted in EXIF or in PNG's texts."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL import __version__ as version

from Services.Builder.extraction.extractors import exif
from Services.Builder.extraction.extractors.image import renishaw
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal

_FORMAT_NAMES = {"JPEG": "JPEG image", "PNG": "PNG image", "BMP": "bitmap image", "GIF": "GIF image"}


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the picture's first frame, its EXIF entries and its texts."""
    with Image.open(path) as picture:
        frames = getattr(picture, "n_frames", 1)
        name = _FORMAT_NAMES.get(picture.format or "", f"{picture.format} image")
        entries = _exif(picture)
        pixels = _pixels(picture)
        info, texts = _info(picture), _texts(picture)
    stated = {
        "Instrument": entries.get("Model") or entries.get("Make") or info.get("Source"),
        "Operator": entries.get("Artist") or info.get("Author"),
        "Software": entries.get("Software") or info.get("Software"),
        "Comment": entries.get("ImageDescription") or info.get("Description") or info.get("Comment"),
        "Frames": frames if frames > 1 else None,
    }
    quantities = {
        **{key: quantity(key, value) for key, value in stated.items()},
        "Exposure Time": exif.exposure(entries),
        **renishaw.conditions(entries),
    }
    axes = renishaw.axes(entries, pixels.shape) or (Axis(pixels.shape[0], "y"), Axis(pixels.shape[1], "x"))
    return Reading(
        format=name,
        reader=f"Pillow {version}",
        signals=(Signal(pixels, axes, original_metadata={**entries, **texts}),),
        meta={key: value for key, value in quantities.items() if value is not None},
        acquired=exif.time_taken(entries) or _written(info.get("Creation Time")),
    )


def _pixels(picture: Image.Image) -> np.ndarray:
    if picture.mode in ("L", "I;16", "I", "F"):
        return np.asarray(picture)
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    colours = np.ascontiguousarray(np.asarray(picture.convert("RGB")))
    return colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]


def _exif(picture: Image.Image) -> dict[str, Any]:
    """Return the entries of the picture and of the camera by their names, private ones by their numbers."""
    stored = picture.getexif()
    camera: Mapping[int, Any] = {}
    with contextlib.suppress(
        KeyError, ValueError, TypeError, SyntaxError, OSError, struct.error
    ):  # a damaged directory costs only itself
        camera = stored.get_ifd(ExifTags.IFD.Exif)
    return {ExifTags.TAGS.get(key, str(key)): value for entries in (stored, camera) for key, value in entries.items()}


def _info(picture: Image.Image) -> dict[str, str]:
    """Return PNG's texts by their keywords, of which its specification names some: Author, Source, Creation Time."""
    return {str(key): value for key, value in picture.info.items() if isinstance(value, str)}


def _texts(picture: Image.Image) -> dict[str, Any]:
    """Return the texts in a picture, under the name of their place: each has a keyword of its own.

    PNG keeps them in the chunks ``tEXt``, ``zTXt`` and ``iTXt`` (PNG specification, 11.3.3), some after the pixels, so
    that they are there once these are read; JPEG and GIF have a comment.
    """
    texts = dict(getattr(picture, "text", {}))
    comment = picture.info.get("comment")
    return ({"PNG texts": texts} if texts else {}) | ({"Comment": comment} if comment else {})


def _written(text: str | None) -> datetime | None:
    """Return a time as PNG's specification recommends it (RFC 1123), or as ISO 8601; None where it is neither."""
    for form in (parsedate_to_datetime, datetime.fromisoformat):
        with contextlib.suppress(ValueError, TypeError):
            return form(str(text).strip()) if text else None
    return None
