"""Comma-separated values."""

from __future__ import annotations

from collections.abc import Iterable

from NexusCore.text import escape


def csv_line(cells: Iterable[object]) -> str:
    """Return cells as a line of comma-separated values, without its end; control characters are escaped."""
    import csv
    import io

    line = io.StringIO()
    # With a line end of its own, since it quotes only those characters of a cell that end a line.
    csv.writer(line, lineterminator="\n").writerow(escape(cell) if isinstance(cell, str) else cell for cell in cells)
    return line.getvalue().removesuffix("\n")
