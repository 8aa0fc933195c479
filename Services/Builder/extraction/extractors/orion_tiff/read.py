"""Reads Orion's settings: XML whose elements each hold a Value and its Units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lxml import etree

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.acquisition_time import resolved
from Services.Builder.extraction.extractors.orion_tiff.recognise import xml
from Services.Builder.extraction.extractors.people_dates import written
from Services.Builder.extraction.extractors.registry import HEAD
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import MicroscopeSettings, number, with_settings
from Services.Builder.extraction.extractors.signal import Reading

Entry = tuple[str, str, str]
"""Name, value and unit."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from the private tag."""
    with path.open("rb") as file:
        tree = _settings(xml(file.read(HEAD), path))
    known = MicroscopeSettings(
        format="Zeiss Orion TIFF",
        tree=tree,
        rules=terms_tiff.ORION,
        column="HIM",
        pixel=(number(_value(tree, "ScalingY")), number(_value(tree, "ScalingX"))),
        acquired=resolved(written(_value(tree, "TimeStamp")), {"TimeStamp": _value(tree, "TimeStamp")}, path),
    )
    return with_settings(read_by("TIFF", path), known)


def _settings(content: bytes) -> dict[str, Entry]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(content.rstrip(b"\0 \r\n"), parser)
    entries = {}
    for element in root if root is not None else ():
        value = (element.findtext("Value") or "").strip()
        if value:
            entries[str(element.tag)] = (str(element.tag), value, (element.findtext("Units") or "").strip())
    return entries


def _value(tree: Mapping[str, Entry], key: str) -> str:
    return tree[key][1] if key in tree else ""
