"""What is known about the files of one program: the entry and what reads its common parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from Services.Builder.extraction.extractors.people_dates import WrittenTime
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Tree = Mapping[str, Any]
"""What a reader calls original metadata."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Facts about the files of one program."""

    plugin: str
    """Name of the RosettaSciIO reader."""
    holds: str | None = None
    """Path that the original metadata must have, where one reader serves several vendors."""
    format: str | None = None
    """Name of the format, where the reader's serves several."""
    root: tuple[str, ...] = ("",)
    """Where the rules begin; the first that is there."""
    column: str | None = None
    """Kind of microscope, where the program serves only that."""
    scans: bool = False
    """Whether the program scans the beam for every such file: what a transmission microscope gave it is STEM then."""
    units: Mapping[str, str | None] = field(default_factory=dict)
    """Units of converted metadata that the reader left as the vendor wrote them; None: not to be shown."""
    rules: tuple[Rule, ...] = ()
    unreliable: frozenset[str] = frozenset()
    """Names of quantities that are shown, but marked."""
    special: Callable[[Tree], dict[str, Quantity | None]] | None = None
    """What takes more than a rule."""
    acquired: Callable[[Tree], datetime | WrittenTime | None] | None = None
    """Time of acquisition, or the text that it stands in, where the file holds a better one than the reader returns."""

    def tree(self, original: Tree) -> Tree | None:
        """Return the part of the original metadata the rules are for; None if the file is not of this program."""
        if self.holds and lookup(original, self.holds) is None:
            return None
        for root in self.root:
            branch = lookup(original, root) if root else original
            if isinstance(branch, Mapping):
                return branch
        return None


def stage_units(unit: str) -> dict[str, str | None]:
    """Return the deviating unit of the stage's position."""
    return {"Stage.x": unit, "Stage.y": unit, "Stage.z": unit}


def unix_time(seconds: object) -> datetime | None:
    """Return a time that is given in seconds since 1970, UTC; None where it is none, or 0."""
    try:
        value = float(str(seconds))
        return datetime.fromtimestamp(value, UTC) if value > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def measured(tree: Tree, name: str, path: str) -> Quantity | None:
    """Return a quantity whose value and unit stand side by side."""
    return quantity(name, lookup(tree, f"{path}.value"), symbol(lookup(tree, f"{path}.unit")))


def branches(tree: Tree, path: str) -> list[Tree]:
    """Return the branches of a numbered list, which stands at the path."""
    below = lookup(tree, path)
    return [branch for branch in below.values() if isinstance(branch, Mapping)] if isinstance(below, Mapping) else []
