"""What the arguments ask for: which records, and how many."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from NexusCore.errors import NexusError
from NexusCore.text import suggest
from Tools.common.arguments import WrongUse

if TYPE_CHECKING:
    from NexusCore.log.record import LogRecord
    from NexusCore.log.store import LogFilter
    from NexusCore.tail import TailCursor

DEFAULT_LINES = 50
ALONE = {
    "--follow": ("--until", "--reverse", "--values", "--disk-usage", "--vacuum-time"),
    "--after-cursor": ("--since", "--until", "--values", "--disk-usage", "--vacuum-time"),
    "--values": ("--lines", "--reverse", "--cursor", "--disk-usage", "--vacuum-time"),
    "--disk-usage": ("--lines", "--reverse", "--cursor", "--since", "--until", "--vacuum-time"),
    "--vacuum-time": ("--lines", "--reverse", "--cursor", "--since", "--until", "--grep"),
}
"""Options, and what does not go with each."""


def check(arguments: Namespace, tool: str) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    WrongUse
        Naming two of them.
    """
    given = {f"--{name.replace('_', '-')}" for name, value in vars(arguments).items() if value not in (None, False)}
    for option, others in ALONE.items():
        for other in others:
            if {option, other} <= given:
                raise WrongUse(mistake=f"The option {option} does not go with {other}.", tool=tool)
    if arguments.yes and arguments.vacuum_time is None:
        raise WrongUse(mistake="The option --yes goes with --vacuum-time only.", tool=tool)


def wanted(arguments: Namespace) -> LogFilter:
    """Return the conditions that the database can see to."""
    from NexusCore.log.store import LogFilter

    lowest, highest = arguments.level or (0, None)
    return LogFilter(
        loggers=tuple(arguments.logger or ()),
        modules=tuple(arguments.module or ()),
        hosts=tuple(arguments.host or ()),
        keywords=tuple(arguments.keywords),
        session=arguments.session,
        level=lowest,
        highest=highest,
        since=arguments.since,
        until=arguments.until if arguments.vacuum_time is None else arguments.vacuum_time - 1,
    )


def matcher(arguments: Namespace) -> Callable[[LogRecord], bool]:
    """Return what tells whether a record meets the condition that the database cannot see to."""
    pattern: re.Pattern[str] | None = arguments.grep
    if pattern is None:
        return lambda record: True
    found = pattern.search
    return lambda record: (
        found(record.message) is not None or (record.traceback is not None and found(record.traceback) is not None)
    )


def lines(arguments: Namespace) -> int | None:
    """Return how many of the newest records are wanted; None for all."""
    if arguments.lines is not None:
        return int(arguments.lines)
    bounded = arguments.since is not None or arguments.until is not None or arguments.after_cursor is not None
    return None if bounded else DEFAULT_LINES


def regex(text: str) -> re.Pattern[str]:
    """Return a regular expression; written without capitals, it finds them too."""
    try:
        capitals = any(letter.isupper() for letter in re.sub(r"\\.", "", text))
        return re.compile(text, 0 if capitals else re.IGNORECASE)
    except re.error as error:
        raise ArgumentTypeError(f"'{text}' is no regular expression: {error}") from None


def fields(text: str) -> tuple[str, ...]:
    """Return the names of fields, given with commas between them."""
    from Tools.taillog.lines import RECORD_FIELDS

    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if name not in RECORD_FIELDS:
            hint = suggest(name, RECORD_FIELDS)
            raise ArgumentTypeError(
                f"'{name}' is no field; there are {', '.join(RECORD_FIELDS)}{'.' if hint else ''}{hint}"
            )
    return names


def cursor(text: str) -> TailCursor:
    """Return the cursor that --cursor wrote."""
    from NexusCore.tail import TailCursor

    try:
        return TailCursor.parse(text)
    except NexusError:
        raise ArgumentTypeError(f"'{text}' is no cursor; --cursor writes one") from None
