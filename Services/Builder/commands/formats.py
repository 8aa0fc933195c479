"""Shows what the Builder reads from each format of instrument files, as the Markdown of ``docs/formats.md``.

Examples
--------
Over a folder of instrument files, and over the sample session besides::

    python -m Services.Builder.commands.formats ../shared/data --sample > docs/formats.md
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.resources import reported, sentence_of
from NexusCore.text import escape, one_line
from Services.Builder.extraction.extractors import declared
from Services.Builder.extraction.extractors.dimensions import DERIVED
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import Extraction, FoundFile, Quantity

SECONDS_PER_FILE = 100.0
_SAMPLE_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_NONE = "–"
_HEAD = """\
# What each format yields

Made by `python -m Services.Builder.commands.formats` from instruments' own files and the sample session; the Builder
reads more than that: the second table lists the known formats without a file.

*Conditions* counts the quantities about microscope and measurement that the files held, without those that follow from
the axes; the last section names them. *Time* is the share of files that hold their time of acquisition;
file by file it is shown in UTC, as on a machine whose zone that is.

![The previews of these files](formats/sheet.png)
![The previews of these files, continued](formats/sheet-2.png)
"""


class NoFiles(NexusError):
    """Folder {folder} contains no file."""


@dataclass(frozen=True, slots=True)
class Yield:
    """What one file yielded."""

    extraction: Extraction
    axes: tuple[tuple[Mapping[str, Any], ...], ...]
    """Of each of its signals."""

    @property
    def conditions(self) -> Mapping[str, Quantity]:
        """Quantities about microscope and measurement: all but those that follow from the axes."""
        return {name: value for name, value in self.extraction.meta.items() if name not in DERIVED}

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the axes of all signals, each once."""
        return tuple(sorted({str(axis["unit"]) for axes in self.axes for axis in axes if axis.get("unit")}))


def survey(folders: Iterable[Path]) -> Iterator[Yield]:
    """Extract every file of some folders with the Builder's own processes; yield the results.

    A companion (the .raw of an .rpl) is read with its main file and yields nothing itself.
    """
    jobs: list[Job] = []
    with tempfile.TemporaryDirectory() as kept, Workers(2, SECONDS_PER_FILE) as workers:
        for folder in folders:
            for file in _files(folder):
                target = Path(kept) / str(len(jobs))
                png, metadata = target.with_suffix(".png"), target.with_suffix(".json")
                jobs.append(
                    Job(file.path, png, metadata, file.companions, None, None, folder.absolute(), file.identities)
                )
        for extraction in workers.extract_all(jobs):
            signals = json.loads(extraction.metadata_json.read_bytes())["signals"] if extraction.metadata_json else []
            yield Yield(extraction, tuple(tuple(signal["axes"]) for signal in signals))


def _files(folder: Path) -> tuple[FoundFile, ...]:
    if not folder.is_dir():
        raise NoFiles(folder=folder)
    files = find_files(folder, [TimeRange("all", *_ALWAYS)]).files["all"]
    if not files:
        raise NoFiles(folder=folder)
    return files


def report(yields: Iterable[Yield]) -> str:
    """Return the Markdown: a table of what was read, one of what was not at hand, and the quantities by format."""
    groups: dict[str, list[Yield]] = defaultdict(list)
    for file in yields:
        groups[file.extraction.format].append(file)
    unread = groups.pop("unknown", [])
    formats = {
        name: sorted(groups[name], key=lambda file: file.extraction.path.name) for name in sorted(groups, key=str.lower)
    }
    return "\n".join(
        [
            _HEAD,
            *_formats_read(formats),
            *_files_read(formats),
            *_formats_without_file(formats),
            *_unreadable_files(unread),
            *_quantities(formats),
        ]
    )


def _formats_read(formats: Mapping[str, Sequence[Yield]]) -> Iterator[str]:
    yield "## Read\n"
    yield from _row(
        "Format", "Extensions", "Reader", "Files", "Dataset types", "Units", "Conditions", "Time", "Preview"
    )
    for name, yields in formats.items():
        first = yields[0].extraction.extractor
        yield _cells(
            name,
            _list_text(f"`{file.extraction.path.suffix.lower()}`" for file in yields),
            " ".join(part for part in first.partition(", ")[2].split() if not part[0].isdigit()),  # without versions
            str(len(yields)),
            _list_text(f"{file.extraction.dataset_type}/{file.extraction.data_type}" for file in yields),
            _list_text(unit for file in yields for unit in file.units),
            str(len({quantity for file in yields for quantity in file.conditions})),
            _share([file.extraction.acquired is not None for file in yields]),
            _share([file.extraction.preview is not None for file in yields]),
        )
    yield ""


def _files_read(formats: Mapping[str, Sequence[Yield]]) -> Iterator[str]:
    yield "## File by file\n"
    yield from _row("File", "Kind", "Shape", "Time", "Conditions", "Previews")
    for yields in formats.values():
        for file in yields:
            extraction = file.extraction
            shape = extraction.meta.get("Data Shape")
            yield _cells(
                f"`{extraction.path.name}`",
                f"{extraction.dataset_type}/{extraction.data_type}",
                str(shape.value) if shape else _NONE,
                f"{extraction.acquired.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if extraction.acquired else _NONE,
                str(len(file.conditions)),
                str((extraction.preview is not None) + len(extraction.further_previews)),
            )
    yield ""


def _formats_without_file(formats: Mapping[str, Sequence[Yield]]) -> Iterator[str]:
    rest = [reader for reader in declared() if not any(name.startswith(reader.name) for name in formats)]
    yield "## Known, no file at hand\n"
    yield from _row("Format", "Extensions", "Reader")
    for reader in sorted(rest, key=lambda reader: reader.name.lower()):
        yield _cells(reader.name, _list_text(f"`{extension}`" for extension in reader.extensions), reader.reader)
    yield ""


def _unreadable_files(unread: Sequence[Yield]) -> Iterator[str]:
    yield "## Not read\n"
    yield "A dataset all the same, by name, size and time.\n"
    yield from _row("File", "Why")
    for file in sorted(unread, key=lambda file: file.extraction.path.name.lower()):
        yield _cells(f"`{file.extraction.path.name}`", " ".join(file.extraction.warnings))
    yield ""


def _quantities(formats: Mapping[str, Sequence[Yield]]) -> Iterator[str]:
    yield "## Quantities by format\n"
    for name, yields in formats.items():
        held: dict[str, str | None] = {}
        for file in yields:
            held.update({key: value.unit for key, value in file.conditions.items()})
        if held:
            quantities = ", ".join(f"{key} ({unit})" if unit else key for key, unit in sorted(held.items()))
            yield f"- **{name}**: {quantities}"


def _row(*titles: str) -> Iterator[str]:
    yield _cells(*titles)
    yield "|" + "---|" * len(titles)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") or _NONE for cell in cells) + " |"


def _list_text(items: Iterable[str]) -> str:
    return ", ".join(sorted(set(items)))


def _share(answers: Sequence[bool]) -> str:
    if all(answers):
        return "yes"
    return f"{sum(answers)} of {len(answers)}" if any(answers) else "no"


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    command = argparse.ArgumentParser(
        prog="python -m Services.Builder.commands.formats",
        description="Read every instrument file of some folders and print, as Markdown, what each format yields.",
        epilog="example: %(prog)s ../shared/data --sample > docs/formats.md",
    )
    command.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="a folder of instrument files")
    command.add_argument("--sample", action="store_true", help="make the sample session and read its files, too")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser().parse_args(argv)
    with ExitStack() as stack:
        folders: list[Path] = list(arguments.folders)
        if arguments.sample:
            from Services.Builder.sample import make_session

            sample = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            make_session(sample, _SAMPLE_START)
            folders.append(sample)
        try:
            sys.stdout.write(escape(report(survey(folders))) + "\n")
        except NexusError as error:
            sys.stderr.write(f"{one_line(sentence_of(error))}\n")
            return EXIT_FAILURE
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(reported(main))
