"""What each format yields: over the instruments' own files and the sample session, and as a page of documentation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from Services.Builder.commands.formats import NoFiles, Yield, main, report, survey
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import DATASET_TYPES, Extraction, Quantity
from Services.Builder.sample import make_session
from tests.services.instrument_files import DATA, real

PROJECT = Path(__file__).resolve().parents[2]

LIST = Path(__file__).with_name("instrument_files.txt")
"""The files in that folder for which these tests are meant; make it anew, with the page, when others have come."""

BROKEN = {
    "test_corrupted.dm3": "it is cut off after 624 bytes",
    "quanta_bad_metadata.tif": "its directory of tags is overwritten",
    "rawdata.ASW": "the images it lists are not there",
}
"""Files that nobody can read."""

UNITLESS = {
    "1D_test-1.dm4": "two numbers typed in, never calibrated",
    "2D_test-23.dm4": "four colours typed in, never calibrated",
    "example_metadata.emd": "an array of nine numbers, never calibrated",
    "quanta_image_32bit.tif": "exported without the microscope's tags",
    "Quad_1_Frame_CounterDepth_12_Rows_256.mib": "the detector does not know the camera length",
    "simple_signal.nxs": "its axes are written without units",
    "test_RGB.sur": "its step is that of a screen of 72 dots per inch",
    "test_tvips_2233_000.tvips": "its header has the size of the camera's pixels only",
}
"""Readable files whose axes have no units in the file, and why."""

NO_CONDITIONS = {
    "1D_test-1.dm4": "typed in, not acquired",
    "2D_test-23.dm4": "typed in, not acquired",
    "4d_stem.hspy": "an array saved without any metadata",
    "focal_series.mrc": "its header holds the geometry only",
    "py4DSTEM_size2x3x4x5.h5": "an array made up for a test, with its calibration",
    "quanta_image_32bit.tif": "exported without the microscope's tags",
    "simple_signal.nxs": "of a beamline, not a microscope",
    "test_RGB.sur": "its entries for operator and time are empty",
    "test_ripple_sdim-2_ndim-1_uint16_meta.rpl": "an array made up for a test, with a title and a time",
    "test_spectrum.pro": "its entries for operator and time are empty",
    "test_surface.sur": "its entries for operator and time are empty",
    "X_-_Au_NP_EELS_2.ser": "the conditions are in an .emi, which is missing; the time is here",
}
"""Readable files that say nothing of microscope and measurement, and why."""

WITHOUT_PREVIEW = {"map4x4.xml": "its .raw is not there"}
"""Readable files whose data cannot be drawn, and why."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    made = tmp_path_factory.mktemp("sample")
    make_session(made, datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    return [DATA, made]


@pytest.fixture(scope="module")
def in_utc() -> Iterator[None]:
    """A machine in UTC: most files have a time without a zone, which is then taken for the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="module")
def yields(folders, in_utc) -> dict[str, Yield]:
    return {str(one.extraction.path): one for one in survey(folders)}


@pytest.fixture(scope="module")
def listed(yields) -> dict[str, Yield]:
    """What the files gave that these tests know, and those of the sample session."""
    names = {str(DATA / line) for line in LIST.read_text("utf-8").splitlines()}
    if missing := sorted(names - set(yields) - companions(yields)):
        pytest.skip(f"{len(missing)} of the instrument files are missing, {missing[0]} among them")
    return {path: one for path, one in yields.items() if path in names or not path.startswith(f"{DATA}/")}


def companions(yields: dict[str, Yield]) -> set[str]:
    found = find_files(DATA, [TimeRange("all", datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))])
    return {str(path) for one in found.files["all"] for path in one.companions}


def read_by_rosettasciio(yields: dict[str, Yield]) -> list[Yield]:
    return [one for one in yields.values() if "rosettasciio" in one.extraction.extractor]


@real
class TestEveryFileYields:
    """001-32, 33, 37..41, 43: each file gives a dataset; what can be read has axes, units, conditions and a preview."""

    def test_a_dataset_for_every_file(self, folders, yields):
        always = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
        found = [one for folder in folders for one in find_files(folder, [TimeRange("all", *always)]).files["all"]]
        files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
        assert {path for one in found for path in (one.path, *one.companions)} == files
        assert set(yields) == {str(one.path) for one in found}
        assert all(one.extraction.dataset_type in DATASET_TYPES for one in yields.values())

    def test_only_the_broken_are_not_read(self, listed):
        unread = {Path(path).name for path, one in listed.items() if one.extraction.dataset_type == "Unknown"}
        assert unread == set(BROKEN)
        assert all(one.extraction.warnings for one in listed.values() if one.extraction.path.name in BROKEN)

    def test_a_preview_for_everything_that_is_read(self, listed):
        without = {Path(path).name for path, one in listed.items() if not one.extraction.preview}
        assert without == {*BROKEN, *WITHOUT_PREVIEW}

    def test_axes_have_units(self, listed):
        bare = {one.extraction.path.name for one in read_by_rosettasciio(listed) if not one.units}
        assert bare == set(UNITLESS), "every exception has its reason"
        assert all(one.axes and all(one.axes) for one in read_by_rosettasciio(listed))

    def test_conditions_of_microscope_and_measurement(self, listed):
        silent = {
            one.extraction.path.name
            for one in read_by_rosettasciio(listed)
            if not set(one.conditions) - {"Signal Name"}
        }
        assert silent == set(NO_CONDITIONS), "every exception has its reason"

    def test_quantities_have_one_unit_each(self, yields):
        units: dict[str, set[str | None]] = {}
        for one in yields.values():
            for name, value in one.extraction.meta.items():
                if not isinstance(value.value, str):
                    units.setdefault(name, set()).add(value.unit)
        assert {name: found for name, found in units.items() if len(found) > 1} == {}

    def test_the_page_in_the_documentation_is_what_the_command_prints(self, listed):
        page = (PROJECT / "docs/formats.md").read_text("utf-8")
        assert page == report(listed.values()) + "\n", (
            "make it anew: python -m Services.Builder.commands.formats, see its help"
        )


class TestThePage:
    """A table of what was read, what was not at hand, what was not read, and the quantities by format."""

    def test_readable_and_unreadable_files_have_rows(self):
        good = Extraction(
            Path("a.DM3"), "Gatan DigitalMicrograph 3", "Image", "TEM_Imaging",
            meta={"Magnification": Quantity(1000), "Stage X": Quantity(1, "µm"), "Data Shape": Quantity("2 × 3")},
            acquired=datetime(2020, 1, 1, tzinfo=UTC), extractor="NexusCore 1.0, rosettasciio 0.9 (DigitalMicrograph)",
        )  # fmt: skip
        bad = Extraction(Path("b|c.ser"), "unknown", "Unknown", "Unknown", warnings=("The file is empty.",))
        text = report([Yield(good, (({"unit": "nm"}, {"unit": None}),)), Yield(bad, ())])
        row = (
            "| Gatan DigitalMicrograph 3 | `.dm3` | rosettasciio (DigitalMicrograph) | 1 | Image/TEM_Imaging | nm | 2 "
        )
        assert row + "| yes | no |" in text
        assert "| `b\\|c.ser` | The file is empty. |" in text
        assert "- **Gatan DigitalMicrograph 3**: Magnification, Stage X (µm)" in text
        assert "| Tofwerk FIB-SIMS | `.h5` | rosettasciio (Tofwerk) |" in text
        assert "| Gatan DigitalMicrograph | `.dm3`" not in text

    def test_an_empty_folder_is_an_error(self, tmp_path, capsys):
        assert main([str(tmp_path)]) == 1
        assert capsys.readouterr().err == f"Folder {tmp_path} contains no file.\n"
        with pytest.raises(NoFiles):
            list(survey([tmp_path / "missing"]))
