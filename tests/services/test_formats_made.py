"""Formats of which no instrument's file is at hand: small files made with RosettaSciIO's own writers and makers."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.profile import Profile
from Services.Builder.model import Extraction, Quantity
from tests.services.instrument_files import reads_files

pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore:The NestedDirectoryStore")]


def image() -> dict:
    axes = [
        {"_type": "UniformDataAxis", "size": size, "name": name, "units": "nm", "scale": 0.5, "offset": 0.0,
         "navigate": False, "is_binned": False}
        for size, name in ((48, "y"), (64, "x"))
    ]  # fmt: skip
    general = {"title": "gold", "date": "2020-01-02", "time": "03:04:05", "time_zone": "UTC"}
    column = {"beam_energy": 200.0, "microscope": "Titan"}
    return {
        "data": np.arange(48 * 64, dtype="f4").reshape(48, 64), "axes": axes, "original_metadata": {},
        "metadata": {"General": general, "Signal": {"signal_type": ""}, "Acquisition_instrument": {"TEM": column}},
        "attributes": {"_lazy": False, "ragged": False}, "learning_results": {}, "models": {}, "tmp_parameters": {},
        "package_info": {"package": "hyperspy", "package_version": "2.0"},
    }  # fmt: skip


def made(folder: Path, writer: str, name: str) -> Extraction:
    import_module(f"rsciio.{writer}").file_writer(str(folder / name), image())
    found = extract(folder / name, folder / "preview.png", folder / "metadata.json")
    assert found.warnings == () and found.preview is not None and found.metadata_json is not None
    assert (found.dataset_type, found.meta["Data Shape"]) == ("Image", Quantity("64 × 48"))
    return found


class TestFormatsWritten:
    """001-41: what RosettaSciIO writes is read again, with what the format has of preview, axes and conditions."""

    @pytest.mark.parametrize(
        ("writer", "name", "format_", "keeps"),
        [
            ("hspy", "a.hspy", "HyperSpy HDF5", "calibration conditions time"),
            ("hspy", "a.hdf5", "HyperSpy HDF5", "calibration conditions time"),
            ("zspy", "a.zspy", "HyperSpy Zarr", "calibration conditions time"),
            ("nexus", "a.nxs", "NeXus", "calibration conditions"),
            ("nexus", "a.h5", "NeXus", "calibration conditions"),
            ("emd", "a.emd", "Electron Microscopy Dataset (EMD)", "calibration"),
            ("semper", "a.unf", "Semper", "calibration"),
            ("tiff", "a.tif", "ImageJ TIFF", "calibration"),
            ("pantarhei", "a.prz", "CEOS Panta Rhei", ""),
            ("numpy", "a.npy", "NumPy array", ""),
        ],
    )
    def test_written_files_are_read_again(self, tmp_path, writer, name, format_, keeps):
        found = made(tmp_path, writer, name)
        assert found.format == format_
        if "calibration" in keeps:
            assert found.meta["Pixel Size"] == Quantity(0.5, "nm")
        if "conditions" in keeps:
            assert found.meta["Acceleration Voltage"] == Quantity(200, "kV")
            assert (found.meta["Instrument"], found.data_type) == (Quantity("Titan"), "TEM_Imaging")
        if "time" in keeps:
            assert found.acquired == datetime.fromisoformat("2020-01-02T03:04:05+00:00")

    def test_a_stack_of_numpy_stays_on_disk(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros((3, 8, 6), "u1"))
        assert extract(tmp_path / "a.npy", None, None).meta["Data Shape"] == Quantity("3 × 6 × 8")


class TestTofwerk:
    """001-37, 001-38: secondary-ion mass spectra: the sum spectrum, and the maps of peaks where there are any."""

    @pytest.fixture
    def maker(self):
        return pytest.importorskip("rsciio.tests.generate_tofwerk_test_files", reason="RosettaSciIO without its tests")

    def test_a_map_of_peaks(self, tmp_path, maker):
        maker.make_opened_fixture(tmp_path / "a.h5")
        found = extract(tmp_path / "a.h5", tmp_path / "p.png", None)
        assert (found.format, found.dataset_type, found.data_type) == ("Tofwerk FIB-SIMS", "SpectrumImage", "FIB_SIMS")
        assert found.meta["Acceleration Voltage"] == Quantity(30, "kV")
        assert found.meta["Step Size"] == Quantity(625, "nm")
        assert found.acquired == datetime.fromisoformat("2025-01-01T12:00:00-05:00")
        assert found.preview is not None and (tmp_path / "p.1.png").is_file()

    def test_a_sum_spectrum_is_read(self, tmp_path, maker):
        maker.make_raw_fixture(tmp_path / "a.h5")
        found = extract(tmp_path / "a.h5", tmp_path / "p.png", None)
        assert (found.dataset_type, found.data_type, found.warnings) == ("Spectrum", "FIB_SIMS", ())
        assert found.meta["Mass Range"] == Quantity("0 to 200 Da")


class TestHdf5IsToldApartByContent:
    """001-32: .h5 and .hdf5 belong to many programs; of what none of them wrote the arrays are shown."""

    @pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
    def test_unknown_hdf5_is_read_as_misc(self, tmp_path, name):
        with h5py.File(tmp_path / name, "w") as file:
            file["numbers"] = np.arange(5)
        found = extract(tmp_path / name, tmp_path / "p.png", None)
        assert (found.format, found.dataset_type, found.warnings) == ("HDF5", "Misc", ())

    def test_an_empty_one(self, tmp_path):
        h5py.File(tmp_path / "a.h5", "w").close()
        found = extract(tmp_path / "a.h5", tmp_path / "p.png", None)
        assert found.dataset_type == "Unknown"
        assert "could not be read as HDF5" in found.warnings[0]


class TestSamplesOfATiff:
    """001-33, 001-43: colours are colours, together or in planes of their own; other samples are a stack of images."""

    COLOURS = np.zeros((3, 60, 80), "u1")
    COLOURS[0, :, :40], COLOURS[1, :30], COLOURS[2] = 250, 200, 50

    def read(self, folder: Path, pixels: np.ndarray, **options) -> tuple[Extraction, Image.Image]:
        tifffile.imwrite(folder / "a.tif", pixels, **options)
        found = extract(folder / "a.tif", folder / "p.png", None)
        assert (found.dataset_type, found.data_type, found.warnings) == ("Image", "Imaging", ())
        assert found.preview is not None
        with Image.open(found.preview) as picture:
            picture.load()
        return found, picture

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("kind", ["u1", "u2"])
    @pytest.mark.parametrize("opacity", [False, True])
    def test_each_in_its_plane(self, tmp_path, byteorder, kind, opacity):
        pixels = self.COLOURS.astype(kind) * (257 if kind == "u2" else 1)
        extra: dict = {}
        if opacity:
            pixels, extra = np.concatenate([pixels, pixels[:1]]), {"extrasamples": ["unassalpha"]}
        found, picture = self.read(
            tmp_path, pixels, photometric="rgb", planarconfig="separate", byteorder=byteorder, **extra
        )
        assert (found.meta["Data Shape"], picture.size) == (Quantity("80 × 60"), (500, 375))
        # what is not opaque shows the white below it: 250 of 255 are opaque at the first place, none at the second
        expected = [(250, 201, 54), (255, 255, 255)] if opacity else [(250, 200, 50), (0, 0, 50)]
        assert [picture.getpixel(place) for place in ((100, 100), (400, 300))] == expected

    def test_interleaved_colours_are_kept(self, tmp_path):
        found, picture = self.read(tmp_path, np.moveaxis(self.COLOURS, 0, -1), photometric="rgb")
        assert (found.meta["Data Shape"], picture.getpixel((100, 100))) == (Quantity("80 × 60"), (250, 200, 50))

    def test_a_stack_of_colours(self, tmp_path):
        pixels = np.stack([self.COLOURS, self.COLOURS // 2])
        found, picture = self.read(tmp_path, pixels, photometric="rgb", planarconfig="separate")
        assert (found.meta["Data Shape"], picture.mode) == (Quantity("2 × 80 × 60"), "RGB")

    def test_colours_compressed_as_a_photograph(self, tmp_path):
        options = {"photometric": "ycbcr", "compression": "jpeg", "subsampling": (1, 1)}
        found, picture = self.read(tmp_path, np.moveaxis(self.COLOURS, 0, -1), **options)
        assert (found.meta["Data Shape"], picture.mode) == (Quantity("80 × 60"), "RGB")

    @pytest.mark.parametrize("planes", ["contig", "separate"])
    def test_other_samples_are_images(self, tmp_path, planes):
        pixels = self.COLOURS[:2] if planes == "separate" else np.moveaxis(self.COLOURS[:2], 0, -1)
        found, _ = self.read(tmp_path, pixels, photometric="minisblack", planarconfig=planes)
        assert found.meta["Data Shape"] == Quantity("2 × 80 × 60")


class TestThermoFishersMrc:
    """001-36: the extended header of EPU, Tomography and Velox tells of microscope and measurement."""

    FIELDS = (
        # name, type, value; None where the header says that it is not set
        *(("Timestamp", "d", 44900.5), ("Microscope type", "16s", b"Spectra"), ("D-Number", "16s", b"3814")),
        *(("Application", "16s", b"Velox"), ("version", "16s", b"3.7"), ("HT", "d", 300000.0), ("Dose", "d", None)),
        *(("Alpha", "d", 12.5), ("Beta", "d", 0.0), ("X", "d", 2.0e-5), ("Y", "d", -7.0e-6), ("Z", "d", None)),
        *(("", "d", None), ("", "d", None), ("", "d", None), ("", "d", None), *((("", "8s", None),) * 6)),
        *(("Defocus", "d", 1.0e-6), ("", "d", None), ("", "d", None), ("mode", "i", 2), ("projection", "i", 1)),
        *(("", "16s", None), ("", "16s", None), ("", "i", None), ("", "?", None), ("Magnification", "d", 50000.0)),
        *(("Camera length", "d", 0.0911), ("Spot", "i", 6), ("", "d", None), ("", "d", None), ("angle", "d", 0.0143)),
        *(("Illumination", "16s", b"Probe"), ("", "?", None), ("", "?", None), *((("", "d", None),) * 8)),
        *(("Integration", "d", 0.5), ("", "i", 2), ("", "i", 2), ("Camera", "16s", b"BM-Ceta")),
        *(*((("", "i", None),) * 4), ("", "?", None), ("", "i", None), ("", "?", None), ("", "?", None)),
        *(*((("", "i", None),) * 4), *((("", "i", None),) * 6), ("", "?", None), ("STEM", "16s", b"HAADF")),
        *(("", "d", 38.4), ("", "d", -1.7), *((("", "i", None),) * 5), ("Dwell", "d", 1.0e-5), ("Frame", "d", 0.001)),
    )

    def header(self, **unset: bool) -> bytes:
        entry = b""
        for first in (0, 32, 64):
            group = self.FIELDS[first : first + 32]
            values = [None if unset.get(name) else value for name, _, value in group]
            entry += struct.pack("<I", sum(1 << bit for bit, value in enumerate(values) if value is not None))
            for (_, kind, _), value in zip(group, values, strict=True):
                entry += struct.pack(f"<{kind}", (b"" if "s" in kind else 0) if value is None else value)
        return struct.pack("<ii", 768, 0) + entry.ljust(760, b"\0")

    def file(self, folder: Path, entry: bytes, name: str = "a.mrc") -> Extraction:
        main = bytearray(1024)
        struct.pack_into("<10i3f", main, 0, 16, 12, 1, 2, 0, 0, 0, 16, 12, 1, 160.0, 120.0, 10.0)
        struct.pack_into("<3i", main, 64, 1, 2, 3)
        struct.pack_into("<i", main, 92, len(entry))
        main[104:108], main[208:216] = b"FEI1", b"MAP DD\0\0"
        (folder / name).write_bytes(bytes(main) + entry + np.arange(192, dtype="<f4").tobytes())
        found = extract(folder / name, None, None, profile=Profile(zone=UTC))
        assert found.warnings == () and found.meta["Data Shape"] == Quantity("16 × 12")
        return found

    def test_of_a_scanned_image(self, tmp_path):
        found = self.file(tmp_path, self.header())
        expected = {
            "Instrument": Quantity("Spectra"), "Serial Number": Quantity("3814"), "Software": Quantity("Velox 3.7"),
            "Acceleration Voltage": Quantity(300, "kV"), "Stage Alpha": Quantity(12.5, "°"),
            "Stage X": Quantity(20, "µm"), "Camera Length": Quantity(91.1, "mm"), "Spot Size": Quantity(6),
            "Convergence Angle": Quantity(14.3, "mrad"), "Detector": Quantity("HAADF"),
            "Dwell Time": Quantity(10, "µs"), "Imaging Mode": Quantity("Diffraction"),
            "Magnification": Quantity(50000), "Acquisition Mode": Quantity("STEM"),
        }  # fmt: skip
        assert {name: found.meta.get(name) for name in expected} == expected
        assert found.data_type == "STEM_Imaging"
        assert found.acquired == datetime.fromisoformat("2022-12-05T12:00:00+00:00")
        assert {"Stage Z", "Exposure Time", "Binning", "Defocus"}.isdisjoint(found.meta)

    def test_of_a_cameras_image(self, tmp_path):
        meta = self.file(tmp_path, self.header(STEM=True, mode=True)).meta
        assert (meta["Detector"], meta["Binning"]) == (Quantity("BM-Ceta"), Quantity("2 × 2"))
        assert (meta["Exposure Time"], meta["Defocus"]) == (Quantity(0.5, "s"), Quantity(1000, "nm"))

    def test_what_is_not_set_is_left_out(self, tmp_path):
        found = self.file(tmp_path, self.header(HT=True, Timestamp=True))
        assert "Acceleration Voltage" not in found.meta and found.acquired is None

    def test_a_header_cut_off_costs_no_image(self, tmp_path):
        short = struct.pack("<i", 90) + self.header()[4:90]
        assert self.file(tmp_path, short).meta["Instrument"] == Quantity("Spectra")
