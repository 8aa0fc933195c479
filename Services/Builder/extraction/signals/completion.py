"""Completes what one of RosettaSciIO's readers returned, by HyperSpy.

A reader leaves three things to HyperSpy: the order of the axes and which of them were scanned, functions that are to be
applied to the signal (``post_process``: DigitalMicrograph's spectrum images have the energy in front), and the
translation of the vendor's metadata (``mapping``). The signal is made without its type: exspy's types fill in, at once,
a detector's elevation of 35°, an azimuth and a tilt of 0° and a resolution of 130 eV where the file has none, and
no reader of the record could see that they were not measured.

Only the data, the axes, the metadata and the reader's own functions are handed over: the rest of an .hspy file may name
a module to be imported, and attributes to be set. Signals inside the metadata stay what they are in the file.

In three things HyperSpy by itself is worse, and what it does is changed here. One function of the mapping that fails
costs the signal; here, it costs its entry. The vendor's metadata are kept out of the signal: each of the reader's
functions would copy them, and a file of DigitalMicrograph would take 40 ms more. And a signal that HyperSpy refuses
would cost the file; here, the reader's own axes are kept, with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.faults import FileRefused
from Services.Builder.extraction.signals.libraries import hyperspy

_log = logging.getLogger("hyperspy.nexuscore")
_OBJECTS = ("_sig_", "_hspy_AxesManager_", "_hspy_Axis_")
"""How keys begin that HyperSpy takes for objects to be made."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A reader's dictionary after HyperSpy had it."""

    data: Any
    """numpy or dask array; nothing was computed."""
    axes: Sequence[Mapping[str, Any]]
    """Of each dimension of the data, as RosettaSciIO describes an axis."""
    metadata: dict[str, Any]


def completed(dictionary: Mapping[str, Any]) -> Completed:
    """Return what HyperSpy makes of one of the dictionaries of a RosettaSciIO `file_reader`.

    Parameters
    ----------
    dictionary
        ``data``, ``axes``, ``metadata``, ``original_metadata``, ``mapping`` and ``post_process``.
    """
    data, axes = dictionary["data"], dictionary.get("axes") or ()
    metadata = _metadata(dictionary)
    try:
        signal = _signal(dictionary)
        return Completed(signal.data, _axes(signal, axes), metadata)
    except (MemoryError, FileRefused):
        raise
    except Exception as error:  # noqa: BLE001 - numbers and names of every sort come from files; it is recorded
        _log.warning("HyperSpy makes no signal of it, the reader's axes are kept: %s", one_line(error))
        return Completed(data, axes, metadata)


def _signal(dictionary: Mapping[str, Any]) -> Any:
    """Return HyperSpy's signal of no special type, with the axes and the reader's functions applied."""
    data, axes = dictionary["data"], dictionary.get("axes") or ()
    about = (dictionary.get("metadata") or {}).get("Signal")
    record_by = about.get("record_by") if isinstance(about, Mapping) else None
    given = {
        "data": data,
        "metadata": {"General": {}, "Signal": {} if record_by is None else {"record_by": record_by}},
        "post_process": list(dictionary.get("post_process") or ()),
        # some readers leave the axes of auxiliary arrays out
        **({"axes": [dict(axis) for axis in axes]} if len(axes) == data.ndim else {}),
    }
    return hyperspy().dict2signal(given, lazy=hasattr(data, "dask"))


def _in_order(signal: Any) -> list[Any]:
    """Return the axes in the order of the array's dimensions."""
    manager = signal.axes_manager
    return sorted((*manager.navigation_axes, *manager.signal_axes), key=lambda axis: axis.index_in_array)


def _axes(signal: Any, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the axes as RosettaSciIO describes them.

    Where the reader does not say of each axis whether it was scanned, HyperSpy takes all for dimensions of one
    measurement; that is no knowledge, and is left out.
    """
    stated = bool(given) and all("navigate" in axis for axis in given)
    axes = []
    for axis, length in zip(_in_order(signal), signal.data.shape, strict=True):
        described = axis.get_axis_dictionary()
        if not axis.is_uniform:
            described |= {"axis": np.asarray(axis.axis), "size": int(axis.size)}
        if axis.size != length:
            raise ValueError(f"the axis has {axis.size} positions, the array {length}")
        axes.append({**described, "navigate": axis.navigate if stated else None})
    return axes


def _metadata(dictionary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that a dictionary has, and those that its mapping yields from HyperSpy's tree of the others.

    One function of the mapping that fails costs its entry.
    """
    metadata = _plain(dictionary.get("metadata") or {})
    mapping = dictionary.get("mapping")
    if not mapping:
        return metadata
    tree = hyperspy().utils.DictionaryTreeBrowser
    original = tree(_asked_for(dictionary.get("original_metadata") or {}, _branches(mapping)))
    translated = tree()
    for path, target in mapping.items():
        try:
            if not target or path not in original:
                continue
            where, convert = target
            value = original.get_item(path)
            value = convert(value) if convert else value
            if value is not None:
                translated.set_item(where, value)
        except Exception as error:  # noqa: BLE001 - a foreign conversion of one entry; it is recorded, the entry kept
            _log.warning("the entry %s could not be converted: %s", path, one_line(error))
    return _merged(metadata, _plain(translated.as_dictionary()))


def _branches(paths: Iterable[str]) -> dict[str, Any]:
    """Return the tree that some paths are of: their parts as keys, None at the end of each."""
    branches: dict[str, Any] = {}
    for path in paths:
        *above, last = str(path).split(".")
        branch = branches
        for part in above:
            branch = branch.setdefault(part, {})
            if branch is None:  # all of it is asked for
                break
        else:
            branch[last] = None
    return branches


def _asked_for(given: Mapping[Any, Any], branches: Mapping[str, Any]) -> dict[Any, Any]:
    """Return what a mapping can ask for, in a copy: HyperSpy makes an attribute of each entry that its tree is given.

    An entry whose name is no plain word is kept: HyperSpy calls it something else.
    """
    kept = {}
    for key, value in given.items():
        plain = isinstance(key, str) and key.isascii() and key.isidentifier()
        if plain and key not in branches:
            continue
        branch = branches[key] if plain else None
        kept[key] = value if branch is None or type(value) is not dict else _asked_for(value, branch)
    return kept


def _merged(given: dict[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Return one tree of two, in which the second one's values go before."""
    merged = dict(given)
    for key, value in further.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _plain(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a copy without what HyperSpy would make objects of, wherever it stands."""
    return {str(key): _without_objects(value) for key, value in tree.items() if not str(key).startswith(_OBJECTS)}


def _without_objects(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [_without_objects(item) for item in value]
    return value
