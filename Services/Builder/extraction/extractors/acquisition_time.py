"""When a file was acquired, as far as what it says can be trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from Services.Builder.extraction.extractors.people_dates import WrittenTime, decided, order_in, saved_at
from Services.Builder.model import Quantity

DAY_SHOWN = "Acquisition Date"
"""Name of the quantity that holds a day as the file has it, where it is no time of acquisition."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """A time of acquisition, or why there is none."""

    moment: datetime | None = None
    """Naive where the file does not give the zone of the instrument's clock."""
    doubt: str = ""
    """Why it is doubtful, in a sentence; "" where it is not."""
    shown: Quantity | None = None
    """The day as the file has it, where there is no time."""


def resolved(found: WrittenTime, tree: object, path: Path, by_reader: datetime | None = None) -> Acquired:
    """Decide what a written time means, by the other days in the file and, weakly, by when it was last changed.

    Parameters
    ----------
    found
        The time.
    tree
        All that the file says, among it other days written on the same PC.
    path
        The file.
    by_reader
        What another reader made of it; it may know the zone, or the time of day.
    """
    if not found.days:  # what the reader made of a text that is no day is a guess; a day of zeros was never set
        return Acquired(shown=Quantity(found.text) if re.search("[1-9]", found.text) else None)
    if found.open:
        found = decided(found, order_in(tree), saved=saved_at(path))
    if found.open:
        return Acquired(shown=Quantity(found.text, warning=True, reason=found.reason))
    same_day = by_reader is not None and by_reader.date() == found.day
    if found.moment is None:
        return Acquired(by_reader if same_day else None, shown=None if same_day else Quantity(found.text))
    naive = found.moment.replace(tzinfo=None)
    if by_reader is not None and found.moment.tzinfo is None and by_reader.replace(tzinfo=None) == naive:
        return Acquired(by_reader, found.doubt)
    return Acquired(found.moment, found.doubt)
