"""What the JSON beside a preview holds: the metadata of a file, what the file is, and what read it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.captured_output import CapturedOutput
from Services.Builder.extraction.extractors.cleaning import json_safe, rfc3339
from Services.Builder.extraction.extractors.profile import NOTHING_KNOWN, Profile
from Services.Builder.extraction.extractors.signal import Reading, Signal
from Services.Builder.model import Extraction

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class MetadataContent:
    """What the JSON holds beyond an extraction."""

    reading: Reading | None = None
    captured: CapturedOutput | None = None
    profile: Profile = NOTHING_KNOWN
    files: Sequence[Mapping[str, Any]] = ()
    """Of each file of the dataset its fingerprint, the main one first."""
    previews: dict[int, str] = field(default_factory=dict)
    """Names of the previews by the number of the signal in the reading."""


def document(extraction: Extraction, content: MetadataContent) -> dict[str, Any]:
    """Return an extraction as JSON values.

    ``nx_meta`` is flat; the units of its numbers stand in ``units``. Its ``Creation Time`` is the file's own, else the
    time of last modification; ``warnings`` marks the latter as unreliable, and the former where it is known to be.
    """
    unreliable = [name for name, value in extraction.meta.items() if value.warning]
    created = extraction.acquired or _modified(extraction.path)
    if extraction.acquired is None or extraction.acquired_doubtful or "Creation Time" in content.profile.warn:
        unreliable.append("Creation Time")
    nx_meta: dict[str, Any] = {
        "DatasetType": extraction.dataset_type,
        "Data Type": extraction.data_type,
        "Creation Time": rfc3339(created) if created else None,
        **{name: value.value for name, value in extraction.meta.items()},
        "warnings": unreliable,
    }
    reading = content.reading
    signals = reading.signals if reading else ()
    main = reading.main if reading else None
    return json_safe(  # type: ignore[no-any-return]
        {
            "file": extraction.path.name,
            "files": content.files,
            "format": extraction.format,
            "extractor": extraction.extractor,
            "nx_meta": nx_meta,
            "units": {name: value.unit for name, value in extraction.meta.items() if value.unit},
            "remarks": list(extraction.warnings),
            "messages": content.captured.messages if content.captured else [],
            "signals": [{**_signal(signal), "preview": content.previews.get(at)} for at, signal in enumerate(signals)],
            "metadata": main.metadata if main else {},
            "original_metadata": main.original_metadata if main else {},
        }
    )


def size(path: Path) -> int | None:
    """Return a file's size in bytes; None for a folder and for what cannot be looked at."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def fingerprint(path: Path, until: float | None) -> dict[str, Any]:
    """Return name, size and, where it can be had until then by the monotonic clock (None: not), SHA-256 of a file."""
    digest = _sha256(path, until) if until is not None and path.is_file() else None
    return {"name": path.name, "size": size(path), "sha256": digest}


def _sha256(path: Path, until: float) -> str | None:
    """Return the SHA-256 of a file, of which never more than a block is in memory."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if time.monotonic() > until:
                    return None
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def with_fingerprint(extraction: Extraction, content: MetadataContent) -> Extraction:
    """Return the extraction with the size and the SHA-256 of its main file."""
    main = content.files[0]
    return replace(extraction, size=main["size"], sha256=main["sha256"] or "")


def _signal(signal: Signal) -> dict[str, Any]:
    axes = [
        {"name": axis.name, "size": axis.size, "unit": axis.unit, "scale": axis.scale, "offset": axis.offset}
        for axis in signal.axes
    ]
    return {"title": signal.title, "shape": signal.shape, "signal_type": signal.signal_type, "axes": axes}


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC).replace(microsecond=0)
    except OSError:
        return None
