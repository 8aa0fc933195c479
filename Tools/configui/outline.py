"""The configuration as lines, one below the other: which folders are open, and what matches a search.

Nothing here asks the database: the tree in memory is always up to date.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from NexusCore.config.parameter import FOLDER, ConfigParameter
from NexusCore.config.view import NamedConfiguration


@dataclass(frozen=True, slots=True)
class OutlineRow:
    """A line of the outline."""

    node: ConfigParameter
    """The parameter or folder itself, with the value that it has now."""
    depth: int
    widest: int
    """Characters of the longest name beside it, for aligned values."""


@dataclass(frozen=True, slots=True)
class SearchPosition:
    """Where a search has come to."""

    path: str
    number: int
    """Counted from 1."""
    total: int


class Outline:
    """The lines of a configuration.

    Parameters
    ----------
    config
        The configuration, from its root.
    """

    def __init__(self, config: NamedConfiguration) -> None:
        self.config = config
        self.opened: set[str] = set()
        """Paths of the folders whose contents are shown, where they themselves are."""

    def rows(self) -> list[OutlineRow]:
        """Return the lines that there are while some folders are open."""
        return list(self._rows("", 0))

    def matches(self, text: str) -> list[ConfigParameter]:
        """Return what has all words of a text in its path, value or comment, whatever the case, in the tree's order."""
        words = text.lower().split()
        return [node for node in self._below("") if words and all(word in _searched(node) for word in words)]

    def match(self, text: str, path: str, step: int) -> SearchPosition | None:
        """Return the match that is at a path, with step 1 the next after it, with -1 the one before it.

        Behind the last comes the first again. None if nothing matches.
        """
        found = [node.path for node in self.matches(text)]
        if not found:
            return None
        order = [match.split(".") for match in found]
        here = path.split(".")
        after = bisect_right(order, here)
        number = after if step > 0 else after - 1 + (step if here in order else 0)
        return SearchPosition(found[number % len(found)], number % len(found) + 1, len(found))

    def open_to(self, path: str) -> None:
        """Open the folders that a path is in, so that it can be seen."""
        parts = path.split(".")
        self.opened.update(".".join(parts[:end]) for end in range(1, len(parts)))

    def holds(self, node: ConfigParameter) -> bool:
        """Tell whether there can be something below: a folder, or a parameter that a program put others under."""
        return node.datatype == FOLDER or bool(self.config.keys(node.path))

    def _rows(self, folder: str, depth: int) -> Iterator[OutlineRow]:
        children = self.config.get_children(folder)
        widest = max((len(node.name) for node in children if node.datatype != FOLDER), default=0)
        for node in children:
            yield OutlineRow(node, depth, widest)
            if node.path in self.opened:
                yield from self._rows(node.path, depth + 1)

    def _below(self, folder: str) -> Iterator[ConfigParameter]:
        for node in self.config.get_children(folder):
            yield node
            yield from self._below(node.path)


def split_at(text: str, sought: str) -> list[str]:
    """Return a text in parts: every second one is a word that was sought."""
    words = sorted(sought.split(), key=len, reverse=True)
    return re.split(f"({'|'.join(map(re.escape, words))})", text, flags=re.IGNORECASE) if words else [text]


def _searched(node: ConfigParameter) -> str:
    return f"{node.path}\n{node.shown}\n{node.comment or ''}".lower()
