"""Extraction of whole files: the instruments' own, and small ones made here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from Services.Builder.extraction.extract import extract, stages
from Services.Builder.extraction.extractors.profile import profile
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import DATASET_TYPES, Quantity
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.signal_files import axis, image, saved, several

pytestmark = reads_files


@pytest.fixture(scope="module")
def extractions(tmp_path_factory):
    """Every real file, extracted by two workers."""
    target = tmp_path_factory.mktemp("out")
    jobs = [
        Job(path, target / f"{path.relative_to(DATA)}.png", target / f"{path.relative_to(DATA)}.json")
        for path in sorted(DATA.rglob("*"))
        if path.is_file()
    ]
    with Workers(2, seconds_per_file=100) as workers:
        return {str(one.path.relative_to(DATA)): one for one in workers.extract_all(jobs)}


REMARKED = {
    "empad/map4x4.xml",
    "tia_rsciio/X_-_Au_NP_EELS_2.ser",
    "tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi",
    "tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed_2.ser",
    "tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed_3.ser",
}
"""Readable, with a warning: patterns that are missing, series that were stopped."""
UNREADABLE = {
    "dm_nexus/test_corrupted.dm3": "could not be read as Gatan DigitalMicrograph 3: the file ends too early",
    "tif_fei/quanta_bad_metadata.tif": "could not be read as TIFF",
    "jeol/rawdata.ASW": "it needs the file Sample/00_View000/View000_0000000.img, which is missing",
    "ripple/test_ripple_sdim-2_ndim-1_uint16_meta.raw": "No reader is known for files of the kind '.raw'",
}

EXPECTED = {
    "blo/test1.blo": ("Diffraction", "STEM_4D"),
    "bruker/16x16_12bit_packed_8bit.bcf": ("SpectrumImage", "SEM_EDS"),
    "bruker/bruker_nano.spx": ("Spectrum", "SEM_EDS"),
    "dens/file1.dens": ("Misc", "Time_Series"),
    "digitalsurf/test_surface.sur": ("Image", "CL"),
    "dm_nexus/643_Titan_EELS_proc_intgrate_and_bg_dataZeroed.dm3": ("Image", "STEM_EELS"),
    "dm_nexus/Titan_EDS_SI_dataZeroed.dm4": ("SpectrumImage", "STEM_EDS"),
    "dm_nexus/Titan_FFT.dm3": ("Diffraction", "STEM_FFT"),
    "dm_nexus/Titan_survey_image_dataZeroed.dm3": ("Image", "STEM_Imaging"),
    "dm_rsciio/1D_test-EDS_spectrum.dm3": ("Spectrum", "STEM_EDS"),
    "dm_rsciio/2D_test-23.dm4": ("Image", "Imaging"),
    "dm_rsciio/2D_test-MonarcCL_mono-image.dm4": ("Image", "SEM_CL"),
    "dm_rsciio/2D_test_diffraction_pattern.dm3": ("Diffraction", "TEM_Diffraction"),
    "dm_rsciio/3D_EELS_SI.dm4": ("SpectrumImage", "STEM_EELS"),
    "edax/leo_edax_test.msa": ("Spectrum", "SEM_EDS"),
    "emd/Si100_3D.emd": ("Image", "STEM_Imaging"),
    "emd_velox/1532_Camera_Ceta.emd": ("Image", "TEM_Imaging"),
    "emd_velox/fei_emd_si.emd": ("SpectrumImage", "STEM_EDS"),
    "hspy/4d_stem.hspy": ("Diffraction", "STEM_4D"),
    "image/test_image_thumb_source.png": ("Image", "Imaging"),
    "mib/Quad_1_Frame_CounterDepth_12_Rows_256.mib": ("Diffraction", "TEM_Diffraction"),
    "msa/example1.msa": ("Spectrum", "TEM_EELS"),
    "phenom/Elid2Version4.elid": ("SpectrumImage", "SEM_EDS"),
    "protochips/protochips_thermal.csv": ("Misc", "Time_Series"),
    "renishaw/renishaw_test_spectrum.wdf": ("Spectrum", "Optical_Spectroscopy"),
    "text/text_preview_jeol_ansi.txt": ("Notes", "Notes"),
    "tia_nexus/Titan_TEM_4_eds_line_scan_1_dataZeroed.emi": ("SpectrumImage", "STEM_EDS"),
    "tia_rsciio/128x128-TEM_search.emi": ("Image", "TEM_Imaging"),
    "tia_rsciio/X_-_Au_NP_EELS_2.ser": ("Spectrum", "TEM_EELS"),
    "tif_fei/quanta_image.tif": ("Image", "SEM_Imaging"),
    "tif_orion/orion-zeiss_dataZeroed.tif": ("Image", "HIM_Imaging"),
    "tif_tescan/tescan-pfib_dataZeroed.tif": ("Image", "SEM_Imaging"),
    "tif_other/olympus_SIS.tif": ("Image", "TEM_Imaging"),
    "tif_other/test_loading_image_saved_with_imageJ.tif": ("Image", "TEM_Imaging"),
    "tif_other/JEOL-SightX-SAED-dummy.tif": ("Diffraction", "TEM_Diffraction"),
    "tif_other/test_tiff_Zeiss_SEM_512pix.tif": ("Image", "SEM_Imaging"),
    "tvips/test_tvips_2233_000.tvips": ("Diffraction", "STEM_4D"),
}


@real
class TestEveryInstrumentFile:
    """001-32..34, 001-42, 001-43: each yields type, metadata, JSON and preview, or a sentence why not."""

    def test_each_gives_an_extraction(self, extractions):
        assert len(extractions) == sum(path.is_file() for path in DATA.rglob("*"))
        assert all(one.dataset_type in DATASET_TYPES for one in extractions.values())

    def test_the_readable_have_a_preview_and_a_shape(self, extractions):
        for name, one in extractions.items():
            if name in UNREADABLE or name == "empad/map4x4.xml":
                continue
            assert one.preview is not None, (name, one.warnings)
            assert one.preview.read_bytes().startswith(b"\x89PNG")
            with Image.open(one.preview) as picture:
                assert max(picture.size) <= 500, name
            assert "Data Shape" in one.meta or one.dataset_type == "Notes", name
            assert one.extractor and one.format != "unknown", name

    def test_no_readable_file_has_a_warning(self, extractions):
        assert {name for name, one in extractions.items() if one.warnings} == {*UNREADABLE, *REMARKED}

    @pytest.mark.parametrize("name", UNREADABLE)
    def test_the_broken_say_why(self, extractions, name):
        one = extractions[name]
        assert (one.dataset_type, one.data_type, one.preview) == ("Unknown", "Unknown", None)
        assert UNREADABLE[name] in one.warnings[0]
        assert "Traceback" not in one.warnings[0]

    @pytest.mark.parametrize("name", EXPECTED)
    def test_each_file_has_the_expected_type(self, extractions, name):
        assert (extractions[name].dataset_type, extractions[name].data_type) == EXPECTED[name]

    def test_json_is_strict_and_complete(self, extractions):
        """001-34, 35: all that is known of a file is in nx_meta, which is flat."""

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        for name, one in extractions.items():
            assert one.metadata_json is not None
            content = json.loads(one.metadata_json.read_text("utf-8"), parse_constant=refuse)
            flat = content["nx_meta"]
            assert (flat["DatasetType"], flat["Data Type"]) == (one.dataset_type, one.data_type), name
            assert all(not isinstance(value, dict) for value in flat.values()), name
            created = datetime.fromisoformat(flat["Creation Time"])
            assert created.tzinfo is not None
            assert ("Creation Time" in flat["warnings"]) == (one.acquired is None), name
            assert one.acquired is None or created == one.acquired
            assert set(content["units"]) == {key for key, value in one.meta.items() if value.unit}

    def test_every_signal_has_a_preview(self, extractions):
        one = extractions["phenom/Elid2Version4.elid"]
        signals = json.loads(one.metadata_json.read_text("utf-8"))["signals"]
        drawn = [signal["preview"] for signal in signals]
        assert len(set(drawn)) == len(signals) == 11
        assert one.preview.name in drawn
        assert all(one.preview.with_name(name).read_bytes().startswith(b"\x89PNG") for name in drawn)

    def test_what_operators_type_once_is_marked(self, extractions):
        one = extractions["dm_nexus/Titan_FFT.dm3"]
        assert one.meta["Operator"].warning and not one.meta["Magnification"].warning
        assert "Operator" in json.loads(one.metadata_json.read_text("utf-8"))["nx_meta"]["warnings"]

    def test_text_is_clean(self, extractions):
        for one in extractions.values():
            for name, value in one.meta.items():
                assert name.isprintable() and str(value.value).isprintable(), (one.path, name)

    def test_nothing_is_left_beside_the_previews(self, extractions):
        folder = extractions["README.md"].preview.parent
        assert [path for path in folder.rglob("*") if path.suffix not in (".png", ".json") and path.is_file()] == []


@real
class TestValuesAreTheInstruments:
    """001-36, 001-39: names, units and times as a microscopist reads them."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("dm_nexus/test_STEM_image.dm3", {
                "Acceleration Voltage": (200, "kV"), "Magnification": (225000, None), "Dwell Time": (3.5, "µs"),
                "Camera Length": (135, "mm"), "Stage Z": (35.034, "µm"), "Stage Alpha": (24.95, "°"),
                "Instrument": ("FEI Titan", None), "Pixel Size": (0.248538, "nm"), "Data Shape": ("68 × 68", None)}),
            ("dm_rsciio/1D_test-EELS_spectrum.dm3", {
                "Exposure Time": (0.0035, "s"), "Convergence Angle": (21, "mrad"),
                "Energy Range": ("-100 to 923.5 eV", None), "Spectrometer": ("GIF Quantum ER", None)}),
            ("dm_rsciio/3D_EELS_SI.dm4", {
                "Collection Angle": (62, "mrad"), "Dwell Time": (20000, "µs"), "Data Shape": ("2 × 2 × 2048", None)}),
            ("emd_velox/fei_emd_image.emd", {
                "Stage X": (-9.371, "µm"), "Stage Y": (143.706, "µm"), "Dwell Time": (20, "µs"),
                "Detector": ("HAADF", None), "Screen Current": (0.2523464, "nA"), "Scan Rotation": (95, "°")}),
            ("emd_velox/1532_Camera_Ceta.emd", {
                "Exposure Time": (1, "s"), "Binning": ("2 × 2", None), "Magnification": (119714.2, None)}),
            ("tia_nexus/Titan_TEM_2_HAADF_STEM_dataZeroed.emi", {
                "Acceleration Voltage": (300, "kV"), "Dwell Time": (12, "µs"), "Stage X": (-31.415, "µm"),
                "Operator": ("USER", None)}),
            ("tia_rsciio/128x128-TEM_search.emi", {"Exposure Time": (0.1, "s"), "Detector": ("BM-Ceta", None)}),
            ("tif_fei/quanta_image.tif", {
                "Acceleration Voltage": (30, "kV"), "Dwell Time": (30, "µs"), "Stage X": (9654, "µm"),
                "Stage Tilt": (0.696, "°"), "Working Distance": (11.051, "mm"), "Magnification": (283, None),
                "Horizontal Field Width": (452.548, "µm"), "Pixel Size": (441.942, "nm"),
                "Detector": ("LFD, SE", None), "Instrument": ("Quanta FEG", None), "Operator": ("user_", None)}),
            ("tif_other/FEI-Helios-Ebeam-8bits.tif", {
                "Beam Current": (0.00625, "nA"), "Magnification": (120, None), "Stage Rotation": (-135.281, "°")}),
            ("tif_other/test_tiff_Zeiss_SEM_512pix.tif", {"Magnification": (50000, None), "Stage Z": (44678, "µm")}),
            ("bruker/16x16_12bit_packed_8bit.bcf", {
                "Stage X": (67358.85, "µm"), "Signals": (2, None), "Real Time": (0.101888, "s")}),
            ("bruker/Hitachi_TM3030Plus.bcf", {"Elements": ("Al, Cu", None)}),
            ("blo/test1.blo", {"Camera Length": (200, "mm"), "Step Size": (12.8, "nm")}),
            ("msa/ISO_22029_2022_compliance.msa", {
                "Dwell Time": (100000, "µs"), "Beam Current": (12.345, "nA"), "Collection Angle": (3.4, "mrad")}),
            ("mib/Quad_1_Frame_CounterDepth_12_Rows_256.mib", {"Dwell Time": (1000, "µs")}),
            ("tif_tescan/tescan-pfib_dataZeroed.tif", {
                "Acceleration Voltage": (15, "kV"), "Beam Current": (0.3003, "nA"), "Pixel Size": (1.5625, "nm"),
                "Stage Z": (6311.907, "µm"), "Stage Rotation": (30, "°"), "Working Distance": (5.947501, "mm"),
                "Beam Diameter": (3, "nm"), "Dwell Time": (10, "µs"), "Instrument": ("TESCAN AMBER X", None)}),
            ("tif_orion/orion-zeiss_dataZeroed.tif", {
                "Acceleration Voltage": (29.997, "kV"), "Pixel Size": (0.9765625, "nm"), "Dwell Time": (0.5, "µs"),
                "Stage X": (25157.23, "µm"), "Stage Z": (10, "µm"), "Chamber Pressure": (6.519464e-05, "Pa")}),
            ("tif_other/olympus_SIS.tif", {
                "Exposure Time": (0.367093, "s"), "Detector": ("Quemesa", None), "Pixel Size": (0.023928, "nm")}),
            ("tif_other/test_loading_image_saved_with_imageJ.tif", {
                "Acceleration Voltage": (200, "kV"), "Instrument": ("FEI Tecnai", None), "Binning": ("1 × 1", None),
                "Exposure Time": (0.5, "s"), "Pixel Size": (168.6747, "nm")}),
            ("emd/example_metadata.emd", {"Acceleration Voltage": (300, "kV"), "Operator": ("John Doe", None)}),
            ("phenom/Elid2Version4.elid", {"Signals": (11, None), "Stage X": (-2586.744, "µm")}),
        ],
    )  # fmt: skip
    def test_each_file_has_the_expected_quantities(self, extractions, name, expected):
        meta = extractions[name].meta
        found = {key: (meta[key].value, meta[key].unit) for key in expected if key in meta}
        assert found == expected

    def test_a_probe_current_that_was_not_measured_is_not_claimed(self, extractions):
        assert "Beam Current" not in extractions["dm_nexus/test_STEM_image.dm3"].meta

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("dm_nexus/Titan_FFT.dm3", "2019-07-31T15:34:12+00:00"),
            ("dm_rsciio/Fei_HAADF-UK_location.dm3", "2016-08-27T19:52:30+00:00"),
            ("emd_velox/fei_emd_image.emd", "2017-03-06T09:56:41+00:00"),
            ("tia_rsciio/16x16_STEM_BF_DF_acquire.emi", "2016-02-21T16:53:06+00:00"),
            ("tif_other/JEOL-SightX-SAED-dummy.tif", "2015-07-30T07:17:25.772534+09:00"),
        ],
    )
    def test_times_that_the_file_knows_absolutely(self, extractions, name, expected):
        assert extractions[name].acquired == datetime.fromisoformat(expected)

    def test_other_times_are_local(self, extractions):
        assert extractions["tif_fei/quanta_image.tif"].acquired == datetime(2017, 12, 18, 13, 4, 14).astimezone()


class TestSmallFiles:
    """The rules hold on files made here, so that they are tested without instruments' files."""

    def test_an_image_with_conditions(self, tmp_path):
        path = saved(
            tmp_path / "gold.hspy",
            np.arange(12.0).reshape(3, 4),
            [axis(3, "y", "um", 0.002), axis(4, "x", "um", 0.002)],
            General={"title": "bad\x01 title", "date": "2020-02-03", "time": "04:05:06", "time_zone": "UTC"},
            Acquisition_instrument={"TEM": {"beam_energy": 200.0, "Stage": {"x": 0.5}, "acquisition_mode": "STEM"}},
        )
        found = extract(path, tmp_path / "a.png", tmp_path / "a.json")
        assert (found.dataset_type, found.data_type, found.format) == ("Image", "STEM_Imaging", "HyperSpy HDF5")
        assert found.meta["Pixel Size"] == Quantity(2, "nm")
        assert found.meta["Stage X"] == Quantity(500, "µm")
        assert found.meta["Signal Name"] == Quantity("bad title")
        assert found.acquired == datetime.fromisoformat("2020-02-03T04:05:06+00:00")
        assert found.preview == tmp_path / "a.png" and found.preview.is_file()
        assert found.warnings == ()

    def test_a_spectrum_has_type_and_dispersion(self, tmp_path):
        path = saved(tmp_path / "a.msa", np.arange(16.0), [axis(16, "Energy", "eV")], Signal={"signal_type": "EELS"})
        found = extract(path, None, None)
        assert (found.dataset_type, found.meta["Dispersion"]) == ("Spectrum", Quantity(1, "eV"))
        assert (found.preview, found.metadata_json) == (None, None)

    def test_a_picture_with_a_camera_clock(self, tmp_path):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "NoName", "Chamber Camera"
        exif.get_ifd(0x8769)[0x9003] = "2021:03:04 05:06:07"
        Image.new("RGB", (40, 20), "red").save(tmp_path / "door.jpg", exif=exif)
        found = extract(tmp_path / "door.jpg", tmp_path / "p.png", None)
        assert (found.dataset_type, found.format) == ("Image", "JPEG image")
        assert found.meta["Instrument"] == Quantity("Chamber Camera")
        assert found.meta["Data Shape"] == Quantity("40 × 20")
        assert found.acquired == datetime(2021, 3, 4, 5, 6, 7).astimezone()

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_notes_in_any_encoding(self, tmp_path, encoding):
        path = tmp_path / "notes.txt"
        path.write_bytes("grid 3: 5 µm\r\nsecond line\r\n".encode(encoding))
        found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
        assert (found.dataset_type, found.meta["Lines"]) == ("Notes", Quantity(2))
        assert found.preview is not None

    def test_every_signal_has_a_preview(self, tmp_path):
        """001-33, 001-43: the main one's stands first, whichever it is."""
        found = extract(several(tmp_path / "map.hspy"), tmp_path / "map.png", None)
        assert found.preview == tmp_path / "map.png"
        assert found.further_previews == (tmp_path / "map.1.png", tmp_path / "map.2.png")
        assert all(one.read_bytes().startswith(b"\x89PNG") for one in (found.preview, *found.further_previews))

    def test_a_table_that_is_no_instruments_log_is_notes(self, tmp_path):
        (tmp_path / "people.csv").write_text("name,age\nx,3\n")
        assert extract(tmp_path / "people.csv", None, None).dataset_type == "Notes"


class TestWhereItComesFrom:
    """001-42: the JSON tells the files with size and SHA-256, the format, and what read them in which version."""

    def test_files_and_reader(self, tmp_path):
        (tmp_path / "notes.txt").write_bytes(b"abc")
        (tmp_path / "beside.hdr").write_bytes(b"")
        extract(tmp_path / "notes.txt", None, tmp_path / "p.json", [tmp_path / "beside.hdr", tmp_path / "gone"])
        content = json.loads((tmp_path / "p.json").read_text())
        assert content["files"] == [
            {"name": "notes.txt", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
            {"name": "beside.hdr", "size": 0, "sha256": hashlib.sha256(b"").hexdigest()},
            {"name": "gone", "size": None, "sha256": None},
        ]
        assert content["format"] == "plain text"
        assert content["extractor"].startswith("NexusCore ")

    def test_a_large_file_is_hashed_after_its_preview(self, tmp_path, monkeypatch):
        monkeypatch.setattr("Services.Builder.extraction.extract.HASHED_AT_ONCE", 2)
        (tmp_path / "notes.txt").write_bytes(b"abc")
        seen = [
            (
                one.preview is not None,
                one.hashing,
                json.loads((tmp_path / "p.json").read_text())["files"][0]["sha256"],
            )
            for one in stages(tmp_path / "notes.txt", tmp_path / "p.png", tmp_path / "p.json")
        ]
        digest = hashlib.sha256(b"abc").hexdigest()
        assert seen == [(False, False, None), (True, False, None), (True, True, None), (True, False, digest)]

    def test_a_small_file_on_a_slow_disk_is_hashed_after_its_preview_too(self, tmp_path, monkeypatch):
        monkeypatch.setattr("Services.Builder.extraction.extract.QUICK_SECONDS", -1.0)
        (tmp_path / "notes.txt").write_bytes(b"abc")
        *_, before, last = stages(tmp_path / "notes.txt", None, None)
        assert (before.hashing, before.sha256) == (True, "")
        assert (last.hashing, last.sha256, last.warnings) == (False, hashlib.sha256(b"abc").hexdigest(), ())

    def test_a_dataset_of_several_files(self, tmp_path, monkeypatch):
        """Its size is that of all, and each has its SHA-256; the sum of a huge one's files included."""
        (tmp_path / "notes.txt").write_bytes(b"abc")
        (tmp_path / "beside.hdr").write_bytes(b"de")
        companions = [tmp_path / "beside.hdr", tmp_path / "gone"]
        for at_once in (1000, 2):
            monkeypatch.setattr("Services.Builder.extraction.extract.HASHED_AT_ONCE", at_once)
            found = extract(tmp_path / "notes.txt", None, None, companions)
            assert (found.size, found.sha256) == (5, hashlib.sha256(b"abc").hexdigest())
            assert found.companion_sha256 == (hashlib.sha256(b"de").hexdigest(), "")
            assert found.warnings == ()

    def test_hashing_that_takes_too_long_is_said(self, tmp_path):
        """It names the file, its size, and the setting; another attempt is made when the record is built again."""
        (tmp_path / "notes.txt").write_bytes(b"abc")
        (tmp_path / "beside.raw").write_bytes(b"de")
        image(tmp_path / "a.zspy")
        companions, last = [tmp_path / "beside.raw"], tmp_path / "p.json"
        *_, found = stages(tmp_path / "notes.txt", None, last, companions, hash_seconds=-1.0)
        assert (found.size, found.sha256, found.companion_sha256) == (5, "", ("",))
        assert [sentence.split(":")[0] for sentence in found.warnings] == [
            "The SHA-256 of notes.txt is missing",
            "The SHA-256 of beside.raw is missing",
        ]
        assert found.warnings[0].endswith(
            "its 3 B are too much for the -1 s that hashing may take (Services.Builder.hash_seconds)."
        )
        assert not found.whole
        assert json.loads((tmp_path / "p.json").read_text())["remarks"] == list(found.warnings)
        *_, folder = stages(tmp_path / "a.zspy", None, None, hash_seconds=-1.0)
        assert "The SHA-256 of a.zspy is missing" in folder.warnings[0]

    def test_a_folder_that_is_one_dataset(self, tmp_path):
        """Its SHA-256 is that of what sha256sum prints of its files, in the order of their paths."""
        path = image(tmp_path / "a.zspy")
        found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
        assert (found.dataset_type, found.format, found.warnings) == ("Image", "HyperSpy Zarr", ())
        assert found.preview is not None
        command = r"find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum"
        printed = subprocess.run(command, shell=True, cwd=path, capture_output=True, text=True, timeout=60).stdout
        assert found.sha256 == printed.split()[0]
        assert found.size == sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        (reported,) = json.loads((tmp_path / "p.json").read_text())["files"]
        assert reported == {"name": "a.zspy", "size": found.size, "sha256": found.sha256}

    def test_a_profile_corrects_any_format_and_marks(self, tmp_path):
        path = saved(tmp_path / "a.msa", np.arange(16.0), [axis(16, "Energy", "eV")], Signal={"signal_type": "EELS"})
        known = profile({"set": "Instrument = Titan", "warn": "Dispersion; Creation Time", "drop": "Data Shape"})
        found = extract(path, None, tmp_path / "p.json", profile=known)
        assert found.meta["Instrument"] == Quantity("Titan")
        assert found.meta["Dispersion"].warning and "Data Shape" not in found.meta
        assert found.acquired_doubtful
        assert set(json.loads((tmp_path / "p.json").read_text())["nx_meta"]["warnings"]) == {
            "Dispersion",
            "Creation Time",
        }

    def test_a_clock_never_set_gives_no_time(self, tmp_path):
        general = {"title": "", "date": "1970-01-01", "time": "00:00:05"}
        path = saved(tmp_path / "a.hspy", np.zeros((3, 4)), [axis(3, "y", "nm"), axis(4, "x", "nm")], General=general)
        assert extract(path, None, None).acquired is None


class TestABadFileCostsOnlyItself:
    """001-32: whatever is wrong with a file, extraction returns and says so in a sentence."""

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.dm3", b"", "The file is empty."),
            ("a.dm3", b"\0\0\0\3\0\0", "as Gatan DigitalMicrograph 3: the file ends too early"),
            ("a.tif", b"not a TIFF at all", "could not be read as TIFF"),
            ("a.emd", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "Electron Microscopy Dataset (EMD)"),
            ("a.hdf5", b"nothing", "could not be read as"),
            ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "could not be read as plain image"),
            ("a.spc", b"\0" * 20, "could not be read as EDAX TEAM"),
            ("a.xyz", b"abc", "No reader is known for files of the kind '.xyz'."),
            ("noextension", b"abc", "No reader is known for files of the kind 'noextension'."),
        ],
    )
    def test_a_broken_file_is_explained(self, tmp_path, name, content, said):
        (tmp_path / name).write_bytes(content)
        found = extract(tmp_path / name, tmp_path / "p.png", tmp_path / "p.json")
        assert (found.dataset_type, found.data_type, found.preview) == ("Unknown", "Unknown", None)
        assert said in found.warnings[0]
        assert "\n" not in found.warnings[0] and len(found.warnings[0]) < 300
        assert json.loads((tmp_path / "p.json").read_text())["remarks"] == list(found.warnings)
        assert not (tmp_path / "p.png").exists()

    def test_a_missing_file_is_explained(self, tmp_path):
        assert "does not exist" in extract(tmp_path / "gone.dm3", None, None).warnings[0]

    def test_a_folder_is_of_unknown_type(self, tmp_path):
        assert extract(tmp_path, None, None).dataset_type == "Unknown"

    def test_a_name_that_is_no_utf8(self, tmp_path):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfcn.txt"))
        path.write_text("x")
        found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
        assert found.dataset_type == "Notes"
        assert json.loads((tmp_path / "p.json").read_text())["file"] == "grn.txt"

    def test_where_the_vendors_reader_gives_up_the_pixels_remain(self, tmp_path, monkeypatch):
        def give_up(*_arguments: object, **_options: object) -> None:
            raise KeyError("Scan")

        monkeypatch.setattr("rsciio.tiff.file_reader", give_up)
        settings = "[User]\r\nDate=01/02/2020\r\n[Beam]\r\nHV=5000\r\n"
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
        tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(34682, "s", 0, settings, True)])
        found = extract(tmp_path / "a.tif", tmp_path / "p.png", None)
        assert (found.dataset_type, found.format) == ("Image", "TIFF image")
        assert "could not be read as FEI/Thermo Fisher TIFF: it lacks the entry 'Scan'" in found.warnings[0]
        assert found.preview is not None

    def test_targets_that_cannot_be_written(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / "file").write_text("no folder")
        found = extract(tmp_path / "notes.txt", tmp_path / "file/p.png", tmp_path / "file/p.json")
        assert (found.dataset_type, found.preview, found.metadata_json) == ("Notes", None, None)
        assert len(found.warnings) == 2

    @real
    def test_every_truncation_of_a_real_file_is_survived(self, tmp_path):
        whole = (DATA / "dm_rsciio/2D_test_diffraction_pattern.dm3").read_bytes()
        for share in (0.001, 0.1, 0.3, 0.6, 0.9, 0.99):
            path = tmp_path / "cut.dm3"
            path.write_bytes(whole[: int(len(whole) * share)])
            found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
            assert found.dataset_type in ("Unknown", "Diffraction")
            assert found.warnings or found.preview
