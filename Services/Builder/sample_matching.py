"""Which of a session's samples an activity shows: the one that its files, their folders or their metadata name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from Services.Builder.model import Quantity, Sample

SHORTEST_NAME = 3
"""Letters and digits that a sample's name must have: a shorter one stands in too many words."""
_NAMING = ("Specimen", "Sample")
"""Metadata that say what was looked at."""
_WORDS = re.compile(r"[^\W_]+")


def sample_of(files: Iterable[tuple[Path, Mapping[str, Quantity]]], samples: Sequence[Sample]) -> Sample | None:
    """Return the sample of an activity; None if its files do not all name the same one.

    Parameters
    ----------
    files
        Path below the instrument's folder, and metadata, of each of its files.
    samples
        Those of the session. The only one of a session is that of all its activities.
    """
    if len(samples) == 1:
        return samples[0]
    known = [(words, sample) for sample in samples for words in _names(sample)]
    named = [_named(texts, known) for texts in map(_texts, files)]
    first = named[0] if named else None
    return first if first is not None and all(sample is first for sample in named) else None


def _names(sample: Sample) -> list[str]:
    names = (_spelled(text) for text in (sample.name or "", sample.ref or ""))
    return [name for name in names if len(name.replace(" ", "")) >= SHORTEST_NAME]


def _texts(file: tuple[Path, Mapping[str, Quantity]]) -> list[str]:
    path, meta = file
    return [_spelled(str(meta[name].value)) for name in _NAMING if name in meta] + list(map(_spelled, path.parts))


def _named(texts: Sequence[str], known: Sequence[tuple[str, Sample]]) -> Sample | None:
    """Return the sample that texts name; the longest of names that contain each other; None for several."""
    found = [(words, sample) for words, sample in known if any(words in text for text in texts)]
    longest = [sample for words, sample in found if not any(words != other and words in other for other, _ in found)]
    return longest[0] if longest and all(sample is longest[0] for sample in longest) else None


def _spelled(text: str) -> str:
    """Return the words of a text in small letters, each between spaces: what stands between them says nothing."""
    return "".join(f" {word}" for word in _WORDS.findall(text.casefold())) + " "
