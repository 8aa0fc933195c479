"""Images whose settings stand in a private tag of the file, or in a file beside it."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tifffile
from PIL import Image

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.profile import Profile
from Services.Builder.extraction.extractors.tescan_tiff.read import clock
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files


class TestSettingsFromElsewhere:
    """001-36: what a scanning microscope writes into private tags or beside the image belongs to the image."""

    JEOL = (
        "$SEM_DATA_VERSION 1\r\n$CM_FORMAT JEOL-SEM\r\n$CM_ACCEL_VOLT 15.00\r\n$CM_MAG 1000\r\n$$SM_WD 3.78\r\n"
        "$CM_DATE 2023/07/13\r\n$CM_TIME 14:38:59\r\n$CM_INSTRUMENT 7800F\r\n$$SM_MICRON_BAR 100\r\n"
        "$$SM_MICRON_MARKER 10um\r\n$CM_STAGE_POS -3.120 -3.559 4.6 0.0 0.0 0\r\n$CM_DETECTOR LED\r\n"
    )

    @pytest.mark.parametrize("suffix", [".tif", ".bmp", ".jpg"])
    def test_jeol_writes_a_text_beside(self, tmp_path, suffix):
        Image.new("L", (64, 48), 77).save(tmp_path / f"a{suffix}")
        (tmp_path / "a.txt").write_text(self.JEOL)
        found = extract(tmp_path / f"a{suffix}", tmp_path / "p.png", None, profile=Profile(zone=ZoneInfo("Asia/Tokyo")))
        assert (found.format, found.data_type, found.warnings) == ("JEOL SEM image", "SEM_Imaging", ())
        assert found.meta["Acceleration Voltage"] == Quantity(15, "kV")
        assert found.meta["Stage Z"] == Quantity(4600, "µm")
        assert found.meta["Pixel Size"] == Quantity(100, "nm")
        assert found.acquired == datetime.fromisoformat("2023-07-13T14:38:59+09:00")

    def test_another_text_beside_is_somebody_elses(self, tmp_path):
        Image.new("L", (64, 48), 77).save(tmp_path / "a.jpg")
        (tmp_path / "a.txt").write_text("$100 for the grid")
        assert extract(tmp_path / "a.jpg", None, None).format == "JPEG image"

    def test_tescans_tag_stands_in_for_the_header_beside(self, tmp_path):
        lines = b"\x99\x15\0\0\xff\xd9\0\x02\0Device=TESCAN X\nDate=2025-12-03\nTime=17:19:26\nPixelSizeX=0.000000002\n"
        lines += b"PixelSizeY=0.000000002\n\0\x01\0HV=15000.0\nStageZ=0.006\nWD=0.0059\n"
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
        tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(50431, 1, len(lines), lines, True)])
        found = extract(tmp_path / "a.tif", None, None)
        assert (found.format, found.meta["Instrument"]) == ("Tescan TIFF", Quantity("TESCAN X"))
        assert found.meta["Pixel Size"] == Quantity(2, "nm")
        assert found.meta["Acceleration Voltage"] == Quantity(15, "kV")

    def test_imagejs_unit_is_any_length(self, tmp_path):
        pixels = np.zeros((8, 8), np.uint8)
        tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"})
        found = extract(tmp_path / "a.tif", None, None)
        assert (found.format, found.meta["Pixel Size"]) == ("ImageJ TIFF", Quantity(0.25, "nm"))


class TestTescansClock:
    """001-39, 001-40: the header is in UTC where the TIFF's DateTime is a zone away from it, and doubtful elsewhere."""

    HEADER = "2025-12-03T17:19:26"

    @pytest.mark.parametrize(
        ("saved", "expected", "doubtful"),
        [
            ("2025-12-03T12:20:37", "2025-12-03T12:19:26-05:00", False),
            ("2025-12-03T22:50:00", "2025-12-03T22:49:26+05:30", False),
            ("2025-12-04T07:19:26", "2025-12-04T07:19:26+14:00", False),
            ("2025-12-03T17:20:37", HEADER, False),
            ("2025-12-03T17:19:00", HEADER, False),
            (None, HEADER, False),
            ("2025-12-03T17:39:26", HEADER, True),
            ("2025-12-05T17:19:26", HEADER, True),
        ],
    )
    def test_compared_with_the_time_of_saving(self, saved, expected, doubtful):
        found = clock(datetime.fromisoformat(self.HEADER), datetime.fromisoformat(saved) if saved else None)
        assert (found[0].isoformat(), found[1]) == (expected, doubtful)
        assert clock(None, datetime(2025, 1, 1)) == (None, False)  # noqa: DTZ001 - the instrument's clock has no zone

    @pytest.mark.parametrize(
        ("saved", "expected", "marks"),
        [
            ("2025:12:03 12:20:37", "2025-12-03T12:19:26-05:00", []),
            ("2025:12:03 17:20:37", "2025-12-03T17:19:26+09:00", []),
            ("2025:12:03 09:01:00", "2025-12-03T17:19:26+09:00", ["Creation Time"]),
        ],
    )
    def test_in_a_file(self, tmp_path, saved, expected, marks):
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
        tags = [(271, "s", 0, "TESCAN", True), (306, "s", 0, saved, True)]
        tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=tags)
        (tmp_path / "a.hdr").write_text("[MAIN]\nDate=2025-12-03\nTime=17:19:26\n[SEM]\nHV=15000\n")
        at = Profile(zone=ZoneInfo("Asia/Tokyo"))
        found = extract(tmp_path / "a.tif", None, tmp_path / "a.json", profile=at)
        assert (found.format, found.acquired) == ("Tescan TIFF", datetime.fromisoformat(expected))
        reported = json.loads((tmp_path / "a.json").read_text())["nx_meta"]
        assert (reported["Creation Time"], reported["warnings"]) == (expected, marks)

    @real
    def test_in_the_file_it_is_inferred_from(self):
        found = extract(DATA / "tif_tescan/tescan-pfib_dataZeroed.tif", None, None)
        assert found.acquired == datetime.fromisoformat("2025-12-03T17:19:26+00:00")
