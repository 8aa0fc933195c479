"""Suggestions for a new parameter whose name is very similar to an existing one, and so probably mistyped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from NexusCore.text import suggest
from Tools.common.configuration import INSTRUMENTS

SIMILARITY = 0.75
"""Similarity of two names above which a new one counts as the other, mistyped."""


def near_name(path: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the most similar path of the same folder, or an empty text.

    Empty if the folder is empty, if the names differ only in numbers (p1 and p2), and for instruments and their known
    fields.
    """
    folder, dot, name = path.rpartition(".")
    if _is_of_an_instrument(path):
        return ""
    siblings = {other[len(folder + dot) :].partition(".")[0] for other in known if other.startswith(folder + dot)} - {
        name
    }
    unnumbered = re.sub(r"\d+", "", name)
    names = {sibling: folder + dot + sibling for sibling in siblings if re.sub(r"\d+", "", sibling) != unnumbered}
    return suggest(name, names, SIMILARITY).replace("'", f"'{folder}{dot}", 1)


def _is_of_an_instrument(path: str) -> bool:
    """Return whether a path is an instrument, or a known field of an instrument."""
    if not path.startswith(INSTRUMENTS):
        return False
    from dataclasses import fields

    from NexusCore.facility.instruments import Instrument

    pid, _, name = path.removeprefix(INSTRUMENTS).partition(".")
    return bool(pid) and (not name or name in {field.name for field in fields(Instrument)})
