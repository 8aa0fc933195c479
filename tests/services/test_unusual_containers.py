"""Spectra and scans in files that programs write beyond the standards: every value against what was written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from rsciio.nexus import file_writer

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio.read import read
from Services.Builder.extraction.signals.conditions import conditions_of
from Services.Builder.model import Extraction
from tests.services.instrument_files import reads_files

pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore")]
HEADER = {
    "FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "TITLE": "Körner groß", "DATE": "14-MÄR-2026",
    "TIME": "13:45", "NPOINTS": "40", "NCOLUMNS": "1", "XUNITS": "keV", "YUNITS": "counts", "DATATYPE": "Y",
    "XPERCHAN": "0.5", "OFFSET": "0.25", "SIGNALTYPE": "EDS", "BEAMKV": "20.0", "PROBECUR": "1.5", "LIVETIME": "60.25",
}  # fmt: skip
COUNTS = [100.5 + 10 * (number % 7) for number in range(40)]


def emsa(path: Path, encoding: str = "latin-1", comma: bool = False, **changed: str) -> Path:
    header = {**HEADER, **changed}
    if comma:
        decimals = ("XPERCHAN", "OFFSET", "BEAMKV", "PROBECUR", "LIVETIME")
        header = {key: value.replace(".", ",") if key in decimals else value for key, value in header.items()}
    lines = [f"#{key:<12} : {value}" for key, value in header.items()]
    counts = [str(count).replace(".", ",") if comma else f"{count}," for count in COUNTS]
    text = "\r\n".join([*lines, "#SPECTRUM     : Spectral Data Starts Here", *counts, "#ENDOFDATA    : ", ""])
    path.write_bytes(text.encode(encoding))
    return path


def values(found: Extraction) -> dict[str, object]:
    return {name: quantity.value for name, quantity in found.meta.items()}


class TestEmsa:
    """001-39: texts, dates and numbers of EMSA files from computers that are set to German."""

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
    def test_texts_in_any_encoding(self, tmp_path: Path, encoding: str) -> None:
        found = extract(emsa(tmp_path / "a.msa", encoding), None, None)
        assert values(found)["Signal Name"] == "Körner groß"
        assert found.acquired is not None and found.acquired.isoformat()[:16] == "2026-03-14T13:45"

    def test_decimal_commas(self, tmp_path: Path) -> None:
        path = emsa(tmp_path / "a.msa", comma=True, DATE="14.03.2026", TITLE="a, b 1,5")
        found = extract(path, tmp_path / "a.png", None)
        assert (found.dataset_type, found.data_type) == ("Spectrum", "SEM_EDS") and not found.warnings
        stated = values(found)
        assert (stated["Acceleration Voltage"], stated["Beam Current"], stated["Live Time"]) == (20, 1.5, 60.25)
        assert (stated["Dispersion"], stated["Energy Range"]) == (500, "0.25 to 19.75 keV")
        assert stated["Signal Name"] == "a, b 1,5"
        main = read(path).main
        assert main is not None and np.asarray(main.data).tolist() == COUNTS
        assert found.acquired is not None and found.acquired.isoformat()[:16] == "2026-03-14T13:45"

    @pytest.mark.parametrize(("voltage", "expected"), [("5.0", "SEM_CL"), ("80.0", "TEM_CL")])
    def test_cathodoluminescence(self, tmp_path: Path, voltage: str, expected: str) -> None:
        path = emsa(tmp_path / "a.msa", SIGNALTYPE="CLS", XUNITS="nm", XPERCHAN="2", OFFSET="300", BEAMKV=voltage)
        found = extract(path, None, None)
        assert (found.dataset_type, found.data_type) == ("Spectrum", expected)
        assert values(found)["Wavelength Range"] == "300 to 378 nm"


class TestNexusOfHyperSpy:
    """001-38: HyperSpy writes names of elements and axes into NeXus as arrays; they are no signals."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        axes = [
            {"_type": "UniformDataAxis", "size": size, "name": name, "units": unit, "scale": scale, "offset": offset,
             "navigate": navigate, "index_in_array": index}
            for index, (size, name, unit, scale, offset, navigate) in enumerate(
                [(4, "y", "nm", 2.5, -7.5, True), (6, "x", "nm", 2.5, 0.0, True), (300, "E", "keV", 0.03, 0.0, False)]
            )
        ]  # fmt: skip
        signal = {
            "data": np.random.default_rng(1).poisson(3, (4, 6, 300)).astype("uint16"),
            "axes": axes,
            "metadata": {
                "General": {"title": "map"},
                "Signal": {"signal_type": "EDS_TEM"},
                "Sample": {
                    "elements": np.array([b"Fe", b"Si"]),
                    "xray_lines": np.array([b"Fe_Ka", b"Si_Ka"]),
                },
                "Acquisition_instrument": {"TEM": {"beam_energy": 200.0}},
            },
            "original_metadata": {},
        }
        file_writer(str(tmp_path / "map.nxs"), signal)
        return tmp_path / "map.nxs"

    def test_elements_are_names(self, path: Path) -> None:
        found = extract(path, path.with_suffix(".png"), None)
        assert values(found)["Elements"] == "Fe, Si"
        reading = read(path)
        assert reading.main is not None
        assert conditions_of(reading, reading.main).elements == ("Fe", "Si")

    def test_axes_and_names_are_no_signals(self, path: Path) -> None:
        found = extract(path, path.with_suffix(".png"), None)
        assert "Signals" not in found.meta and not found.warnings
        assert [signal.shape for signal in read(path).signals] == [(4, 6, 300)]


class TestEmdInHdf5:
    """001-38: EMD 0.2 has the sign of an array two groups deep; under .h5 it is the same file."""

    def test_a_scan_with_its_axes(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file.attrs.update(version_major=0, version_minor=2)
            group = file.create_group("data/scan")
            group.attrs["emd_group_type"] = 1
            group["data"] = np.ones((3, 4, 8, 8), "uint16")
            steps = [("y", 3.0, "[n_m]"), ("x", 3.0, "[n_m]"), ("ky", 0.05, "[n_m^-1]"), ("kx", 0.05, "[n_m^-1]")]
            for number, (name, step, unit) in enumerate(steps):
                axis = group.create_dataset(f"dim{number + 1}", data=np.arange((3, 4, 8, 8)[number]) * step)
                axis.attrs.update(name=name, units=unit)
        found = extract(tmp_path / "scan.h5", tmp_path / "a.png", None)
        assert (found.dataset_type, found.data_type) == ("Diffraction", "STEM_4D")
        stated = values(found)
        assert (stated["Step Size"], stated["Reciprocal Pixel Size"]) == (3, 0.05)
        assert found.meta["Reciprocal Pixel Size"].unit == "1/nm" and "Signals" not in stated
