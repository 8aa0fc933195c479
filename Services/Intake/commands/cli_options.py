"""Intake's command line: a dry run, undoing, accepting a rule, the history."""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from NexusCore import completion
from NexusCore.clock import SECOND, SYSTEM_CLOCK, to_ts
from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.service import Example, RunOptions

COMMANDS = ("undo", "accept", "history")
EXAMPLES: tuple[Example, ...] = (
    ("", "run until stopped"),
    ("--once", "file what is complete, then end"),
    ("--dry-run", "show what would be filed where; change nothing"),
    ("--dry-run --names names.txt", "the same for files that do not exist, one path in each line"),
    ("accept titan --force --why 'both are wanted'", "use a rule although files collide under it"),
    ("undo --since 1h", "put back what was filed in the last hour"),
    ("history --since 1d", "show what was filed"),
)
MOST_BYTES = 64_000_000
"""Of a file with paths."""
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class IntakeOptions(RunOptions):
    """What the command line said."""

    command: str = ""
    """One of `COMMANDS`; empty for the service, or a dry run."""
    rule: str | None = None
    """The only rule; None for all."""
    inbox: str | None = None
    """The only inbox of a dry run; None for all."""
    names: Path | None = None
    """File with invented paths."""
    since: int | None = None
    """Microseconds since the epoch, UTC."""
    until: int | None = None
    force: bool = False
    why: str = ""


class NoNames(NexusError):
    """No paths can be read from {path}: {reason}. Use a file with one path in each line."""

    exit_code = EXIT_USAGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Intake's own arguments."""
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="what to do instead of running as a service")
    parser.add_argument("rule", nargs="?", help="for accept: the rule; for undo and history: only what it filed")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the tree that a pass would make, and what would stay; exit code 1 if files collide",
    )
    names = parser.add_argument(
        "--names",
        type=Path,
        metavar="FILE",
        help="with --dry-run: plan for these paths, one in each line (- for standard input)",
    )
    completion.attach(names, completion.files)
    parser.add_argument("--inbox", metavar="NAME", help="with --dry-run: only this inbox")
    when = "such as 90s, 30m, 1h, 2d, or ISO 8601, local unless it names a zone"
    parser.add_argument(
        "--since", type=_moment, metavar="T", help=f"for undo (needed) and history: filed since; {when}"
    )
    parser.add_argument("--until", type=_moment, metavar="T", help="likewise: filed before")
    parser.add_argument("--force", action="store_true", help="for accept: although files collide; needs --why")
    parser.add_argument(
        "--why", default="", metavar="REASON", help="for accept: the reason, for the history of the rule"
    )
    parser.set_defaults(parser=parser)


def options_of(arguments: argparse.Namespace) -> IntakeOptions:
    """Return the options that the arguments describe; what does not fit together ends the program with a message."""
    parser: argparse.ArgumentParser = arguments.parser
    command = arguments.command or ""
    if command == "undo" and arguments.since is None:
        parser.error("undo needs --since, such as --since 1h")
    if command == "accept" and not arguments.rule:
        parser.error("accept needs the name of a rule")
    if arguments.force and (command != "accept" or not arguments.why.strip()):
        parser.error("--force is for accept, with a reason: --why REASON")
    if command and (arguments.dry_run or arguments.once):
        parser.error(f"{command} does not go with --dry-run or --once")
    if (arguments.names is not None or arguments.inbox) and not arguments.dry_run:
        parser.error("--names and --inbox are for --dry-run")
    if arguments.since is not None and arguments.since > SYSTEM_CLOCK.now():
        parser.error("--since is in the future")
    if None not in (arguments.since, arguments.until) and arguments.until <= arguments.since:
        parser.error("--until has to be later than --since")
    return IntakeOptions(
        bool(arguments.once or arguments.dry_run or command),
        arguments.dry_run,
        command,
        arguments.rule,
        arguments.inbox,
        arguments.names,
        arguments.since,
        arguments.until,
        arguments.force,
        arguments.why.strip(),
    )


def lines_of(names: Path) -> list[str]:
    """Return the lines of a file with paths; names that are not UTF-8 are read as the system reads them.

    Raises
    ------
    NoNames
        If it is neither a file nor a pipe, cannot be read, or is too large.
    """
    try:
        file = sys.stdin.buffer if str(names) == "-" else names.open("rb")
        kind = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
            terminal = str(names) == "-" and os.isatty(file.fileno())
            if not terminal:
                raise NoNames(path=names, reason="it is neither a file nor a pipe")
        with nullcontext() if str(names) == "-" else file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoNames(path=names, reason=error.strerror or error) from None
    if len(data) > MOST_BYTES:
        raise NoNames(path=names, reason=f"it has more than {MOST_BYTES:,} bytes")
    return data.decode("utf-8", "surrogateescape").splitlines()


def _moment(text: str) -> int:
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return SYSTEM_CLOCK.now() - int(float(span[1]) * _UNITS[span[2]] * SECOND)
    try:
        moment = datetime.fromisoformat(text)
        return to_ts(moment if moment.tzinfo is not None else moment.astimezone())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 1h or 2026-11-20T09:30") from None
