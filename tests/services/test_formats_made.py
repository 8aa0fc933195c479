"""Formats of which no instrument's file is at hand: small files made with RosettaSciIO's own writers and makers."""

from __future__ import annotations

import gc
from datetime import datetime
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

from Services.Builder.extract import extract
from Services.Builder.model import Extraction, Quantity

# readers leave files open; that is theirs, and ends with the worker
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:The NestedDirectoryStore"
)


@pytest.fixture(autouse=True)
def closed():
    """Let the readers' open files go while their warnings are still ignored."""
    yield
    gc.collect()


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
    def test_read_again(self, tmp_path, writer, name, format_, keeps):
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

    def test_a_spectrum(self, tmp_path, maker):
        maker.make_raw_fixture(tmp_path / "a.h5")
        found = extract(tmp_path / "a.h5", tmp_path / "p.png", None)
        assert (found.dataset_type, found.data_type, found.warnings) == ("Spectrum", "FIB_SIMS", ())
        assert found.meta["Mass Range"] == Quantity("0 to 200 Da")


class TestHdf5IsToldApartByContent:
    """001-32: .h5 and .hdf5 belong to many programs; of what none of them wrote the arrays are shown."""

    @pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
    def test_somebody_elses(self, tmp_path, name):
        with h5py.File(tmp_path / name, "w") as file:
            file["numbers"] = np.arange(5)
        found = extract(tmp_path / name, tmp_path / "p.png", None)
        assert (found.format, found.dataset_type, found.warnings) == ("HDF5", "Misc", ())

    def test_an_empty_one(self, tmp_path):
        h5py.File(tmp_path / "a.h5", "w").close()
        found = extract(tmp_path / "a.h5", tmp_path / "p.png", None)
        assert found.dataset_type == "Unknown"
        assert "could not be read as HDF5" in found.warnings[0]
