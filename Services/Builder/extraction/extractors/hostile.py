"""Examines a dataset, before it is read, for content that would make its reader read other files or run code.

HDF5 can keep an array, or a whole group, in another file: by external links, external storage and virtual datasets. Its
library opens such a file by itself. Zarr names the codecs that take its chunks apart, and some of numcodecs' make
objects, and so run code. Pillow starts Ghostscript for PostScript under any file name.

Files that Python code opens by name are checked by `open_guard`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from NexusCore.facility.file_walk import FOLDER_FORMATS
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.faults import FileRefused
from Services.Builder.extraction.extractors.text import SPEC as TEXT

HDF5 = b"\x89HDF\r\n\x1a\n"
HDF5_EXTENSIONS = (".h5", ".hdf5", ".hspy", ".nxs", ".emd", ".app5", ".nc", ".hdf", ".he5", ".usid")
"""Of files that readers open with HDF5's library, which finds its signature behind a user block, too."""
CODECS = frozenset(
    (
        *("adler32", "astype", "base64", "bitround", "blosc", "bz2", "categorize", "crc32", "crc32c", "delta"),
        *("fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "json2", "lz4", "lzma", "msgpack2"),
        *("packbits", "pcodec", "quantize", "shuffle", "vlen-array", "vlen-bytes", "vlen-utf8", "zfpy", "zlib", "zstd"),
        # Zarr 3 has names of its own for some
        *("bytes", "sharding_indexed", "transpose", "vlen-utf-8"),
    )
)
"""Codecs of Zarr that return data and do nothing else."""
MOST_HDF5_OBJECTS = 30_000
"""Groups and arrays of an HDF5 file, each of which takes readers about a millisecond: 3,000 HyperSpy signals."""
DEEPEST_HDF5 = 100
"""Groups within each other; readers call themselves for each, and Python ends that at 1,000 calls."""
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
"""How it begins: as it is, and with a preview for DOS."""
_METADATA = (".zarray", ".zmetadata", "zarr.json")
_LARGEST_ZARR_METADATA = 16_000_000
"""Bytes of Zarr's metadata that are looked at; longer ones are refused."""


def refuse(path: Path, companions: Collection[Path]) -> bool:
    """Raise `FileRefused` where a file names another one, or would have code run; return whether it was looked into.

    Likewise where an HDF5 file holds too much, or goes too deep, for its reader.

    Parameters
    ----------
    path
        The dataset's main file, or the folder that is the dataset.
    companions
        Its other files, which an HDF5 file may name if they lie beside it.
    """
    if path.suffix.lower() in FOLDER_FORMATS:
        _zarr(path)
        return True
    _postscript(path)
    checked = [file for file in (path, *companions) if _is_hdf5(file)]
    names = {file.name for file in (path, *companions)}
    for file in checked:
        _hdf5(file, names)
    return bool(checked)


def disable_code_execution() -> None:
    """Disable features of libraries that would run code that a file holds or asks for; safe to repeat."""
    # found by its content, a PostScript file is shown by Ghostscript, a program of many holes
    sys.modules.setdefault("PIL.EpsImagePlugin", None)  # type: ignore[arg-type]  # importing it fails then
    registry = sys.modules.get("numcodecs.registry")
    if registry is not None:
        for known in (registry.codec_registry, registry.entries):
            for name in [codec for codec in known if codec not in CODECS]:
                del known[name]


def _postscript(path: Path) -> None:
    """Raise `FileRefused` for PostScript, but as text; readers of pictures go by content, not by name."""
    if path.is_file() and path.suffix.lower() not in TEXT.extensions:
        with path.open("rb") as file:
            if file.read(4) in _POSTSCRIPT:
                raise FileRefused(reason="it is PostScript, which a program would have to run")


# -- HDF5 ----------------------------------------------------------------------------------------------------------


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if file.read(len(HDF5)) == HDF5:
                return True
    except OSError:
        return False
    if path.suffix.lower() not in HDF5_EXTENSIONS:
        return False
    import h5py

    return bool(h5py.is_hdf5(path))


def _hdf5(path: Path, own: Collection[str]) -> None:
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 - the filters that detectors' data are packed with
    try:
        with h5py.File(path, "r") as file:
            for what, name in _external_storage(file.id):
                if what == "external storage" or name not in own:
                    raise FileRefused(reason=f"it keeps data in another file, {one_line(name, 200)} ({what})")
    except (OSError, RuntimeError, ValueError, KeyError):  # damaged: its reader says in which way
        return


def _external_storage(top: Any) -> Iterator[tuple[str, str]]:
    """Yield how, and in which file, an HDF5 file keeps data elsewhere; no link is followed."""
    from h5py import h5d, h5g, h5l, h5o

    addresses: tuple[int, ...] = (h5o.get_info(top).addr,)
    waiting, known = [(top, addresses)], {*addresses}
    while waiting:
        group, above = waiting.pop()
        for name in group:
            kind = group.links.get_info(name).type
            if kind == h5l.TYPE_EXTERNAL:
                yield "external link", _text(group.links.get_val(name)[0])
            elif kind not in (h5l.TYPE_HARD, h5l.TYPE_SOFT):
                yield "user-defined link", _text(name)
            if kind != h5l.TYPE_HARD:
                continue
            info = h5o.get_info(group, name)
            if info.addr in above:
                raise FileRefused(reason="one of its groups holds itself, so that its reader would never end")
            if info.addr in known:
                continue
            known.add(info.addr)
            if len(known) > MOST_HDF5_OBJECTS:
                count = f"{MOST_HDF5_OBJECTS:,} groups and arrays"
                raise FileRefused(reason=f"it holds more than {count}, which would take its reader too long")
            if info.type == h5o.TYPE_GROUP:
                if len(above) >= DEEPEST_HDF5:
                    raise FileRefused(reason=f"its groups are nested more than {DEEPEST_HDF5} deep")
                waiting.append((h5g.open(group, name), (*above, info.addr)))
            elif info.type == h5o.TYPE_DATASET:
                yield from _stored_elsewhere(h5d.open(group, name).get_create_plist(), h5d.VIRTUAL)


def _stored_elsewhere(how: Any, virtual: int) -> Iterator[tuple[str, str]]:
    for at in range(how.get_external_count()):
        yield "external storage", _text(how.get_external(at)[0])
    if how.get_layout() == virtual:
        for at in range(how.get_virtual_count()):
            if (name := _text(how.get_virtual_filename(at))) != ".":
                yield "virtual dataset", name


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


# -- Zarr ----------------------------------------------------------------------------------------------------------


def _zarr(path: Path) -> None:
    for text in _metadata(path):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            continue  # its reader says so
        for name in _codecs(content):
            if name not in CODECS:
                raise FileRefused(
                    reason=f"it asks for the codec '{one_line(name, 60)}', which is not known to be harmless"
                )


def _metadata(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        for member in sorted(path.rglob("*")):
            if member.name in _METADATA:
                with member.open("rb") as file:
                    yield _bounded(file.read(_LARGEST_ZARR_METADATA + 1))
    elif is_zipfile(path):
        with suppress(BadZipFile, OSError, NotImplementedError), ZipFile(path) as archive:
            for name in archive.namelist():
                if name.rpartition("/")[2] in _METADATA:
                    with archive.open(name) as file:
                        yield _bounded(file.read(_LARGEST_ZARR_METADATA + 1))
    else:
        raise FileRefused(reason=f"what is called {path.suffix} is a folder, and this is a file of another kind")


def _bounded(content: bytes) -> bytes:
    if len(content) > _LARGEST_ZARR_METADATA:
        raise FileRefused(reason="its metadata are too large to be looked through")
    return content


def _codecs(content: Any) -> Iterator[str]:
    """Yield the names of all codecs in an array's metadata, or in those of many arrays."""
    if isinstance(content, list):
        for entry in content:
            yield from _codecs(entry)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key == "attributes" or key.endswith(".zattrs"):
                continue  # what people and programs noted
            if key in ("filters", "compressor", "codecs"):
                for entry in value if isinstance(value, list) else [value]:
                    if isinstance(entry, dict) and (name := entry.get("id", entry.get("name"))) is not None:
                        yield str(name).removeprefix("numcodecs.")
            if isinstance(value, dict | list):
                yield from _codecs(value)
