"""HDF5 files: data that were never written, files cut off, masters whose data files are missing.

HDF5 gives room to a data set in blocks ("chunks") when they are written first; of a scan that was stopped, the rest
reads as zeros. The superblock knows where the file ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from Services.Builder.extraction.completeness.count import Count

MOST_OBJECTS = 20_000
"""Groups and data sets of a file that are looked at."""
_CUT_OFF = re.compile(r"truncated file: eof = (\d+).*?stored_eof = (\d+)")
_SMALLEST = 64
"""Values from which on a data set is one of measurements."""


def hdf5(path: Path) -> Iterator[Count]:
    """Count the blocks of the largest data sets, and bytes where the file is cut off."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if cut := _CUT_OFF.search(str(error)):
            yield Count(int(cut[2]), int(cut[1]), "bytes")
        return
    with file:
        found: list[Any] = []
        file.visititems(lambda _name, thing: _collect(found, thing, h5py.Dataset))
        largest = max((dataset.size for dataset in found), default=0)
        for dataset in found:
            if dataset.size == largest:
                yield from _blocks(dataset)


def _collect(found: list[Any], thing: Any, kind: Any) -> bool | None:
    """Keep a data set of numbers; None to go on, as `visititems` wants it."""
    if isinstance(thing, kind) and thing.shape and thing.size >= _SMALLEST and thing.dtype.kind in "iufcbV":
        found.append(thing)
    return True if len(found) >= MOST_OBJECTS else None


def _blocks(dataset: Any) -> Iterator[Count]:
    if dataset.is_virtual or dataset.external:
        return
    if dataset.chunks is None:
        written = dataset.id.get_storage_size()
        yield Count(dataset.nbytes, dataset.nbytes if written else 0, "bytes")
        return
    blocks = [-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    # a block that is a slice along one dimension is what was measured at once
    one_each = blocks.count(1) == len(blocks) - 1 and any(
        count == length for count, length in zip(blocks, dataset.shape, strict=True) if count > 1
    )
    what = "frames" if one_each and len(blocks) > 2 else "blocks of data"
    yield Count(prod(blocks), dataset.id.get_num_chunks(), what)


def arina(path: Path) -> Iterator[Count]:
    """Count the images of a DECTRIS master file: images of each trigger times triggers, and those in its data files."""
    import h5py

    with h5py.File(path, "r") as file:
        specific = file["entry/instrument/detector/detectorSpecific"]
        announced = int(specific["nimages"][()]) * int(specific["ntrigger"][()])
        data, held, missing = file["entry/data"], 0, 0
        for name in data:
            link = data.get(name, getlink=True)
            named = getattr(link, "filename", None)
            if named is not None and (Path(named).name != named or not path.with_name(named).is_file()):
                missing += 1
            else:
                held += int(data[name].shape[0])
        if missing:
            yield Count(len(data), len(data) - missing, "data files", elsewhere=True)
        yield Count(announced, held, "images", elsewhere=True)
