"""Make a sample session: ``python -m Services.Builder.sample FOLDER``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.resources import explained, reported, sentence_of
from NexusCore.text import counted
from Services.Builder.sample import SampleSession, make_session

_SAMPLE_EXAMPLES = """examples:
  python -m Services.Builder.sample ./filestore/Titan
  python -m Services.Builder.sample ./filestore/Titan --start 2026-11-20T09:00+01:00 --seed 2 --corrupt
"""


def parser() -> argparse.ArgumentParser:
    """Build the command's parser."""
    command = argparse.ArgumentParser(
        prog="python -m Services.Builder.sample",
        description="Write the files of a believable session at a transmission electron microscope.",
        epilog=_SAMPLE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the instrument's folder; made if missing")
    command.add_argument(
        "--start",
        type=datetime.fromisoformat,
        metavar="ISO",
        help="start of the session, local time unless it names a zone (default: two hours ago)",
    )
    command.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, another sample (default: 1)")
    command.add_argument("--corrupt", action="store_true", help="add a damaged file among the good ones")
    return command


def summary(session: SampleSession) -> str:
    """Say in a few lines what was made."""
    formats = Counter(path.suffix for path in session.files)
    size = sum(path.stat().st_size for path in session.files) / 1e6
    lines = [
        f"{len(session.files)} files, {size:.1f} MB, of {len(formats)} file types: "
        + ", ".join(f"{count} {suffix}" for suffix, count in sorted(formats.items())),
        f"session {session.start:%Y-%m-%d %H:%M:%S} to {session.end:%H:%M:%S %Z}",
    ]
    for number, burst in enumerate(session.bursts, 1):
        first, last = (
            datetime.fromtimestamp(path.stat().st_mtime, session.start.tzinfo) for path in (burst[0], burst[-1])
        )
        files = f"{counted(len(burst), 'file')} in {burst[0].parent}"
        lines.append(f"  burst {number}: {first:%H:%M:%S} to {last:%H:%M:%S}, {files}")
    return "\n".join(lines + [f"  damaged: {path}" for path in session.corrupt])


def main(argv: Sequence[str] | None = None) -> int:
    """Make the session and print what was made."""
    arguments = parser().parse_args(argv)
    start = arguments.start or datetime.now().astimezone().replace(microsecond=0) - timedelta(hours=2)
    if start.tzinfo is None:
        start = start.astimezone()
    try:
        session = make_session(arguments.folder, start, seed=arguments.seed, corrupt=arguments.corrupt)
    except NexusError as error:
        sys.stderr.write(f"{sentence_of(error)}\n")
        return error.exit_code
    except OSError as error:
        full = explained(error)
        sys.stderr.write(
            f"{full or f'The session cannot be written to {arguments.folder}: {error.strerror or error}.'}\n"
        )
        return EXIT_FAILURE
    sys.stdout.write(summary(session) + "\n")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(reported(main))
