"""Files that announce more than they hold say so: the sentence, the mark, and what is there is shown."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import pytest
import tifffile

from Services.Builder.extraction.completeness import CHECKS, Count, shortfall
from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.model import Extraction
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files


def sentences_of(found: Extraction) -> list[str]:
    """Return the sentences, having looked whether the marks are there where they are."""
    sentences = [warning for warning in found.warnings if warning.endswith("it is incomplete.")]
    assert found.incomplete == bool(sentences)
    if sentences and "Data Shape" in found.meta:
        shape = found.meta["Data Shape"]
        assert (shape.warning, shape.reason) == (True, sentences[0])
    return sentences


def cut(name: str, folder: Path, keep: int, *companions: str) -> Path:
    """Return a copy of the beginning of an instrument's file, with whole copies of its companions."""
    source = DATA / name
    for companion in companions:
        shutil.copy(source.parent / companion, folder / companion)
    copy = folder / source.name
    copy.write_bytes(source.read_bytes()[:keep])
    return copy


class TestTheSentence:
    """It names both numbers, and what is counted."""

    @pytest.mark.parametrize(
        ("count", "sentence"),
        [
            (Count(1024, 512, "frames"), "The file announces 1,024 frames and holds 512: it is incomplete."),
            (Count(1, 0, "images"), "The file announces 1 image and holds 0: it is incomplete."),
            (
                Count(3, 1, "data files", elsewhere=True),
                "The file announces 3 data files, of which 1 is there: it is incomplete.",
            ),
            (Count(2, 2, "frames"), ""),
            (Count(0, 2, "frames"), ""),
            (Count(2, -1, "frames"), ""),
        ],
    )
    def test_of_a_count(self, count: Count, sentence: str) -> None:
        assert count.sentence == sentence

    def test_every_check_is_of_a_reader(self) -> None:
        assert set(CHECKS) <= {reader.plugin for reader in DECLARED_READERS}

    @pytest.mark.parametrize(
        "content", [b"", b"II*\0", b"WDF1", b"\x89HDF\r\n\x1a\n", b"\0\0\0\3", b"%!PS-Adobe-3.0 x\n" * 99]
    )
    @pytest.mark.parametrize(
        "end",
        ["tif", "wdf", "h5", "dm3", "msa", "mrc", "blo", "ser", "emi", "mib", "tvips", "spd", "img", "sbc", "bcf"],
    )
    def test_of_something_else_nothing_is_said(self, tmp_path: Path, end: str, content: bytes) -> None:
        (tmp_path / f"a.{end}").write_bytes(content)
        assert shortfall(tmp_path / f"a.{end}") == ()


@real
class TestWholeFiles:
    """A file that has all it announces gets no such sentence."""

    SHORT: ClassVar = {
        "Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi",
        "X_-_Au_NP_EELS_2.ser",
        "test_corrupted.dm3",
        "rawdata.ASW",
    }
    """Those that were stopped, cut off, or lie without their folder."""

    def test_none_of_the_instruments_files_is_called_incomplete(self) -> None:
        names = {"." + name.rpartition(".")[2] for reader in DECLARED_READERS for name in reader.extensions}
        files = [
            file for file in sorted(DATA.rglob("*")) if file.suffix.lower() in names and "_eds_SI2" not in file.name
        ]
        assert len(files) > 60
        assert {file.name for file in files if shortfall(file)} <= self.SHORT


@real
class TestCutOff:
    """Copies of instruments' files that end too early."""

    @pytest.mark.parametrize(
        ("name", "keep", "companions", "sentence"),
        [
            ("dm_rsciio/3D_EELS_SI.dm4", 200_000, (), "340,075 bytes and holds 200,000"),
            ("dm_nexus/test_STEM_image.dm3", 50_000, (), "96,396 bytes and holds 50,000"),
            ("mrc/HAADFscan.mrc", 200_000, (), "1 frame and holds 0"),
            ("blo/test1.blo", 4112 + 4 * (6 + 144 * 144), (), "6 diffraction patterns and holds 4"),
            ("tvips/test_tvips_2233_000.tvips", -10, (), "4 frames and holds 3"),
            ("mib/Quad_1_Frame_CounterDepth_12_Rows_256.mib", 300_000, (), "1 frame and holds 0"),
            ("msa/ISO_22029_2022_compliance.msa", -80, (), "21 points and holds"),
            ("quadstar/1-50amu-2cycles.sbc", 1393 - 413, (), "2 cycles and holds 1"),
            ("tif_other/test_loading_image_saved_with_imageJ_stack.tif", 100_000, (), "2 images and holds 1"),
            ("tif_fei/quanta_image.tif", 500_000, (), "bytes and holds 500,000"),
            ("hspy/4d_stem.hspy", -1000, (), "bytes and holds"),
            ("emd_velox/fei_emd_si.emd", 100_000, (), "bytes and holds 100,000"),
            ("bruker/Hitachi_TM3030Plus.bcf", 500_000, (), "bytes and holds 500,000"),
            ("tia_nexus/Titan_TEM_4_eds_line_scan_1_dataZeroed_1.ser", 400_000, (), "100 spectra and holds"),
        ],
    )
    def test_it_says_so(self, tmp_path: Path, name: str, keep: int, companions: tuple[str, ...], sentence: str) -> None:
        found = extract(cut(name, tmp_path, keep, *companions), tmp_path / "p.png", None)
        (warning,) = sentences_of(found)
        assert sentence in warning

    def test_a_series_file_that_is_missing(self, tmp_path: Path) -> None:
        emi = "tia_rsciio/16x16_STEM_BF_DF_acquire"
        path = cut(f"{emi}.emi", tmp_path, 10_000_000, "16x16_STEM_BF_DF_acquire_1.ser")
        found = extract(path, None, None, [tmp_path / "16x16_STEM_BF_DF_acquire_1.ser"])
        assert sentences_of(found) == ["The file announces 2 data files (.ser), of which 1 is there: it is incomplete."]
        assert found.dataset_type == "Image", "what is there is read"

    def test_a_series_that_was_stopped(self) -> None:
        (sentence,) = sentences_of(extract(DATA / "tia_rsciio/X_-_Au_NP_EELS_2.ser", None, None))
        assert sentence == "The file announces 2 spectra and holds 1: it is incomplete."

    def test_a_map_that_was_stopped(self, tmp_path: Path) -> None:
        path = cut("renishaw/renishaw_test_map.wdf", tmp_path, 10_000_000)
        with path.open("r+b") as file:
            file.seek(64)
            file.write(struct.pack("<Q", 12))
        (sentence,) = sentences_of(extract(path, None, None))
        assert sentence == "The file announces 12 spectra and holds 9: it is incomplete."

    def test_a_master_without_its_data(self, tmp_path: Path) -> None:
        path = cut("arina/test_00_master.h5", tmp_path, 10_000_000)
        (sentence,) = sentences_of(extract(path, None, None))
        assert sentence == "The file announces 1 data file, of which 0 are there: it is incomplete."

    def test_a_project_without_its_views(self) -> None:
        (sentence,) = sentences_of(extract(DATA / "jeol/rawdata.ASW", None, None))
        assert sentence == "The file announces 7 files, of which 0 are there: it is incomplete."

    def test_a_project_of_which_some_views_are_there(self, tmp_path: Path) -> None:
        path = cut("jeol/rawdata.ASW", tmp_path, 10_000_000)
        folder = tmp_path / "Sample/00_View000"
        folder.mkdir(parents=True)
        for name in ("View000_0000000.img", "View000_0000001.map"):
            shutil.copy(DATA / "jeol" / name, folder / name)
        found = extract(path, None, None)
        assert sentences_of(found) == ["The file announces 7 files, of which 2 are there: it is incomplete."]
        assert (found.dataset_type, found.meta["Signals"].value) == ("Image", 2)

    def test_a_raw_file_that_is_cut_off(self, tmp_path: Path) -> None:
        name = "test_ripple_sdim-2_ndim-1_uint16_meta"
        path = cut(f"ripple/{name}.rpl", tmp_path, 10_000)
        (tmp_path / f"{name}.raw").write_bytes((DATA / f"ripple/{name}.raw").read_bytes()[:40])
        (sentence,) = sentences_of(extract(path, None, None, [tmp_path / f"{name}.raw"]))
        assert sentence == "The file announces 24 values and holds 20: it is incomplete."

    def test_a_scan_whose_raw_file_is_short(self, tmp_path: Path) -> None:
        path = cut("empad/map4x4.xml", tmp_path, 1_000_000)
        raw = tmp_path / "scan_x4_y4.raw"
        text = path.read_text()
        named = text.split('raw_file filename="')[1].split('"')[0]
        raw = tmp_path / named
        raw.write_bytes(bytes(130 * 128 * 4 * 10))
        (sentence,) = sentences_of(extract(path, None, None, [raw]))
        assert sentence == "The file announces 16 diffraction patterns and holds 10: it is incomplete."


class TestMadeFiles:
    """Formats of which no instrument's file is at hand."""

    def test_a_map_of_edax(self, tmp_path: Path) -> None:
        head = struct.pack("<16s8i", b"MAPSPECTRA_DATA", 1, 12, 4, 3, 8, 2, 100, 1).ljust(100, b"\0")
        (tmp_path / "a.spd").write_bytes(head + bytes(10 * 8 * 2))
        assert shortfall(tmp_path / "a.spd") == ("The file announces 12 spectra and holds 10: it is incomplete.",)

    def test_a_streak_image(self, tmp_path: Path) -> None:
        head = struct.pack("<2s6h", b"IM", 6, 16, 12, 0, 0, 2).ljust(64, b"\0")
        (tmp_path / "a.img").write_bytes(head + b"[abc] " + bytes(9 * 16 * 2))
        assert shortfall(tmp_path / "a.img") == ("The file announces 12 lines and holds 9: it is incomplete.",)

    def test_an_array(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((4, 5)))
        assert shortfall(tmp_path / "a.npy") == ()
        content = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(content[:-16])
        assert shortfall(tmp_path / "a.npy") == ("The file announces 20 values and holds 18: it is incomplete.",)


class TestStoppedScans:
    """HDF5 gives room to what was written only; the rest reads as zeros."""

    def made(self, path: Path, written: int) -> Path:
        with h5py.File(path, "w") as file:
            group = file.create_group("entry")
            group.attrs["NX_class"], group.attrs["default"] = "NXentry", "data"
            data = group.create_group("data")
            data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "data"
            frames = data.create_dataset("data", (8, 16, 16), "u2", chunks=(1, 16, 16))
            for at in range(written):
                frames[at] = at + 1
        return path

    @pytest.mark.parametrize(
        ("written", "sentences"), [(5, ["The file announces 8 frames and holds 5: it is incomplete."]), (8, [])]
    )
    def test_frames_that_were_never_written(self, tmp_path: Path, written: int, sentences: list[str]) -> None:
        found = extract(self.made(tmp_path / "a.nxs", written), None, None)
        assert sentences_of(found) == sentences
        assert found.meta["Data Shape"].value == "8 × 16 × 16"

    def test_a_large_stack_of_imagej(self, tmp_path: Path) -> None:
        """Its images follow the one page that is described."""
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.ones((6, 32, 32), "u2"), imagej=True, truncate=True)
        with tifffile.TiffFile(path) as file:
            start = file.pages.first.dataoffsets[0]
        content = path.read_bytes()
        path.write_bytes(content[: start + 4 * 32 * 32 * 2])
        assert shortfall(path) == ("The file announces 6 images and holds 4: it is incomplete.",)

    def test_an_ome_tiff_without_all_its_planes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, np.ones((3, 16, 16), "u2"), metadata={"axes": "ZYX"})
        assert shortfall(path) == ()
        path.write_bytes(path.read_bytes().replace(b'SizeZ="3"', b'SizeZ="5"'))
        assert shortfall(path) == ("The file announces 5 planes and holds 3: it is incomplete.",)
