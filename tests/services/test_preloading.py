"""What reading processes have before their first file: caches that no file can change, and no needless modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore.confinement import landlock_version
from Services.Builder.extraction.fork_server import supported
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.preloading import COMPILED, cache_folder, copy_compiled, use_cache_folder
from Services.Builder.extraction.workers import Workers
from tests.processes import PROJECT

FUNCTIONS = """
from pathlib import Path
from Services.Builder.extraction.jobs import unknown

def work(job):
    kept = job.path.parent.parent / "cache/nexuscore/readers/numba/index"
    try:
        kept.write_text("changed")
    except OSError as error:
        said = type(error).__name__
    else:
        said = "written"
    copied = Path("numba/index")
    before = copied.read_text()
    copied.write_text("changed")
    yield unknown(job, f"{said} {before} {copied.read_text()}")
"""


class TestTheCaches:
    """Compiled functions are run by all: a process that has read a file changes its own copy only."""

    @pytest.mark.skipif(not landlock_version() or not supported(), reason="the kernel has no Landlock, or cannot fork")
    def test_a_reading_process_changes_its_copy_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "code").mkdir()
        (tmp_path / "code/writes_of_test_preloading.py").write_text(FUNCTIONS)
        monkeypatch.syspath_prepend(str(tmp_path / "code"))
        (tmp_path / "store").mkdir()
        kept = cache_folder(os.environ) / COMPILED / "index"
        kept.parent.mkdir(parents=True)
        kept.write_text("compiled")
        with Workers(1, function="writes_of_test_preloading:work") as workers:
            (found,) = workers.extract_all([Job(tmp_path / "store/a.dat", root=tmp_path / "store")])
        assert found.warnings == ("PermissionError compiled changed",)
        assert kept.read_text() == "compiled"

    def test_one_that_others_may_write_is_not_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        cache = tmp_path / "cache"
        assert use_cache_folder(cache) == cache and Path(COMPILED).resolve() == cache / COMPILED
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        (cache / COMPILED).chmod(0o777)
        assert use_cache_folder(cache) is None and not Path(COMPILED).exists()

    def test_there_need_be_none(self, tmp_path: Path) -> None:
        copy_compiled(tmp_path / "missing", tmp_path)
        assert not (tmp_path / COMPILED).exists()


class TestSparse:
    """It is imported by the readers that need it, and keeps what is compiled of it."""

    def test_it_is_set_up_when_it_is_imported(self, tmp_path: Path) -> None:
        pytest.importorskip("sparse")
        program = (
            "import sys; from importlib.util import find_spec\n"
            "from Services.Builder.extraction.preloading import _import_dask; _import_dask()\n"
            "print('sparse' in sys.modules, 'numba' in sys.modules, find_spec('sparse') is not None)\n"
            "import sparse; from sparse.numba_backend._coo.indexing import _compute_mask as function\n"
            "import dask.array; from dask.array.chunk_types import is_valid_chunk_type\n"
            "print(type(function._cache).__name__, is_valid_chunk_type(sparse.COO))\n"
        )
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        assert done.stdout.splitlines() == ["False False True", "FunctionCache True"]
