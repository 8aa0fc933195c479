"""Names of the channels of a stack: what each of its images shows, as far as the file says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Signal

_NAMING = re.compile(r"label|channel|element|detector", re.IGNORECASE)
"""Keys of original metadata below which the names of channels stand, as ``Labels`` of ImageJ."""
_OME_CHANNEL = re.compile(r"<(?:\w+:)?Channel\b[^>]*?\bName=\"([^\"]*)\"")
"""Of OME-XML (OME schema, element Channel, attribute Name)."""
_DEEPEST, _MOST_ENTRIES = 8, 2000


def channel_names(signal: Signal, kind: Kind) -> list[str]:
    """Return the name of each image of a stack along one dimension, in order; empty where the file has none."""
    if len(kind.scanned) != 1:
        return []
    count = signal.axes[kind.scanned[0]].size
    for names in _lists(signal.original_metadata, count):
        if len(set(names)) == count and all(names):
            return names
    return []


def _lists(tree: Mapping[str, Any], count: int) -> Iterator[list[str]]:
    """Yield lists of so many texts that may be names of channels."""
    for number, (key, value) in enumerate(_entries(tree, 0)):
        if number > _MOST_ENTRIES:
            return
        if isinstance(value, str) and "<" in value:
            names = _OME_CHANNEL.findall(value[:1_000_000])
            if len(names) == count:
                yield [one_line(name, 60) for name in names]
        elif (
            _NAMING.search(key)
            and isinstance(value, Sequence)
            and len(value) == count
            and all(isinstance(item, str) for item in value)
            and not isinstance(value, str)
        ):
            # what follows the first line of a label of ImageJ's is the slice's metadata
            yield [one_line(item.strip().partition("\n")[0], 60) for item in value]


def _entries(tree: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            if depth < _DEEPEST:
                yield from _entries(value, depth + 1)
        else:
            yield str(key), value
