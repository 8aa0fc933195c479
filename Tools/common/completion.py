"""What the shell offers on Tab, by argcomplete: names that are in the databases now.

Silent when a database is away, and never longer than `DATABASE_SECONDS` seconds; everything is imported when Tab is
pressed.
"""

from __future__ import annotations

import threading
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from NexusCore.errors import NexusError
from NexusCore.text import odd_character

if TYPE_CHECKING:
    from NexusCore.storage import Database
    from Tools.common.configuration import StoredConfiguration

DATABASE_SECONDS = 1.5
"""Seconds that somebody who pressed Tab waits for a database that does not answer."""
SESSIONS_OFFERED = 100
"""How many are offered, the newest first of all."""
LONGEST_OFFERED_VALUE = 200
"""Characters of a value that is offered to be edited."""

Read = Callable[[Namespace, str], Iterable[str]]
"""Returns candidates, given the arguments so far and the beginning of the word."""
T = TypeVar("T")


def attach(action: Action, read: Read) -> None:
    """Have `read` asked for the words that may stand for an argument."""

    def complete(prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
        found = _in_time(lambda: read(parsed_args, prefix))
        # A name that a shell would have to draw with escape sequences is not offered, and nobody could type it.
        return [word for word in found if word.startswith(prefix) and odd_character(word) is None]

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


def forget() -> None:
    """Offer what is in the databases now, not what was there a moment ago: something was changed here."""
    from NexusCore import settings
    from Tools.common import completion_cache

    with suppress(NexusError):
        completion_cache.forget(settings.load())


def _in_time(read: Callable[[], Iterable[str]]) -> list[str]:
    found: list[str] = []

    def work() -> None:
        with suppress(NexusError, ImportError, OSError):
            found.extend(read())

    # A driver that waits for a silent server cannot be interrupted, only left behind.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DATABASE_SECONDS)
    return found


def _remembered(what: str, role: str, read: Callable[[Database], T], nothing: T) -> T:
    """Return what `read` finds in the database that has a role, or found there a moment ago."""
    from NexusCore import settings
    from Tools.common import completion_cache

    found = settings.load()
    return completion_cache.remembered(what, getattr(found, role), found, read, nothing)


# -- what there is ---------------------------------------------------------------------------------------------------


def levels(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the levels of logging."""
    return ("debug", "info", "warning", "error", "critical")


def files(_arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return the files and folders whose paths begin so."""
    from pathlib import Path

    folder = prefix[: prefix.rfind("/") + 1]
    for entry in sorted(Path(folder or ".").iterdir()):
        if not entry.name.startswith(".") or prefix[len(folder) :].startswith("."):
            yield f"{folder}{entry.name}{'/' if entry.is_dir() else ''}"


def loggers(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of loggers."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.loggers(database)

    return _remembered("loggers", "log", read, [])


def modules(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of modules that log."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.modules(database)

    return _remembered("modules", "log", read, [])


def hosts(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of machines that log."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.hosts(database)

    return _remembered("hosts", "log", read, [])


def channels(_arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return the channels of status; with a colon in the word, what they hold."""

    def read(database: Database) -> list[str]:
        from NexusCore.status import store

        return [f"{sample.channel}:{sample.name}" for sample in store.latest(database)]

    return _steps(_remembered("channels", "status", read, []), prefix, ":")


def sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the identifiers of the newest sessions."""

    def read(database: Database) -> list[str]:
        from NexusCore.clock import SYSTEM_CLOCK
        from NexusCore.facility.sessions import Sessions

        return [session.identifier for session in Sessions(database, SYSTEM_CLOCK).newest(count=SESSIONS_OFFERED)]

    return _remembered("sessions", "main", read, [])


def open_sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return what can be ended: the instruments and identifiers of open sessions."""

    def read(database: Database) -> list[str]:
        from NexusCore.clock import SYSTEM_CLOCK
        from NexusCore.facility.sessions import Sessions, State

        found = Sessions(database, SYSTEM_CLOCK).newest(state=State.WAITING_FOR_END, count=SESSIONS_OFFERED)
        return [name for session in found for name in (session.instrument, session.identifier)]

    return _remembered("open sessions", "main", read, [])


def instruments(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the pids of the instruments."""
    return _remembered("instruments", "config", lambda _: _open(None).instruments(), [])


def versions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the versions of the configuration."""
    return _remembered("versions", "config", lambda _: _open(None).store.versions(), [])


def parameters(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters, folder by folder."""
    return _steps(_values(arguments), prefix, ".")


def assignments(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters; behind a ``=``, the values that the parameter may have, or the one it has."""
    path, sign, _ = prefix.partition("=")
    if not sign:
        return parameters(arguments, prefix)
    return [f"{path}={value}" for value in _values(arguments).get(path, ())]


def _values(arguments: Namespace) -> dict[str, list[str]]:
    """Return the parameters' paths, each with what it can be set to; a secret with nothing."""
    version = getattr(arguments, "version", None)

    def read(_: Database) -> dict[str, list[str]]:
        from Tools.common.configuration import choices

        everything = _open(version).everything()
        return {
            path: [choice for choice in choices(found) if len(choice) <= LONGEST_OFFERED_VALUE]
            for path, found in everything.items()
        }

    return _remembered(f"parameters in {version}", "config", read, {})


def _open(version: str | None) -> StoredConfiguration:
    from Tools.common.configuration import open_configuration

    return open_configuration(version)


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
