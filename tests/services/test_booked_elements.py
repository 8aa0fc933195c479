"""Elements of a session's reservation in previews: where a file names none, and only where its spectrum shows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from NexusCore.clock import to_ts
from NexusCore.facility import Reservations, Session
from NexusCore.facility.reservations import BookedSample, Reservation
from NexusCore.storage import open_database
from Services.Builder.extraction.context import MOST_SAMPLES, NO_CONTEXT, ReadingContext, context_of
from Services.Builder.extraction.extract import stages
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.signals.booked import LABELLED, seen_edges, seen_elements
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import Extraction, Quantity, Sample
from Services.Builder.preview.spectra import BOOKED, FOUND, FOUND_EDGES, FROM_FILE, elements_of
from Services.Builder.record.document import NAMESPACE
from Services.Builder.service import Builder
from tests.services.builder_facility import Stage
from tests.services.instrument_files import reads_files
from tests.services.signal_files import axis, image, saved
from tests.services.test_builder_real_files import built, not_read_again, session_with
from tests.services.test_named_spectra import DATA, KEV, Axis, core_loss, plotted, real, texts, xrays

NX = {"nx": NAMESPACE}
ENERGIES = Axis(2048, "Energy", "keV", 0.01)
LOSSES = np.arange(200, 1000, 0.5)
pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore::UserWarning")]


def booked(*elements: str, beam: float | None = 200.0) -> Conditions:
    return Conditions((), beam, booked=elements)


def of(*elements: str) -> ReadingContext:
    return context_of([Sample("steel", elements=elements)])


class TestWhatTheReservationMaySay:
    """Its fields were typed in by people: symbols of elements are taken from it, nothing else."""

    def test_only_elements(self) -> None:
        hostile = ("Fe", "fe", " Ni ", "Xx", "<b>", "../../etc", "", "\x00", "Fe" * 5000, "𝐅𝐞")
        assert of(*hostile).samples == (Sample("steel", elements=("Fe", "Ni")),)

    def test_nothing_where_none_is_named(self) -> None:
        assert context_of([]) == context_of([Sample("a", elements=("Q", "??"))]) == NO_CONTEXT

    def test_too_many_samples_are_taken_together(self) -> None:
        samples = [Sample(f"sample {number}", elements=("Fe", "O")) for number in range(MOST_SAMPLES + 1)]
        assert context_of(samples).samples == (Sample(elements=("O", "Fe")),)

    def test_long_names_are_cut(self) -> None:
        (sample,) = context_of([Sample("a" * 10**6, elements=("Fe",))]).samples
        assert sample.name is not None and len(sample.name) < 1000


class TestTheFilesOwnSample:
    """The sample that the file names decides; where it names none, or several, all do."""

    SAMPLES = (Sample("Steel 316", elements=("Cr", "Fe")), Sample("Glass", elements=("O", "Si")))

    @pytest.mark.parametrize(
        ("path", "meta", "elements"),
        [
            ("glass/0001.msa", {}, ("O", "Si")),
            ("0001.msa", {"Specimen": Quantity("steel-316, polished")}, ("Cr", "Fe")),
            ("0001.msa", {}, ("O", "Si", "Cr", "Fe")),
            ("glass on steel 316.msa", {}, ("O", "Si", "Cr", "Fe")),
        ],
    )
    def test_is_named_by_path_or_metadata(self, path: str, meta: dict[str, Quantity], elements: tuple[str]) -> None:
        assert context_of(self.SAMPLES).elements_of(Path(path), meta) == elements

    def test_the_only_one_is_that_of_all_files(self) -> None:
        assert of("Fe").elements_of(Path("glass.msa"), {}) == ("Fe",)


class TestLinesOfTheReservation:
    """001-43: they are named where a peak stands, after the file's elements and before peaks that are found."""

    def test_only_where_a_peak_stands(self) -> None:
        axes, origin = plotted(xrays(Fe=9e3, Si=8e3), KEV, ENERGIES, "EDS_TEM", booked("Fe", "Cr", "Zn"))
        assert origin == BOOKED
        assert {"Fe Kα", "Fe Kβ"} <= set(texts(axes))
        assert not [text for text in texts(axes) if not text.startswith("Fe ")]

    @pytest.mark.parametrize(("there", "others"), [("Ti", ("V",)), ("Mn", ("Dy", "Fe")), ("Cu", ("Os",))])
    def test_a_peak_that_is_anothers_weaker_line_is_not_enough(self, there: str, others: tuple[str, ...]) -> None:
        spectrum = xrays(**{there: 9e3})
        assert seen_elements(KEV, spectrum, booked(there, *others)) == (there,)
        assert seen_elements(KEV, spectrum, booked(*others)) == ()

    def test_one_that_is_more_than_that_counts(self) -> None:
        assert seen_elements(KEV, xrays(Ti=9e3, V=6e3), booked("V", "Ti")) == ("V", "Ti")

    def test_the_previews_report_which(self) -> None:
        known = booked("Fe", "Cr", "Si")
        plotted(xrays(Fe=9e3, Si=8e3), KEV, ENERGIES, "EDS_TEM", known)
        assert sorted(known.labelled.booked) == ["Fe", "Si"]

    def test_the_files_elements_go_before(self) -> None:
        known = replace(booked("Si"), elements=("Fe",))
        assert elements_of(KEV, xrays(Fe=9e3, Si=8e3), known) == (("Fe",), FROM_FILE)

    def test_peaks_where_none_of_them_is_seen(self) -> None:
        known = booked("Zn", "Og", "H", "Xx")
        assert elements_of(KEV, xrays(Fe=9e3, Si=8e3), known) == (("Fe", "Si"), FOUND)
        assert known.labelled.booked == []

    def test_a_soft_line_under_that_of_another_is_not_enough(self) -> None:
        """F Kα is 28 eV beside Fe Lα; where there were iron, its Kα would stand at 6.4 keV."""
        assert seen_elements(KEV, xrays(F=2e4), booked("Fe")) == ()

    def test_a_soft_line_is_enough_where_no_harder_one_is_reached(self) -> None:
        assert seen_elements(KEV, xrays(Fe_L=2e4), booked("Fe", beam=5.0)) == ("Fe",)

    def test_lines_beyond_the_range_or_the_beam(self) -> None:
        counts = xrays(Cu=2e4, Si=8e3)
        assert seen_elements(KEV, counts, booked("Si", "Cu")) == ("Si", "Cu")
        assert seen_elements(KEV[:500], counts[:500], booked("Si", "Cu")) == ("Si",)

    @pytest.mark.parametrize("counts", [np.zeros(2048), np.full(2048, np.nan), np.ones(2048)])
    def test_of_nothing(self, counts: np.ndarray) -> None:
        assert seen_elements(KEV, counts, booked("Fe", "Si")) == ()


class TestEdgesOfTheReservation:
    """001-43: the same for energy losses."""

    AXIS = Axis(1600, "Energy loss", "eV", 0.5, 200.0)

    def test_only_where_the_spectrum_jumps(self) -> None:
        known = booked("Fe", "C", "O", "Ti", "Au")
        values = core_loss(LOSSES, e532=0.15, e708=0.1)
        axes, origin = plotted(values, LOSSES, self.AXIS, "EELS", known)
        assert origin == BOOKED
        assert texts(axes) == ["O K", "Fe L₃"]
        assert known.labelled.booked == ["O", "Fe"]

    def test_jumps_where_none_of_them_is_seen(self) -> None:
        values = core_loss(LOSSES, e532=0.15)
        axes, origin = plotted(values, LOSSES, self.AXIS, "EELS", booked("Ti", "C"))
        assert (origin, texts(axes)) == (FOUND_EDGES, ["O K"])

    @pytest.mark.parametrize("values", [core_loss(LOSSES), np.zeros(1600), np.full(1600, np.nan)])
    def test_no_jumps(self, values: np.ndarray) -> None:
        assert seen_edges(LOSSES, values, ("O", "Fe", "C")) == ()


def last(path: Path, folder: Path, context: ReadingContext) -> Extraction:
    *_, extraction = stages(path, folder / "a.png", folder / "a.json", context=context)
    return extraction


@real
class TestRealFiles:
    """What the reservation adds to the previews of instruments' files, and what it does not."""

    @pytest.mark.parametrize(
        ("file", "elements", "labelled"),
        [
            ("dm_rsciio/3D_EELS_SI.dm4", ("C", "O", "Fe"), {"O"}),
            ("bruker/16x16_12bit_packed_8bit.bcf", ("Si", "Cu", "Fe"), {"Si", "Fe"}),
            ("phenom/Elid2Version4.elid", ("Al", "Fe", "Cr"), {"Al"}),
        ],
    )
    def test_is_labelled_and_said(
        self, file: str, elements: tuple[str, ...], labelled: set[str], tmp_path: Path
    ) -> None:
        extraction = last(DATA / file, tmp_path, of(*elements))
        named = extraction.meta[LABELLED]
        assert set(str(named.value).split(", ")) == labelled
        assert named.warning and "reservation" in named.reason and all(one in named.reason for one in elements)
        assert extraction.elements_matter and extraction.warnings == ()

    def test_a_file_that_names_its_own(self, tmp_path: Path) -> None:
        extraction = last(DATA / "bruker/bruker_nano.spx", tmp_path, of("Fe", "S"))
        assert extraction.meta["Elements"].value == "Fe, S, Cu"
        assert LABELLED not in extraction.meta and not extraction.elements_matter

    def test_in_the_process_that_reads(self, tmp_path: Path) -> None:
        job = Job(DATA / "dm_rsciio/3D_EELS_SI.dm4", tmp_path / "a.png", tmp_path / "a.json", context=of("O", "Fe"))
        with Workers(1, 300) as workers:
            (extraction,) = workers.extract_all([job])
        assert extraction.meta[LABELLED].value == "O"


def spectrum(path: Path, **about: dict[str, list[str]]) -> Path:
    """Write a spectrum of iron and silicon."""
    energies = axis(2048, "Energy", "keV", 0.01)
    return saved(path, xrays(Fe=9e3, Si=8e3), [energies], Signal={"signal_type": "EDS_TEM"}, **about)  # type: ignore[arg-type]


def book(stage: Stage, session: Session, *samples: BookedSample) -> None:
    """Let the reservation of a session be harvested."""
    assert session.end_ts is not None
    booking = Reservation("nemo", "1", "Titan", session.start_ts, session.end_ts, samples=samples)
    around = (to_ts(session.start) - 10**9, session.end_ts + 10**9)
    Reservations(open_database(stage.url), stage.clock).take_over("nemo", *around, [booking])


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    one.builder.close()
    one.builder = Builder(one.app)
    yield one
    one.close()


def labelled_in(dataset: etree._Element) -> dict[str, str]:
    found = dataset.findall("nx:meta", NX)
    return {str(one.get("name")): str(one.text) for one in found if LABELLED in str(one.get("name"))}


class TestASession:
    """From the reservation to the record, and again when the reservation comes later."""

    def test_the_record_says_what_was_labelled(self, stage: Stage) -> None:
        named = spectrum(stage.files / "named.hspy", Sample={"elements": ["Si"]})
        spectra = [spectrum(stage.files / name) for name in ("a.hspy", "glass.hspy")]
        session = session_with(stage, *spectra, named, image(stage.files / "i.hspy"))
        book(
            stage, session, BookedSample("steel", elements=("Fe", "Zn", "<i>")), BookedSample("glass", elements=("Si",))
        )
        datasets = built(stage, session)
        said = {name: labelled_in(dataset) for name, dataset in datasets.items()}
        assert said["a.hspy"][LABELLED] == "Si, Fe"
        assert "(Si, Fe, Zn)" in " ".join(said["a.hspy"].values())
        assert said["glass.hspy"][LABELLED] == "Si"
        assert said["named.hspy"] == said["i.hspy"] == {}

    def test_a_reservation_that_comes_later_has_spectra_drawn_again(self, stage: Stage) -> None:
        session = session_with(stage, spectrum(stage.files / "a.hspy"), image(stage.files / "i.hspy"))
        assert labelled_in(built(stage, session)["a.hspy"]) == {}
        (preview,) = (stage.app.settings.home / "records").rglob("a.hspy.png")
        before = preview.read_bytes()
        book(stage, session, BookedSample("steel", elements=("Fe",)))
        assert not_read_again(stage, session) == 1  # the image
        assert f'name="{LABELLED}"' in stage.document(session)
        assert preview.read_bytes() != before

    @real
    def test_of_real_files(self, stage: Stage) -> None:
        names = ("dm_rsciio/3D_EELS_SI.dm4", "phenom/Elid2Version4.elid")
        paths = [stage.files / Path(name).name for name in names]
        for name, path in zip(names, paths, strict=True):
            shutil.copyfile(DATA / name, path)
        session = session_with(stage, *paths)
        book(stage, session, BookedSample("a specimen", elements=("O", "Al", "Fe")))
        datasets = built(stage, session)
        assert labelled_in(datasets["3D_EELS_SI.dm4"])[LABELLED] == "O"
        assert set(labelled_in(datasets["Elid2Version4.elid"])[LABELLED].split(", ")) == {"O", "Al"}
