"""The configuration as a list of lines: open folders, and matches of a search.

The database is not read here: the tree in memory is always up to date.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import FOLDER
from NexusCore.config.view import NamedConfiguration


@dataclass(frozen=True, slots=True)
class OutlineRow:
    """A line of the outline."""

    node: ConfigParameter
    """The parameter or folder, with its present value."""
    depth: int
    widest: int
    """Characters of the longest name in its folder, for aligned values."""


@dataclass(frozen=True, slots=True)
class SearchPosition:
    """The position in the matches of a search."""

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
        """Paths of the open folders, whether visible or not."""

    def rows(self) -> list[OutlineRow]:
        """Return the visible lines."""
        return list(self._rows("", 0))

    def matches(self, text: str) -> list[ConfigParameter]:
        """Return the nodes with all words of a text in path, value or comment, in any case, in the tree's order."""
        words = text.lower().split()
        return [node for node in self._below("") if words and all(word in _searchable(node) for word in words)]

    def match(self, text: str, path: str, step: int) -> SearchPosition | None:
        """Return the match at a path, with step 1 the next match, with -1 the previous match.

        After the last match comes the first. None without matches.
        """
        paths = [node.path for node in self.matches(text)]
        if not paths:
            return None
        order = [match.split(".") for match in paths]
        here = path.split(".")
        after = bisect_right(order, here)
        number = after if step > 0 else after - 1 + (step if here in order else 0)
        return SearchPosition(paths[number % len(paths)], number % len(paths) + 1, len(paths))

    def open_to(self, path: str) -> None:
        """Open the folders around a path, so that it is visible."""
        parts = path.split(".")
        self.opened.update(".".join(parts[:end]) for end in range(1, len(parts)))

    def holds(self, node: ConfigParameter) -> bool:
        """Return whether a node can have children: a folder, or a parameter with others below it."""
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


def split_at(text: str, search: str) -> list[str]:
    """Return a text in parts: every second part is a word of the search."""
    words = sorted(search.split(), key=len, reverse=True)
    return re.split(f"({'|'.join(map(re.escape, words))})", text, flags=re.IGNORECASE) if words else [text]


def _searchable(node: ConfigParameter) -> str:
    return f"{node.path}\n{node.shown}\n{node.comment or ''}".lower()
