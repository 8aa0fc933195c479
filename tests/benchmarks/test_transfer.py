"""What the transfer costs a microscope's PC while nothing changes: one pass over many files."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from Logger.transfer.book import FileBook
from Logger.transfer.pending import PendingTransfer
from Logger.transfer.settings import StationTransfer
from Logger.transfer.stability import Watches
from Logger.transfer.state import TransferState
from Logger.transfer.watching import FolderWatch
from tests.benchmarks.conftest import Figures
from tests.logger.transferring import IGNORE

pytestmark = pytest.mark.timeout(600)
FILES, FOLDERS = 20_000, 100


def test_an_idle_pass(tmp_path: Path, figures: Figures) -> None:
    raw = tmp_path / "raw"
    for number in range(FOLDERS):
        (raw / f"grid {number}").mkdir(parents=True)
    for number in range(FILES):
        (raw / f"grid {number % FOLDERS}" / f"image {number:05}.tif").write_bytes(b"x")
    settings = StationTransfer(on=True, folders=(("raw", str(raw)),), ignore=IGNORE)
    sessions = [PendingTransfer("s1", "Titan", "ann", 0, settings, "token")]
    state = TransferState(tmp_path / "pc.transfers")
    book = FileBook(state)
    book.load()
    watch = FolderWatch(book, Watches(), lambda: time.time_ns() // 1000, time.monotonic)

    def once() -> float:
        begin = time.perf_counter()
        watch.look_at_all(sessions)
        assert book.save()
        return time.perf_counter() - begin

    figures.compare(f"transfer, first pass over {FILES:,} new files", once(), "s")
    assert len(book.of("s1")) == FILES
    written = (tmp_path / "pc.transfers").stat().st_mtime_ns
    spans = [once() for _ in range(10)]
    figures.at_most(f"transfer, idle pass over {FILES:,} files, worst", max(spans), 1, "s")
    figures.compare(f"transfer, idle pass over {FILES:,} files, median", statistics.median(spans), "s")
    assert (tmp_path / "pc.transfers").stat().st_mtime_ns == written, "nothing is written"
