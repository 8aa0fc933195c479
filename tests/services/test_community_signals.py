"""Signals as HyperSpy makes them of what a reader returns: nothing invented, nothing computed, nothing run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Signal
from Services.Builder.extraction.extractors.captured_output import capture_output
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import load, reading_of
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.signals.completion import completed
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.extraction.signals.libraries import exspy
from Services.Builder.model import Quantity
from tests.services.exspy_signals import typed
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.signal_files import axis, saved

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = reads_files

ENERGY = {"size": 64, "name": "Energy", "units": "keV", "scale": 0.25, "offset": 0.0, "navigate": False}
DEFAULTS = (
    ("Detector.EDS.elevation_angle", "Detector Elevation", "°"),
    ("Detector.EDS.azimuth_angle", "Detector Azimuth", "°"),
    ("Detector.EDS.energy_resolution_MnKa", "Energy Resolution", "eV"),
    ("Stage.tilt_alpha", "Stage Alpha", "°"),
)
"""What exspy's types fill in, and what it would be called in a record."""


def dictionary(**changes: Any) -> dict[str, Any]:
    return {"data": np.ones(64), "axes": [ENERGY], "metadata": {}, "original_metadata": {}, "mapping": {}, **changes}


def reading(*found: dict[str, Any], plugin: str = "HSPY") -> Reading:
    return reading_of(next(one for one in DECLARED_READERS if one.plugin == plugin), Path("a.hspy"), found)


def instrument(column: str, path: str, value: Any) -> dict[str, Any]:
    tree: Any = value
    for key in reversed(("Acquisition_instrument", column, *path.split("."))):
        tree = {key: tree}
    return tree


def test_a_hologram_names_the_biprism() -> None:
    metadata = instrument("TEM", "Biprism", {"voltage": 130.0, "azimuth_angle": 12.5, "position": "Upper"})
    found = reading(dictionary(metadata=metadata)).meta
    assert (found["Biprism Voltage"], found["Biprism Azimuth"]) == (Quantity(130, "V"), Quantity(12.5, "°"))


class TestPreferencesAreNoMeasurements:
    """001-36: what exspy fills in where a file has no value is in no record."""

    @pytest.mark.parametrize(("path", "name", "unit"), DEFAULTS)
    @pytest.mark.parametrize("column", ["TEM", "SEM"])
    def test_only_what_the_file_has(self, column, path, name, unit):
        about = {"Signal": {"signal_type": f"EDS_{column}"}}
        name = "Stage Tilt" if column == "SEM" and name == "Stage Alpha" else name
        bare = reading(dictionary(metadata={**about, **instrument(column, "beam_energy", 15.0)}))
        assert bare.signals[0].signal_type == f"EDS_{column}"
        assert bare.meta["Acceleration Voltage"] == Quantity(15, "kV")
        assert name not in bare.meta
        stated = reading(dictionary(metadata={**about, **instrument(column, path, 17.5)}))
        assert stated.meta[name] == Quantity(17.5, unit)

    @pytest.mark.parametrize(("path", "_name", "_unit"), DEFAULTS)
    def test_exspy_still_fills_them_in(self, path, _name, _unit):
        """Without that, the test above would prove nothing."""
        made = exspy().signals.EDSTEMSpectrum(np.ones(64))
        assert made.metadata.has_item(f"Acquisition_instrument.TEM.{path}")

    def test_none_in_the_json_nor_after_a_preview(self, tmp_path):
        about = {"signal_type": "EDS_TEM"}
        path = saved(tmp_path / "a.hspy", np.ones(64), [axis(64, "Energy", "keV", 0.25)], Signal=about)
        extraction = extract(path, tmp_path / "a.png", tmp_path / "a.json")
        assert extraction.preview is not None
        written = (tmp_path / "a.json").read_text("utf-8")
        for word in ("elevation", "azimuth", "MnKa", "tilt", "Elevation", "Azimuth", "Resolution", "Tilt"):
            assert word not in written

    def test_losses_have_no_angles(self):
        found = reading(dictionary(metadata={"Signal": {"signal_type": "EELS"}}))
        assert not {"Convergence Angle", "Collection Angle", "Acceleration Voltage"} & set(found.meta)


class TestReadersFunctionsAreApplied:
    """Axes in the order HyperSpy gives them, lazily."""

    def test_energy_comes_last(self):
        energy = {**ENERGY, "navigate": True}
        positions = [
            {"size": 4, "name": name, "units": "nm", "scale": 1.0, "offset": 0.0, "navigate": False} for name in "yx"
        ]
        data = da.from_array(np.arange(64 * 16).reshape(64, 4, 4), chunks=(8, 4, 4))
        hooks = [lambda signal: signal.to_signal1D(optimize=True), lambda signal: signal.squeeze()]
        found = completed(dictionary(data=data, axes=[energy, *positions], post_process=hooks))
        assert [one["name"] for one in found.axes] == ["y", "x", "Energy"]
        assert [one["navigate"] for one in found.axes] == [True, True, False]
        assert found.data.shape == (4, 4, 64)
        assert found.data[1, 2, 3].compute() == data[3, 1, 2].compute()

    def test_no_pixel_is_computed(self):
        def refuse(_block):
            raise AssertionError("a pixel was computed")

        data = da.ones((4, 4, 64), chunks=-1).map_blocks(refuse, dtype=float, meta=np.empty((0, 0, 0)))
        found = completed(dictionary(data=data, axes=[{**ENERGY, "size": 4}, {**ENERGY, "size": 4}, ENERGY]))
        assert found.data.shape == (4, 4, 64)

    def test_what_a_reader_does_not_say_of_an_axis_stays_unsaid(self):
        silent = {key: value for key, value in ENERGY.items() if key != "navigate"}
        assert completed(dictionary(axes=[silent])).axes[0]["navigate"] is None

    @real
    def test_colours_of_a_profilometer(self):
        """Its reader returns the channels in front, and the function that makes colours of them."""
        plugin = next(one for one in DECLARED_READERS if one.plugin == "DigitalSurf")
        path = DATA / "digitalsurf/test_RGB.sur"
        found = reading_of(plugin, path, load(plugin, path))
        assert found.main is not None
        assert found.main.colour
        assert found.main.shape == (200, 200)

    @real
    def test_a_spectrum_image_of_digitalmicrograph(self):
        plugin = next(one for one in DECLARED_READERS if one.plugin == "DigitalMicrograph")
        path = DATA / "dm_rsciio/3D_EELS_SI.dm4"
        found = reading_of(plugin, path, load(plugin, path))
        assert found.main is not None
        assert [(one.size, one.unit, one.navigate) for one in found.main.axes] == [
            (2, "µm", True), (2, "µm", True), (2048, "eV", False)]  # fmt: skip


class TestWhatHyperspyRefuses:
    """It costs nothing but a message."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"post_process": [lambda signal: 1 / 0]},
            {"axes": [{**ENERGY, "scale": "wide"}]},
            {"axes": [{**ENERGY, "size": 3}]},
            {"axes": [{"_type": "FunctionalDataAxis", "expression": "x**", "size": 64}]},
        ],
    )
    def test_the_readers_axes_are_kept(self, changes):
        given = dictionary(**changes)
        with capture_output() as heard:
            found = completed(given)
        assert found.data is given["data"]
        assert found.axes is given["axes"]
        assert any("HyperSpy makes no signal of it" in message for message in heard.messages)

    @pytest.mark.parametrize(
        ("data", "axes"),
        [
            (np.zeros((3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), [ENERGY | {"size": 3}, ENERGY | {"size": 4}]),
            (np.array(1.0), []),
            (np.zeros((3, 4)), []),
            (np.zeros((2, 2), complex), [ENERGY | {"size": 2}] * 2),
            (np.zeros(0), [ENERGY | {"size": 0}]),
            (np.zeros(3), [{"name": "t", "axis": [1.0, 2.0, 4.0], "navigate": False}]),
            (np.zeros(3), [ENERGY | {"size": 3, "scale": float("nan")}]),
            (np.zeros(3), [ENERGY | {"size": 3, "scale": 0.0}]),
        ],
    )
    def test_odd_data_and_axes_are_signals_all_the_same(self, data, axes):
        (signal,) = reading(dictionary(data=data, axes=axes)).signals
        assert [one.size for one in signal.axes] == list(signal.shape)
        assert signal.data.dtype == data.dtype

    def test_uneven_positions(self):
        found = reading(dictionary(data=np.zeros(3), axes=[{"name": "t", "units": "s", "axis": [1.0, 2.0, 4.0]}]))
        assert found.signals[0].axes[0].values == (1.0, 2.0, 4.0)

    def test_a_file_names_no_module_and_no_object(self, monkeypatch):
        """HyperSpy imports the package that a signal names, also of signals that stand in the metadata."""
        monkeypatch.delitem(sys.modules, "antigravity", raising=False)
        inner = {"data": np.zeros(2), "package": "antigravity", "metadata": {}}
        metadata = {"A": {"_sig_b": inner, "list": [{"_sig_": inner}]}, "Markers": {"m": {"class": "x"}}}
        given = dictionary(metadata=metadata, package="antigravity", attributes={"data": 1, "_lazy": True})
        found = completed({**given, "mapping": {"V": ("A.v", None)}, "original_metadata": {"V": {"_sig_": inner}}})
        assert "antigravity" not in sys.modules
        assert found.metadata["A"]["list"] == [{}]
        assert "_sig_b" not in found.metadata["A"]


class TestImportsLeaveNoTrace:
    """No file of the home folder is read or written, and nothing is printed."""

    @pytest.mark.parametrize("home", ["user", "/dev/null/nowhere"])
    def test_of_a_home_folder(self, home, tmp_path):
        user = tmp_path / "user"
        user.mkdir()
        program = (
            "from Services.Builder.extraction.signals.libraries import exspy, hyperspy\n"
            "import logging, os\n"
            "hyperspy(); exspy(); print(os.environ['HOME'])\n"
            "logging.getLogger('hyperspy.x').error('unheard')"
        )
        assert imported(program, tmp_path / home, tmp_path) == (f"{tmp_path / home}\n", "")
        assert list(user.iterdir()) == []

    def test_preferences_of_whoever_runs_it_are_not_read(self, tmp_path):
        (tmp_path / ".exspy").mkdir()
        (tmp_path / ".exspy" / "exspyrc").write_text("[EDS]\neds_mn_ka = 999\n")
        program = (
            "from Services.Builder.extraction.signals.libraries import exspy\nprint(exspy().preferences.EDS.eds_mn_ka)"
        )
        assert imported(program, tmp_path, tmp_path)[0] == "130.0\n"


def imported(program: str, home: Path, folder: Path) -> tuple[str, str]:
    """Run a program with a home folder; return what it printed."""
    own = {"HOME": str(home), "PYTHONPATH": str(PROJECT), "MPLCONFIGDIR": str(folder / "fonts")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
    )
    return done.stdout, done.stderr


class TestTypesOfExspy:
    """Spectra become exspy's signals where lines or edges matter, on the data as they are."""

    @pytest.mark.parametrize("lazy", [False, True])
    def test_energy_in_front(self, lazy):
        data = np.arange(64 * 6).reshape(64, 2, 3)
        one = Signal(
            da.from_array(data) if lazy else data,
            (Axis(64, "E", "keV", 0.25), Axis(2, "y", "nm"), Axis(3, "x", "nm")), "", "EDS_TEM",
        )  # fmt: skip
        kind = kind_of(Reading("", "", (one,), column="SEM"), "a")
        made = typed(one, kind, Conditions(beam=15.0, resolution=128.0))
        assert type(made).__name__ == ("LazyEDSSEMSpectrum" if lazy else "EDSSEMSpectrum")
        assert made.data.shape == (2, 3, 64)
        assert made.metadata.Acquisition_instrument.SEM.beam_energy == 15.0
        assert made.metadata.Acquisition_instrument.SEM.Detector.EDS.energy_resolution_MnKa == 128.0
