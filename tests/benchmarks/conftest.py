"""Collects figures and prints them as one table at the end: what was measured, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    limit: str
    kept: bool


ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


class Figures:
    """Takes figures for the table."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def at_most(self, what: str, measured: float, limit: float, unit: str) -> None:
        self._rows.append(Row(what, f"{measured:.3g} {unit}", f"<= {limit:g} {unit}", measured <= limit))

    def at_least(self, what: str, measured: float, limit: float, unit: str) -> None:
        self._rows.append(Row(what, f"{measured:.3g} {unit}", f">= {limit:g} {unit}", measured >= limit))

    def compare(self, what: str, measured: float, unit: str) -> None:
        """Show a figure that is held against nothing: what another one can be compared with."""
        self._rows.append(Row(what, f"{measured:.3g} {unit}", "for comparison", True))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.config.stash[ROWS])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[ROWS]
    if rows:
        terminalreporter.section("figures")
        width = max(len(row.what) for row in rows)
        for row in rows:
            mark = "   " if row.kept else "***"
            terminalreporter.write_line(f"{mark} {row.what:<{width}}  {row.measured:>14}  {row.limit}")
        missed = sum(not row.kept for row in rows)
        terminalreporter.write_line(f"{len(rows) - missed} of {len(rows)} figures are within their limits")
