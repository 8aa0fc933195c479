"""The formats RosettaSciIO reads: what each is called, and by which sign its content is known.

Where several readers claim an extension, the one whose sign is found in the content reads the file, the first listed
here first.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from rsciio import IO_PLUGINS

from Services.Builder.extraction.extractors.faults import FileRefused
from Services.Builder.extraction.extractors.hostile import HDF5
from Services.Builder.extraction.extractors.rosettasciio import dectris, emsa, jeol_project, merlin, scans

Sign = Callable[[bytes, Path], bool]
_BLOCK = 1 << 20


def _anything(_head: bytes, _path: Path) -> bool:
    return True


def _none(_path: Path) -> dict[str, Any]:
    return {}


def _whole_bzip2(path: Path) -> dict[str, Any]:
    """Raise EOFError for a compressed file that is cut off: its reader would ask for more for ever."""
    packed = bz2.BZ2Decompressor()
    with path.open("rb") as file:
        while not packed.eof:
            block = file.read(_BLOCK) if packed.needs_input else b""
            if packed.needs_input and not block:
                raise EOFError
            packed.decompress(block, _BLOCK)
    return {}


def _whole_container(path: Path) -> dict[str, Any]:
    """Raise EOFError for a container whose last block lies behind its end: its compiled reader would crash."""
    if path.suffix.lower() == ".bcf" and end_of_container(path) > path.stat().st_size:
        raise EOFError
    return {}


def end_of_container(path: Path) -> int:
    """Return where the last block of all files in Bruker's container (.bcf) begins, in bytes; 0 without one."""
    from rsciio.bruker._api import SFS_reader

    def ends(tree: Mapping[str, Any]) -> Iterator[int]:
        for entry in tree.values():
            if isinstance(entry, Mapping):
                yield from ends(entry)
            elif len(pointers := getattr(entry, "pointers", ())):
                yield int(max(pointers))

    return max(ends(SFS_reader(str(path)).vfs), default=0)


def _packed(path: Path) -> dict[str, Any]:
    """Have compressed data read whole: the reader would take what is on disk for them."""
    with ZipFile(path) as archive:
        return {} if archive.getinfo("data.npy").compress_type == ZIP_STORED else {"lazy": False}


def _integrated(path: Path) -> dict[str, Any]:
    """Ask for the maps of the peaks, too, where the program has made them."""
    import h5py

    with h5py.File(path, "r") as file:
        return {"signal": ["sum_spectrum", "nominal_peak_data"]} if "PeakData/PeakData" in file else {}


def _whole_header(_path: Path) -> dict[str, Any]:
    """Ask for all of a spectrum's header, with its date and working distance, instead of a part."""
    return {"load_all_spc": True}


def _run_by_its_reader(_path: Path) -> dict[str, Any]:
    """Refuse EELSLab's files: their reader has attributes of the file evaluated as Python."""
    raise FileRefused(reason="the reader of netCDF files would run what is written in them as a program")


def _begins(*magic: bytes) -> Sign:
    return lambda head, _path: head.startswith(magic)


def _holds(*words: bytes) -> Sign:
    return lambda head, _path: all(word in head for word in words)


def _columns(*names: str) -> Sign:
    """Recognise a table by the names in its first line, as the readers themselves do."""
    return lambda head, _path: set(names) <= {cell.strip() for cell in _first_line(head).split(",")}


def _first_line(head: bytes) -> str:
    return head.decode("latin-1").split("\n", 1)[0]


def _number(head: bytes, offset: int = 0) -> int:
    return int(struct.unpack_from("<i", head, offset)[0]) if len(head) >= offset + 4 else -1


def _hdf5(question: Callable[[Any], bool]) -> Sign:
    def sign(head: bytes, path: Path) -> bool:
        if not head.startswith(HDF5):
            return False
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return question(file)
        except (OSError, RuntimeError, KeyError):  # damaged
            return False

    return sign


@dataclass(frozen=True, slots=True)
class Declared:
    """A format and the reader of RosettaSciIO that reads it."""

    plugin: str
    """Name of the reader."""
    name: str
    """Display name."""
    sign: Sign = _anything
    """Whether the content, of which it is given the beginning, is this format's."""
    options: Callable[[Path], dict[str, Any]] = _none
    """Arguments for the reader that the file asks for; raises where the reader would not end."""
    local_clock: bool = False
    """The reader converts times to the machine's zone and calls them UTC."""
    also: tuple[str, ...] = ()
    """Further extensions of the format, which RosettaSciIO does not list, in lower case with the dot."""
    signals: Callable[[Path], list[dict[str, Any]] | None] | None = None
    """Reads the file in the place of RosettaSciIO's reader, and returns what that would; None for one left to it."""

    @property
    def api(self) -> str:
        """Module of the reader."""
        return str(_PLUGINS[self.plugin]["api"])

    @property
    def extensions(self) -> tuple[str, ...]:
        """In lower case, with the dot."""
        return _extensions(self.plugin, self.also)


@cache
def _extensions(plugin: str, also: tuple[str, ...]) -> tuple[str, ...]:
    listed = {f".{extension.lower()}" for extension in _PLUGINS[plugin]["file_extensions"]}
    return tuple(sorted({*listed, *also}))


_PLUGINS: Mapping[str, Any] = {str(plugin["name"]): plugin for plugin in IO_PLUGINS}
_DECLARED = (
    Declared("DigitalMicrograph", "Gatan DigitalMicrograph", _begins(b"\0\0\0\3", b"\0\0\0\4")),
    Declared("TIA", "FEI TIA", _begins(b"II", b"JK", b"JL")),
    # a streak camera's axis of time as the file has it; the reader's own choice is a straight line through it
    Declared(
        "TIFF",
        "TIFF",
        _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        lambda _path: {"hamamatsu_streak_axis_type": "data"},
    ),
    # py4DSTEM calls its files .h5
    Declared(
        "EMD",
        "Electron Microscopy Dataset (EMD)",
        lambda head, path: head.startswith(HDF5) and scans.is_emd(path),
        scans.emd_options,
        also=(".h5", ".hdf5"),
    ),
    Declared("Bruker", "Bruker ESPRIT", _begins(b"AAMVHFSS", b"<?xml", b"<TRTSpectrum"), _whole_container),
    Declared("EDAX", "EDAX TEAM", options=_whole_header),
    Declared("MSA", "EMSA/MAS spectrum", _holds(b"#FORMAT"), emsa.options, signals=emsa.signals),
    Declared("Blockfile", "NanoMEGAS ASTAR block file", _begins(b"IMGBLO")),
    # MRCZ adds 1000 times the compressor's number to the mode of MRC
    Declared("MRC", "MRC", lambda head, _path: 0 <= _number(head, 12) < 1000),
    Declared("MRCZ", "MRCZ", lambda head, path: path.suffix.lower() == ".mrcz" or _number(head, 12) >= 1000),
    Declared("QuantumDetector", "Quantum Detectors MIB", _begins(b"MQ1", b"HDR"), merlin.options),
    Declared("TVIPS", "TVIPS stream", options=scans.tvips_options, local_clock=True),
    Declared("Ripple", "Lispix Ripple", _holds(b"key")),
    # ITEX images begin with IM, those of JEOL's Analysis Station with their version number
    Declared("Hamamatsu", "Hamamatsu ITEX image", _begins(b"IM")),
    Declared(
        "JEOL",
        "JEOL Analysis Station",
        lambda head, path: path.suffix.lower() not in (".img", ".map") or _number(head) == 52,
        signals=jeol_project.signals,
    ),
    Declared("Impulse", "DENSsolutions Impulse log", _columns("TimeStamp")),
    Declared("Protochips", "Protochips log", _columns("Time", "Notes")),
    Declared("EMPAD", "Thermo Fisher EMPAD", _holds(b"<root", b"raw_file")),
    Declared("JobinYvon", "HORIBA LabSpec", _holds(b"LSX")),
    Declared(
        "HSPY",
        "HyperSpy HDF5",
        _hdf5(lambda file: file.attrs.get("file_format") == "HyperSpy" or "Experiments" in file),
    ),
    Declared("ZSPY", "HyperSpy Zarr"),
    Declared(
        "Tofwerk",
        "Tofwerk FIB-SIMS",
        _hdf5(lambda file: "TofDAQ Version" in file.attrs or "FullSpectra" in file or "PeakData" in file),
        _integrated,
    ),
    Declared(
        "USID", "USID (Pycroscopy)", _hdf5(lambda file: any(str(name).startswith("Measurement_") for name in file))
    ),
    # with the pictures by electrons, which the reader leaves out where it is not asked for them
    Declared(
        "Delmic",
        "Delmic ODEMIS",
        _hdf5(lambda file: any(str(name).startswith("Acquisition") for name in file)),
        lambda _path: {"signal": "all"},
    ),
    Declared(
        "Arina",
        "DECTRIS ARINA",
        _hdf5(lambda file: "entry" in file and {"data", "instrument"} <= set(file["entry"])),
        signals=dectris.signals,
    ),
    Declared("NeXus", "NeXus", _hdf5(lambda file: any("NX_class" in group.attrs for group in file.values()))),
    Declared("DENS", "DENSsolutions heating log"),
    Declared("DigitalSurf", "Digital Surf MountainsMap surface", _begins(b"DSCOMPRESSED", b"DIGITAL SURF")),
    Declared("PantaRhei", "CEOS Panta Rhei", _begins(b"PK"), _packed),
    Declared("Phenom", "Phenom Element Identification", _begins(b"BZh"), _whole_bzip2),
    Declared("Quadstar", "Quadstar mass spectrum"),
    Declared("Renishaw", "Renishaw WiRE", _begins(b"WDF1")),
    Declared("Semper", "Semper"),
    Declared("Topspin", "NanoMEGAS Topspin", _begins(HDF5)),
    Declared("TriVista", "Princeton Instruments TriVista"),
    Declared("netCDF", "netCDF", _begins(b"CDF", HDF5), _run_by_its_reader),
    Declared("numpy", "NumPy array", _begins(b"\x93NUMPY")),
    Declared("Image", "picture"),
)
_DECLARED_PLUGINS = {reader.plugin for reader in _DECLARED}
DECLARED_READERS: tuple[Declared, ...] = (
    *(reader for reader in _DECLARED if reader.plugin in _PLUGINS),
    *(Declared(name, name) for name in sorted(_PLUGINS) if name not in _DECLARED_PLUGINS),  # of a newer RosettaSciIO
)
"""Every format, those that share an extension in the order in which they are asked."""


def readers_for(head: bytes, path: Path) -> tuple[Declared, ...]:
    """Return the readers that may read the file, the likeliest first.

    A reader that is the only one to claim the extension is taken at its word: of a damaged file it may say what is
    wrong.
    """
    extension = path.suffix.lower()
    claiming = tuple(reader for reader in DECLARED_READERS if extension in reader.extensions)
    if path.is_dir():
        return tuple(reader for reader in claiming if reader.plugin == "ZSPY")
    if len(claiming) < 2 and extension not in _COMMON:
        return claiming
    chosen = tuple(reader for reader in claiming if reader.sign(head, path))
    if chosen or extension in _COMMON:
        return chosen
    if not head.startswith(HDF5):
        return claiming
    nexus = next(reader for reader in DECLARED_READERS if reader.plugin == "NeXus")  # it reads any HDF5
    return (nexus if nexus.sign(head, path) else replace(nexus, name="HDF5"), *claiming)


_COMMON = (".csv", ".xml", ".map", ".img")
"""Extensions that are in use far beyond microscopy: their only reader, too, has to find its sign."""
