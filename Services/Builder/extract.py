"""Extracts the metadata and the preview of one instrument file.

Examples
--------
Show what the Builder makes of a file, without any database::

    python -m Services.Builder.extract 0001.dm3
    python -m Services.Builder.extract 0001.dm3 --preview 0001.png --json 0001.json

The metadata go to standard output as JSON, remarks to standard error. Times that a file gives without a time zone are
taken to be in the time zone of the machine that extracts (set TZ to extract for another one).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from Services.Builder.extractors import Reading, candidates
from Services.Builder.extractors.cleaning import json_safe, one_line, rfc3339
from Services.Builder.extractors.dimensions import measures
from Services.Builder.extractors.faults import Unreadable, reason
from Services.Builder.extractors.kinds import UNKNOWN, Kind, kind_of
from Services.Builder.extractors.listening import Heard, listening
from Services.Builder.model import Extraction, Quantity


class NoSuchFile(NexusError):
    """There is no file '{path}'."""


class Unopened(NexusError):
    """The file could not be opened: {reason}."""


def extract(path: Path, preview: Path | None, metadata: Path | None, companions: Sequence[Path] = ()) -> Extraction:
    """Return what a file yields; a bad file yields a warning, never an exception.

    Parameters
    ----------
    path
        The file.
    preview
        Where to write the preview as PNG; None for no preview.
    metadata
        Where to write the metadata as JSON; None not to.
    companions
        Other files of the same dataset.
    """
    *_, last = stages(path, preview, metadata, companions)
    return last


def stages(
    path: Path, preview: Path | None, metadata: Path | None, companions: Sequence[Path] = ()
) -> Iterator[Extraction]:
    """Yield the extraction as it grows: first with the metadata, then with the preview, too.

    Whoever cannot wait for a preview, or loses the process that draws it, still has the metadata. Parameters as for
    `extract`.
    """
    with listening() as heard:
        reading, warnings = _read(path, companions)
    kind = kind_of(reading, path.stem) if reading else UNKNOWN
    found = _extraction(path, reading, kind, (*warnings, *(f"The reader remarks: {one}" for one in heard.remarks)))
    if metadata is not None:
        found = _written(found, reading, metadata, heard)
    yield found
    if preview is not None and reading is not None and kind.layout != "none":
        with listening():
            found = _drawn(found, reading, kind, preview)
        yield found


def _read(path: Path, companions: Sequence[Path]) -> tuple[Reading | None, list[str]]:
    """Read with the best format that can; say why the best one could not."""
    try:
        if not path.is_dir() and path.stat().st_size == 0:
            return None, ["The file is empty."]
        able = candidates(path)
    except FileNotFoundError:
        return None, [str(NoSuchFile(path=one_line(path)))]
    except Exception as error:  # noqa: BLE001 - an edge: whatever is wrong with one file must not end the session
        return None, [str(Unopened(reason=reason(error, path)))]
    failures: list[str] = []
    for one in able:
        try:
            reading = one.read(path, companions)
        except Unreadable as error:
            failures.append(str(error))
        except Exception as error:  # noqa: BLE001 - an edge: a foreign reader raises what it likes; it is recorded
            failures.append(str(Unreadable(format=one.spec.name, reason=reason(error, path))))
        else:
            return reading, [*failures[:1], *reading.warnings]
    return None, failures[:1] or [f"No reader is known for files of the kind '{path.suffix or path.name}'."]


def _extraction(path: Path, reading: Reading | None, kind: Kind, warnings: tuple[str, ...]) -> Extraction:
    if reading is None:
        return Extraction(path, "unknown", kind.dataset_type, kind.data_type, warnings=warnings)
    meta = dict(reading.meta)
    if reading.main is not None:
        meta.update(measures(reading.main, kind))
        if len(reading.signals) > 1:
            meta["Signals"] = Quantity(len(reading.signals))
    return Extraction(
        path=path,
        format=reading.format,
        dataset_type=kind.dataset_type,
        data_type=kind.data_type,
        meta={name: meta[name] for name in sorted(meta)},
        acquired=reading.acquired,
        warnings=warnings,
        extractor=reading.reader,
    )


def document(found: Extraction, reading: Reading | None = None, heard: Heard | None = None) -> dict[str, Any]:
    """Return an extraction as JSON values.

    ``nx_meta`` is flat; the units of its numbers stand in ``units``. Its ``Creation Time`` is the file's own, else the
    time of last modification, which ``warnings`` then marks as unreliable.
    """
    unreliable = [name for name, one in found.meta.items() if one.warning]
    created = found.acquired or _modified(found.path)
    if found.acquired is None:
        unreliable.append("Creation Time")
    nx_meta: dict[str, Any] = {
        "DatasetType": found.dataset_type,
        "Data Type": found.data_type,
        "Creation Time": rfc3339(created) if created else None,
        **{name: one.value for name, one in found.meta.items()},
        "warnings": unreliable,
    }
    signals = reading.signals if reading else ()
    main = reading.main if reading else None
    return json_safe(  # type: ignore[no-any-return]
        {
            "file": found.path.name,
            "format": found.format,
            "extractor": found.extractor,
            "nx_meta": nx_meta,
            "units": {name: one.unit for name, one in found.meta.items() if one.unit},
            "remarks": list(found.warnings),
            "messages": heard.messages if heard else [],
            "signals": [{"title": one.title, "shape": one.shape, "signal_type": one.signal_type} for one in signals],
            "metadata": main.metadata if main else {},
            "original_metadata": main.original_metadata if main else {},
        }
    )


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)
    except OSError:
        return None


def _written(found: Extraction, reading: Reading | None, target: Path, heard: Heard) -> Extraction:
    try:
        text = json.dumps(document(found, reading, heard), ensure_ascii=False, indent=1, allow_nan=False)
        replace_file(target, text.encode())
    except Exception as error:  # noqa: BLE001 - an edge: the record is worth more than its JSON; it is recorded
        return _warned(found, f"The metadata could not be written as JSON: {reason(error)}.")
    return replace(found, metadata_json=target)


def _drawn(found: Extraction, reading: Reading, kind: Kind, target: Path) -> Extraction:
    try:
        from Services.Builder.preview import png

        replace_file(target, png(reading, kind))
    except Exception as error:  # noqa: BLE001 - an edge: numbers of every sort come from files; it is recorded
        return _warned(found, f"No preview could be drawn: {reason(error)}.")
    return replace(found, preview=target)


def _warned(found: Extraction, sentence: str) -> Extraction:
    return replace(found, warnings=(*found.warnings, sentence))


def replace_file(target: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="python -m Services.Builder.extract",
        description="Show the metadata of an instrument file as JSON, and draw its preview.",
        epilog="examples: %(prog)s 0001.dm3 | %(prog)s 0001.dm3 --preview 0001.png --json 0001.json",
    )
    made.add_argument("file", type=Path, metavar="FILE", help="the instrument file")
    made.add_argument("--preview", type=Path, metavar="PNG", help="draw the preview into this file")
    made.add_argument("--json", type=Path, metavar="JSON", help="write all metadata into this file")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser().parse_args(argv)
    path: Path = arguments.file
    if not path.exists():
        print(NoSuchFile(path=one_line(path)), file=sys.stderr)  # noqa: T201 - a command's output
        return EXIT_FAILURE
    found = extract(path, arguments.preview, arguments.json)
    for sentence in found.warnings:
        print(sentence, file=sys.stderr)  # noqa: T201 - a command's output
    json.dump(_shown(found), sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
    print()  # noqa: T201 - a command's output
    return EXIT_OK


def _shown(found: Extraction) -> Mapping[str, Any]:
    return {key: value for key, value in document(found).items() if value}


if __name__ == "__main__":
    sys.exit(main())
