"""What a file does not say is not made up: days whose order is open, pixels without a size, axes without a meaning."""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.dimensions import measures
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import reading_of
from Services.Builder.model import Quantity
from tests.services.instrument_files import reads_files

pytestmark = reads_files
JUNE = datetime.fromisoformat("2016-06-05T14:05:06")
WINDOWS = 1.31096523e17
"""6 June 2016, 02:05 UTC, in Windows' way to count."""


class TestDigitalMicrograph:
    """The reader of its files takes the month for first, and says nothing."""

    def reading(self, **tags: Any) -> Reading:
        (by,) = (reader for reader in DECLARED_READERS if reader.plugin == "DigitalMicrograph")
        misread = {"General": {"date": "2016-05-06", "time": "14:05:06"}}
        original = {"ImageList": {"TagGroup0": {"ImageTags": tags}}}
        signal = {"data": np.zeros((8, 6)), "metadata": misread, "original_metadata": original}
        return reading_of(by, Path("a.dm3"), [signal])

    def test_an_image_without_windows_clock(self) -> None:
        bar = {"Acquisition Date": "5.6.2016", "Acquisition Time": "14:05:06"}
        assert self.reading(DataBar=bar).acquired == JUNE

    def test_a_spectrum_image_by_its_own_time(self) -> None:
        """Windows' clock, which is that of its end, only tells the order."""
        bar = {"Acquisition Date": "06/06/2016", "Acquisition Time (OS)": WINDOWS}
        own = {"Acquisition": {"Date": "5/6/2016", "Start time": "2:05:06 PM"}}
        assert self.reading(DataBar=bar, SI=own).acquired == JUNE

    @pytest.mark.parametrize("technique", ["EELS", "EDS", "CL"])
    def test_a_spectrum(self, technique: str) -> None:
        own = {technique: {"Acquisition": {"Date": "05.06.2016", "Start time": "14:05:06"}}}
        assert self.reading(**own).acquired == JUNE
        own[technique]["Acquisition"]["Date"] = "5/6/2016"
        assert self.reading(**own).acquired is None

    def test_where_it_stays_open_the_text_is_shown(self) -> None:
        bar = {"Acquisition Date": "5/6/2016", "Acquisition Time": "14:05:06"}
        reading = self.reading(DataBar=bar)
        shown = reading.meta["Acquisition Date"]
        assert (reading.acquired, shown) == (None, Quantity("5/6/2016 14:05:06", warning=True))
        assert "may be 6 May 2016 or 5 June 2016" in shown.reason

    def test_another_day_in_the_file_tells_the_order(self) -> None:
        bar = {"Acquisition Date": "5/6/2016", "Acquisition Time": "14:05:06"}
        assert self.reading(DataBar=bar, Calibration={"Date": "27/6/2016"}).acquired == JUNE

    def test_a_day_that_is_none_is_no_time_but_shown(self) -> None:
        bar = {"Acquisition Date": "31.2.2016", "Acquisition Time": "14:05:06"}
        reading = self.reading(DataBar=bar)
        assert (reading.acquired, reading.meta["Acquisition Date"]) == (None, Quantity("31.2.2016 14:05:06"))

    def test_a_day_in_words_is_clear(self) -> None:
        bar = {"Acquisition Date": "May 6, 2016", "Acquisition Time": "14:05:06"}
        assert self.reading(DataBar=bar).acquired == datetime.fromisoformat("2016-05-06T14:05:06")


class TestOtherSpectrometers:
    """Their readers know one order only, or none."""

    def acquired(self, plugin: str, original: dict[str, Any]) -> datetime | None:
        (by,) = (reader for reader in DECLARED_READERS if reader.plugin == plugin)
        misread = {"General": {"date": "2016-06-05", "time": "14:05:06"}}
        signal = {"data": np.zeros((8, 6)), "metadata": misread, "original_metadata": original}
        return reading_of(by, Path("a.img"), [signal]).acquired

    @pytest.mark.parametrize(("day", "expected"), [("05.06.2016", JUNE), ("6/5/2016", None), ("05/06/2016", None)])
    def test_hamamatsu(self, day: str, expected: datetime | None) -> None:
        comment = {"Application": {"Date": day, "Time": "14:05:06.0"}}
        assert self.acquired("Hamamatsu", {"Comment": comment}) == expected

    def test_horiba(self) -> None:
        assert self.acquired("JobinYvon", {"date": {"Acquired": "05.06.2016 14:05:06"}}) == JUNE


class TestFeiTiff:
    """Its day is in the order of the PC's language, too."""

    @pytest.mark.parametrize(
        ("day", "expected"), [("18.12.2017", "2017-12-18"), ("5.6.2016", "2016-06-05"), ("05/06/2016", None)]
    )
    def test_the_users_date(self, tmp_path: Path, day: str, expected: str | None) -> None:
        settings = f"[User]\r\nDate={day}\r\nTime=01:04:14 PM\r\n[Beam]\r\nBeam=EBeam\r\n"
        tag = [(34682, "s", 0, settings, True)]
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 6), "u1"), extratags=tag)
        found = extract(tmp_path / "a.tif", None, None)
        assert found.format == "FEI/Thermo Fisher TIFF"
        assert (found.acquired.date().isoformat() if found.acquired else None) == expected


class TestMrcWithoutACell:
    """A header that knows no size gives none, instead of the reader's 0 or 1 nm."""

    @pytest.mark.parametrize(
        ("intervals", "cell", "size"),
        [
            ((16, 12, 1), (160.0, 120.0, 10.0), Quantity(1, "nm")),
            ((16, 12, 1), (0.0, 0.0, 0.0), None),
            ((0, 0, 0), (160.0, 120.0, 10.0), None),
        ],
    )
    def test_a_size_only_where_there_is_one(
        self, tmp_path: Path, intervals: tuple[int, ...], cell: tuple[float, ...], size: Quantity | None
    ) -> None:
        main = bytearray(1024)
        struct.pack_into("<10i3f", main, 0, 16, 12, 1, 2, 0, 0, 0, *intervals, *cell)
        struct.pack_into("<3i", main, 64, 1, 2, 3)
        main[208:216] = b"MAP DD\0\0"
        (tmp_path / "a.mrc").write_bytes(bytes(main) + np.arange(192, dtype="<f4").tobytes())
        found = extract(tmp_path / "a.mrc", None, None)
        assert (found.meta.get("Pixel Size"), found.meta["Data Shape"]) == (size, Quantity("16 × 12"))

    @pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
    def test_no_reader_makes_a_size_of_nothing(self, scale: float) -> None:
        (by,) = (reader for reader in DECLARED_READERS if reader.plugin == "EMD")
        axes = [{"size": size, "name": name, "units": "nm", "scale": scale} for size, name in ((8, "y"), (6, "x"))]
        reading = reading_of(by, Path("a.emd"), [{"data": np.zeros((8, 6)), "metadata": {}, "axes": axes}])
        assert reading.main is not None
        assert [(axis.unit, axis.scale) for axis in reading.main.axes] == [(None, 1.0)] * 2


class TestAxesWithoutAMeaning:
    """001-37: channels are no wavelengths, and no dimension of the data is left out."""

    def test_channels_of_imagej_are_a_stack_of_images(self, tmp_path: Path) -> None:
        pixels = np.arange(2 * 24 * 32, dtype="u2").reshape(2, 24, 32)
        tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "CYX", "mode": "composite"})
        found = extract(tmp_path / "a.tif", tmp_path / "p.png", None)
        assert (found.dataset_type, found.data_type) == ("Image", "Imaging")
        assert found.meta["Data Shape"] == Quantity("2 × 32 × 24")
        assert "Wavelength Range" not in found.meta
        assert (found.preview, found.warnings) == (tmp_path / "p.png", ())

    def test_a_map_of_profiles_keeps_its_dimensions(self, tmp_path: Path) -> None:
        keys = "key\tvalue\nwidth\t8\nheight\t6\ndepth\t16\noffset\t0\ndata-length\t2\ndata-type\tunsigned\n"
        (tmp_path / "map.rpl").write_text(f"{keys}byte-order\tlittle-endian\nrecord-by\tvector\n")
        (tmp_path / "map.raw").write_bytes(np.arange(8 * 6 * 16, dtype="<u2").tobytes())
        found = extract(tmp_path / "map.rpl", tmp_path / "p.png", None, companions=[tmp_path / "map.raw"])
        assert (found.data_type, found.meta["Data Shape"]) == ("Profiles", Quantity("8 × 6 × 16"))
        assert (found.preview, found.warnings) == (tmp_path / "p.png", ())

    @pytest.mark.parametrize("shape", [(6, 16), (4, 6, 16), (2, 4, 6, 16), (2, 3, 4, 6, 16)])
    def test_of_any_number(self, shape: tuple[int, ...]) -> None:
        axes = tuple(Axis(size, navigate=place < len(shape) - 1) for place, size in enumerate(shape))
        signal = Signal(np.zeros(shape), axes)
        kind = kind_of(Reading("some format", "some reader", (signal,)), "a")
        told = str(measures(signal, kind)["Data Shape"].value)
        assert sorted(map(int, told.split(" × "))) == sorted(shape)


class TestEmpad:
    """001-25: a scan is its XML and its raw file, and both are fingerprinted."""

    XML = """<root><timestamp isoformat="2026-05-17T14:05:06-04:00"/><raw_file filename="scan.raw"/><pix_x>3</pix_x>
<pix_y>2</pix_y><scan_parameters mode="acquire"><scan_resolution_x>3</scan_resolution_x>
<scan_resolution_y>2</scan_resolution_y></scan_parameters><iom_measurements><source>x</source>
<high_voltage>200000.0</high_voltage><nominal_camera_length>0.23</nominal_camera_length>
<optics.get_full_scan_field_of_view>(1e-07, 1e-07)</optics.get_full_scan_field_of_view>
<calibrated_diffraction_angle>0.0001</calibrated_diffraction_angle></iom_measurements></root>"""

    def test_size_and_digest_of_both(self, tmp_path: Path) -> None:
        xml, raw = tmp_path / "scan.xml", tmp_path / "scan.raw"
        xml.write_text(self.XML)
        raw.write_bytes(bytes(6 * 130 * 128 * 4))
        found = extract(xml, None, None, companions=[raw])
        assert (found.format, found.data_type) == ("Thermo Fisher EMPAD", "STEM_4D")
        assert found.size == xml.stat().st_size + raw.stat().st_size
        assert found.companion_sha256 == (hashlib.sha256(raw.read_bytes()).hexdigest(),)
