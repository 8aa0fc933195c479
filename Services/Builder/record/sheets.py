"""The contact sheet of each activity of a record: which datasets it shows, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path

from NexusCore.files import Folder, InTheWay, open_file_below
from NexusCore.text import counted
from Services.Builder.extraction.jobs import Job
from Services.Builder.model import ContactSheet, Extraction, FoundFile, SheetEntry
from Services.Builder.record.build import RecordPaths

MOST_SHOWN = 48
"""Datasets on a sheet; of further ones it says how many there are."""
AT_ONCE = 8
"""Sheets whose previews are in memory at a time."""
FEWEST = 2
"""Datasets of an activity from which on it has a sheet."""
LARGEST_PREVIEW = 2 * 1024 * 1024
"""Bytes of a preview that is shown on a sheet; larger ones are none of ours."""
_NAME = re.compile(r"activity-\d+-*\.png")


def draw_sheets(
    extract_all: Callable[[Sequence[Job]], Generator[Extraction, None, None]],
    activities: Sequence[Sequence[FoundFile]],
    extractions: Mapping[Path, Extraction],
    places: RecordPaths,
    zone: tzinfo | None,
) -> dict[int, Path]:
    """Draw the activities' sheets; return those that could be drawn, by the number of the activity.

    Parameters
    ----------
    extract_all
        Yields what jobs yield, in any order.
    activities
        The session's files, grouped.
    extractions
        What each file yielded.
    places
        Where the record will lie.
    zone
        Of the times on the sheets; None for this machine's.
    """
    sheets: dict[int, Path] = {}
    jobs = sheet_jobs(activities, extractions, places, zone)
    while batch := {job.path: (number, job) for number, job in islice(jobs, AT_ONCE)}:
        with closing(extract_all([job for _, job in batch.values()])) as drawn:
            for extraction in drawn:
                if extraction.preview is not None:
                    sheets[batch[extraction.path][0]] = extraction.preview
    remove_others(places, sheets.values(), extractions)
    return sheets


def sheet_jobs(
    activities: Sequence[Sequence[FoundFile]],
    extractions: Mapping[Path, Extraction],
    places: RecordPaths,
    zone: tzinfo | None,
) -> Iterator[tuple[int, Job]]:
    """Yield the number of each activity that gets a sheet, from 0, and the job that draws it.

    The job bears the path of the activity's first file, and runs in a process that may read that file's folder: those
    that have just read the session's files are used again.
    """
    taken = {preview for one in extractions.values() for preview in (one.preview, *one.further_previews) if preview}
    for number, files in enumerate(activities):
        if len(files) < FEWEST or not any(extractions[file.path].preview for file in files):
            continue
        first = files[0]
        sheet = _sheet(number, files, extractions, places, zone)
        target = _place(number, places, taken)
        yield number, Job(first.path, target, records=places.xml.parent, root=first.root, sheet=sheet)


def remove_others(places: RecordPaths, sheets: Iterable[Path], extractions: Mapping[Path, Extraction]) -> None:
    """Remove sheets of an earlier record of the session: its activities may have been others."""
    kept = {sheet.name for sheet in sheets}
    kept |= {
        preview.name for one in extractions.values() for preview in (one.preview, *one.further_previews) if preview
    }
    with suppress(OSError, InTheWay), Folder.open(places.files) as folder:
        for name in folder.names():
            if _NAME.fullmatch(name) and name not in kept:
                folder.remove(name)


def _place(number: int, places: RecordPaths, taken: set[Path]) -> Path:
    """Return where a sheet goes: where no preview lies, not even that of a file named ``activity-3``."""
    place = places.files / f"activity-{number + 1}.png"
    while place in taken:
        place = place.with_name(f"{place.stem}-.png")
    return place


def _sheet(
    number: int,
    files: Sequence[FoundFile],
    extractions: Mapping[Path, Extraction],
    places: RecordPaths,
    zone: tzinfo | None,
) -> ContactSheet:
    start = files[0].modified.astimezone(zone)
    end = max(file.modified for file in files).astimezone(zone)
    title = f"Activity {number + 1} · {_span(start, end)} · {counted(len(files), 'dataset')}"
    shown = files[:MOST_SHOWN]
    entries = tuple(_entry(file, extractions[file.path], places, zone) for file in shown)
    return ContactSheet(title, entries, len(files) - len(shown))


def _span(start: datetime, end: datetime) -> str:
    last = f"{end:%H:%M:%S}" if end.date() == start.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S} – {last}"


def _entry(file: FoundFile, extraction: Extraction, places: RecordPaths, zone: tzinfo | None) -> SheetEntry:
    made = (extraction.acquired or file.modified).astimezone(zone)
    day = "" if made.date() == file.modified.astimezone(zone).date() else f"{made:%Y-%m-%d} "
    kind = extraction.data_type.replace("_", " ")
    content = _content(places, extraction.preview) if extraction.preview is not None else None
    return SheetEntry(file.path.name, f"{day}{made:%H:%M:%S} · {kind}", content)


def _content(places: RecordPaths, preview: Path) -> bytes | None:
    try:
        with open_file_below(places.xml.parent, preview) as file:
            content = file.read(LARGEST_PREVIEW + 1)
    except (OSError, ValueError, InTheWay):
        return None
    return content if len(content) <= LARGEST_PREVIEW else None
