"""Signal types of lumispy and pyxem: the same reading whether they are installed or not, and neither is imported."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.light_types import LUMINESCENCE, of_light
from Services.Builder.extraction.extractors.rosettasciio.read import read
from tests.processes import PROJECT
from tests.services.instrument_files import reads_files
from tests.services.signal_files import axis, saved
from tests.services.test_named_spectra import DATA, real

EXTENSIONS = ("lumispy", "pyxem")
MISSING = [name for name in EXTENSIONS if importlib.util.find_spec(name) is None]
installed = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (docs/builder.md, Spectra)")
LIGHT = (
    "jobinyvon/jobinyvon_test_spec.xml", "renishaw/renishaw_test_map.wdf", "renishaw/renishaw_test_spectrum.wdf",
    "trivista/spec_1s_1acc_1frame_average.tvf", "tif_hamamatsu/test_hamamatsu_streak_SCAN.tif",
)  # fmt: skip
pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore::UserWarning")]


def seem_installed(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """Let the readers find lumispy, or not, whatever is installed."""
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> ModuleSpec | None:
        if name == "lumispy":
            return ModuleSpec(name, None) if there else None
        return find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def summary(reading: Reading, name: str) -> list[Any]:
    each = [replace(reading, signals=(one,)) for one in reading.signals]
    return [
        reading.meta,
        reading.acquired,
        [(one.signal_type, one.axes, one.quantity) for one in reading.signals],
        [kind_of(one, name) for one in (reading, *each)],
    ]


class TestWhatIsInstalledDoesNotMatter:
    """001-35: a file is what it is, on every machine."""

    @real
    @pytest.mark.parametrize("file", LIGHT)
    def test_for_real_files(self, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = []
        for there in (True, False):
            seem_installed(monkeypatch, there)
            found.append(summary(read(DATA / file), "a"))
        assert found[0] == found[1]
        types = {kind for kind, *_ in found[0][2]}
        assert types & {LUMINESCENCE, "LumiTransientSpectrum"}

    def test_energies_of_light_are_no_electrons_losses(self) -> None:
        one = Signal(np.ones(8), (Axis(8, "Energy", "eV", 0.1, 1.5),))
        assert kind_of(Reading("", "", (one,)), "a").data_type == "Spectroscopy"
        light = of_light("JobinYvon", one)
        assert kind_of(Reading("", "", (light,)), "a").data_type == "Optical_Spectroscopy"

    @pytest.mark.parametrize("stated", ["", "LumiTransientSpectrum"])
    def test_a_streak_camera_that_did_not_sweep(self, stated: str) -> None:
        one = Signal(np.ones((4, 8)), (Axis(4, "Vertical Axis"), Axis(8, "Wavelength", "nm", 0.5, 400.0)), "", stated)
        light = of_light("Hamamatsu", one)
        assert light.signal_type == LUMINESCENCE
        assert "Time_Resolved" not in kind_of(Reading("", "", (light,)), "a").data_type

    def test_one_that_did(self) -> None:
        axes = (Axis(4, "Time", "ns", 0.5, 0.0, False), Axis(8, "Wavelength", "nm", 0.5, 400.0, False))
        light = of_light("Hamamatsu", Signal(np.ones((4, 8)), axes, "", "LumiTransientSpectrum"))
        assert kind_of(Reading("", "", (light,)), "a").data_type == "Time_Resolved_Spectroscopy"

    def test_pictures_beside_spectra(self) -> None:
        one = Signal(np.ones((4, 8)), (Axis(4, "y", "µm"), Axis(8, "x", "µm")))
        assert of_light("Renishaw", one) is one


class TestPyxemsTypes:
    """001-35: diffraction is what is measured, not what was computed of it."""

    @pytest.mark.parametrize(
        ("stated", "expected"),
        [
            ("electron_diffraction", "Diffraction"),
            ("polar_diffraction", "Diffraction"),
            ("diffraction_vectors", "Image"),
            ("labeled_diffraction_vectors", "Image"),
            ("virtual_dark_field", "Image"),
        ],
    )
    def test_by_their_names(self, stated: str, expected: str) -> None:
        one = Signal(np.ones((8, 8)), (Axis(8), Axis(8)), "", stated)
        assert kind_of(Reading("", "", (one,)), "a").dataset_type == expected


def signals(folder: Path) -> list[Path]:
    """Write a signal of each sort that the packages have types for."""
    nanometres, times = axis(16, "Wavelength", "nm", 1.0), axis(8, "Time", "ns", 1.0)
    real_space = [axis(4, "y", "nm", 1.0, True), axis(4, "x", "nm", 1.0, True)]
    patterns = [axis(8, "ky", "1/nm", 0.1), axis(8, "kx", "1/nm", 0.1)]
    return [
        saved(folder / f"{kind}.hspy", np.ones([each["size"] for each in axes]), axes, Signal={"signal_type": kind})
        for kind, axes in (
            ("Luminescence", [nanometres]),
            ("CL_SEM", [*real_space, nanometres]),
            ("Transient", [times]),
            ("TransientSpectrum", [times, nanometres]),
            ("electron_diffraction", [*real_space, *patterns]),
            ("MS", [axis(16, "Mass", "Da", 1.0)]),
        )
    ]


KINDS = {
    "Luminescence": "Optical_Spectroscopy",
    "CL_SEM": "SEM_CL",
    "Transient": "Time_Resolved_Spectroscopy",
    "TransientSpectrum": "Time_Resolved_Spectroscopy",
    "electron_diffraction": "STEM_4D",
    "MS": "Mass_Spectrometry",
}


def test_their_signals(tmp_path: Path) -> None:
    """001-35: of HyperSpy's own files, by the types that these packages have."""
    found = {path.stem: extract(path, tmp_path / f"{path.stem}.png", None) for path in signals(tmp_path)}
    assert all(one.preview is not None and one.warnings == () for one in found.values())
    assert {name: one.data_type for name, one in found.items()} == KINDS


@installed
def test_neither_is_imported(tmp_path: Path) -> None:
    """Reading takes the names of their types only: a second and a hundred megabytes less for each process."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from Services.Builder.extraction.preloading import preload\n"
        "work = preload('Services.Builder.extraction.workers:extract_job', everything=True)\n"
        "from Services.Builder.extraction.extract import extract\n"
        "done = {path: extract(Path(path), Path(path + '.png'), None).data_type for path in sys.argv[1:]}\n"
        "print(json.dumps([sorted({'lumispy', 'pyxem', 'orix', 'diffsims', 'numba'} & set(sys.modules)), done]))\n"
    )
    paths = [str(path) for path in signals(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *paths],
        cwd=PROJECT, capture_output=True, text=True, timeout=280, check=True,
    )  # fmt: skip
    imported, found = json.loads(done.stdout.splitlines()[-1])
    assert imported == []
    assert {Path(path).stem: kind for path, kind in found.items()} == KINDS
