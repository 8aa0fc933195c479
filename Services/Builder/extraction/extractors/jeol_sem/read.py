"""Reads JEOL's settings: a key that begins with one or two dollar signs, a blank, and its value, in each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.image import read as image
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, beside, moment, number, with_settings
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Quantity


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image as any other, and its settings from the text beside it."""
    tree = _settings(beside(path, ".txt") or "")
    known = MicroscopeSettings(
        format="JEOL SEM image",
        tree=tree,
        rules=terms_tiff.JEOL_SEM,
        column="SEM",
        pixel=_pixel(tree),
        acquired=moment(f"{tree.get('CM_DATE')} {tree.get('CM_TIME')}", "%Y/%m/%d %H:%M:%S"),
        special=_stage(tree),
    )
    return with_settings(read_by("TIFF", path) if path.suffix.lower() in (".tif", ".tiff") else image.read(path), known)


def _settings(text: str) -> dict[str, str]:
    entries = {}
    for line in text.splitlines():
        key, _blank, value = line.strip().partition(" ")
        if key.startswith("$") and value.strip():
            entries[key.lstrip("$")] = value.strip()
    return entries


def _pixel(tree: Mapping[str, str]) -> tuple[float, float] | None:
    """Return the size of a pixel: a bar of so many pixels stands for a length that is written with its unit (10um)."""
    marker = quantity("Step Size", tree.get("SM_MICRON_MARKER"))
    pixels = number(tree.get("SM_MICRON_BAR"))
    if marker is None or isinstance(marker.value, str) or pixels <= 0:
        return None
    return (marker.value * 1e-9 / pixels,) * 2


def _stage(tree: Mapping[str, str]) -> dict[str, Quantity | None]:
    """Return the stage's position: six numbers, of which x, y and z are millimetres."""
    numbers = tree.get("CM_STAGE_POS", "").split()
    names = ("Stage X", "Stage Y", "Stage Z")
    return {name: quantity(name, number, symbol("mm")) for name, number in zip(names, numbers, strict=False)}
