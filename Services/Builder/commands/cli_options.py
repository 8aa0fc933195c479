"""The Builder's command-line options: which sessions, and whether as a dry run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime

from NexusCore import completion
from NexusCore.clock import SYSTEM_CLOCK, to_ts
from NexusCore.facility.sessions import ALL, Selection, Sessions
from NexusCore.service import RunOptions

SESSIONS_OFFERED = 100
"""Number of the newest sessions that completion offers."""
BUILDER_EXAMPLES = (
    ("--once", "build the records of all waiting sessions, then end"),
    ("--once --session 5f0c2a9e-...", "rebuild one session's record, even one that is built or has failed"),
    ("--dry-run --from 2026-11-20 > records.xml", "show the records of these sessions; change nothing"),
)


@dataclass(frozen=True, slots=True)
class BuildOptions(RunOptions):
    """Which sessions to build, and how."""

    selection: Selection = ALL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the Builder's own arguments; each of them implies a single pass."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the records to standard output as they would be written; change neither database nor files",
    )
    session = parser.add_argument(
        "--session",
        type=_identifier,
        metavar="ID",
        help="only this session; one that was built before or failed is queued again (with --dry-run: as it is)",
    )
    completion.attach(session, lambda _arguments, _prefix: _newest_sessions())
    when = "ISO 8601, local unless it names a zone"
    parser.add_argument(
        "--from", dest="from_ts", type=_moment, metavar="T", help=f"only sessions started at this time or later; {when}"
    )
    parser.add_argument(
        "--to", dest="to_ts", type=_moment, metavar="T", help="only sessions started before this time, likewise"
    )


def options_of(arguments: argparse.Namespace) -> BuildOptions:
    """Return the options that the arguments describe; naming sessions implies a single pass."""
    first = ALL.from_ts if arguments.from_ts is None else arguments.from_ts
    last = ALL.to_ts if arguments.to_ts is None else arguments.to_ts
    selection = Selection(arguments.session, first, last)
    return BuildOptions(arguments.once or arguments.dry_run or selection != ALL, arguments.dry_run, selection)


def selection_of(options: RunOptions) -> Selection:
    """Return which sessions to build; all, where the options name none."""
    return options.selection if isinstance(options, BuildOptions) else ALL


def _newest_sessions() -> list[str]:
    """Return the identifiers that completion offers."""
    from NexusCore import settings
    from NexusCore.storage import Database

    database = Database(settings.load().main, create=False)
    return [session.identifier for session in Sessions(database, SYSTEM_CLOCK).newest(count=SESSIONS_OFFERED)]


def _identifier(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the identifier of the session is empty")
    return text


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return to_ts(moment if moment.tzinfo is not None else moment.astimezone())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 2026-11-20 or 2026-11-20T09:30") from None
