"""Sentences about files of a session that its record lacks, or says little of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from NexusCore.text import counted, one_line
from Services.Builder.model import Extraction, FoundFile

MOST_NAMED = 20
"""Files that a sentence names; of further ones it says how many there are."""


def left_out_sentence(files: Sequence[FoundFile], why: str) -> str:
    """Return that files are not in the record, and why; "" for none."""
    if not files:
        return ""
    return f"Begun in the session, not in its record, because {why}: {_named([file.path.name for file in files])}."


def not_read_sentence(extracted: Iterable[Extraction], seconds: float) -> str:
    """Return how many files could not be read within so many seconds, of all of the session; "" where all were."""
    extracted = list(extracted)
    late = sorted(extraction.path.name for extraction in extracted if not extraction.in_time)
    if not late:
        return ""
    return (
        f"This record is not whole: {len(late):,} of {counted(len(extracted), 'file')} could not be read within "
        f"{seconds:,g} s (Services.Builder.session_time): {_named(late)}. Building it again reads them."
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(one_line, names[:MOST_NAMED])) + more
