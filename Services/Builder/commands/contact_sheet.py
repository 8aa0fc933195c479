"""Draws contact sheets of a folder of instrument files: the preview of each, with its name and kind.

Examples
--------
All files of a folder, 24 on a sheet; further sheets are ``sheet-2.png`` and so on::

    python -m Services.Builder.commands.contact_sheet ../shared/data sheet.png --on-each 24
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.resources import reported, sentence_of
from NexusCore.text import counted, escape, one_line
from Services.Builder.commands.targets import check_targets
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import ContactSheet, Extraction, FoundFile, SheetEntry

SECONDS_PER_FILE = 100.0
ON_EACH = 48
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class NothingToShow(NexusError):
    """The folder {folder} contains no file."""


class SheetNotDrawn(NexusError):
    """The contact sheet {target} could not be drawn: {reason}"""  # noqa: D400 - the reason ends it


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    command = argparse.ArgumentParser(
        prog="python -m Services.Builder.commands.contact_sheet",
        description="Draw contact sheets of a folder of instrument files: each file's preview, name and kind.",
        epilog="example:\n  %(prog)s /data/titan/2026-11-20 sheet.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the folder, with all that are in it")
    command.add_argument("target", type=Path, metavar="OUT.png", help="the sheet; further ones are OUT-2.png ...")
    command.add_argument("--on-each", type=int, default=ON_EACH, metavar="N", help=f"files on a sheet ({ON_EACH})")
    command.add_argument("--signals", action="store_true", help="show every signal of a file that holds several")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser().parse_args(argv)
    try:
        for target in draw(arguments.folder, arguments.target, max(1, arguments.on_each), arguments.signals):
            sys.stdout.write(f"{escape(str(target))}\n")
    except NexusError as error:
        sys.stderr.write(f"{escape(sentence_of(error))}\n")
        return error.exit_code
    return EXIT_OK


def draw(folder: Path, target: Path, on_each: int = ON_EACH, signals: bool = False) -> Iterator[Path]:
    """Draw the sheets of a folder; yield where each is.

    Parameters
    ----------
    folder
        Of the instrument files; those in folders below count, too.
    target
        The first sheet; the number of a further one stands before the extension.
    on_each
        Files on a sheet.
    signals
        Show every preview of a file, not the first one only.

    Raises
    ------
    NothingToShow, SheetNotDrawn
        With the reason.
    """
    check_targets([], target)
    files = find_files(folder, [TimeRange("all", *_ALWAYS)]).files["all"] if folder.is_dir() else ()
    if not files:
        raise NothingToShow(folder=folder)
    files = tuple(sorted(files, key=lambda file: file.path))
    with tempfile.TemporaryDirectory() as kept, Workers(2, SECONDS_PER_FILE) as workers:
        jobs = [_job(file, Path(kept), number, folder) for number, file in enumerate(files)]
        found = {extraction.path: extraction for extraction in workers.extract_all(jobs)}
        entries = [entry for file in files for entry in _entries(folder, found[file.path], signals)]
        sheets = [entries[start : start + on_each] for start in range(0, len(entries), on_each)]
        for number, shown in enumerate(sheets, start=1):
            place = target if number == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
            part = f" · {number} of {len(sheets)}" if len(sheets) > 1 else ""
            sheet = ContactSheet(f"{folder.name} · {counted(len(files), 'file')}{part}", tuple(shown))
            job = replace(jobs[0], preview=Path(kept) / "sheet.png", metadata=None, sheet=sheet)
            (drawn,) = workers.extract_all([job])
            if drawn.preview is None:
                raise SheetNotDrawn(target=one_line(str(place)), reason=" ".join(drawn.warnings))
            place.write_bytes(drawn.preview.read_bytes())
            yield place


def _job(file: FoundFile, kept: Path, number: int, folder: Path) -> Job:
    png, metadata = kept / f"{number}.png", kept / f"{number}.json"
    return Job(file.path, png, metadata, file.companions, None, None, folder.absolute(), file.identities)


def _entries(folder: Path, extraction: Extraction, signals: bool) -> Iterator[SheetEntry]:
    path = extraction.path
    name = (path.relative_to(folder.absolute()) if path.is_relative_to(folder.absolute()) else path).as_posix()
    kind = f"{extraction.dataset_type} · {extraction.data_type.replace('_', ' ')} · {extraction.format}"
    yield SheetEntry(name, kind, extraction.preview.read_bytes() if extraction.preview else None)
    for preview in extraction.further_previews if signals else ():
        words = (f"signal {part}" if part.isdecimal() else f"element {part}" for part in preview.stem.split(".")[1:])
        yield SheetEntry(name, ", ".join(words), preview.read_bytes())


if __name__ == "__main__":
    sys.exit(reported(main))
