"""Sentences about what was in the folder during a session and is not in its record: for the record and the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from NexusCore.text import one_line
from Services.Builder.finding.searching import SessionFiles
from Services.Builder.model import FoundFile

MOST_NAMED = 20
"""Files that a sentence names; of further ones it says how many there are."""


def left_out(files: SessionFiles) -> Iterator[str]:
    """Yield a sentence for each reason why something is not in the record."""
    if files.growing:
        yield _begun(files.growing, "still being written when the record was made")
    if files.overrun:
        yield _begun(files.overrun, "still being written when the next session had started")
    if files.unfollowed:
        yield _unfollowed(files.unfollowed)


def _begun(files: Sequence[FoundFile], why: str) -> str:
    return f"Begun in the session, not in its record, because {why}: {_names([file.path.name for file in files])}."


def _unfollowed(entries: Sequence[tuple[Path, str]]) -> str:
    names = _names([f"{path.name} ({kind})" for path, kind in entries])
    return f"Not in the record, because links, pipes and devices are not followed: {names}."


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(map(one_line, names[:MOST_NAMED]))}{more}"
