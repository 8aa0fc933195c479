"""Comma-separated values that a spreadsheet opens."""

from __future__ import annotations

import pytest

from Tools.common.csv_lines import csv_line


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+2", "'+1+2"),
        ("-2.5", "-2.5"),
        ("+1e3", "+1e3"),
        (-3, "-3"),
        ("eve", "eve"),
    ],
)
def test_a_text_is_never_a_formula(cell: object, line: str) -> None:
    assert csv_line([cell]) == line
