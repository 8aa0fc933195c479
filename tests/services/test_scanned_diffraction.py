"""Diffraction patterns of scanned points, in every container that they come in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.merlin import line_of
from Services.Builder.extraction.extractors.rosettasciio.read import read
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.reader_dictionaries import kind, reading, signal, summary, uniform

pytestmark = reads_files


class TestScannedDiffraction:
    """001-38: a diffraction pattern for each point of a scan is 4D-STEM, in any container; a series is a stack."""

    FOUR = ("Diffraction", "STEM_4D", "4D")
    SERIES = ("Diffraction", "STEM_Diffraction", "stack")

    def test_frames_without_calibration_at_the_points_of_a_scan(self):
        raw = uniform(6, "", "", False), uniform(6, "", "", False)
        assert summary("HSPY", signal(uniform(3, "y", "nm", True), uniform(4, "x", "nm", True), *raw)) == self.FOUR
        stated = signal(uniform(3, "", "", True), uniform(4, "", "", True), *raw, signal_type="electron_diffraction")
        assert summary("HSPY", stated) == self.FOUR
        named = signal(uniform(3, "y", "", True), uniform(4, "x", "", True), *raw)
        assert summary("HSPY", named, name="4D-STEM_gold.hspy") == self.FOUR
        assert summary("HSPY", named, name="mosaic.hspy") == ("Image", "Imaging", "stack")

    def test_tiles_of_a_mosaic_are_pictures(self):
        tiles = signal(
            *(uniform(4, name, "nm", nav) for name, nav in zip("YXyx", (True, True, False, False), strict=True))
        )
        assert summary("HSPY", tiles) == ("Image", "Imaging", "stack")

    def test_wherever_the_axes_of_the_patterns_stand(self):
        q, r = [uniform(6, "", "1/nm", True)] * 2, [uniform(3, "", "nm", False)] * 2
        found = kind("DigitalMicrograph", signal(*q, *r))
        assert (found.data_type, found.measured, found.scanned) == ("STEM_4D", (0, 1), (2, 3))

    @pytest.mark.parametrize(("points", "expected"), [((3, 4), FOUR), ((7,), SERIES)])
    def test_empad(self, points, expected):
        scan = [uniform(size, "", "µm", True) for size in points]
        frame = uniform(128, "height", None, False), uniform(128, "width", None, False)
        assert summary("EMPAD", signal(*scan, *frame, signal_type="electron_diffraction")) == expected

    def test_direct_electron(self, tmp_path):
        (tmp_path / "a.mrc").write_bytes(bytes(1024))
        axes = [uniform(3, "y", "nm", True), uniform(4, "x", "nm", True), uniform(6, "ky", "", False)]
        found = summary("MRC", signal(*axes, uniform(6, "kx", "", False)), name=str(tmp_path / "a.mrc"))
        assert found == self.FOUR

    def test_panta_rhei(self):
        axes = [uniform(3, name, "m", name.startswith("S")) for name in ("ScanY", "ScanX", "CameraY", "CameraX")]
        assert summary("PantaRhei", signal(*axes)) == self.FOUR

    def test_a_block_file_of_one_line_keeps_its_axes(self):
        header = {"blockfile_header": {"NX": 5, "NY": 1, "SX": 2.0, "SY": 3.0, "SDP": 5000}}
        # as the reader names what is left: from the first name on
        line = uniform(5, "y", "nm", True, 3.0), uniform(8, "x", "nm", True, 2.0), uniform(8, "dy", "cm", False, 0.02)
        found = reading("Blockfile", signal(*line, signal_type="diffraction", original=header))
        assert [(axis.name, axis.unit, axis.scale) for axis in found.main.axes] == [
            ("x", "nm", 2.0), ("dy", "cm", 0.02), ("dx", "cm", 0.02)
        ]  # fmt: skip
        assert kind_of(found, "a").layout == "stack"

    @real
    @pytest.mark.parametrize(
        ("name", "shape", "calibration"),
        [
            ("arina/test_00_master.h5", "4 × 4 × 192 × 192", {"Detector Pixel Size": Quantity(100, "µm")}),
            ("py4dstem/py4DSTEM_size2x3x4x5.h5", "3 × 2 × 5 × 4", {"Step Size": Quantity(0.1267969, "nm")}),
            ("topspin/topspin_test_B.app5", "7 × 3 × 26 × 31", {"Angular Pixel Size": Quantity(0.1098694, "mrad")}),
            ("blo/test1.blo", "2 × 3 × 144 × 144", {}),
            ("tvips/test_tvips_2233_000.tvips", "2 × 2 × 3 × 3", {}),
            ("hspy/4d_stem.hspy", "20 × 20 × 40 × 50", {"Reciprocal Pixel Size": Quantity(2, "1/nm")}),
        ],
    )
    def test_instruments_files(self, name, shape, calibration, tmp_path):
        beside = list((DATA / name).parent.glob("*_data_*.h5"))
        found = extract(DATA / name, tmp_path / "a.png", None, beside)
        assert (found.dataset_type, found.data_type, found.meta["Data Shape"].value) == (
            "Diffraction",
            "STEM_4D",
            shape,
        )
        assert {key: found.meta[key] for key in calibration} == calibration
        assert found.preview is not None
        assert found.warnings == ()
        assert "Step Size" not in found.meta or "tvips" not in name, "the file holds no step of the scan"

    @real
    def test_the_reciprocal_pixels_of_py4dstem(self):
        found = read(DATA / "py4dstem/py4DSTEM_size2x3x4x5.h5")
        with h5py.File(DATA / "py4dstem/py4DSTEM_size2x3x4x5.h5") as file:
            stated = float(file["datacube_root/metadatabundle/calibration/Q_pixel_size"][()])
        assert [axis.unit for axis in found.main.axes] == ["nm", "nm", "1/Å", "1/Å"]
        assert found.main.axes[-1].scale == pytest.approx(stated)

    @real
    def test_an_empad_scan_with_its_raw_file(self, tmp_path):
        xml = tmp_path / "map4x4.xml"
        xml.write_bytes((DATA / "empad/map4x4.xml").read_bytes())
        frames = np.zeros((16, 130, 128), "<f4")
        frames[:, 64, 32] = np.arange(16)
        raw = tmp_path / "scan_x4_y4.raw"
        raw.write_bytes(frames.tobytes())
        always = TimeRange("all", datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
        (dataset,) = find_files(tmp_path, [always]).files["all"]
        assert (dataset.path, dataset.companions) == (xml, (raw,))
        found = extract(xml, tmp_path / "a.png", None, dataset.companions)
        assert (found.data_type, found.meta["Data Shape"]) == ("STEM_4D", Quantity("4 × 4 × 128 × 128"))
        assert found.preview is not None and found.warnings == ()
        main = read(xml).main
        assert float(np.asarray(main.data[3, 2, 64, 32])) == 14.0


class TestDectris:
    """001-41: frames of DECTRIS detectors are read from the files that the master file links to."""

    @staticmethod
    def made(folder: Path, frames: tuple[int, ...], step: float | None = None) -> Path:
        with h5py.File(folder / "scan_master.h5", "w") as master:
            data = master.create_group("entry/data")
            detector = master.create_group("entry/instrument/detector")
            for letter in "xy":
                detector[f"{letter}_pixel_size"] = 75e-6
                detector[f"{letter}_pixel_size"].attrs["units"] = np.bytes_("m")
            for number, count in enumerate(frames, start=1):
                name = f"scan_data_{number:06d}.h5"
                data[f"data_{number:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
                with h5py.File(folder / name, "w") as part:
                    start = sum(frames[: number - 1])
                    content = np.arange(start, start + count, dtype="u4")[:, None, None] + np.zeros((1, 6, 8), "u4")
                    part["entry/data/data"] = content
        if step is not None:
            with h5py.File(folder / "scan.h5", "w") as beside:
                beside.create_group("STEM Metadata").attrs["Pixel Size"] = [step, step]
        return folder / "scan_master.h5"

    def test_a_square_number_of_frames_is_a_scan_in_the_order_of_the_files(self, tmp_path):
        main = read(self.made(tmp_path, (7, 2), step=0.25)).main
        assert main.shape == (3, 3, 6, 8)
        assert np.asarray(main.data[:, :, 0, 0]).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
        assert [(axis.unit, axis.scale) for axis in main.axes[:3]] == [("nm", 0.25), ("nm", 0.25), ("m", 75e-6)]

    def test_another_number_is_a_series(self, tmp_path):
        found = read(self.made(tmp_path, (5, 2)))
        assert found.main.shape == (7, 6, 8)
        assert kind_of(found, "a").data_type == "STEM_Diffraction"
        assert found.main.axes[0].unit is None

    def test_a_missing_part_costs_its_frames_and_all_missing_are_named(self, tmp_path):
        master = self.made(tmp_path, (4, 5))
        (tmp_path / "scan_data_000002.h5").unlink()
        assert read(master).main.shape == (2, 2, 6, 8)
        (tmp_path / "scan_data_000001.h5").unlink()
        found = extract(master, None, None)
        assert found.dataset_type == "Unknown"
        assert "scan_data_000001.h5" in found.warnings[0]

    def test_an_odd_description_of_the_detector_does_not_cost_the_frames(self, tmp_path):
        master = self.made(tmp_path, (9,))
        with h5py.File(master, "r+") as file:
            entry, detector = file["entry"], file["entry/instrument/detector"]
            for letter, odd in (("x", [75e-6, 75e-6]), ("y", "75 micrometres")):
                del detector[f"{letter}_pixel_size"]
                detector[f"{letter}_pixel_size"] = odd
            entry["again"], detector["top"], deep = entry, file["/"], entry
            for _ in range(200):
                deep = deep.create_group("deeper")
            detector["type"] = np.dtype("f8")
            detector["text"] = np.bytes_("x" * 2_000_000)
            detector["sensor"] = "Si"
        main = read(master).main
        assert main.shape == (3, 3, 6, 8)
        assert [axis.unit for axis in main.axes[2:]] == [None, None]
        assert main.original_metadata["entry"]["instrument"]["detector"]["sensor"] == "Si"
        assert "text" not in main.original_metadata["entry"]["instrument"]["detector"]
        with h5py.File(master, "r+") as file:
            del file["entry/instrument/detector"]
            file["entry/instrument/detector"] = 3
            file["entry/data"].create_dataset("data_000002", (5, 0, 8), "u4")
        assert read(master).main.shape == (3, 3, 6, 8)


class TestMerlin:
    """001-41: the scan of a Merlin file follows from the header beside it."""

    HEADER = "HDR,\t\nFrames per Trigger (Number):\t{0}\nTrigger Start (Positive, Negative, Internal):\t{1}\n{2}End\t\n"

    @pytest.mark.parametrize(
        ("frames", "fields", "expected"),
        [
            (12, (4, "Positive", ""), (3, 4)),
            (12, (1, "Positive", "ScanX:\t6\nScanY:\t2\n"), (2, 6)),
            (9, (1, "Positive", ""), (3, 3)),
            (9, (1, "Internal", ""), (9,)),
            (10, (1, "Positive", ""), (10,)),
            (9, (), (9,)),
            (256, (), (16, 16)),
        ],
    )
    def test_lines_by_the_header_squares_by_their_trigger(self, tmp_path, frames, fields, expected):
        if fields:
            (tmp_path / "a.hdr").write_text(self.HEADER.format(*fields))
        line = line_of(tmp_path / "a.mib", frames)
        assert ((frames,) if line is None else (frames // line, line)) == expected

    def test_a_series_becomes_the_scan_that_it_is(self, tmp_path):
        (tmp_path / "a.hdr").write_text(self.HEADER.format(1, "Positive", ""))
        frames = signal(
            uniform(9, "", "", True), uniform(4, "", "", False), uniform(4, "", "", False),
            signal_type="electron_diffraction",
        )  # fmt: skip
        assert kind("QuantumDetector", frames, name=str(tmp_path / "a.mib")).layout == "4D"
        assert kind("QuantumDetector", frames, name=str(tmp_path / "b.mib")).layout == "stack"


class TestTvips:
    """001-41: a stream whose frames number the points of a scan is that scan."""

    @pytest.mark.parametrize(("frames", "mode", "expected"), [(9, 2, (3, 3)), (8, 2, (8,)), (9, 1, (9,))])
    def test_square_scans_of_patterns(self, tmp_path, frames, mode, expected):
        from rsciio.tvips import file_writer

        one = signal(uniform(frames, "time", "s", True), uniform(4, "", "1/nm", False), uniform(4, "", "1/nm", False))
        one["data"] = np.zeros((frames, 4, 4), "u2")
        file_writer(str(tmp_path / "a_000.tvips"), {**one, "attributes": {"_lazy": False}}, mode=mode)
        main = read(tmp_path / "a_000.tvips").main
        assert main.shape[:-2] == expected
        if len(expected) == 2:
            assert [axis.unit for axis in main.axes[:2]] == [None, None], "the file holds no step of the scan"
