"""How many of something a file announces, and how many it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ENDING = ": it is incomplete."


@dataclass(frozen=True, slots=True)
class Count:
    """What a file's header announces beside what is there."""

    announced: int
    held: int
    what: str
    """What is counted, in the plural: frames, spectra, bytes."""
    elsewhere: bool = False
    """It lies in other files of the dataset."""

    @property
    def sentence(self) -> str:
        """Say that something is missing; "" where nothing is."""
        if not 0 <= self.held < self.announced:
            return ""
        what = self.what.removesuffix("s") if self.announced == 1 and not self.what.endswith("series") else self.what
        if self.elsewhere:
            there = f"{self.held:,} {'is' if self.held == 1 else 'are'} there"
            return f"The file announces {self.announced:,} {what}, of which {there}{_ENDING}"
        return f"The file announces {self.announced:,} {what} and holds {self.held:,}{_ENDING}"


Check = Callable[[Path], Iterator[Count]]
"""Yields counts of a file, which has its companions beside it, the most telling first; it may raise what it likes."""


def whole_units(size: int, start: int, unit: int) -> int:
    """Return how many units of so many bytes lie between a start and the end of a file."""
    return max(size - start, 0) // unit if unit > 0 else 0


def begun_units(size: int, start: int, unit: int) -> int:
    """Likewise, with one that is cut off."""
    return -(-max(size - start, 0) // unit) if unit > 0 else 0


def tells_shortfall(sentence: str) -> bool:
    """Return whether a sentence is that of a count that falls short."""
    return sentence.endswith(_ENDING)
