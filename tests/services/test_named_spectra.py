"""Lines, edges, element maps, zero-loss peak and thickness: of spectra whose elements and thickness are known."""

from __future__ import annotations

import io
import json
from math import exp, factorial
from typing import Any

import dask.array as da
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.read import read
from Services.Builder.extraction.signals import maps
from Services.Builder.extraction.signals.computed import THICKNESS, ZERO_LOSS, computed
from Services.Builder.extraction.signals.conditions import Conditions, conditions_of, has_maps
from Services.Builder.extraction.signals.edges import found_edges, named_edges
from Services.Builder.extraction.signals.libraries import exspy
from Services.Builder.extraction.signals.low_loss import relative_thickness, zero_loss
from Services.Builder.extraction.signals.peaks import found_elements
from Services.Builder.extraction.signals.xray import lines_of, shape
from Services.Builder.model import Quantity
from Services.Builder.preview import element_maps, plots, png
from Services.Builder.preview.frame import figure_of
from Services.Builder.preview.labels import add_note
from Services.Builder.preview.plot_labels import PlotLabel, place_above, place_at_lines
from Services.Builder.preview.sampling import Mean, means
from Services.Builder.preview.spectra import FOUND, FOUND_EDGES, FROM_FILE, PlottedSpectrum, annotate, elements_of
from tests.services.exspy_signals import typed
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.signal_files import axis, saved

pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore::UserWarning")]

KEV = np.arange(2048) * 0.01
LOSSES = np.arange(-20, 300, 0.1)


def xrays(resolution: float = 130.0, seed: int = 1, **areas: float) -> np.ndarray:
    """Return a spectrum of elements, by the counts in each family's strongest line, on a background."""
    counts = 300 * np.exp(-KEV / 4) * (1 - np.exp(-KEV / 0.4))
    for family, area in areas.items():
        element, _, shell = family.partition("_")
        for line in lines_of(element):
            if line.family == (shell or "K") and line.weight >= 0.01:
                counts = counts + area * 0.01 * shape(KEV, line, resolution)
    return np.random.default_rng(seed).poisson(counts).astype(float)


def low_loss(thickness: float, shift: float = 0.37, electrons: float = 5e6, plasmon: float = 16.0) -> np.ndarray:
    """Return a low-loss spectrum of a known t/λ: a zero-loss peak and plasmon losses, by Poisson's distribution."""
    elastic = np.exp(-0.5 * ((LOSSES - shift) / 0.34) ** 2)
    single = np.where(LOSSES > 0, LOSSES * 4 / ((LOSSES**2 - plasmon**2) ** 2 + (4 * LOSSES) ** 2), 0)
    elastic, single, zero = elastic / elastic.sum(), single / single.sum(), round(20 / 0.1)
    total, scattered = exp(-thickness) * elastic, elastic
    for times in range(1, 12):
        scattered = np.convolve(scattered, single)[zero : zero + LOSSES.size]
        total = total + exp(-thickness) * thickness**times / factorial(times) * scattered
    return np.random.default_rng(1).poisson(np.clip(total * electrons, 0, None)).astype(float)


def core_loss(energies: np.ndarray, **edges: float) -> np.ndarray:
    """Return a spectrum that jumps by shares of its background at energies: O=532 by 0.15."""
    background = 1e10 * energies**-2.5
    for energy, share in edges.items():
        onset = float(energy[1:])
        background += np.where(energies > onset, share * 1e10 * onset**-2.5 * (energies / onset) ** -3.0, 0)
    return np.random.default_rng(1).poisson(background).astype(float)


def plotted(values: np.ndarray, positions: np.ndarray, energies: Axis, kind: str, conditions: Conditions) -> Any:
    """Return a plot as the preview has it, and what its names are from."""
    one = Signal(values, (energies,), "", kind)
    _, (axes,) = figure_of(500, 340, 1)
    plots._plot(axes, positions, values, one, energies)
    described = kind_of(Reading("", "", (one,)), "a")
    return axes, annotate(axes, PlottedSpectrum(positions, values, energies), described, conditions)


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


class TestElementsAreFoundByTheirPeaks:
    """001-43: named is only what the lines of a family agree on."""

    @pytest.mark.parametrize(
        ("areas", "expected"),
        [
            ({"Fe": 9e3, "Fe_L": 2e3, "O": 4e3, "Si": 8e3}, {"Fe", "O", "Si"}),
            ({"Cu": 2e4, "Cu_L": 3e4, "Al": 5e4}, {"Cu", "Al"}),
            ({"Ti": 9e3, "Ba_L": 9e3}, {"Ti", "Ba"}),
            ({"Au_M": 3e4, "Au_L": 4e3}, {"Au"}),
            ({"S": 3e4}, {"S"}),
            ({"Mo_L": 3e4, "Mo": 8e3}, {"Mo"}),
            ({}, set()),
        ],
    )
    def test_of_made_spectra(self, areas, expected):
        assert set(found_elements(KEV, xrays(**areas), 200.0, 130.0)) == expected

    def test_nothing_above_the_beam(self):
        counts = xrays(Fe=9e3, Si=8e3)
        assert set(found_elements(KEV, counts, 5.0, 130.0)) == {"Si"}

    def test_sum_and_escape_peaks_are_of_no_element(self):
        counts = xrays(Al=2e6)
        for place, area in ((2 * 1.4865, 2e4),):  # beside Ag Lα and K Kα
            counts += area * 0.01 * np.exp(-0.5 * ((KEV - place) / 0.045) ** 2) / (0.045 * 2.5)
        assert found_elements(KEV, counts, 15.0, 130.0) == ("Al",)

    @pytest.mark.parametrize("counts", [np.zeros(2048), np.full(2048, np.nan), np.ones(2048), np.arange(2048.0)])
    def test_of_nothing(self, counts):
        assert found_elements(KEV, counts, None, 130.0) == ()

    @pytest.mark.parametrize(
        ("name", "beam", "at_least", "at_most"),
        [
            ("EDS_SEM_TM002", 10.0, {"Al", "C", "Cu", "Mn"}, {"Al", "C", "Cu", "Mn", "Zr"}),
            # the file names two; its grid is of copper and carbon
            ("EDS_TEM_FePt_nanoparticles", 200.0, {"Fe", "Pt", "Cu", "C"}, {"Fe", "Pt", "Cu", "C", "Si", "O"}),
        ],
    )
    def test_of_exspys_examples(self, name, beam, at_least, at_most):
        example = getattr(exspy().data, name)()
        energies = example.axes_manager.signal_axes[0]
        found = set(found_elements(energies.axis, np.asarray(example.data, float), beam, 130.0))
        assert at_least <= found <= at_most

    @real
    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            ("bruker/bruker_nano.spx", {"Fe", "S", "Cu"}),  # those that it names
            ("edax/leo_edax_test.msa", {"Co", "O", "S"}),  # those that the .spc of this spectrum names
            ("jeol/met03.EDS", {"Fe", "S", "Cu", "Ca", "Cr"}),
        ],
    )
    def test_of_real_spectra(self, file, expected):
        found = read(DATA / file)
        assert found.main is not None
        conditions = conditions_of(found, found.main)
        energies, (counts,) = found.main.axes[0], means(found.main.data, Mean((0,)))
        kev = energies.offset + energies.scale * np.arange(energies.size)
        kev = kev / 1000 if energies.unit == "eV" else kev
        assert set(found_elements(kev, counts, conditions.beam, conditions.resolution)) == expected


class TestLinesAreNamed:
    """001-43: lines of the file's elements, else of peaks; at most a dozen, none across another, none cut off."""

    ENERGIES = Axis(2048, "Energy", "keV", 0.01)

    def test_of_the_files_elements(self):
        conditions = Conditions(("Fe", "Si"), 200.0)
        axes, origin = plotted(xrays(Fe=9e3, Si=8e3, Cu=9e3), KEV, self.ENERGIES, "EDS_TEM", conditions)
        assert origin == FROM_FILE
        assert {"Fe Kα", "Fe Kβ", "Si Kα"} <= set(texts(axes))
        assert not [text for text in texts(axes) if text.startswith("Cu")]

    def test_of_peaks_and_it_says_so(self):
        axes, origin = plotted(xrays(Fe=9e3, Si=8e3), KEV, self.ENERGIES, "EDS_TEM", Conditions((), 200.0))
        assert origin == FOUND
        assert {"Fe Kα", "Si Kα"} <= set(texts(axes))
        assert "file" not in FOUND

    def test_words_that_are_no_elements(self):
        assert elements_of(KEV, xrays(), Conditions(("Xx", "Q"))) == ((), FOUND)

    def test_energies_in_ev(self):
        conditions = Conditions(("Si",), 5.0)
        axes, _ = plotted(xrays(Si=8e3)[:400], KEV[:400] * 1000, Axis(400, "Energy", "eV", 10.0), "EDS_SEM", conditions)
        assert "Si Kα" in texts(axes)

    def test_the_axis_ends_where_the_counts_do(self):
        counts = xrays(Si=8e3, Fe=9e3)
        counts[KEV > 9] = 0
        axes, _ = plotted(counts, KEV, self.ENERGIES, "EDS_TEM", Conditions(("Si",), 200.0))
        assert 9 < axes.get_xlim()[1] < 10.5

    def test_none_across_another_nor_the_frame(self):
        elements = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "O", "Si", "Au")
        counts = xrays(**dict.fromkeys(elements[:-1], 2e4), Au_M=2e4, Fe_L=2e4, Cu_L=2e4)
        axes, _ = plotted(counts, KEV, self.ENERGIES, "EDS_TEM", Conditions(elements, 200.0))
        assert 6 <= len(texts(axes)) <= 12
        canvas = FigureCanvasAgg(axes.figure)
        canvas.draw()
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
        for number, one in enumerate(boxes):
            assert one.x0 >= 0
            assert one.x1 <= 500
            assert one.y0 >= 0
            assert one.y1 <= 340
            assert not any(one.overlaps(other) for other in boxes[number + 1 :])

    def test_a_failure_costs_the_names_only(self, monkeypatch):
        monkeypatch.setattr("Services.Builder.extraction.signals.xray._table", lambda: 1 / 0)
        lines_of.cache_clear()
        one = Signal(xrays(), (self.ENERGIES,), "", "EDS_TEM", metadata={"Sample": {"elements": ["Og"]}})
        found = Reading("", "", (one,))
        assert png(found, kind_of(found, "a")).startswith(b"\x89PNG")

    def test_labels_of_a_logarithmic_plot(self):
        _, (axes,) = figure_of(500, 340, 1)
        axes.set_yscale("log")
        axes.set_xlim(0, 10)
        axes.set_ylim(1, 1e4)
        one = [PlotLabel(5.0, "here", 1.0), PlotLabel(20.0, "outside", 1.0)]
        assert place_above(axes, one, np.linspace(0, 10, 50), np.full(50, 10.0)) == ["here"]
        assert place_at_lines(axes, one) == ["here"]


class TestEdgesAreNamed:
    """001-43: edges of the file's elements, else those at jumps."""

    ENERGIES = np.arange(200, 1000, 0.5)
    AXIS = Axis(1600, "Energy loss", "eV", 0.5, 200.0)

    def test_of_the_files_elements(self):
        assert [edge.label for edge in named_edges(("Fe", "O", "C", "Au", "Xx"), 200, 1000)] == ["C K", "O K", "Fe L₃"]
        axes, origin = plotted(core_loss(self.ENERGIES), self.ENERGIES, self.AXIS, "EELS", Conditions(("O", "Fe")))
        assert origin == FROM_FILE
        assert texts(axes) == ["O K", "Fe L₃"]

    def test_jumps_and_it_says_so(self):
        values = core_loss(self.ENERGIES, e532=0.15, e708=0.1)
        assert [edge.label for edge in found_edges(self.ENERGIES, values)] == ["O K", "Fe L₃"]
        axes, origin = plotted(values, self.ENERGIES, self.AXIS, "EELS", Conditions())
        assert origin == FOUND_EDGES
        assert texts(axes) == ["O K", "Fe L₃"]

    @pytest.mark.parametrize("values", [core_loss(np.arange(200, 1000, 0.5)), np.zeros(1600), np.full(1600, np.nan)])
    def test_no_jumps(self, values):
        assert found_edges(self.ENERGIES, values) == ()

    @pytest.mark.parametrize("plasmon", [15.0, 22.0])
    @pytest.mark.parametrize("thickness", [0.5, 1.0])
    @pytest.mark.parametrize("shift", [0.0, 3.7])
    def test_multiples_of_a_plasmon_are_no_edges(self, plasmon, thickness, shift):
        assert found_edges(LOSSES, low_loss(thickness, shift, plasmon=plasmon)) == ()

    def test_an_edge_beyond_the_multiples_is_found(self):
        edge = np.where(LOSSES >= 132, 2000.0, 0) * np.exp(-(LOSSES - 132).clip(0) / 80)
        tail = 1e5 * (LOSSES.clip(30) / 30) ** -3.0
        values = low_loss(0.5, plasmon=17.0) + np.where(LOSSES > 60, tail, 0) + edge
        assert [edge.element for edge in found_edges(LOSSES, values)] == ["P"]

    def test_a_label_is_not_behind_the_remark(self):
        axes, origin = plotted(core_loss(self.ENERGIES), self.ENERGIES, self.AXIS, "EELS", Conditions(("O", "Fe")))
        add_note(axes, f"mean of all spectra, {origin}")
        pen = FigureCanvasAgg(axes.figure).get_renderer()
        *labels, note = [text.get_window_extent(pen) for text in axes.texts]
        assert len(labels) == 2 and all(label.y1 <= note.y0 + 1 for label in labels)

    @real
    def test_of_a_real_spectrum_image(self):
        found = read(DATA / "dm_rsciio/3D_EELS_SI.dm4")
        assert found.main is not None
        (values,) = means(found.main.data, Mean((2,)))
        assert [edge.label for edge in found_edges(300.0 + np.arange(2048.0), values)] == ["O K"]

    def test_a_dominant_zero_loss_peak_is_shown_in_logarithms(self):
        energies = Axis(LOSSES.size, "Energy loss", "eV", 0.1, -20.0)
        axes, _ = plotted(low_loss(0.3), LOSSES, energies, "EELS", Conditions())
        assert axes.get_yscale() == "log"
        axes, _ = plotted(core_loss(self.ENERGIES), self.ENERGIES, self.AXIS, "EELS", Conditions())
        assert axes.get_yscale() == "linear"


class TestThickness:
    """001-36: t/λ and the zero-loss position say that they are computed, and are only where there is such a peak."""

    @pytest.mark.parametrize("thickness", [0.1, 0.3, 0.6, 1.0, 1.5])
    def test_of_a_known_thickness(self, thickness):
        values = low_loss(thickness)
        peak = zero_loss(LOSSES, values)
        assert peak is not None
        assert peak.position == pytest.approx(0.37, abs=0.02)
        assert peak.width == pytest.approx(0.8, abs=0.03)
        assert relative_thickness(LOSSES, values, peak) == pytest.approx(thickness, rel=0.02)

    @pytest.mark.parametrize(
        "values",
        [
            np.zeros(LOSSES.size),
            np.full(LOSSES.size, np.nan),
            np.exp(-0.5 * ((LOSSES - 40) / 0.3) ** 2),  # a peak, but not at zero
            np.exp(-0.5 * (LOSSES / 20) ** 2),  # too wide
            np.minimum(low_loss(0.3), 1e4),  # saturated
            low_loss(0.3)[::-1],
        ],
    )
    def test_no_zero_loss_peak(self, values):
        peak = zero_loss(LOSSES, values)
        assert peak is None or relative_thickness(LOSSES, values, peak) is None

    def test_a_peak_that_is_cut(self):
        inside = LOSSES > 0.3
        assert zero_loss(LOSSES[inside], low_loss(0.3)[inside]) is None

    def test_too_short_a_spectrum_has_no_thickness(self):
        values = low_loss(0.3)[LOSSES < 30]
        peak = zero_loss(LOSSES[LOSSES < 30], values)
        assert peak is not None
        assert relative_thickness(LOSSES[LOSSES < 30], values, peak) is None

    def test_in_the_record_and_marked(self, tmp_path):
        energies = {**axis(LOSSES.size, "Energy loss", "eV", 0.1), "offset": -20.0}
        path = saved(tmp_path / "a.hspy", low_loss(0.6), [energies], Signal={"signal_type": "EELS"})
        extraction = extract(path, tmp_path / "a.png", tmp_path / "a.json")
        thickness, position = extraction.meta[THICKNESS], extraction.meta[ZERO_LOSS]
        assert thickness.value == pytest.approx(0.6, rel=0.02)
        assert position == Quantity(position.value, "eV", warning=True)
        assert position.value == pytest.approx(0.37, abs=0.02)
        assert thickness.warning
        assert "ln(I_total/I_zero-loss)" in thickness.reason
        written = json.loads((tmp_path / "a.json").read_text("utf-8"))["nx_meta"]
        assert written[THICKNESS] == thickness.value
        assert {THICKNESS, ZERO_LOSS} <= set(written["warnings"])

    def test_of_a_saturated_detector(self):
        values = np.minimum(low_loss(0.6) / 2, 65535).astype("u2")
        one = Signal(values, (Axis(LOSSES.size, "Energy loss", "eV", 0.1, -20.0),), "", "EELS")
        assert computed(one, kind_of(Reading("", "", (one,)), "a")) == {}


class TestElementMaps:
    """001-43: where the elements of a spectrum image are."""

    AXES = (Axis(8, "y", "nm", 2.0), Axis(12, "x", "nm", 2.0), Axis(2048, "Energy", "keV", 0.01))

    def image(self, lazy: bool = True) -> Signal:
        """Return an image whose left half is of iron and whose right half of copper, on the same background."""
        data = np.empty((8, 12, 2048), "u2")
        for column in range(12):
            element = "Fe" if column < 6 else "Cu"
            data[:, column] = [xrays(seed=row * 12 + column, **{element: 3e3}) for row in range(8)]
        return Signal(da.from_array(data, chunks=(4, 6, 2048)) if lazy else data, self.AXES, "", "EDS_TEM")

    @pytest.mark.parametrize("lazy", [True, False])
    def test_counts_are_where_the_element_is(self, lazy):
        signal = self.image(lazy)
        kind = kind_of(Reading("", "", (signal,)), "a")
        conditions = Conditions(("Fe", "Cu"), 200.0)
        lines = maps.mapped_lines(conditions.elements, signal.axes[2], conditions)
        assert [line.label for line in lines] == ["Fe Kα", "Cu Kα"]
        iron, copper = maps.element_maps(signal, kind, conditions, lines).maps
        assert iron.counts.shape == (8, 12)
        assert iron.counts[:, :6].min() > 5 * np.abs(iron.counts[:, 6:]).max()
        assert copper.counts[:, 6:].min() > 5 * np.abs(copper.counts[:, :6]).max()
        # the window has most of the line, and the background is off
        assert 0.7 * 3e3 < iron.counts[:, :6].mean() < 3e3
        assert abs(iron.counts[:, 6:].mean()) < 30
        assert iron.less_background

    @pytest.mark.parametrize("lazy", [True, False])
    @pytest.mark.parametrize("kind_of_number", ["u2", "f4", "f8"])
    @pytest.mark.parametrize(("unit", "factor", "offset"), [("keV", 1.0, -0.2), ("eV", 1000.0, 0.003)])
    def test_as_exspy_counts(self, lazy, kind_of_number, unit, factor, offset):
        """Counts and background are those of `get_lines_intensity`, also of a line at the end of the spectrum."""
        energies = Axis(2048, "Energy", unit, 0.00493 * factor, offset * factor)
        data = self.image(lazy).data.astype(kind_of_number)
        signal = Signal(data, (*self.AXES[:2], energies), "", "EDS_TEM")
        kind, conditions = kind_of(Reading("", "", (signal,)), "a"), Conditions(("Fe", "Cu", "O", "Zn"), 200.0)
        lines = maps.mapped_lines(conditions.elements, energies, conditions)
        found = maps.element_maps(signal, kind, conditions, lines).maps
        spectra = typed(signal, kind, conditions)
        for one in found:
            beside = maps._beside(one.line, lines, conditions.resolution) if one.less_background else None
            window = maps._windows([one.line], conditions.resolution)[0]
            (expected,) = spectra.get_lines_intensity(
                [f"{one.line.element}_{one.line.name}"],
                integration_windows=[[end * factor for end in window]],
                background_windows=[[end * factor for end in beside]] if beside else None,
            )
            assert np.array_equal(one.counts, np.asarray(expected.data, np.float64))
        assert len(found) == 4
        assert {one.less_background for one in found} == {True, False}

    def test_each_chunk_is_read_once(self):
        reads: list[int] = []

        def counted(block):
            reads.append(1)
            return block

        signal = self.image()
        data = signal.data.map_blocks(counted, dtype=signal.data.dtype, meta=np.empty((0, 0, 0), signal.data.dtype))
        signal = Signal(data, self.AXES, "", "EDS_TEM")
        conditions = Conditions(("Fe", "Cu", "O"), 200.0)
        lines = maps.mapped_lines(conditions.elements, signal.axes[2], conditions)
        maps.element_maps(signal, kind_of(Reading("", "", (signal,)), "a"), conditions, lines)
        assert len(reads) == data.npartitions

    def test_a_large_one_is_thinned(self, monkeypatch):
        monkeypatch.setattr(maps, "MOST_VALUES", 8 * 12 * 2048 // 4)
        signal, conditions = self.image(), Conditions(("Fe",), 200.0)
        lines = maps.mapped_lines(("Fe",), signal.axes[2], conditions)
        found = maps.element_maps(signal, kind_of(Reading("", "", (signal,)), "a"), conditions, lines)
        assert found.thinned == 2
        assert found.maps[0].counts.shape == (4, 6)
        assert found.axes[1].scale * found.axes[1].size == pytest.approx(24.0)

    def test_a_line_that_the_beam_reaches(self):
        energies = self.AXES[2]
        assert [line.label for line in maps.mapped_lines(("Cu",), energies, Conditions(beam=10.0))] == ["Cu Lα"]
        assert [line.label for line in maps.mapped_lines(("Au",), energies, Conditions(beam=200.0))] == ["Au Lα"]

    def test_further_preview(self, tmp_path):
        data = np.asarray(self.image(lazy=False).data)
        axes = [axis(8, "y", "nm", 2.0, True), axis(12, "x", "nm", 2.0, True), axis(2048, "Energy", "keV", 0.01)]
        about = {"Signal": {"signal_type": "EDS_TEM"}, "Sample": {"elements": ["Fe", "Cu"]}}
        path = saved(tmp_path / "a.hspy", data, axes, **about)
        extraction = extract(path, tmp_path / "a.png", None)
        assert [target.name for target in extraction.further_previews] == ["a.maps.png"]
        picture = Image.open(io.BytesIO((tmp_path / "a.maps.png").read_bytes()))
        assert picture.width == 500
        assert max(picture.size) <= 500
        assert extraction.warnings == ()

    def test_no_maps_of_nothing(self):
        signal = Signal(np.zeros((4, 4, 2048)), (Axis(4), Axis(4), self.AXES[2]), "", "EDS_TEM")
        found = Reading("", "", (signal,))
        kind = kind_of(found, "a")
        assert has_maps(kind)
        assert element_maps.png(found, kind) is None

    @real
    def test_of_a_real_spectrum_image(self):
        """Aluminium on the left, copper on the right of a dark line, as the spectra beside it say."""
        found = read(DATA / "phenom/Elid2Version4.elid")
        signal = next(one for one in found.signals if one.shape == (16, 16, 2048))
        single = Reading(found.format, found.reader, (signal,), found.meta, column=found.column)
        kind, conditions = kind_of(single, "a"), conditions_of(single, signal)
        lines = maps.mapped_lines(("Al", "Cu"), signal.axes[2], conditions)
        aluminium, copper = (one.counts for one in maps.element_maps(signal, kind, conditions, lines).maps)
        assert aluminium[:, :6].mean() > 20 * max(1.0, aluminium[:6, 13:].mean())
        assert copper[:6, 13:].mean() > 8 * max(0.1, copper[:, :4].mean())
