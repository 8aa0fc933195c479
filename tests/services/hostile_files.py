"""Instrument files that try to have another file read, or code run; each maker returns what the search would report."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import tifffile
from PIL import Image

from tests.services.signal_files import image

SECRET = b"correct horse battery staple, and four more words " * 40
"""What must appear nowhere."""
SIDE = 40
"""Pixels of a side: as many as the secret has bytes are shown."""


def secret(folder: Path) -> Path:
    """Write the secret as a text, a picture, and an HDF5 file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_bytes(SECRET)
    (folder / "pixels").write_bytes(SECRET[: SIDE * SIDE])
    with h5py.File(folder / "secret.h5", "w") as file:
        file["data"] = np.frombuffer(SECRET[: SIDE * SIDE], np.uint8).reshape(SIDE, SIDE)
    shown = np.frombuffer(SECRET[: SIDE * SIDE], np.uint8).reshape(SIDE, SIDE)
    Image.fromarray(shown).save(folder / "secret.png")
    tifffile.imwrite(folder / "secret.tif", shown)
    return folder


def _nexus(path: Path) -> tuple[h5py.File, h5py.Group]:
    file = h5py.File(path, "w")
    entry = file.create_group("entry")
    entry.attrs["NX_class"] = "NXentry"
    data = entry.create_group("data")
    data.attrs.update({"NX_class": "NXdata", "signal": "data"})
    return file, data


def external_storage(store: Path, hidden: Path) -> Path:
    path = store / "external_storage.nxs"
    file, data = _nexus(path)
    data.create_dataset("data", (SIDE, SIDE), np.uint8, external=[(str(hidden / "secret"), 0, SIDE * SIDE)])
    file.close()
    return path


def external_link(store: Path, hidden: Path) -> Path:
    path = store / "external_link.nxs"
    file, data = _nexus(path)
    data["data"] = h5py.ExternalLink(str(hidden / "secret.h5"), "/data")
    file.close()
    return path


def soft_link_out(store: Path, hidden: Path) -> Path:
    path = store / "soft_link_out.nxs"
    file, data = _nexus(path)
    file["elsewhere"] = h5py.ExternalLink(str(hidden / "secret.h5"), "/")
    data["data"] = h5py.SoftLink("/elsewhere/data")
    file.close()
    return path


def virtual_dataset(store: Path, hidden: Path) -> Path:
    path = store / "virtual_dataset.nxs"
    file, data = _nexus(path)
    layout = h5py.VirtualLayout((SIDE, SIDE), np.uint8)
    layout[:] = h5py.VirtualSource(str(hidden / "secret.h5"), "data", (SIDE, SIDE))
    data.create_virtual_dataset("data", layout)
    file.close()
    return path


def external_storage_hspy(store: Path, hidden: Path) -> Path:
    path = image(store / "external_storage.hspy", SIDE)
    with h5py.File(path, "r+") as file:
        (name,) = file["Experiments"]
        group = file[f"Experiments/{name}"]
        del group["data"]
        group.create_dataset("data", (SIDE, SIDE), np.uint8, external=[(str(hidden / "secret"), 0, SIDE * SIDE)])
    return path


def external_link_emd(store: Path, hidden: Path) -> Path:
    path = store / "external_link.emd"
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = h5py.ExternalLink(os.path.relpath(hidden / "secret.h5", store), "/data")
        for number in (1, 2):
            group[f"dim{number}"] = np.arange(SIDE)
            group[f"dim{number}"].attrs.update({"name": "xy"[number - 1], "units": "[n_m]"})
    return path


def behind_a_user_block(store: Path, hidden: Path) -> Path:
    path = store / "user_block.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["data"] = h5py.ExternalLink(str(hidden / "secret.h5"), "/data")
    return path


def _empad(path: Path, raw: str) -> Path:
    path.write_text(f'<root><pix_x>1</pix_x><pix_y>1</pix_y><raw_file filename="{raw}"/></root>')
    return path


def absolute_name(store: Path, hidden: Path) -> Path:
    raw = hidden / "patterns.raw"
    raw.write_bytes((SECRET * 40)[: 130 * 128 * 4])
    return _empad(store / "absolute.xml", str(raw))


def name_upwards(store: Path, hidden: Path) -> Path:
    raw = hidden / "patterns.raw"
    raw.write_bytes((SECRET * 40)[: 130 * 128 * 4])
    return _empad(store / "upwards.xml", os.path.relpath(raw, store))


def librarys_file(store: Path, hidden: Path) -> Path:
    return _empad(store / "library.xml", str(np._core._multiarray_umath.__file__))


def device(store: Path, hidden: Path) -> Path:
    return _empad(store / "device.xml", "/dev/zero")


def file_of_the_kernel(store: Path, hidden: Path) -> Path:
    return _empad(store / "kernel.xml", "/proc/cpuinfo")


def linked_chunk(store: Path, hidden: Path) -> Path:
    path = image(store / "linked_chunk.zspy", SIDE)
    (array,) = (one.parent for one in path.rglob(".zarray") if one.parent.name == "data")
    described = json.loads((array / ".zarray").read_text())
    described.update(compressor=None, filters=None, chunks=[SIDE, SIDE], dtype="|u1", fill_value=0)
    (array / ".zarray").write_text(json.dumps(described))
    for chunk in [one for one in array.iterdir() if not one.name.startswith(".")]:
        chunk.rename(store.parent / f"unused {chunk.name}")
    (array / "0").mkdir(exist_ok=True)
    (array / "0/0").symlink_to(hidden / "pixels")
    (array / "0.0").symlink_to(hidden / "pixels")
    return path


class RunsCode:
    """Unpickled, it writes the secret where anyone can read it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return exec, (f"open({str(self.mark)!r}, 'w').write('the code ran')",)


def pickled_chunk(store: Path, hidden: Path) -> Path:
    """Write a .zspy whose chunk is decoded by numcodecs' pickle; the code would leave the file 'ran' beside it."""
    path = image(store / "pickled.zspy", SIDE)
    (array,) = (one.parent for one in path.rglob(".zarray") if one.parent.name == "data")
    described = json.loads((array / ".zarray").read_text())
    described.update(compressor={"id": "pickle", "protocol": 4}, filters=None, chunks=[SIDE, SIDE])
    (array / ".zarray").write_text(json.dumps(described))
    for chunk in [one for one in array.rglob("*") if one.is_file() and not one.name.startswith(".")]:
        chunk.write_bytes(pickle.dumps(RunsCode(store / "ran")))
    return path


def named_in_ome(store: Path, hidden: Path) -> Path:
    path = store / "named.ome.tif"
    named = str(hidden / "secret.tif")
    pixels = (
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{SIDE}" SizeY="{SIDE}" SizeZ="2" SizeC="1" '
        f'SizeT="1"><TiffData FirstZ="0" IFD="0" PlaneCount="1"/><TiffData FirstZ="1" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{named}">urn:uuid:2</UUID></TiffData></Pixels>'
    )
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        f'<Image ID="Image:0">{pixels}</Image></OME>'
    )
    tifffile.imwrite(path, np.zeros((SIDE, SIDE), np.uint8), description=text, metadata=None)
    return path


def link_beside(store: Path, hidden: Path) -> Path:
    path = store / "beside.rpl"
    described = f"key\tvalue\nwidth\t{SIDE}\nheight\t{SIDE}\ndepth\t1\noffset\t0\ndata-length\t1\ndata-type\tunsigned\n"
    path.write_text(described + "byte-order\tdont-care\nrecord-by\tdont-care\n")
    (store / "beside.raw").symlink_to(hidden / "pixels")
    return path


def postscript(store: Path, hidden: Path) -> Path:
    path = store / "postscript.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n")
    return path


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    one.__name__: one
    for one in (
        external_storage, external_link, soft_link_out, virtual_dataset, external_storage_hspy, external_link_emd,
        behind_a_user_block, absolute_name, name_upwards,
        librarys_file, device, file_of_the_kernel, linked_chunk, pickled_chunk, named_in_ome, link_beside,
        postscript,
    )
}  # fmt: skip
