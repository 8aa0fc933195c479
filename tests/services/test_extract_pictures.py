"""What pictures tell of microscope and measurement in EXIF and in texts, and what of tags is damaged."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import tiff_directory
from Services.Builder.extraction.extractors.rosettasciio.vendors import vendors_for
from Services.Builder.extraction.extractors.signal import Axis
from Services.Builder.extraction.extractors.terms import applied
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.tiff_files import ome, read, sizes, values, written

pytestmark = reads_files


class TestPictures:
    """001-36, 001-39: EXIF's time, exposure and camera, PNG's texts, and the scale of Renishaw's pictures."""

    @pytest.mark.parametrize(
        ("fraction", "zone", "expected"),
        [
            ("", "", datetime.fromisoformat("2021-03-04T05:06:07")),
            ("25", "", datetime.fromisoformat("2021-03-04T05:06:07.250")),
            ("25", "+02:00", datetime(2021, 3, 4, 5, 6, 7, 250_000, timezone(timedelta(hours=2)))),
            ("x", "here", datetime.fromisoformat("2021-03-04T05:06:07")),
        ],
    )
    def test_the_time_it_was_taken(self, tmp_path: Path, fraction: str, zone: str, expected: datetime) -> None:
        exif = Image.Exif()
        exif.get_ifd(0x8769).update(
            {0x9003: "2021:03:04 05:06:07", 0x9291: fraction, 0x9011: zone, 0x829A: (1, 8)}  # type: ignore[dict-item]
        )
        exif[0x010F], exif[0x0110] = "Acme", "Cam 3"
        Image.new("L", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
        found = read(tmp_path / "a.jpg")
        assert found.acquired == expected
        assert values(found, "Instrument", "Exposure Time") == {
            "Instrument": Quantity("Cam 3"), "Exposure Time": Quantity(0.125, "s")}  # fmt: skip

    def test_a_tiffs_exif(self) -> None:
        entries = {"DateTimeOriginal": "2021:03:04 05:06:07", "SubsecTimeOriginal": "5", "OffsetTimeOriginal": "+01:00"}
        (vendor, tree), *others = vendors_for("TIFF", {"ExifTag": {**entries, "ExposureTime": (1, 8)}, "Make": "Acme"})
        assert vendor.acquired is not None and vendor.special is not None and not others
        assert vendor.acquired(tree) == datetime(2021, 3, 4, 5, 6, 7, 500_000, timezone(timedelta(hours=1)))
        assert vendor.special(tree)["Exposure Time"] == Quantity(0.125, "s")
        assert applied(vendor.rules, tree) == {"Instrument": Quantity("Acme")}

    @pytest.mark.parametrize("text", ["Thu, 04 Mar 2021 05:06:07 +0100", "2021-03-04T05:06:07+01:00"])
    def test_a_pngs_texts(self, tmp_path: Path, text: str) -> None:
        info = PngImagePlugin.PngInfo()
        for key, value in (("Creation Time", text), ("Author", "me"), ("Software", "Acme"), ("Source", "Cam")):
            info.add_text(key, value)
        Image.new("L", (8, 6)).save(tmp_path / "a.png", pnginfo=info)
        found = read(tmp_path / "a.png")
        assert found.acquired == datetime(2021, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=1)))
        assert values(found, "Operator", "Software", "Instrument") == {
            "Operator": Quantity("me"), "Software": Quantity("Acme"), "Instrument": Quantity("Cam")}  # fmt: skip

    @pytest.mark.parametrize("text", ["yesterday", "", "2021-99-99"])
    def test_a_bad_time_costs_itself(self, tmp_path: Path, text: str) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("Creation Time", text)
        info.add_text("Author", "me")
        Image.new("L", (8, 6)).save(tmp_path / "a.png", pnginfo=info)
        found = read(tmp_path / "a.png")
        assert (found.acquired, found.meta["Operator"]) == (None, Quantity("me"))

    @real
    @pytest.mark.parametrize("make", ["Renishaw", "Acme"])
    def test_the_scale_of_renishaws_pictures(self, tmp_path: Path, make: str) -> None:
        """The picture is the one within a WiRE file; of another make the same entries are of the camera's sensor."""
        content = (DATA / "renishaw/renishaw_test_map.wdf").read_bytes()
        picture = content[content.index(b"\xff\xd8\xff") :]
        (tmp_path / "a.jpg").write_bytes(picture.replace(b"Renishaw", make.encode().ljust(8, b"\0"), 1))
        found = read(tmp_path / "a.jpg")
        if make == "Acme":
            assert sizes(found) == [(1.0, None)] * 2 and "Objective Magnification" not in found.meta
            return
        with Image.open(tmp_path / "a.jpg") as image:
            stored = image.getexif().get_ifd(0x8769)
            width, height = image.size
        assert found.main is not None
        assert found.main.axes == (
            Axis(height, "y", "µm", float(stored[0xA20F]) / height, pytest.approx(-212.765)),  # type: ignore[arg-type]
            Axis(width, "x", "µm", float(stored[0xA20E]) / width, pytest.approx(-328.641)),  # type: ignore[arg-type]
        )
        assert found.meta["Objective Magnification"] == Quantity(14)


class TestTheFirstDirectory:
    """001-32: entries are found in every kind of TIFF, and a damaged one yields none."""

    @pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
    def test_in_either_byte_order_and_size(self, tmp_path: Path, order: str, big: bool) -> None:
        path = tmp_path / "a.tif"
        scale = (65450, "2I", 1, (300, 100), True)
        texts = [(51023, "s", 0, "a longer text", True), (65000, "s", 0, "b", True)]
        tifffile.imwrite(
            path, np.zeros((6, 8), np.uint8), byteorder=order, bigtiff=big, metadata=None,
            extratags=[*texts, scale, (65452, "H", 1, 3, True)],
        )  # fmt: skip
        assert tiff_directory.text(path, 51023) == "a longer text"
        assert tiff_directory.text(path, 65000) == "b"
        assert tiff_directory.rationals(path, 65450) == {65450: 3.0}
        assert tiff_directory.short(path, 65452) == 3
        assert tiff_directory.entries(path, 12345) == {}

    def test_damaged_ones_yield_nothing(self, tmp_path: Path) -> None:
        whole = written(tmp_path / "a.tif", (51023, "x" * 200)).read_bytes()
        for number, cut in enumerate(
            (whole[:4], whole[:9], whole[:60], b"II*\0\xff\xff\xff\x7f", b"MM\0+" + b"\0" * 12)
        ):
            (tmp_path / f"{number}.tif").write_bytes(cut)
            assert len(tiff_directory.entries(tmp_path / f"{number}.tif", 51023).get(51023, b"")) < 200
        huge = bytearray(whole)
        at = huge.index(struct.pack("<HH", 51023, 2))
        huge[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
        (tmp_path / "b.tif").write_bytes(huge)
        assert tiff_directory.entries(tmp_path / "b.tif", 51023) == {}


class TestDamage:
    """001-41: what is damaged in a tag or in XML costs only itself: the image and the rest are there."""

    @pytest.mark.parametrize("step", range(1, 12))
    def test_bytes_that_are_lost_or_changed(self, tmp_path: Path, step: int) -> None:
        xml = ome('PhysicalSizeX="0.25" PhysicalSizeY="0.5"', '<Channel Name="a"/><Plane ExposureTime="1"/>')
        cut = len(xml) * step // 12
        for number, text in enumerate((xml[:cut], xml[:cut] + xml[cut + 7 :], xml[:cut] + "&<\x01>" + xml[cut:])):
            found = extract(written(tmp_path / f"{number}.tif", (270, text)), None, None)
            assert (found.dataset_type, found.meta["Data Shape"]) == ("Image", Quantity("8 × 6"))

    @pytest.mark.parametrize(
        "content", ["<Fibics", "<Fibics/>", "<Fibics><Scan><Ux>inf</Ux><Vy>inf</Vy></Scan></Fibics>"]
    )
    def test_settings_without_content(self, tmp_path: Path, content: str) -> None:
        found = read(written(tmp_path / "a.tif", (51023, content)))
        assert sizes(found) == [(1.0, None)] * 2

    @pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, which the reading's log keeps
    @pytest.mark.parametrize("at", range(20, 120, 7))
    def test_exif_with_a_wrong_byte(self, tmp_path: Path, at: int) -> None:
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: "2021:03:04 05:06:07", 0xA210: 5, 0xA20E: 3.5})  # type: ignore[dict-item]
        exif[0x010F] = "Renishaw"
        Image.new("L", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
        content = bytearray((tmp_path / "a.jpg").read_bytes())
        content[at] ^= 0xFF
        (tmp_path / "a.jpg").write_bytes(content)
        found = read(tmp_path / "a.jpg")
        assert found.main is not None and found.main.shape == (6, 8)
