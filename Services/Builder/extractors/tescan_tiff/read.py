"""Reads Tescan's settings: an INI file beside the image, else its lines between the binary parts of tag 50431."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from Services.Builder.extractors import terms
from Services.Builder.extractors.registry import HEAD
from Services.Builder.extractors.rosettasciio.read import read_by
from Services.Builder.extractors.settings import Settings, beside, enriched, ini, moment, number, tiff_tags
from Services.Builder.extractors.signal import Reading
from Services.Builder.extractors.tescan_tiff.recognise import SETTINGS

_LINE = re.compile(rb"(?<!\w)([A-Za-z]\w{1,40})=([^\r\n\0]*)")


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from beside it or from the tag."""
    reading, tree = read_by("TIFF", path), _settings(path)
    known = Settings(
        format="Tescan TIFF",
        tree=tree,
        rules=terms.TESCAN,
        column="FIB" if "FIB" in tree else "SEM",
        pixel=(number(_of(tree, "PixelSizeY")), number(_of(tree, "PixelSizeX"))),
        acquired=moment(f"{_of(tree, 'Date')} {_of(tree, 'Time')}", "%Y-%m-%d %H:%M:%S"),
    )
    return enriched(reading, known)


def _of(tree: Mapping[str, Mapping[str, str]], key: str) -> str:
    return tree.get("MAIN", {}).get(key, "")


def _settings(path: Path) -> dict[str, dict[str, str]]:
    text = beside(path, ".hdr", f"-{path.suffix[1:]}.hdr")
    found = ini(text) if text else {}
    if "MAIN" in found:
        return found
    with path.open("rb") as file:
        raw = tiff_tags(file.read(HEAD), path, SETTINGS).get(SETTINGS, b"")
    lines = {key.decode(): value.decode("utf-8", "replace").strip() for key, value in _LINE.findall(bytes(raw))}
    return {"MAIN": lines, "SEM": lines}  # the tag has the lines, but not the sections' names
