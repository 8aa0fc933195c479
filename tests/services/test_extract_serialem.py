"""The settings that SerialEM writes beside its images."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio import mdoc
from Services.Builder.extraction.extractors.rosettasciio.beside import names
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import reading_of
from Services.Builder.model import Quantity


class TestSerialEM:
    """001-36: the settings that SerialEM writes beside an MRC file."""

    TEXT = """PixelSpacing = 2.68
Voltage = 300
ImageFile = tilt.mrc

[T = SerialEM: Digitized on Titan Krios                   22-Apr-16  19:28:56 ]

[ZValue = 0]
TiltAngle = -60.01
StagePosition = 12.5 -7.25
StageZ = 3.5
Magnification = 53000
SpotSize = 8
Defocus = -4.5
ExposureTime = 1.2
Binning = 1
DateTime = 22-Apr-16  19:28:56
FilterSlitAndLoss = 20 0

[ZValue = 1]
TiltAngle = -58.0
"""

    def test_of_the_first_image(self) -> None:
        axes = [{"size": size, "name": name, "units": "nm", "scale": 0.268} for name, size in (("y", 4), ("x", 6))]
        image = {"data": np.zeros([4, 6]), "axes": axes, "metadata": {}, "mapping": {}}
        by = next(reader for reader in DECLARED_READERS if reader.plugin == "MRC")
        beside = {"original_metadata": {"mdoc": mdoc.parsed(self.TEXT), "std_header": {}}}
        found = reading_of(by, Path("tilt.mrc"), [image | beside])
        expected = {
            "Acceleration Voltage": Quantity(300, "kV"), "Stage Alpha": Quantity(-60.01, "°"),
            "Stage X": Quantity(12.5, "µm"), "Stage Y": Quantity(-7.25, "µm"), "Stage Z": Quantity(3.5, "µm"),
            "Magnification": Quantity(53000), "Defocus": Quantity(-4500, "nm"), "Exposure Time": Quantity(1.2, "s"),
            "Slit Width": Quantity(20, "eV"), "Energy Loss": Quantity(0, "eV"), "Software": Quantity("SerialEM"),
        }  # fmt: skip
        assert {name: found.meta.get(name) for name in expected} == expected
        assert found.acquired == datetime(2016, 4, 22, 19, 28, 56)  # noqa: DTZ001 - the instrument's clock

    def test_a_dataset_has_it_among_its_files(self, tmp_path: Path) -> None:
        main = np.zeros(256, "<i4")
        main[:4], main[7:10] = (6, 4, 1, 2), (6, 4, 1)
        main[10:13] = np.array([6 * 2.68, 4 * 2.68, 2.68], "<f4").view("<i4")
        main[52] = int.from_bytes(b"MAP ", "little")
        (tmp_path / "tilt.mrc").write_bytes(main.tobytes() + np.arange(24, dtype="<f4").tobytes())
        (tmp_path / "tilt.mrc.mdoc").write_text(self.TEXT)
        found = extract(tmp_path / "tilt.mrc", None, None)
        assert found.warnings == () and found.meta["Acceleration Voltage"] == Quantity(300, "kV")
        assert found.meta["Pixel Size"] == Quantity(0.268, "nm")
        assert "tilt.mrc.mdoc" in list(names(tmp_path / "tilt.mrc", list))

    def test_it_is_found_beside_the_images(self, tmp_path: Path) -> None:
        (tmp_path / "tilt.mrc.mdoc").write_text(self.TEXT)
        (one,) = mdoc.with_settings_beside(tmp_path / "tilt.mrc", [{"original_metadata": {"std_header": {}}}])
        assert one["original_metadata"]["mdoc"]["images"] == 2
        (other,) = mdoc.with_settings_beside(tmp_path / "other.mrc", [{"original_metadata": {}}])
        assert other["original_metadata"] == {}
