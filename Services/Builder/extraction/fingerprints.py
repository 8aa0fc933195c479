"""Sizes and SHA-256 of a dataset's files, as a `DatasetView` shows them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from NexusCore.facility.record_page.content import size_text
from Services.Builder.extraction.extractors import document
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.finding.folders import is_dataset, members, size_and_time


def size(path: Path) -> int | None:
    """Return the bytes of a file, or of all files of a folder that is one dataset; None for what is neither."""
    if is_dataset(path):
        return size_and_time(path, links=True)[0]
    return document.size(path)


def fingerprints(files: Sequence[Path], seconds: float | None) -> list[dict[str, Any]]:
    r"""Return name, size and, where it can be had in so many seconds for all, SHA-256 of each file of a dataset.

    None: without.

    That of a folder is the SHA-256 of what ``sha256sum`` prints of its files, in the order of their paths' bytes::

        find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
    """
    until = None if seconds is None else time.monotonic() + seconds
    return [_folder(file, until) if is_dataset(file) else document.fingerprint(file, until) for file in files]


def without_digest(files: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the files that are there and have no SHA-256."""
    return [file for file in files if file["size"] is not None and file["sha256"] is None]


def missing_digests(files: Sequence[Mapping[str, Any]], seconds: float, too_late: bool) -> Iterator[str]:
    """Yield a sentence for each file whose SHA-256 was asked for and is missing.

    Parameters
    ----------
    files
        As `fingerprints` returns them.
    seconds
        The time that there was.
    too_late
        Whether it was used up.
    """
    for file in without_digest(files):
        missing = f"The SHA-256 of {one_line(file['name'])} is missing"
        if too_late:
            yield (
                f"{missing}: its {size_text(file['size'])} are too much for the {seconds:g} s that hashing may take "
                f"(Services.Builder.hash_seconds)."
            )
        else:
            yield f"{missing}: it could not be read to the end."


def _folder(path: Path, until: float | None) -> dict[str, Any]:
    files, digest = members(path, links=True), None if until is None else hashlib.sha256()
    for name, _ in files:
        if digest is None:
            break
        own = document.fingerprint(path / name, until)["sha256"]
        if own is None:
            digest = None
        else:
            digest.update(f"{own}  ".encode() + os.fsencode(name) + b"\n")
    total = sum(state.st_size for _, state in files)
    return {"name": path.name, "size": total, "sha256": digest.hexdigest() if digest else None}
