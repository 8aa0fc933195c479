"""Finds the formats: every folder beside this module that declares a `SPEC` is one.

A format's folder holds

``__init__.py``
    ``SPEC = FormatSpec(...)``, imports nothing heavy
``recognise.py``
    ``recognise(head: bytes, path: Path) -> bool``: does the content look like this format?
``read.py``
    ``read(path: Path, companions: Sequence[Path]) -> Reading``; raises when the file cannot be read

Adding one touches no other file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from NexusCore import plugins
from Services.Builder.extraction.extractors.signal import Reading

HEAD = 4096
"""Bytes from the start of a file by which a format is recognised."""


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """What a format declares."""

    name: str
    """Display name."""
    extensions: tuple[str, ...]
    """In lower case, with the dot."""
    priority: int = 100
    """Of several formats that recognise a file, the one with the highest number reads it first."""
    description: str = ""
    reader: str = ""
    """What reads it, where that is not the project itself."""
    covers: tuple[FormatSpec, ...] = ()
    """The formats it stands for, where one folder serves many."""
    beside: tuple[str, ...] = ()
    """What, after a file's stem, the names of files beside it end in that it is read with."""
    names: Callable[[Path, Callable[[], Sequence[str]]], Iterator[str]] | None = None
    """Yields further such names, from a file and a function that lists its folder."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format that was found; its modules are imported when first used."""

    spec: FormatSpec
    module: str

    def recognise(self, head: bytes, path: Path) -> bool:
        """Return whether the file's extension and content are of this format."""
        if path.suffix.lower() not in self.spec.extensions:
            return False
        answer: Callable[[bytes, Path], bool] = importlib.import_module(f"{self.module}.recognise").recognise
        return answer(head, path)

    def read(self, path: Path, companions: Sequence[Path] = ()) -> Reading:
        """Read the file; any exception means that it cannot be read."""
        reader: Callable[[Path, Sequence[Path]], Reading] = importlib.import_module(f"{self.module}.read").read
        return reader(path, companions)


@cache
def formats() -> tuple[Format, ...]:
    """Return all formats, the one to be asked first first."""
    modules = plugins.kinds("Services.Builder.extraction.extractors").values()
    extractors = [Format(module.SPEC, module.__name__) for module in modules]
    return tuple(sorted(extractors, key=lambda extractor: (-extractor.spec.priority, extractor.spec.name)))


def candidates(path: Path) -> tuple[Format, ...]:
    """Return the formats that recognise the file, the best first; an unreadable file raises OSError."""
    head = b""
    if not path.is_dir():
        with path.open("rb") as file:
            head = file.read(HEAD)
    return tuple(extractor for extractor in formats() if extractor.recognise(head, path))


def beside(path: Path, listing: Callable[[], Sequence[str]]) -> Iterator[str]:
    """Yield the names of files in the folder of a file, or below it, that some format reads it with."""
    for extractor in formats():
        if path.suffix.lower() in extractor.spec.extensions:
            yield from (path.stem + spelled for end in extractor.spec.beside for spelled in (end, end.upper()))
            if extractor.spec.names is not None:
                yield from extractor.spec.names(path, listing)


def declared() -> tuple[FormatSpec, ...]:
    """Return the specification of every format, one by one where a folder serves many."""
    return tuple(spec for extractor in formats() for spec in (extractor.spec.covers or (extractor.spec,)))


def extensions() -> frozenset[str]:
    """Return every file name extension that some format claims, in lower case with the dot."""
    return frozenset(extension for extractor in formats() for extension in extractor.spec.extensions)
