"""The real files of instruments, which are no part of the project, and what tests need that read files themselves.

The files stand in the folder of `NEXUSCORE_TEST_DATA`, or in ``shared/data`` beside the project; tests with the mark
`real` are skipped, with this reason, where it is missing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA = Path(os.environ.get("NEXUSCORE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared/data")
"""The folder."""
MISSING = f"no instrument files at {DATA} (set NEXUSCORE_TEST_DATA)"
"""Why a test of the files is skipped."""
real = pytest.mark.skipif(not DATA.is_dir(), reason=MISSING)
"""Of tests, or of all tests of a class or a module, that read the files."""
reads_files = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("readers_let_go"),
]
"""Marks of tests that read files in their own process: readers leave files open; that is theirs, and ends with it."""


@pytest.fixture
def readers_let_go() -> Iterator[None]:
    """Let the readers' open files go while their warnings are still ignored."""
    yield
    gc.collect()
