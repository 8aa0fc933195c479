"""Extracts the metadata and the preview of one instrument file.

Examples
--------
Show what the Builder reads from a file, without a database::

    python -m Services.Builder.extract 0001.dm3
    python -m Services.Builder.extract 0001.dm3 --preview 0001.png --json 0001.json

The metadata go to standard output as JSON, remarks to standard error, the previews into the current folder
(``0001.dm3.png``), where they replace nothing. Times without a time zone are
read in the zone of this machine (set TZ for another one); the Builder reads them in the instrument's.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from NexusCore import signals
from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.resources import sentence_of
from NexusCore.text import escape, json_text
from Services.Builder.commands.targets import check_targets
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.document import MetadataContent, document
from Services.Builder.extraction.extractors.faults import NoSuchFile, reason
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.scratch_folder import ScratchFolder
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import Extraction
from Services.Builder.record.names import beside

FILE_SECONDS = 600.0
"""Time limit for one file; the user can also interrupt the program."""
MEMORY_MB = 4096


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    command = argparse.ArgumentParser(
        prog="python -m Services.Builder.extract",
        description="Show the metadata of an instrument file as JSON, and draw its previews.",
        epilog="examples:\n  %(prog)s 0001.dm3\n  %(prog)s 0001.dm3 --preview 0001.png --json 0001.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the instrument file")
    command.add_argument(
        "--preview",
        type=Path,
        metavar="PNG",
        help="draw the preview into this file (default: FILE's name with .png, in the current folder)",
    )
    command.add_argument("--json", type=Path, metavar="JSON", help="write all metadata into this file")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser().parse_args(argv)
    with signals.taken(signals.ENDING, _exit_on_signal):
        return _run(arguments)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """End the program as the shell expects of the signal; on the way out, temporary folders are removed."""
    for name in signals.ENDING:  # a second signal must not interrupt that
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise SystemExit(128 + number)


def _run(arguments: argparse.Namespace) -> int:
    path: Path = arguments.file
    remarks: list[str] = []
    try:
        _check(path, arguments.preview, arguments.json)
        if arguments.preview is not None:
            extraction = _extract(path, arguments.preview, arguments.json)
        else:
            with ScratchFolder() as folder:
                extraction = _extract(path, folder / beside(path.name, ".png"), arguments.json)
                remarks += [
                    _keep_preview(target)
                    for target in (extraction.preview, *extraction.further_previews)
                    if target is not None
                ]
    except NexusError as error:
        sys.stderr.write(f"{escape(sentence_of(error))}\n")
        return error.exit_code
    files = [{"name": path.name, "size": extraction.size, "sha256": extraction.sha256 or None}]
    shown = document(extraction, MetadataContent(files=files))
    sys.stderr.writelines(f"{escape(sentence)}\n" for sentence in (*extraction.warnings, *remarks))
    filled = {key: value for key, value in shown.items() if value}
    try:
        sys.stdout.write(json_text(filled, indent=1) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does; the flush at exit must not fail either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _extract(path: Path, preview: Path, metadata: Path | None) -> Extraction:
    """Read the file as the Builder does: in a process of its own, which may read the file's folder and no other."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay links
    with Workers(1, FILE_SECONDS, MEMORY_MB) as workers:
        (extraction,) = workers.extract_all([Job(path, preview, metadata, root=path.parent)])
    return extraction


def _check(path: Path, *targets: Path | None) -> None:
    if not path.exists():
        raise NoSuchFile(path=one_line(path))
    check_targets([path], *targets)


def _keep_preview(drawn: Path) -> str:
    """Put a preview into the current folder and say so; a file of that name, perhaps an image of the user's, stays."""
    place = Path(drawn.name)
    content = drawn.read_bytes()
    try:
        with place.open("xb") as file:
            file.write(content)
    except FileExistsError:
        if not place.is_file() or place.read_bytes() != content:
            return f"{one_line(place)} exists and is not replaced; choose another place with --preview."
    except OSError as error:
        return f"The preview could not be written here: {reason(error)}."
    return f"Preview: {one_line(place)}"
