"""Completes a reader's metadata: applies the `mapping` it returns to the original metadata.

RosettaSciIO leaves this step to HyperSpy; without it `metadata` holds little more than a title.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.tree import Tags, lookup, put

_log = logging.getLogger("rsciio.mapping")


def with_mapping(signal: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a reader's dictionary with what its mapping yields added.

    Parameters
    ----------
    signal
        One of the dictionaries of a RosettaSciIO `file_reader`: ``metadata``, ``original_metadata`` and ``mapping``,
        which names for a path in the original metadata one in the metadata and a function for the value.
    """
    metadata = _copied(signal.get("metadata") or {})
    original = signal.get("original_metadata") or {}
    for path, target in (signal.get("mapping") or {}).items():
        entry = lookup(original, path) if target else None
        if entry is None:
            continue
        where, convert = target
        try:
            value = convert(Tags(entry) if isinstance(entry, Mapping) else entry) if convert else entry
        except Exception as error:  # noqa: BLE001 - a foreign conversion of one entry; it is recorded, the entry kept
            _log.warning("the entry %s could not be converted: %s", path, one_line(error))
            continue
        if value is not None:
            put(metadata, where, value)
    return metadata


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): _copied(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
