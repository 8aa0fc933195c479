"""Comma-separated values."""

from __future__ import annotations

from collections.abc import Iterable

from NexusCore.text import escape

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a formula of a spreadsheet may begin with."""


def csv_line(cells: Iterable[object]) -> str:
    """Return cells as a line of comma-separated values, without its end; control characters are escaped.

    A text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay as they are.
    """
    import csv
    import io

    line = io.StringIO()
    # With a line end of its own, since it quotes only those characters of a cell that end a line.
    csv.writer(line, lineterminator="\n").writerow(_harmless(cell) if isinstance(cell, str) else cell for cell in cells)
    return line.getvalue().removesuffix("\n")


def _harmless(cell: str) -> str:
    if not cell.startswith(_FORMULA):
        return escape(cell)
    try:
        float(cell)
    except ValueError:
        return escape(f"'{cell}")
    return cell
