"""Reads the text file that SerialEM writes beside an MRC file (``tilt.mrc.mdoc``): settings of each image, with units.

Its lines are ``Key = values``; a section in brackets (``[ZValue = 0]``) begins each image's, what is before them is the
file's. The units are those of SerialEM's help, "Metadata files (.mdoc)": pixels in ångströms, angles in degrees, the
stage, shifts and defocus in micrometres, exposures in seconds, voltage in kilovolts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.settings import beside

KEY = "mdoc"
"""Where it stands in the original metadata: ``file``, ``image`` (the first one's settings), ``titles``."""
SUFFIX = ".mrc.mdoc"
_NAME = re.compile(r"\w+")


def with_settings_beside(path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the MRC reader returned, with SerialEM's settings in the original metadata where there are some."""
    text = beside(path, SUFFIX, ".mdoc")
    found = parsed(text) if text else {}
    if not found:
        return list(signals)
    return [{**signal, "original_metadata": {**signal["original_metadata"], KEY: found}} for signal in signals]


def parsed(text: str) -> dict[str, Any]:
    """Return the settings of the file and of its first image; {} if they are not SerialEM's.

    Parameters
    ----------
    text
        Content of the file beside the images.
    """
    sections: list[dict[str, str]] = [{}]
    titles: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        in_brackets = line.startswith("[") and line.endswith("]")
        name, equals, value = (part.strip() for part in (line[1:-1] if in_brackets else line).partition("="))
        if not equals or not _NAME.fullmatch(name):
            continue
        if not in_brackets:
            sections[-1].setdefault(name, value)
        elif name == "T":
            titles.append(value)
        else:
            sections.append({})
    general, *images = sections
    if not images and not general:
        return {}
    return {"file": general, "image": images[0] if images else {}, "images": len(images), "titles": titles}
