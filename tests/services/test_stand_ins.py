"""What the template of the reading processes does not import is there when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("exspy")

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from Services.Builder.extraction.preloading import preload
from Services.Builder.extraction.workers import EXTRACT

preload(EXTRACT, everything=True)
rare = {"sympy", "requests", "ssl", "scipy.stats", "scipy.signal", "mpl_toolkits.mplot3d", "fontTools.agl"}
assert not rare & set(sys.modules), "they are imported"
assert "exspy" in sys.modules, "it is not imported"

import numpy
import scipy
from hyperspy.components1d import Expression

line = Expression("a * x + b", "line", a=2, b=1)
assert line.function(3) == 7
assert len(scipy.signal.find_peaks_cwt(numpy.sin(numpy.arange(0, 20, 0.1)), [5, 10])) > 1
assert round(scipy.stats.norm.pdf(0), 4) == 0.3989
import fontTools
assert fontTools.agl.toUnicode("alpha") == "\u03b1"
from exspy._misc.eels import eelsdb
assert eelsdb.requests.codes.ok == 200
import sympy
assert sympy.Symbol("x") + sympy.Symbol("x") == 2 * sympy.Symbol("x")
"""


def test_packages_are_imported_when_they_are_used(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(PROJECT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
