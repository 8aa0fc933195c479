"""Whether a new parameter was meant to be one that is there: its name is hardly another one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from NexusCore.text import suggest
from Tools.common.configuration import INSTRUMENTS

ALIKE = 0.75
"""Share of letters that two names have in common where one is taken for the other, mistyped."""


def near_name(path: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the path beside a new one that is most like it, or an empty text.

    Silent where nothing is in the folder; where two names differ in numbers only, as p1 and p2 do; and for what an
    instrument can have anyway.
    """
    folder, dot, name = path.rpartition(".")
    if _is_of_an_instrument(path):
        return ""
    beside = {other[len(folder + dot) :].partition(".")[0] for other in known if other.startswith(folder + dot)} - {
        name
    }
    unnumbered = re.sub(r"\d+", "", name)
    names = {sibling: folder + dot + sibling for sibling in beside if re.sub(r"\d+", "", sibling) != unnumbered}
    return suggest(name, names, ALIKE).replace("'", f"'{folder}{dot}", 1)


def _is_of_an_instrument(path: str) -> bool:
    """Tell whether a path is an instrument's, or a field that any instrument can have."""
    if not path.startswith(INSTRUMENTS):
        return False
    from dataclasses import fields

    from NexusCore.facility.instruments import Instrument

    pid, _, name = path.removeprefix(INSTRUMENTS).partition(".")
    return bool(pid) and (not name or name in {field.name for field in fields(Instrument)})
