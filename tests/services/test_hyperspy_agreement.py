"""The Builder and HyperSpy agree on every value that both read, or there is a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.hyperspy_agreement import REASONS, WHATS, all_compared, markdown
from tests.services.instrument_files import DATA, real

PROJECT = Path(__file__).resolve().parents[2]


@real
@pytest.mark.filterwarnings("ignore")  # readers leave files open, and warn of what they find in them
def test_they_agree() -> None:
    values = all_compared(DATA)
    assert {one.what for one in values} == set(WHATS)
    different = {(one.file, one.what): (one.hyperspy, one.record) for one in values if not one.same}
    assert different.keys() == REASONS.keys(), different
    assert (PROJECT / "docs/agreement.md").read_text("utf-8") == markdown(values)
