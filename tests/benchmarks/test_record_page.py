"""How long a record's page of 5,000 datasets takes: to write, and until a browser has opened it."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from lxml import html

from NexusCore.facility.record_page.render import record_page
from Services.Builder.model import Activity, Quantity
from Services.Builder.record.document import to_xml
from tests.benchmarks.conftest import Figures
from tests.services.test_record_xml import FULL, NINE, OVERVIEW

DATASETS, ACTIVITIES = 5_000, 25
REPEATS = 3
FRAME = """<!doctype html><p></p><iframe style="width: 1200px; height: 900px" src="{page}"></iframe>
<script>
  const frame = document.querySelector("iframe");
  frame.onload = () => { document.querySelector("p").textContent = performance.now(); };
</script>"""
"""Shows a page, and says after how many milliseconds it was loaded and its script had run."""


def large() -> bytes:
    """Return a record whose datasets have as many quantities as those of a microscope of today."""
    further = {f"Value {number}": Quantity(number * 1.5, "kV") for number in range(20)}
    datasets = [
        replace(OVERVIEW, name=f"{number:04}.dm3", meta={**OVERVIEW.meta, **further}) for number in range(DATASETS)
    ]
    share = DATASETS // ACTIVITIES
    activities = tuple(
        Activity(number, NINE, tuple(datasets[number * share : (number + 1) * share])) for number in range(ACTIVITIES)
    )
    return to_xml(replace(FULL, activities=activities))


def opening(browser: str, page: Path, folder: Path) -> float:
    """Return how many seconds a browser takes to open a page."""
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("{page}", page.name))
    done = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={folder}/profile", "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return float(html.document_fromstring(done.stdout).findtext(".//p") or "nan") / 1000


def test_a_page_of_many_datasets(tmp_path: Path, figures: Figures) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    document, page = large(), tmp_path / "record.html"
    begin = time.perf_counter()
    page.write_bytes(record_page(document))
    figures.compare(f"writing the page of {DATASETS} datasets", time.perf_counter() - begin, "s")
    opening(browser, page, tmp_path)  # makes the browser's profile
    opened = median(opening(browser, page, tmp_path) for _ in range(REPEATS))
    figures.at_most(f"opening the page of {DATASETS} datasets in a browser", opened, 2, "s")
