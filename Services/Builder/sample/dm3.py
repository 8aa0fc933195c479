"""Write Gatan DigitalMicrograph 3 files (.dm3), the format in which most transmission microscopes leave their data.

A file is a header of three big-endian longs (version, size, 1 for little-endian data) and a tree of tags; the names,
counts and types in it are big-endian, the values little-endian. The structure is described at
https://imagej.net/ij/plugins/DM3Format.gj.html (first by the EMAN project) and, as a reader, in
``rsciio.digitalmicrograph``; the size in the header, 20 less than the file's, and the eight zero bytes at the end are
as in files written by DigitalMicrograph 2.31. What has been checked is that RosettaSciIO reads the files, not that
DigitalMicrograph displays them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from Services.Builder.sample.axes import UniformAxis

_GROUP, _DATA = 20, 21
_STRUCT, _ARRAY_CODE = 15, 20
_UNSIGNED_SHORT = 4  # also the element of texts, which are arrays of UTF-16 units
_TYPE_CODES = {"int16": 2, "int32": 3, "uint16": 4, "uint32": 5, "float32": 6, "float64": 7, "bool": 8, "uint8": 10}
"""Code of a value's type in a tag, by the name of its NumPy type."""
_PIXELS = {"int16": 1, "float32": 2, "uint8": 6, "int32": 7, "uint16": 10, "uint32": 11, "float64": 12}
"""Code of an image's type (``ImageData.DataType``), by the name of its NumPy type."""


def write_dm3(
    path: Path, data: npt.NDArray[Any], axes: Sequence[UniformAxis], name: str, tags: Mapping[str, Any]
) -> None:
    """Write one dataset.

    Parameters
    ----------
    path
        File to write.
    data
        Spectrum, image, or spectrum image; the last index is the fastest. A spectrum image has the energy first,
        as DigitalMicrograph keeps it.
    axes
        One for each index of `data`, in the same order.
    name
        Title of the image.
    tags
        The image's tags (``Microscope Info``, ``DataBar`` ...): nested mappings of texts, numbers, booleans, tuples
        of numbers, arrays and lists of mappings.
    """
    dimensions = [
        {
            "Origin": np.float32(-axis.offset / axis.scale),  # the pixel that lies at zero
            "Scale": np.float32(axis.scale),
            "Units": axis.units,
        }
        for axis in reversed(axes)  # DigitalMicrograph counts x, y, z
    ]
    image = {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": np.float32(0), "Scale": np.float32(1), "Units": "Counts"},
                "Dimension": dimensions,
                "DisplayCalibratedUnits": True,
            },
            "Data": data.ravel(),
            "DataType": np.uint32(_PIXELS[data.dtype.name]),
            "Dimensions": [np.uint32(size) for size in reversed(data.shape)],
            "PixelDepth": np.uint32(data.dtype.itemsize),
        },
        "ImageTags": tags,
        "Name": name,
    }
    tree = _group({"ImageList": [image], "InImageMode": True})
    path.write_bytes(struct.pack(">iii", 3, len(tree), 1) + tree + bytes(8))


def _group(entries: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Encode a group: two flags (sorted, open), the number of entries, the entries; those of a list have no name."""
    named = list(entries.items()) if isinstance(entries, Mapping) else [("", entry) for entry in entries]
    return struct.pack(">bbi", 1, 0, len(named)) + b"".join(_entry(name, value) for name, value in named)


def _entry(name: str, value: object) -> bytes:
    """Encode a named group or value."""
    label = name.encode("latin-1")
    is_group = isinstance(value, (Mapping, list))
    head = struct.pack(">bh", _GROUP if is_group else _DATA, len(label)) + label
    return head + (_group(value) if isinstance(value, (Mapping, list)) else _value(value))


def _value(value: object) -> bytes:
    """Encode a value: ``%%%%``, the number of longs that describe its type, these, and the value itself."""
    if isinstance(value, str):
        units = np.frombuffer(value.encode("utf-16-le"), dtype="<u2")
        return _described([_ARRAY_CODE, _UNSIGNED_SHORT, units.size], units)
    if isinstance(value, tuple):
        fields = [np.asarray(_plain(field)) for field in value]
        types = [code for field in fields for code in (0, _TYPE_CODES[field.dtype.name])]
        return _described([_STRUCT, 0, len(fields), *types], *fields)
    array = np.asarray(_plain(value))
    if array.ndim:
        return _described([_ARRAY_CODE, _TYPE_CODES[array.dtype.name], array.size], array)
    return _described([_TYPE_CODES[array.dtype.name]], array)


def _plain(value: object) -> Any:
    """Give a Python integer 32 bits; all else has its size."""
    return np.int32(value) if type(value) is int else value


def _described(description: list[int], *values: npt.NDArray[Any]) -> bytes:
    head = b"%%%%" + struct.pack(f">{len(description) + 1}i", len(description), *description)
    return head + b"".join(value.astype(value.dtype.newbyteorder("<")).tobytes() for value in values)
