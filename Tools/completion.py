"""What the shell offers on Tab, by argcomplete: names that are in the databases now.

Silent when a database is away, and never longer than `LIMIT` seconds; everything is imported when Tab is pressed.
"""

from __future__ import annotations

import threading
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress

from NexusCore.errors import NexusError

LIMIT = 1.5
"""Seconds that somebody who pressed Tab waits for a database that does not answer."""

Read = Callable[[Namespace, str], Iterable[str]]
"""Returns candidates, given the arguments so far and the beginning of the word."""


def attach(action: Action, read: Read) -> None:
    """Have `read` asked for the words that may stand for an argument."""

    def complete(prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
        return [word for word in _in_time(lambda: read(parsed_args, prefix)) if word.startswith(prefix)]

    action.completer = complete  # type: ignore[attr-defined]  # argcomplete looks for it there


def offer(parser: ArgumentParser) -> None:
    """Answer the shell that asks for candidates, and end the process."""
    import argcomplete

    argcomplete.autocomplete(
        parser,
        always_complete_options=False,
        exclude=getattr(parser, "hidden", ()),
        default_completer=argcomplete.completers.SuppressCompleter(),
    )


def _in_time(read: Callable[[], Iterable[str]]) -> list[str]:
    found: list[str] = []

    def work() -> None:
        with suppress(NexusError, ImportError, OSError):
            found.extend(read())

    # A driver that waits for a silent server cannot be interrupted, only left behind.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    return found


# -- what there is ---------------------------------------------------------------------------------------------------


def levels(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the levels of logging."""
    return ("debug", "info", "warning", "error", "critical")


def loggers(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of loggers."""
    from NexusCore import settings
    from NexusCore.log import store
    from NexusCore.storage import Database

    return store.loggers(Database(settings.load().log))


def modules(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of modules that log."""
    from NexusCore import settings
    from NexusCore.log import store
    from NexusCore.storage import Database

    return store.modules(Database(settings.load().log))


def channels(_arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return the channels of status; with a colon in the word, what they hold."""
    from NexusCore import settings
    from NexusCore.status import store
    from NexusCore.storage import Database

    full = [f"{one.channel}:{one.name}" for one in store.latest(Database(settings.load().status))]
    return _steps(full, prefix, ":")


def sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the identifiers of the newest sessions."""
    from NexusCore import settings
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.facility.sessions import Sessions
    from NexusCore.storage import Database

    return [one.identifier for one in Sessions(Database(settings.load().main), SYSTEM_CLOCK).newest(count=100)]


def instruments(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the pids of the instruments."""
    from Tools.configuration import open_configuration

    return open_configuration().instruments()


def open_sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return what can be ended: the instruments and identifiers of open sessions."""
    from NexusCore import settings
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.facility.sessions import Sessions, State
    from NexusCore.storage import Database

    found = Sessions(Database(settings.load().main), SYSTEM_CLOCK).newest(state=State.WAITING_FOR_END, count=100)
    return [name for one in found for name in (one.instrument, one.identifier)]


def versions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the versions of the configuration."""
    from Tools.configuration import open_configuration

    return open_configuration().store.versions()


def parameters(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters, folder by folder."""
    from Tools.configuration import open_configuration

    return _steps(open_configuration(getattr(arguments, "version", None)).everything(), prefix, ".")


def assignments(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters; behind a ``=``, the values that the parameter may have, or the one it has."""
    from Tools.configuration import open_configuration

    path, sign, _ = prefix.partition("=")
    if not sign:
        return parameters(arguments, prefix)
    return [f"{path}={value}" for value in open_configuration(getattr(arguments, "version", None)).choices(path)]


def _steps(names: Iterable[str], prefix: str, mark: str) -> list[str]:
    """Return what may come next in names of several parts; a part that is the only one leads to what is behind it.

    So a thousand parameters are offered a screenful at a time, and nobody has to type what leaves no choice.
    """
    matching = {name for name in names if name.startswith(prefix)}
    while True:
        ends = {(name, name.find(mark, len(prefix))) for name in matching}
        found = {name if end < 0 else name[: end + 1] for name, end in ends}
        if len(found) != 1 or found <= matching:
            return sorted(found)
        prefix = found.pop()
