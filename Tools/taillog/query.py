"""The query of the arguments: which records, and how many."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.text import suggest
from Tools.common.arguments import WrongUse

if TYPE_CHECKING:
    from NexusCore.log.record import LogRecord
    from NexusCore.log.store import LogFilter
    from NexusCore.storage import Database
    from NexusCore.tail import TailCursor

DEFAULT_LINES = 50
CONFLICTS = {
    "--follow": (
        "--until",
        "--reverse",
        "--values",
        "--disk-usage",
        "--vacuum-time",
        "--context",
        "--pager",
        "--count",
    ),
    "--context": ("--reverse", "--after-cursor", "--cursor", "--values", "--disk-usage", "--vacuum-time", "--count"),
    "--count": (
        "--lines",
        "--reverse",
        "--after-cursor",
        "--cursor",
        "--values",
        "--disk-usage",
        "--vacuum-time",
        "--fields",
        "--with",
    ),
    "--since-start": ("--since", "--after-cursor", "--disk-usage", "--vacuum-time"),
    "--with": ("--fields", "--values", "--disk-usage", "--vacuum-time"),
    "--after-cursor": ("--since", "--until", "--values", "--disk-usage", "--vacuum-time"),
    "--fields": ("--values", "--disk-usage", "--vacuum-time"),
    "--values": ("--lines", "--reverse", "--cursor", "--disk-usage", "--vacuum-time"),
    "--disk-usage": ("--lines", "--reverse", "--cursor", "--since", "--until", "--vacuum-time"),
    "--vacuum-time": ("--lines", "--reverse", "--cursor", "--since", "--until", "--grep"),
}
"""Options, and those that each cannot be combined with."""
SESSIONS_NAMED = 3
"""Sessions that are named where the beginning of an identifier fits several."""
_OPTIONS = {"per": "--count", "extra": "--with"}
"""Options whose values have other names than they."""
OWN_FORM = ("--fields", "--values", "--disk-usage", "--vacuum-time")
"""Options whose output has a form of its own, or is JSON."""


class SeveralSessions(NexusError):
    """Several sessions begin with '{text}': {which}. Type more of the identifier."""

    exit_code = EXIT_USAGE


class NeverStarted(NexusError):
    """The log has no start of a service '{name}'."""


def check(arguments: Namespace, tool: str) -> None:
    """Check that the options can be combined.

    Raises
    ------
    WrongUse
        If two options cannot be combined.
    """
    used = {
        _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        for name, value in vars(arguments).items()
        if value not in (None, False)
    }
    for option, others in CONFLICTS.items():
        for other in others:
            if {option, other} <= used:
                raise WrongUse(mistake=f"{option} cannot be combined with {other}.", tool=tool)
    whole = next((option for option in OWN_FORM if option in used), None)
    if arguments.extra is not None and arguments.output not in (None, "short", "iso"):
        raise WrongUse(mistake=f"--with cannot be combined with -o {arguments.output}.", tool=tool)
    if arguments.since_start and not arguments.logger:
        raise WrongUse(mistake="--since-start needs the service: --logger NAME.", tool=tool)
    csv_too = whole == "--fields" and arguments.fields
    if whole is not None and arguments.output not in (None, "json", *(("csv",) if csv_too else ())):
        raise WrongUse(mistake=f"{whole} cannot be combined with -o {arguments.output}.", tool=tool)
    if arguments.yes and arguments.vacuum_time is None:
        raise WrongUse(mistake="--yes needs --vacuum-time.", tool=tool)


def wanted(arguments: Namespace) -> LogFilter:
    """Return the conditions that the database checks."""
    from NexusCore.log.store import LogFilter

    lowest, highest = arguments.level or (0, None)
    return LogFilter(
        loggers=tuple(arguments.logger or ()),
        modules=tuple(arguments.module or ()),
        hosts=tuple(arguments.host or ()),
        keywords=tuple(arguments.keywords),
        excluded=tuple(arguments.exclude or ()),
        session=arguments.session,
        level=lowest,
        highest=highest,
        since=arguments.since,
        until=arguments.until if arguments.vacuum_time is None else arguments.vacuum_time - 1,
    )


def matcher(arguments: Namespace) -> Callable[[LogRecord], bool]:
    """Return a function that checks the condition that the database cannot check, --grep."""
    patterns: list[re.Pattern[str]] = arguments.grep or []
    if not patterns:
        return lambda record: True

    def matches(record: LogRecord) -> bool:
        texts = (record.message,) if record.traceback is None else (record.message, record.traceback)
        return any(pattern.search(text) is not None for pattern in patterns for text in texts)

    return matches


def complete(database: Database, arguments: Namespace) -> None:
    """Replace the beginning of a session's identifier by all of it, and --since-start by a time.

    Raises
    ------
    SeveralSessions, NeverStarted
        If that is not possible.
    """
    from NexusCore.log import store

    if arguments.session:
        text = arguments.session[: store.SESSION_LENGTH]
        known = store.sessions_beginning(database, text, SESSIONS_NAMED + 1)
        if known and known[0] != text:
            if len(known) > 1:
                which = ", ".join(known[:SESSIONS_NAMED]) + (", ..." if len(known) > SESSIONS_NAMED else "")
                raise SeveralSessions(text=text, which=which)
            arguments.session = known[0]
    if arguments.since_start:
        starts = []
        for name in dict.fromkeys(arguments.logger):
            wanted = store.LogFilter(loggers=(name,), keywords=(f"{name} starts, process ",))
            newest = store.newest(database, wanted, 1)
            if not newest:
                raise NeverStarted(name=name)
            starts.append(newest[0].ts)
        arguments.since = min(starts)


def lines(arguments: Namespace) -> int | None:
    """Return the number of newest records to show; None for all."""
    if arguments.lines is not None:
        return int(arguments.lines)
    bounded = arguments.since is not None or arguments.until is not None or arguments.after_cursor is not None
    return None if bounded else DEFAULT_LINES


def regex(text: str) -> re.Pattern[str]:
    """Return a regular expression; without capitals, it ignores case."""
    try:
        capitals = any(letter.isupper() for letter in re.sub(r"\\.", "", text))
        return re.compile(text, 0 if capitals else re.IGNORECASE)
    except re.error as error:
        raise ArgumentTypeError(f"invalid regular expression '{text}': {error}") from None


def fields(text: str) -> tuple[str, ...]:
    """Return comma-separated names of fields."""
    from Tools.taillog.lines import RECORD_FIELDS

    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if name not in RECORD_FIELDS:
            hint = suggest(name, RECORD_FIELDS)
            raise ArgumentTypeError(
                f"unknown field '{name}'; use {', '.join(RECORD_FIELDS)}{'.' if hint else ''}{hint}"
            )
    return names


def cursor(text: str) -> TailCursor | None:
    """Return the cursor of a line that --cursor wrote, or of the last of several lines; None for an empty text."""
    from NexusCore.tail import TailCursor

    line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    match = re.fullmatch(r'(?:-- cursor: |\{"cursor": ")?(\[[^"]*\])(?:"\})?', line.strip())
    if not line:
        return None
    try:
        return TailCursor.parse(match[1] if match is not None else line)
    except NexusError:
        raise ArgumentTypeError(f"'{text}' is not a valid cursor; --cursor writes one") from None
