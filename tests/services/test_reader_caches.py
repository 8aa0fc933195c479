"""What reading processes keep from one start to the next: a cache that cannot be used must not keep them from starting."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pint
import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNITS = (
    "import sys; from pathlib import Path; from Services.Builder.extraction.preloading import share_units; "
    "share_units(Path(sys.argv[1])); import pint; from rsciio.utils import _units; "
    "assert _units._UREG is pint.get_application_registry().get(); print(pint.__file__, _units._UREG('1 nm').m)"
)


def _shared(cache: Path, *first: Path) -> str:
    """Return what a process says that shares units, with packages of the folders before those of this environment."""
    paths = os.pathsep.join(map(str, (*first, PROJECT)))
    done = subprocess.run(
        [sys.executable, "-P", "-c", UNITS, str(cache)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _pickles(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.rglob("*.pickle")}


def test_units_cached_by_an_installation_that_is_gone(tmp_path: Path) -> None:
    """It is not used for another one, although pint takes the two for the same."""
    other = tmp_path / "other"
    shutil.copytree(Path(pint.__file__).parent, other / "pint")
    assert _shared(tmp_path / "cache", other).startswith(str(other))
    assert _pickles(tmp_path / "cache")
    shutil.rmtree(other)
    assert _shared(tmp_path / "cache") == f"{pint.__file__} 1\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: pickle.dumps("something else"),
    ],
    ids=["empty", "half", "another object"],
)
def test_units_in_a_damaged_cache(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """They are made without it, and the next process caches them again."""
    cache = tmp_path / "cache"
    _shared(cache)
    whole = _pickles(cache)
    for path in cache.rglob("*.pickle"):
        path.write_bytes(damage(path.read_bytes()))
    assert _shared(cache).endswith(" 1\n")
    assert _shared(cache).endswith(" 1\n")
    assert _pickles(cache).keys() == whole.keys()
    assert all(len(content) > len(whole[name]) * 0.9 for name, content in _pickles(cache).items())


def test_units_without_room_for_a_cache(tmp_path: Path) -> None:
    """A folder that cannot be written, as on a full disk, is done without."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "units").write_text("a file in its place")
    assert _shared(cache).endswith(" 1\n")
    assert not _pickles(cache)
