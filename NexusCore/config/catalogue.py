"""What programs read from the configuration: every declared parameter, whether it is stored yet or not.

Each room has a module ``declarations`` with ``declare(config)``, which calls `set_default` for each parameter that it
always has, and `may_have` for those that exist once somebody sets them. The same function fills a catalogue, from which
services, set-up and tools take type, default, comment and limits. A ``*`` in a path stands for any name:
``Instruments.*.timezone``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from NexusCore import plugins
from NexusCore.config.changes import Edit
from NexusCore.config.values import Limits, Value, datatype_of
from NexusCore.text import suggest

ANY = "*"
"""Stands for any name in a declared path."""
_ALIKE = 0.7
"""Similarity of two names above which one counts as the other, mistyped."""


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """A parameter as the program that reads it declares it."""

    path: str
    """May contain `ANY`; what `Catalogue.find` returns has the path asked for."""
    default: Value
    datatype: str
    comment: str
    """What it is for, and its unit."""
    limits: Limits
    stored: bool = True
    """It is stored with its default from the start; others exist once somebody sets them."""

    def edit(self, value: Value, **fields: Any) -> Edit:
        """Return the edit that gives the parameter a value, with all that is declared."""
        return Edit(self.path, value=value, datatype=self.datatype, comment=self.comment, limits=self.limits, **fields)


class Collected:
    """Collects declarations; it reads as a configuration in which all is at its default and any name exists.

    So what makes a source or a destination of its settings also tells what settings it has.

    Parameters
    ----------
    root
        Path of the folder; empty for the absolute root.
    into
        Where the declarations go; those that are there already stay.
    """

    def __init__(self, root: str = "", into: dict[str, DeclaredParameter] | None = None) -> None:
        self.root = root
        self.declared: dict[str, DeclaredParameter] = {} if into is None else into
        self._prefix = f"{root}." if root else ""

    def at(self, folder: str) -> Collected:
        """Return the collection from another folder of the absolute root down."""
        return Collected(folder, self.declared)

    def set_default(
        self, name: str, value: Value, datatype: str | None = None, comment: str | None = None, **limits: Any
    ) -> None:
        """Declare a parameter that is always there; below `ANY` it exists once somebody sets it."""
        self._add(self._item(name, value, datatype, comment, limits))

    def may_have(
        self, name: str, value: Value, datatype: str | None = None, comment: str | None = None, **limits: Any
    ) -> None:
        """Declare a parameter that exists once somebody sets it."""
        self._add(replace(self._item(name, value, datatype, comment, limits), stored=False))

    def _item(
        self, name: str, value: Value, datatype: str | None, comment: str | None, limits: dict[str, Any]
    ) -> DeclaredParameter:
        path = self._prefix + name
        kind, stored = datatype or datatype_of(path, value), ANY not in path.split(".")
        return DeclaredParameter(path, value, kind, comment or "", Limits.of(limits), stored)

    def _add(self, item: DeclaredParameter) -> None:
        self.declared.setdefault(item.path, item)  # as in a configuration, the first one counts

    def __getitem__(self, name: str) -> Value:
        declared = self.declared.get(self._prefix + name)
        return None if declared is None else declared.default

    def number(self, name: str) -> float:
        """Return the default of a number; 0 for a parameter that is not declared."""
        value = self[name]
        return value if isinstance(value, (int, float)) else 0.0

    def keys(self, name: str = "") -> list[str]:
        """Return the names declared below a folder, and `ANY`."""
        prefix = f"{self._prefix}{name}." if name else self._prefix
        names = (path[len(prefix) :].partition(".")[0] for path in self.declared if path.startswith(prefix))
        return list(dict.fromkeys([*names, ANY]))


class Catalogue:
    """All declared parameters.

    Parameters
    ----------
    declared
        The declarations, by their paths.
    """

    def __init__(self, declared: Mapping[str, DeclaredParameter]) -> None:
        self._declared = dict(declared)
        self._patterns = [item for item in self._declared.values() if not item.stored and ANY in item.path.split(".")]

    def __iter__(self) -> Iterator[DeclaredParameter]:
        return iter(self._declared.values())

    def find(self, path: str) -> DeclaredParameter | None:
        """Return what is declared of a path, or None."""
        known = self._declared.get(path)
        if known is not None:
            return known
        parts = path.split(".")
        for item in self._patterns:
            if _fits(item.path.split("."), parts):
                return replace(item, path=path)
        return None

    def default(self, path: str) -> Value:
        """Return the value that a parameter has while it is not stored; None for one that may be missing."""
        known = self._declared.get(path)
        return known.default if known is not None and known.stored else None

    @property
    def stored(self) -> Iterator[DeclaredParameter]:
        """Yield the parameters that are always there."""
        return (item for item in self._declared.values() if item.stored)

    @cached_property
    def roots(self) -> frozenset[str]:
        """First names of all paths."""
        return frozenset(path.partition(".")[0] for path in self._declared)

    def possible(self, paths: Iterable[str]) -> list[DeclaredParameter]:
        """Return what can be set besides some stored paths: for each folder that exists, what it may have."""
        stored = set(paths)
        folders = {path[:end] for path in stored for end, letter in enumerate(path) if letter == "."}
        result = []
        for item in self._declared.values():
            if ANY not in item.path.split("."):
                result += [] if item.path in stored else [item]
                continue
            before, _, after = item.path.partition(f".{ANY}.")
            names = {folder[len(before) + 1 :] for folder in folders if folder.startswith(f"{before}.")}
            places = (f"{before}.{name}.{after}" for name in sorted(names) if "." not in name)
            result += [replace(item, path=path) for path in places if path not in stored and ANY not in path.split(".")]
        return result

    def mistake(self, path: str) -> str | None:
        """Return why nothing reads a path, with the similar ones; None if it is declared, or nobody can say."""
        parts = path.split(".")
        if parts[0] not in self.roots:
            hint = suggest(parts[0], self.roots, _ALIKE) if len(parts) > 1 else ""
            return f"nothing reads the folder {parts[0]}.{hint}" if hint else None
        if self.find(path) is not None:
            return None
        for count in range(1, len(parts)):
            names = self._names(parts[:count])
            if parts[count] in names or ANY in names:
                continue
            folder = ".".join(parts[:count])
            hint = suggest(parts[count], names, _ALIKE)
            if not hint and (count == 1 or parts[0] == "Instruments"):
                return None  # a service of somebody else's, or what a facility notes about an instrument
            missing = f"{folder} has no '{parts[count]}'"
            return f"{missing}.{hint.replace(chr(39), f'{chr(39)}{folder}.', 1)}" if hint else missing
        return f"it is a folder, of {', '.join(sorted(self._names(parts) - {ANY})[:5])} and others"

    def _names(self, folder: list[str]) -> set[str]:
        """Return the names that may stand in a folder."""
        names = set()
        for item in self._declared.values():
            parts = item.path.split(".")
            if len(parts) > len(folder) and _fits(parts[: len(folder)], folder):
                names.add(parts[len(folder)])
        return names


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(a in (ANY, b) for a, b in zip(pattern, parts, strict=True))


@cache
def catalogue() -> Catalogue:
    """Return what all programs of this installation read from the configuration."""
    collected = Collected()
    for module in plugins.declarations():
        module.declare(collected)
    return Catalogue(collected.declared)
