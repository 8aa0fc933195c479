"""What is known of a session that its files may leave out: the elements of the samples, the kind of microscope.

A reservation is typed in by anyone who may book: only symbols of elements are taken from it, and only so many samples.
What comes of it is never written as if a file said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from Services.Builder.elements import ELEMENTS
from Services.Builder.model import Quantity, Sample
from Services.Builder.sample_matching import sample_of

MOST_SAMPLES = 50
"""Samples of a session up to which a file may name its own; of more, the elements of all are taken together."""
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ReadingContext:
    """What is known of a file besides the file."""

    samples: tuple[Sample, ...] = ()
    """Those of the session's reservation: names, identifiers and elements alone."""
    column: str | None = None
    """Kind of microscope that the instrument is: ``TEM``, ``STEM`` or ``SEM``; None where that is not known."""

    def elements_of(self, path: Path, meta: Mapping[str, Quantity]) -> tuple[str, ...]:
        """Return symbols of the elements in the sample that a file shows; of all samples where it names none of them.

        Parameters
        ----------
        path
            Of the file, below the folder of the instrument's files.
        meta
            Its metadata.
        """
        sample = sample_of([(path, meta)], self.samples)
        return _union(self.samples if sample is None else (sample,))


NO_CONTEXT = ReadingContext()


def context_of(samples: Iterable[Sample], column: str | None = None) -> ReadingContext:
    """Return the context of a session's files.

    Parameters
    ----------
    samples
        Those of the reservation; what they name besides elements is left out.
    column
        Kind of microscope that the instrument is.
    """
    known = []
    for sample in samples:
        stated = {symbol.strip() for symbol in sample.elements}
        elements = tuple(symbol for symbol in ELEMENTS if symbol in stated)
        known.append(Sample(_short(sample.name), sample.id, _short(sample.ref), elements=elements))
    if not any(sample.elements for sample in known):
        return ReadingContext(column=column)
    if len(known) > MOST_SAMPLES:
        known = [Sample(elements=_union(known))]
    return ReadingContext(tuple(known), column)


def without_samples(context: ReadingContext) -> ReadingContext:
    """Return the context of a file for which the elements of samples do not matter."""
    return replace(context, samples=())


def _union(samples: Sequence[Sample]) -> tuple[str, ...]:
    named = {symbol for sample in samples for symbol in sample.elements}
    return tuple(symbol for symbol in ELEMENTS if symbol in named)


def _short(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST_NAME]
