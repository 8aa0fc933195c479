"""Sizes and SHA-256 of a dataset's files, as a `DatasetView` shows them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import document
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.finding.folders import is_dataset, members, size_and_time


def size(path: Path) -> int | None:
    """Return the bytes of a file, or of all files of a folder that is one dataset; None for what is neither."""
    if is_dataset(path):
        return size_and_time(path, links=True)[0]
    return document.size(path)


def fingerprints(files: Sequence[Path], hashed: bool) -> list[dict[str, Any]]:
    r"""Return name, size and, where it is asked for and can be had in time, SHA-256 of each file of a dataset.

    That of a folder is the SHA-256 of what ``sha256sum`` prints of its files, in the order of their paths' bytes::

        find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
    """
    until = time.monotonic() + document.HASHING_SECONDS
    return [_folder(file, hashed, until) if is_dataset(file) else _file(file, hashed, until) for file in files]


def missing_digests(files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each file whose SHA-256 was asked for and is missing."""
    for file in files:
        if file["size"] is not None and file["sha256"] is None:
            yield (
                f"The SHA-256 of {one_line(file['name'])} is missing: it could not be read to the end within "
                f"{document.HASHING_SECONDS:g} s."
            )


def _file(path: Path, hashed: bool, until: float) -> dict[str, Any]:
    return document.fingerprint(path, hashed and time.monotonic() <= until)


def _folder(path: Path, hashed: bool, until: float) -> dict[str, Any]:
    files, digest = members(path, links=True), hashlib.sha256() if hashed else None
    for name, _ in files:
        if digest is None:
            break
        own = _file(path / name, True, until)["sha256"]
        if own is None:
            digest = None
        else:
            digest.update(f"{own}  ".encode() + os.fsencode(name) + b"\n")
    total = sum(state.st_size for _, state in files)
    return {"name": path.name, "size": total, "sha256": digest.hexdigest() if digest else None}
