"""Files of 4 GB, which take no room on disk: read and drawn by a process that may allocate an eighth of that."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rsciio.blockfile._api import get_header_dtype_list

from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers

SIZE = 4 << 30
MEMORY_MB = 512


def sparse(path: Path, header: bytes, size: int = SIZE) -> Path:
    """Write a file that begins with a header and goes on with zeros that take no blocks."""
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


def ripple(folder: Path) -> Path:
    """512 × 512 spectra of 8192 channels."""
    keys = {
        "width": 512, "height": 512, "depth": 8192, "offset": 0, "data-length": 2, "data-type": "unsigned",
        "byte-order": "little-endian", "record-by": "vector", "signal": "EDS_SEM", "depth-units": "keV",
    }  # fmt: skip
    sparse(folder / "map.raw", b"")
    path = folder / "map.rpl"
    path.write_text("key\tvalue\n" + "".join(f"{key}\t{value}\n" for key, value in keys.items()))
    return path


def mrc(folder: Path) -> Path:
    """512 images of 2048 × 2048."""
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 2048, 2048, 512, 6)
    struct.pack_into("<3i3f", header, 28, 2048, 2048, 512, 20480.0, 20480.0, 5120.0)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\0\0"
    return sparse(folder / "tomogram.mrc", bytes(header), 1024 + SIZE)


def block_file(folder: Path) -> Path:
    """256 × 256 patterns of 256 × 256."""
    header = np.zeros(1, get_header_dtype_list("<"))
    header["ID"], header["MAGIC"] = b"IMGBLO", 0x0102
    header["Data_offset_1"], header["Data_offset_2"] = 4096, 4096 + 256 * 256
    header["NX"] = header["NY"] = header["DP_SZ"] = 256
    header["SX"] = header["SY"] = 2.0
    return sparse(folder / "scan.blo", header.tobytes(), 4096 + 256 * 256 + 256 * 256 * (256 * 256 + 6))


def merlin(folder: Path) -> Path:
    """8192 patterns of 512 × 512."""
    fields = "MQ1,000001,00768,04,0512,0512,U16,   2x2,0F,2021-04-15 14:44:43.100924481,1.0,0,0,0,"
    fields += "1.0E+0,5.1E+2,0,0,0,0,0,0,RGB,2021-04-15T13:44:43.100924481Z,1000000ns,12,"
    return sparse(folder / "scan.mib", fields.encode().ljust(768, b" "), 8192 * (768 + 512 * 512 * 2))


def tiff(folder: Path) -> Path:
    """One image of 40000 × 50000."""
    tifffile.memmap(folder / "mosaic.tif", shape=(40000, 50000), dtype="u2", bigtiff=True)
    return folder / "mosaic.tif"


class TestAFileLargerThanTheMemory:
    """001-33, 001-43: memory is bounded: what a preview does not show is not read into it."""

    @pytest.mark.parametrize(
        ("make", "shape", "dataset_type"),
        [
            (ripple, "512 × 512 × 8192", "SpectrumImage"),
            (mrc, "512 × 2048 × 2048", "Image"),
            (block_file, "256 × 256 × 256 × 256", "Diffraction"),
            (merlin, "8192 × 512 × 512", "Diffraction"),
            (tiff, "50000 × 40000", "Image"),
        ],
    )
    def test_read_and_drawn(self, tmp_path, make, shape, dataset_type):
        path = make(tmp_path)
        with Workers(1, seconds_per_file=100, memory_mb=MEMORY_MB) as workers:
            (found,) = workers.extract_all([Job(path, tmp_path / "preview.png", hash_seconds=5)])
        # a slow disk, or a busy one, may not yield all of it in the time there is for its SHA-256
        assert [one for one in found.warnings if not one.startswith("The SHA-256 of ")] == []
        assert (found.dataset_type, found.meta["Data Shape"].value) == (dataset_type, shape)
        assert found.preview is not None and found.preview.is_file()
        path.unlink()
