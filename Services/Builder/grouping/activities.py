"""The acquisition activities of a session's files, and a command that shows them for any files."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.resources import reported, sentence_of
from NexusCore.text import escape, one_line
from Services.Builder.commands.targets import check_targets
from Services.Builder.finding.folders import is_dataset, size_and_time
from Services.Builder.grouping.density import Floats, analyse
from Services.Builder.model import FoundFile

if TYPE_CHECKING:
    from Services.Builder.grouping.clusterer import ActivityClusterer


class FileGone(NexusError):
    """{path} cannot be looked at ({reason})."""


def group_files(files: Sequence[FoundFile], sensitivity: float = 1.0) -> list[tuple[FoundFile, ...]]:
    """Return the activities of a session's files, in order of time; files of the same time in order of their paths."""
    if not files:
        return []
    ordered, seconds = _in_order(files)
    # As `ActivityClusterer` does, but without importing scikit-learn, which takes as long as reading twenty files.
    return [tuple(ordered[at] for at in members) for members in analyse(seconds, sensitivity=sensitivity).groups]


@dataclass(frozen=True)
class _Fitted:
    """Files in activities, and the clusterer that has found these."""

    seconds: Floats
    """Times of the files after the first one, in ascending order."""
    clusterer: ActivityClusterer
    activities: list[tuple[FoundFile, ...]]


def _in_order(files: Sequence[FoundFile]) -> tuple[list[FoundFile], Floats]:
    ordered = sorted(files, key=lambda file: (file.modified, file.path))
    return ordered, np.array([(file.modified - ordered[0].modified) / timedelta(seconds=1) for file in ordered])


def _fitted(files: Sequence[FoundFile], sensitivity: float) -> _Fitted:
    from Services.Builder.grouping.clusterer import ActivityClusterer

    ordered, seconds = _in_order(files)
    clusterer = ActivityClusterer(sensitivity=sensitivity).fit(seconds[:, np.newaxis])
    ends = [*np.flatnonzero(np.diff(clusterer.labels_)) + 1, len(ordered)]
    return _Fitted(seconds, clusterer, [tuple(ordered[start:end]) for start, end in pairwise([0, *ends])])


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    command = argparse.ArgumentParser(
        prog="python -m Services.Builder.grouping.activities",
        description="Show how files fall into acquisition activities by the times at which they were modified.",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--sensitivity", type=float, default=1.0, help="above 1 splits more, below 1 less (default 1)")
    command.add_argument("--plot", type=Path, metavar="OUT.png", help="draw times, gaps, density and boundaries")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Print the activities of the files named, and draw them if asked to."""
    arguments = parser().parse_args(argv)
    try:
        check_targets(arguments.files, arguments.plot)
        files = [_file(path) for path in arguments.files]
        fitted = _fitted(files, arguments.sensitivity)
        if arguments.plot:
            from Services.Builder.grouping.activity_plot import draw  # matplotlib takes its time

            draw(fitted.seconds, fitted.clusterer, arguments.plot)
    except NexusError as error:
        sys.stderr.write(f"{one_line(sentence_of(error))}\n")
        return error.exit_code
    try:
        sys.stdout.write(escape(_report(fitted)))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does; the flush at exit must not fail either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _report(fitted: _Fitted) -> str:
    activities, width = fitted.activities, fitted.clusterer.bandwidth_
    lines = [f"Files: {len(fitted.seconds)}, activities: {len(activities)}"]
    if math.isfinite(width):
        lines[0] += f", kernel width: {width:.3g} s"
    for number, members in enumerate(activities, start=1):
        start, end = (file.modified.astimezone() for file in (members[0], members[-1]))
        form = "%H:%M:%S" if start.date() == end.date() else "%Y-%m-%d %H:%M:%S"
        lines += ["", f"Activity {number}, {start:%Y-%m-%d %H:%M:%S} to {end:{form}}, files: {len(members)}"]
        lines += [f"  {file.modified.astimezone():{form}}  {_shown(file.path)}" for file in members]
    return "\n".join(lines) + "\n"


def _file(path: Path) -> FoundFile:
    try:
        state = path.stat()
    except OSError as error:
        raise FileGone(path=_shown(path), reason=error.strerror) from None
    size, time = size_and_time(path) if is_dataset(path) else (state.st_size, state.st_mtime_ns)
    return FoundFile(path, datetime.fromtimestamp(time / 1e9, UTC), size)


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


if __name__ == "__main__":
    sys.exit(reported(main))
