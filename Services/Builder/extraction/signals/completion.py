"""Completes what one of RosettaSciIO's readers returned, by HyperSpy.

A reader leaves three things to HyperSpy: the order of the axes and which of them were scanned, functions that are to be
applied to the signal (``post_process``: DigitalMicrograph's spectrum images have the energy in front), and the
translation of the vendor's metadata (``mapping``). The signal is made without its type: exspy's types fill in, at once,
a detector's elevation of 35°, an azimuth and a tilt of 0° and a resolution of 130 eV where the file has none, and
no reader of the record could see that they were not measured.

Only the data, the axes, the metadata and the reader's own functions are handed over: the rest of an .hspy file may name
a module to be imported, and attributes to be set. Signals inside the metadata stay what they are in the file.

Where the reader's axes are complete and no function is to be applied, HyperSpy's signal would say what the reader says:
none is made, for that takes longer than reading a small file.

In three things HyperSpy by itself is worse, and what it does is changed here. One function of the mapping that fails
costs the signal; here, it costs its entry. The vendor's metadata are kept out of the signal: each of the reader's
functions would copy them, and a file of DigitalMicrograph would take 40 ms more. And a signal that HyperSpy refuses
would cost the file; here, the reader's own axes are kept, with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.faults import FileRefused
from Services.Builder.extraction.signals.libraries import hyperspy
from Services.Builder.extraction.signals.mapping import translated

_log = logging.getLogger("hyperspy.nexuscore")
_REGULAR = frozenset(("name", "units", "size", "scale", "offset", "navigate", "index_in_array", "is_binned", "_type"))
"""What an axis says that needs no HyperSpy to be understood."""
_LARGEST = 1e200
"""Sizes below which no position along an axis is infinite."""


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
    metadata = translated(
        dictionary.get("metadata") or {}, dictionary.get("original_metadata") or {}, dictionary.get("mapping")
    )
    if _is_complete(dictionary):
        return Completed(data, [dict(axis, navigate=axis.get("navigate")) for axis in axes], metadata)
    try:
        signal = _signal(dictionary)
        return Completed(signal.data, _axes(signal, axes), metadata)
    except (MemoryError, FileRefused):
        raise
    except Exception as error:  # noqa: BLE001 - numbers and names of every sort come from files; it is recorded
        _log.warning("HyperSpy makes no signal of it, the reader's axes are kept: %s", one_line(error))
        return Completed(data, axes, metadata)


def _is_complete(dictionary: Mapping[str, Any]) -> bool:
    """Return whether HyperSpy would leave the data and the axes as they are.

    It sees to it that the dimensions that were scanned are the first ones, and takes numbers for texts and texts for
    numbers where it can.
    """
    data, axes = dictionary["data"], dictionary.get("axes") or ()
    if not _is_usual(data) or len(axes) != data.ndim or not _keep(dictionary.get("post_process") or (), data):
        return False
    if not all(_is_regular(axis, length) for axis, length in zip(axes, data.shape, strict=True)):
        return False
    scanned = [axis["navigate"] for axis in axes if "navigate" in axis]
    if not scanned:
        about = (dictionary.get("metadata") or {}).get("Signal")
        return not (isinstance(about, Mapping) and "record_by" in about)
    return len(scanned) == len(axes) and scanned == sorted(scanned, reverse=True)


class _Squeezed:
    """A signal that has no dimension of one element, of which no more is asked than to leave such dimensions out."""

    def squeeze(self) -> _Squeezed:
        return self


def _keep(functions: Sequence[Callable[[Any], Any]], data: Any) -> bool:
    """Return whether the reader's functions leave the signal of an array as it is.

    DigitalMicrograph's readers give each picture one that leaves out dimensions of one element.
    """
    if functions and 1 in data.shape:
        return False
    unchanged = _Squeezed()
    try:
        return all(function(unchanged) is unchanged for function in functions)
    except Exception:  # noqa: BLE001 - it asks for more
        return False


def _is_usual(data: Any) -> bool:
    """Return whether an array is one of numbers, of numpy or dask, with at least one dimension and no empty one."""
    return (
        (type(data) in (np.ndarray, np.memmap) or hasattr(data, "dask"))
        and data.dtype.kind in "biufc"
        and all((data.ndim, *data.shape))
    )


def _is_regular(axis: Mapping[str, Any], length: int) -> bool:
    """Return whether an axis has evenly spaced positions, one for each of the array's, and names that are texts."""
    if not _REGULAR.issuperset(axis) or axis.get("size") != length:
        return False
    if axis.get("_type", "UniformDataAxis") != "UniformDataAxis" or not isinstance(axis.get("is_binned", False), bool):
        return False
    scale, offset = axis.get("scale", 1.0), axis.get("offset", 0.0)
    return (
        all(isinstance(number, float | int) for number in (scale, offset))
        and 0 < abs(scale) < _LARGEST
        and abs(offset) < _LARGEST
        and isinstance(axis.get("navigate", False), bool)
        and all(text is None or isinstance(text, str) for text in (axis.get("name"), axis.get("units")))
    )


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
