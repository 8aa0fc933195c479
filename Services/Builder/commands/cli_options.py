"""The Builder's command-line options: which sessions, and whether as a dry run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime

from NexusCore.clock import to_ts
from NexusCore.facility.sessions import ALL, Selection

BUILDER_EXAMPLES = (
    ("--once", "build the records of all waiting sessions, then end"),
    ("--once --session 5f0c2a9e-...", "rebuild one session's record, even one that is built or has failed"),
    ("--dry-run --from 2026-11-20 > records.xml", "show the records of these sessions; change nothing"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """Which sessions to build, and how."""

    selection: Selection = ALL
    dry_run: bool = False

    @property
    def ends(self) -> bool:
        """Whether the service ends after one pass, as with ``--once``."""
        return self.dry_run or self.selection != ALL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the Builder's own arguments; each of them implies a single pass."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the records to standard output as they would be written; change neither database nor files",
    )
    parser.add_argument(
        "--session",
        metavar="ID",
        help="only this session; one that was built before or failed is queued again (with --dry-run: as it is)",
    )
    when = "ISO 8601, local unless it names a zone"
    parser.add_argument(
        "--from", dest="from_ts", type=_moment, metavar="T", help=f"only sessions started at this time or later; {when}"
    )
    parser.add_argument(
        "--to", dest="to_ts", type=_moment, metavar="T", help="only sessions started before this time, likewise"
    )


def request_of(arguments: argparse.Namespace) -> Request:
    """Return the request that the arguments describe."""
    first = ALL.from_ts if arguments.from_ts is None else arguments.from_ts
    last = ALL.to_ts if arguments.to_ts is None else arguments.to_ts
    return Request(Selection(arguments.session, first, last), arguments.dry_run)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return to_ts(moment if moment.tzinfo is not None else moment.astimezone())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 2026-11-20 or 2026-11-20T09:30") from None
