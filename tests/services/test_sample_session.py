"""The sample session: as an instrument leaves it, readable, and true to the material it shows."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from Services.Builder.sample import NaiveStart, NegativeSeed, SampleExists, SampleSession, make_session
from Services.Builder.sample.__main__ import main
from Services.Builder.sample.crystal import reflections, spacing, wavelength
from Services.Builder.sample.spectra import EMISSION_LINES, OXYGEN_EDGE, PLASMON, WHITE_LINES

ZONE = timezone(timedelta(hours=1))
START = datetime(2026, 11, 20, 9, 0, tzinfo=ZONE)
SAMPLE = "NMC811-07"
READERS = {
    ".blo": "blockfile",
    ".dm3": "digitalmicrograph",
    ".emd": "emd",
    ".hspy": "hspy",
    ".jpg": "image",
    ".mrc": "mrcz",
    ".msa": "msa",
    ".nxs": "nexus",
    ".png": "image",
    ".rpl": "ripple",
    ".tif": "tiff",
    ".tvips": "tvips",
    ".zspy": "zspy",
}


def read(path: Path, plugin: str = "") -> Any:
    """Read a file's only dataset with RosettaSciIO."""
    reader = importlib.import_module(f"rsciio.{plugin or READERS[path.suffix]}").file_reader
    options = {"nxdata_only": True} if path.suffix == ".nxs" else {}  # else each axis comes as a dataset of its own
    with warnings.catch_warnings():
        # RosettaSciIO's readers of pictures and of .mrc leave closing the file to the garbage collector.
        warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
        (dataset,) = reader(str(path), **options)
    return dataset


def axis(dataset: dict[str, Any], index: int) -> Any:
    """Values along an axis."""
    found = dataset["axes"][index]
    return found["offset"] + found["scale"] * np.arange(found["size"])


def tags(dataset: dict[str, Any]) -> Any:
    """Image tags of a DigitalMicrograph file."""
    return dataset["original_metadata"]["ImageList"]["TagGroup0"]["ImageTags"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SampleSession:
    """Make a session with its damaged file, once for this module, whose tests only read it."""
    return make_session(tmp_path_factory.mktemp("titan"), START, corrupt=True)


@pytest.fixture(scope="module")
def afternoon(session: SampleSession) -> SampleSession:
    """Make a session of another seed in the same folder, after noon and far to the west."""
    start = datetime(2026, 7, 3, 12, 30, tzinfo=timezone(timedelta(hours=-7)))
    return make_session(session.files[0].parents[2], start, seed=5)


@pytest.fixture(scope="module")
def find(session: SampleSession) -> Callable[[str], Path]:
    """Find a file of the session by the end of its path."""

    def find(end: str) -> Path:
        (path,) = (path for path in session.files if path.as_posix().endswith(end))
        return path

    return find


def modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, ZONE)


class TestLooksAsAnInstrumentLeftIt:
    """001-25, 001-30, 001-31: files in the operator's folders, in five bursts by modification time, of many formats."""

    def test_forty_files_of_many_types_in_the_operators_folders(self, session: SampleSession) -> None:
        assert len(session.files) == 42
        assert len({path.suffix for path in session.files}) == 15
        assert {path.parents[1].name for path in session.files} >= {SAMPLE, "area1", "area2"}
        assert all(SAMPLE in path.parts and path.is_file() for path in session.files)
        assert sorted(session.files) == sorted(itertools.chain(*session.bursts))

    def test_five_bursts_with_pauses_between(self, session: SampleSession) -> None:
        times = [[modified(path) for path in burst] for burst in session.bursts]
        assert len(times) == 5
        for burst in times:
            assert burst == sorted(burst)
            assert all(later - earlier <= timedelta(minutes=1) for earlier, later in itertools.pairwise(burst))
        for earlier, later in itertools.pairwise(times):
            assert timedelta(minutes=8) <= later[0] - earlier[-1] <= timedelta(minutes=25)

    def test_every_file_falls_into_the_session(self, session: SampleSession) -> None:
        assert session.start == START
        assert timedelta(minutes=80) < session.end - session.start < timedelta(minutes=110)
        assert all(session.start < modified(path) < session.end for path in session.files)

    def test_small_enough_to_make_it_anywhere(self, session: SampleSession) -> None:
        assert sum(path.stat().st_size for path in session.files) < 25e6

    @pytest.mark.parametrize("seed", range(50))
    def test_the_plan_keeps_its_bounds_for_any_seed(self, seed: int) -> None:
        from Services.Builder.sample.plan import schedule

        times = schedule([8] * 5, START, seed)
        gaps = [later[0] - earlier[-1] for earlier, later in itertools.pairwise(times)]
        steps = [later - earlier for burst in times for earlier, later in itertools.pairwise(burst)]
        assert all(timedelta(minutes=8) <= gap <= timedelta(minutes=25) for gap in gaps)
        assert all(timedelta(seconds=5) <= step <= timedelta(minutes=1) for step in steps)


class TestEveryFileIsReadBack:
    """001-28, 001-41: RosettaSciIO reads each file with the axes and the instrument's metadata it was written with."""

    @pytest.mark.parametrize(
        ("end", "shape", "scales", "units"),
        [
            ("HAADF_survey_001.emd", (512, 512), (8, 8), ("nm", "nm")),
            ("SEM_002.tif", (556, 768), (5.20833e-8, 5.20833e-8), ("m", "m")),
            ("BF_survey_002.dm3", (512, 512), (3, 3), ("nm", "nm")),
            ("HAADF_before.dm3", (512, 512), (2, 2), ("nm", "nm")),
            ("spot1_particle.msa", (2048,), (0.01,), ("keV",)),
            ("EDS_spectrum.dm3", (2048,), (0.01,), ("keV",)),
            ("map1.rpl", (30, 30, 1024), (27, 27, 0.01), ("nm", "nm", "keV")),
            ("map2.hspy", (30, 30, 1024), (27, 27, 0.01), ("nm", "nm", "keV")),
            ("lowloss_001.dm3", (2048,), (0.1,), ("eV",)),
            ("core_001_bulk.dm3", (1024,), (0.5,), ("eV",)),
            ("core_003_bulk.msa", (1024,), (0.5,), ("eV",)),
            ("SI_surface.dm3", (1024, 16, 24), (0.5, 2, 2), ("eV", "nm", "nm")),
            ("t_over_lambda.nxs", (96, 96), (10, 10), ("nm", "nm")),
            ("SAED_003_powder.dm3", (512, 512), (0.039874, 0.039874), ("1/nm", "1/nm")),
            ("precession.blo", (16, 16, 80, 80), (6, 6, 0.014, 0.014), ("nm", "nm", "cm", "cm")),
            ("4DSTEM_boundary.zspy", (12, 12, 128, 128), (8, 8, 0.12, 0.12), ("nm", "nm", "1/nm", "1/nm")),
            ("beam_damage_000.tvips", (12, 200, 200), (1, 1, 1), ("s", "nm", "nm")),
            ("HRTEM_001.dm3", (1024, 1024), (0.035, 0.035), ("nm", "nm")),
            ("HRTEM_003.tif", (1024, 1024), (0.035, 0.035), ("nm", "nm")),
            ("focal_series.mrc", (5, 320, 320), (12, 0.05, 0.05), ("nm", "nm", "nm")),
        ],
    )
    def test_shape_and_axes(
        self,
        find: Callable[[str], Path],
        end: str,
        shape: tuple[int, ...],
        scales: tuple[float, ...],
        units: tuple[str, ...],
    ) -> None:
        dataset = read(find(end))
        assert dataset["data"].shape == shape
        assert [one["scale"] for one in dataset["axes"]] == pytest.approx(scales, rel=2e-4)
        assert [one["units"] for one in dataset["axes"]] == list(units)
        assert np.ptp(dataset["data"]) > 0

    def test_no_file_is_left_out(self, session: SampleSession) -> None:
        for path in session.files:
            if path.suffix in READERS and path not in session.corrupt:
                assert read(path)["data"].size, path

    def test_other_programs_see_the_pixel_size_of_the_mrc_too(self, find: Callable[[str], Path]) -> None:
        dataset = read(find("focal_series.mrc"), "mrc")
        assert [one["scale"] for one in dataset["axes"]][1:] == pytest.approx([0.05, 0.05])

    @pytest.mark.parametrize("end", ["map2.hspy", "4DSTEM_boundary.zspy", "t_over_lambda.nxs", "focal_series.mrc"])
    def test_microscope_in_hyperspys_convention(self, find: Callable[[str], Path], end: str) -> None:
        tem = read(find(end))["metadata"]["Acquisition_instrument"]["TEM"]
        assert tem["beam_energy"] == 200
        assert tem["microscope"] == "FEI Titan 80-300"
        assert set(tem["Stage"]) == {"x", "y", "z", "tilt_alpha", "tilt_beta"}

    def test_digitalmicrograph_tags_name_the_technique(self, find: Callable[[str], Path]) -> None:
        pattern, image, scan = (
            tags(read(find(name))) for name in ("SAED_002_zone100.dm3", "HRTEM_001.dm3", "HAADF_before.dm3")
        )
        assert pattern["Microscope Info"]["Imaging Mode"] == "DIFFRACTION"
        assert pattern["Microscope Info"]["Indicated Magnification"] == 560  # the camera length in mm
        assert image["Microscope Info"]["Imaging Mode"] == "IMAGING"
        assert image["Acquisition"]["Parameters"]["High Level"]["Binning"] == (2, 2)
        assert scan["Microscope Info"]["Illumination Mode"] == "STEM NANOPROBE"
        assert scan["DigiScan"]["Sample Time"] == 8.0
        assert {one["Microscope Info"]["Voltage"] for one in (pattern, image, scan)} == {200e3}
        assert {one["Session Info"]["Specimen"] for one in (pattern, image, scan)} == {SAMPLE}

    @pytest.mark.parametrize(
        ("end", "kind"), [("EDS_spectrum.dm3", "EDS_TEM"), ("core_002_surface.dm3", "EELS"), ("SI_surface.dm3", "EELS")]
    )
    def test_spectra_know_what_they_are(self, find: Callable[[str], Path], end: str, kind: str) -> None:
        assert read(find(end))["metadata"]["Signal"]["signal_type"] == kind

    def test_scanning_image_has_the_text_of_its_instrument(self, find: Callable[[str], Path]) -> None:
        text = read(find("SEM_001.tif"))["original_metadata"]["fei_metadata"]
        assert text["Beam"]["HV"] == 5000
        assert text["Scan"]["HorFieldsize"] == pytest.approx(120e-6)
        assert text["Scan"]["PixelWidth"] * text["Image"]["ResolutionX"] == pytest.approx(120e-6)
        assert text["System"]["SystemType"] == "Helios G4 UX"
        assert text["Detectors"]["Name"] == "ETD"


class TestTimesInTheFilesAreTheTimesOfTheFiles:
    """001-39: the time of acquisition that a file holds is its modification time, on the instrument's clock."""

    def test_digitalmicrograph_has_the_file_time(self, session: SampleSession) -> None:
        for path in session.files:
            if path.suffix == ".dm3":
                bar = tags(read(path))["DataBar"]
                written = datetime.strptime(
                    f"{bar['Acquisition Date']} {bar['Acquisition Time']}", "%m/%d/%Y %I:%M:%S %p"
                ).replace(tzinfo=ZONE)
                assert written == modified(path), path

    @pytest.mark.parametrize(
        "end", ["map1.rpl", "map2.hspy", "4DSTEM_boundary.zspy", "focal_series.mrc", "HRTEM_003.tif"]
    )
    def test_general_metadata_has_the_file_time(self, find: Callable[[str], Path], end: str) -> None:
        general = read(find(end))["metadata"]["General"]
        assert f"{general['date']}T{general['time']}" == f"{modified(find(end)):%Y-%m-%dT%H:%M:%S}"

    def test_msa_to_the_minute(self, session: SampleSession) -> None:
        for path in session.files:
            if path.suffix == ".msa":
                general = read(path)["metadata"]["General"]
                assert f"{general['date']}T{general['time']}" == f"{modified(path):%Y-%m-%dT%H:%M:00}"

    def test_formats_with_a_clock_of_their_own(self, find: Callable[[str], Path]) -> None:
        film = find("beam_damage_000.tvips")
        assert read(film)["axes"][0]["offset"] == film.stat().st_mtime  # seconds since 1970
        block = find("precession.blo")
        days = read(block)["original_metadata"]["blockfile_header"]["Acquisition_time"]  # since 1899-12-30, UTC
        moment = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(days=float(days))
        assert abs(moment - modified(block)) < timedelta(seconds=1)
        table = find("t_over_lambda.nxs")
        assert read(table)["original_metadata"]["start_time"] == modified(table).isoformat()
        (moment,) = read(find("HAADF_survey_001.emd"))["original_metadata"]["comments"]
        assert moment == modified(find("HAADF_survey_001.emd")).isoformat()

    def test_pictures_and_notes(self, find: Callable[[str], Path]) -> None:
        photo = find("grid_in_holder.jpg")
        with Image.open(photo) as picture:
            assert picture.getexif().get_ifd(0x8769)[0x9003] == f"{modified(photo):%Y:%m:%d %H:%M:%S}"
        scanning = find("SEM_001.tif")
        user = read(scanning)["original_metadata"]["fei_metadata"]["User"]
        assert f"{user['Date']} {user['Time']}" == f"{modified(scanning):%m/%d/%Y %I:%M:%S} AM"
        assert f"{modified(find('notes.txt')):%Y-%m-%d %H:%M}" in find("notes.txt").read_text("utf-8")

    def test_after_noon_in_another_zone(self, afternoon: SampleSession) -> None:
        (path,) = (path for path in afternoon.files if path.name == "HAADF_before.dm3")
        moment = datetime.fromtimestamp(path.stat().st_mtime, afternoon.start.tzinfo)
        bar = tags(read(path))["DataBar"]
        assert bar["Acquisition Date"] == "7/3/2026"
        assert bar["Acquisition Time"] == f"{moment.hour % 12 or 12}:{moment:%M:%S} PM"


class TestTheSampleIsReal:
    """Spacings, line energies and edges measured in the files are those of NMC811 and of the elements in it."""

    def test_wavelength_and_spacings_are_the_textbooks(self) -> None:
        assert wavelength(200) == pytest.approx(0.002508, abs=1e-6)
        assert wavelength(300) == pytest.approx(0.001969, abs=1e-6)
        assert spacing(0, 0, 3) == pytest.approx(0.473, abs=1e-3)
        assert spacing(1, 0, 4) == pytest.approx(0.2037, abs=1e-3)
        powder = reflections(8)
        assert powder.lengths == pytest.approx([1 / spacing(*map(int, hkl)) for hkl in powder.indices])

    @pytest.mark.parametrize("end", ["HRTEM_001.dm3", "HRTEM_002.dm3", "HRTEM_003.dm3", "HRTEM_003.tif"])
    @pytest.mark.parametrize("plane", [(0, 0, 3), (0, 1, -4)])
    def test_lattice_spacing_in_high_resolution_images(
        self, find: Callable[[str], Path], end: str, plane: tuple[int, int, int]
    ) -> None:
        dataset = read(find(end))
        size, pixel = dataset["data"].shape[0], dataset["axes"][0]["scale"]
        window = np.hanning(size)
        power = np.abs(np.fft.fft2((dataset["data"] - dataset["data"].mean()) * window[:, None] * window))
        radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size) * size] * 2))  # in pixels of the transform
        expected = size * pixel / spacing(*plane)
        near = np.abs(radius - expected) < 0.1 * expected
        assert abs(radius[near][power[near].argmax()] - expected) <= 1

    def test_spots_lie_at_the_reciprocal_lattice(self, find: Callable[[str], Path]) -> None:
        dataset = read(find("SAED_002_zone100.dm3"))
        pattern, pixel = dataset["data"].astype(float), dataset["axes"][0]["scale"]
        y, x = np.meshgrid(axis(dataset, 0), axis(dataset, 1), indexing="ij")
        radius = np.hypot(x, y)
        for plane in ((0, 1, -1), (0, 1, -4), (0, 1, 8)):
            expected = 1 / spacing(*plane)
            near = np.abs(radius - expected) < 0.15
            assert radius[near][pattern[near].argmax()] == pytest.approx(expected, abs=1.5 * pixel)

    @pytest.mark.parametrize("end", ["SAED_003_powder.dm3", "SAED_004_powder.dm3"])
    @pytest.mark.parametrize("plane", [(0, 0, 3), (1, 0, 4), (1, 0, 7)])
    def test_rings_have_the_radius_of_their_planes(
        self, find: Callable[[str], Path], end: str, plane: tuple[int, int, int]
    ) -> None:
        dataset = read(find(end))
        y, x = np.meshgrid(axis(dataset, 0), axis(dataset, 1), indexing="ij")
        pixel, expected = dataset["axes"][0]["scale"], 1 / spacing(*plane)
        bins = (np.hypot(x, y) / pixel).round().astype(int).ravel()
        profile = np.bincount(bins, dataset["data"].ravel()) / np.bincount(bins)
        near = np.arange(round((expected - 0.2) / pixel), round((expected + 0.2) / pixel))
        # Against the background's slope: the ring stands out of the straight line through the ends of the window.
        line = np.interp(near, near[[0, -1]], profile[near[[0, -1]]])
        assert near[(profile[near] - line).argmax()] * pixel == pytest.approx(expected, abs=pixel)

    def test_discs_of_the_scanned_patterns(self, find: Callable[[str], Path]) -> None:
        dataset = read(find("4DSTEM_boundary.zspy"))
        crystal = dataset["data"][:, -3:].mean(axis=(0, 1)).astype(float)
        radius = np.hypot(*np.meshgrid(axis(dataset, 2), axis(dataset, 3), indexing="ij"))
        profile = np.array([crystal[np.abs(radius - r) < 0.06].max() for r in np.arange(1.4, 2.9, 0.06)])
        bright = np.arange(1.4, 2.9, 0.06)[profile > 0.5 * profile.max()]
        assert (bright[0] + bright[-1]) / 2 == pytest.approx(1 / spacing(0, 0, 3), abs=0.12)
        assert dataset["data"][:, 0].max(axis=(-2, -1)).min() > 0  # the direct beam is there in vacuum, too

    @pytest.mark.parametrize("end", ["spot1_particle.msa", "spot2_particle.msa", "EDS_spectrum.dm3"])
    @pytest.mark.parametrize("element", ["O", "Mn", "Co", "Ni"])
    def test_xray_lines_have_their_energies(self, find: Callable[[str], Path], end: str, element: str) -> None:
        dataset = read(find(end))
        energy, line = axis(dataset, 0), EMISSION_LINES[element][0][0]
        near = np.abs(energy - line) < 0.15
        centre = np.average(energy[near], weights=dataset["data"][near])
        assert centre == pytest.approx(line, abs=0.02)
        assert dataset["data"][near].max() > 5 * np.median(dataset["data"])

    def test_manganese_line_is_130_ev_wide(self, find: Callable[[str], Path]) -> None:
        dataset = read(find("spot1_particle.msa"))
        peak = np.abs(axis(dataset, 0) - 5.899) < 0.25
        height = dataset["data"][peak] - dataset["data"][peak].min()
        assert (height > height.max() / 2).sum() * 0.01 == pytest.approx(0.13, abs=0.02)

    def test_film_holds_no_nickel(self, find: Callable[[str], Path]) -> None:
        particle, film = (read(find(f"{name}.msa"))["data"] for name in ("spot1_particle", "spot3_film"))
        nickel = slice(741, 755)
        assert film[nickel].sum() / film.sum() < 0.02 < particle[nickel].sum() / particle.sum()

    @pytest.mark.parametrize("end", ["map1.rpl", "map2.hspy"])
    def test_nickel_is_where_the_particles_are(self, find: Callable[[str], Path], end: str) -> None:
        nickel = read(find(end))["data"][..., 735:765].sum(axis=-1)
        bright = read(find("HAADF_before.dm3"))["data"]
        middle = slice(13, 17)
        assert nickel[middle, middle].mean() > 20 * max(np.median(np.sort(nickel.ravel())[:200]), 0.5)
        assert bright[240:272, 240:272].mean() > 3 * np.percentile(bright, 10)

    def test_zero_loss_and_plasmon(self, find: Callable[[str], Path]) -> None:
        dataset = read(find("lowloss_001.dm3"))
        energy, data = axis(dataset, 0), dataset["data"]
        assert energy[data.argmax()] == pytest.approx(0, abs=0.2)
        assert energy[energy > 10][data[energy > 10].argmax()] == pytest.approx(PLASMON, abs=1.5)

    @pytest.mark.parametrize("end", ["core_001_bulk.dm3", "core_003_bulk.msa"])
    def test_edges_lie_at_their_energies(self, find: Callable[[str], Path], end: str) -> None:
        dataset = read(find(end))
        energy, data = axis(dataset, 0), np.asarray(dataset["data"], dtype=float)
        for third, second in WHITE_LINES.values():
            for line in (third, second):
                near = np.abs(energy - line) < 7
                assert energy[near][data[near].argmax()] == pytest.approx(line, abs=2)
        before, above = (data[np.abs(energy - (OXYGEN_EDGE + shift)) < 3].mean() for shift in (-12, 8))
        assert above > before

    def test_reduced_surface_has_no_peak_before_the_oxygen_edge(self, find: Callable[[str], Path]) -> None:
        def peak(name: str) -> float:
            dataset = read(find(name))
            energy, data = axis(dataset, 0), dataset["data"].astype(float)
            on, beside = (data[np.abs(energy - at) < 1].mean() for at in (529, 524))
            return float(on / beside)

        assert peak("core_001_bulk.dm3") > 1.05 > peak("core_002_surface.dm3")


class TestOneSeedOneSession:
    """The same seed makes the same bytes; another seed another sample beside it."""

    def test_same_bytes_with_and_without_the_damaged_file(self, session: SampleSession, tmp_path: Path) -> None:
        again = make_session(tmp_path, START)
        good = [path for path in session.files if path not in session.corrupt]
        assert again.corrupt == ()
        assert [path.name for path in again.files] == [path.name for path in good]
        for mine, theirs in zip(again.files, good, strict=True):
            assert mine.read_bytes() == theirs.read_bytes(), mine
            assert mine.stat().st_mtime == theirs.stat().st_mtime, mine

    def test_another_seed_finds_room_beside_it(self, session: SampleSession, afternoon: SampleSession) -> None:
        assert {path.parents[1].name for path in afternoon.files} >= {"NMC811-11"}
        for name in ("HRTEM_001.dm3", "EDS_spectrum.dm3", "SEM_001.tif"):
            first, second = (next(p for p in made.files if p.name == name) for made in (session, afternoon))
            assert not np.array_equal(read(first)["data"], read(second)["data"]), name


class TestTheDamagedFile:
    """Among the good files there is one that no reader can read, if asked for."""

    def test_it_fails_in_the_reader(self, session: SampleSession) -> None:
        (path,) = session.corrupt
        assert path in session.files
        assert path in session.bursts[0]
        with pytest.raises(OSError, match="truncated"):
            read(path)


class TestRefusals:
    """Bad input gets one sentence and leaves nothing behind."""

    def test_start_without_a_zone(self, tmp_path: Path) -> None:
        with pytest.raises(NaiveStart, match="no time zone"):
            make_session(tmp_path / "new", datetime(2026, 11, 20, 9))  # noqa: DTZ001  the naive start is the point
        assert not (tmp_path / "new").exists()

    def test_a_negative_seed_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(NegativeSeed, match="-1"):
            make_session(tmp_path / "new", START, seed=-1)

    def test_nothing_is_overwritten(self, session: SampleSession) -> None:
        before = {path: path.stat().st_mtime_ns for path in session.files}
        with pytest.raises(SampleExists, match=SAMPLE):
            make_session(session.files[0].parents[2], START)
        assert {path: path.stat().st_mtime_ns for path in session.files} == before


class TestTheCommand:
    """`python -m Services.Builder.sample FOLDER` makes a session and says in a few lines what it made."""

    def test_says_what_it_made(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(tmp_path), "--start", "2026-11-20T09:00+01:00", "--seed", "3", "--corrupt"]) == 0
        said = capsys.readouterr().out
        assert "42 files" in said
        assert "15 file types" in said
        assert said.count("burst") == 5
        assert "2026-11-20 09:00:00" in said
        assert "damaged" in said
        assert main([str(tmp_path), "--start", "2026-11-20T09:00+01:00", "--seed", "3"]) == 4
        assert "already is a sample session" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["--start", "yesterday"], ["--seed", "x"], []])
    def test_bad_usage_exits_2(self, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        folder = [str(tmp_path)] if arguments else []
        with pytest.raises(SystemExit) as ended:
            main(folder + arguments)
        assert ended.value.code == 2
        assert "usage" in capsys.readouterr().err

    def test_folder_that_cannot_be_made(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("in the way")
        assert main([str(tmp_path / "file")]) == 1
        assert "cannot be written" in capsys.readouterr().err

    def test_help_loads_nothing_heavy(self) -> None:
        code = (
            "import sys, contextlib, io\n"
            "from Services.Builder.sample.__main__ import main\n"
            "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
            "    main(['--help'])\n"
            "print(sorted({'numpy', 'rsciio', 'PIL'} & set(sys.modules)))"
        )
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        assert answer.stdout.strip() == "[]"
