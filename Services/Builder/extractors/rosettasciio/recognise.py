"""Chooses the reader of a file: by its extension and, where several readers claim that, by the content."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rsciio import IO_PLUGINS

Check = Callable[[bytes, Path], bool]


def recognise(head: bytes, path: Path) -> bool:
    """Tell whether some reader takes the file."""
    return bool(plugins_for(head, path))


def plugins_for(head: bytes, path: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the readers that may read the file, the likeliest first.

    A reader that is the only one to claim the extension is taken at its word. Where there are several, those whose
    sign is found in the content remain.
    """
    extension = path.suffix.lower().removeprefix(".")
    claiming = [one for one in IO_PLUGINS if extension in (ext.lower() for ext in one["file_extensions"])]
    if path.is_dir():
        return tuple(one for one in claiming if one["name"] == "ZSPY")
    if len(claiming) < 2 and extension not in _AMBIGUOUS:
        return tuple(claiming)
    signs = sorted(claiming, key=lambda one: _ORDER.index(one["name"]) if one["name"] in _ORDER else len(_ORDER))
    chosen = [one for one in signs if SIGNS.get(one["name"], _always)(head, path)]
    if chosen or extension in _AMBIGUOUS:
        return tuple(chosen)
    # NeXus reads any HDF5 that says what its data are; of a damaged file each reader may say what is wrong
    general = [one for one in IO_PLUGINS if one["name"] == "NeXus" and head.startswith(_HDF5)]
    return (*general, *claiming)


_HDF5 = b"\x89HDF\r\n\x1a\n"
_AMBIGUOUS = ("csv", "xml", "map", "img")
"""Extensions that are in use far beyond microscopy: their one reader, too, has to find its sign."""


def _always(_head: bytes, _path: Path) -> bool:
    return True


def _first_line(head: bytes) -> list[str]:
    return [cell.strip() for cell in head.decode("latin-1").split("\n", 1)[0].split(",")]


def _number(head: bytes, offset: int = 0) -> int:
    return int(struct.unpack_from("<i", head, offset)[0]) if len(head) >= offset + 4 else -1


def _hdf5(question: Callable[[Any], bool]) -> Check:
    def check(head: bytes, path: Path) -> bool:
        if not head.startswith(_HDF5):
            return False
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return question(file)
        except OSError:  # damaged
            return False

    return check


def _is_arina(file: Any) -> bool:
    return "entry" in file and "data" in file["entry"] and "instrument" in file["entry"]


SIGNS: Mapping[str, Check] = {
    # tables: the names of the first columns, as the readers themselves ask for them
    "Impulse": lambda head, _path: "TimeStamp" in _first_line(head),
    "Protochips": lambda head, _path: {"Time", "Notes"} <= set(_first_line(head)),
    # ITEX images begin with IM, those of JEOL's Analysis Station with their version number
    "Hamamatsu": lambda head, _path: head.startswith(b"IM"),
    "JEOL": lambda head, path: path.suffix.lower() not in (".img", ".map") or _number(head) == 52,
    "EMPAD": lambda head, _path: b"raw_file" in head and b"<root" in head,
    "JobinYvon": lambda head, _path: b"LSX" in head,
    # MRCZ adds 1000 times the compressor's number to the mode of MRC
    "MRC": lambda head, _path: 0 <= _number(head, 12) < 1000,
    "MRCZ": lambda head, path: path.suffix.lower() == ".mrcz" or _number(head, 12) >= 1000,
    "HSPY": _hdf5(lambda file: file.attrs.get("file_format") == "HyperSpy" or "Experiments" in file),
    "Tofwerk": _hdf5(lambda file: "TofDAQ Version" in file.attrs or "FullSpectra" in file or "PeakData" in file),
    "USID": _hdf5(lambda file: any(str(name).startswith("Measurement_") for name in file)),
    "Delmic": _hdf5(lambda file: any(str(name).startswith("Acquisition") for name in file)),
    "Arina": _hdf5(_is_arina),
}
_ORDER = tuple(SIGNS)
