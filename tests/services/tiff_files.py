"""Small TIFF files that tests make, with entries of their own, and what is shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from Services.Builder.extraction.extractors import registry
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Extraction, Quantity


def tag(path: Path, code: int) -> Any:
    """Return an entry as tifffile reads it."""
    with tifffile.TiffFile(path) as file:
        return file.pages.first.tags[code].value


def written(path: Path, *entries: tuple[int, str], **options: Any) -> Path:
    """Write a small grey TIFF with some text entries."""
    extra = [(code, "s", 0, text.encode(), True) for code, text in entries]
    tifffile.imwrite(path, np.zeros((6, 8), np.uint8), extratags=extra, metadata=None, **options)
    return path


def read(path: Path) -> Reading:
    return registry.candidates(path)[0].read(path)


def sizes(reading: Reading) -> list[tuple[float, str | None]]:
    assert reading.main is not None
    return [(round(axis.scale, 18), axis.unit) for axis in reading.main.axes]


def values(found: Extraction | Reading, *names: str) -> dict[str, Quantity]:
    return {name: found.meta[name] for name in names if name in found.meta}


def ome(pixels: str, planes: str = "", more: str = "", refer: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'Creator="Acme 1.2">{more}<Image ID="Image:0" Name="cells"><AcquisitionDate>2016-02-12T10:20:30'
        f'</AcquisitionDate>{refer}<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="6" '
        f'SizeZ="1" SizeC="1" SizeT="1" {pixels}><TiffData/>{planes}</Pixels></Image></OME>'
    )
