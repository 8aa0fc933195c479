"""Candidates for completion in the shell, with names from the databases; see `NexusCore.completion`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from NexusCore.completion import Read, attach, files
from NexusCore.errors import NexusError
from NexusCore.text import one_line

if TYPE_CHECKING:
    from NexusCore.config.store import Change
    from NexusCore.storage import Database
    from Tools.common.configuration import StoredConfiguration

__all__ = [
    "Read", "assignments", "attach", "channels", "files", "forget", "hosts", "instruments", "levels", "loggers",
    "modules", "open_sessions", "parameters", "sessions", "versions",
]  # fmt: skip

SESSIONS_OFFERED = 100
"""Number of the newest sessions that are offered."""
DESTINATIONS = "Services.Uploader.destinations"
"""The parameter whose value is a list of destinations."""
_WITH_FIELDS = ("Instruments.", "Services.")
"""Folders in which more can be set than is stored; only for these the declarations are read, which takes a moment."""
LONGEST_OFFERED_VALUE = 200
"""Most characters of a value that is offered for editing."""

T = TypeVar("T")


def forget() -> None:
    """Drop the cached names, because something was changed here."""
    from NexusCore import settings
    from Tools.common import completion_cache

    with suppress(NexusError):
        completion_cache.forget(settings.load())


def _cached(what: str, role: str, read: Callable[[Database], T], nothing: T) -> T:
    """Return what `read` returns for the database with a role, or the cached result."""
    from NexusCore import settings
    from Tools.common import completion_cache

    loaded = settings.load()
    return completion_cache.cached(what, getattr(loaded, role), loaded, read, nothing)


# -- candidates ------------------------------------------------------------------------------------------------------


def levels(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the log levels."""
    return ("debug", "info", "warning", "error", "critical")


def loggers(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of loggers."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.loggers(database)

    return _cached("loggers", "log", read, [])


def modules(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of modules that log."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.modules(database)

    return _cached("modules", "log", read, [])


def hosts(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the names of machines that log."""

    def read(database: Database) -> list[str]:
        from NexusCore.log import store

        return store.hosts(database)

    return _cached("hosts", "log", read, [])


def channels(_arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return the channels of status; with a colon in the word, their elements."""

    def read(database: Database) -> list[str]:
        from NexusCore.status import store

        return [f"{sample.channel}:{sample.name}" for sample in store.latest(database)]

    return _steps(_cached("channels", "status", read, []), prefix, ":")


def sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the identifiers of the newest sessions."""

    def read(database: Database) -> list[str]:
        from NexusCore.clock import SYSTEM_CLOCK
        from NexusCore.facility.sessions import Sessions

        return [session.identifier for session in Sessions(database, SYSTEM_CLOCK).newest(count=SESSIONS_OFFERED)]

    return _cached("sessions", "main", read, [])


def open_sessions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the instruments and identifiers of open sessions."""

    def read(database: Database) -> list[str]:
        from NexusCore.clock import SYSTEM_CLOCK
        from NexusCore.facility.sessions import Sessions, State

        waiting = Sessions(database, SYSTEM_CLOCK).newest(state=State.WAITING_FOR_END, count=SESSIONS_OFFERED)
        # One that waits for its files is named by its identifier: another one may be open on the instrument.
        pids = [session.instrument for session in waiting if session.is_open]
        return [*pids, *(session.identifier for session in waiting)]

    return _cached("open sessions", "main", read, [])


def instruments(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the pids of the instruments."""
    return _cached("instruments", "config", lambda _: _open(None).instruments(), [])


def versions(_arguments: Namespace, _prefix: str) -> Iterable[str]:
    """Return the versions of the configuration."""
    return _cached("versions", "config", lambda _: _open(None).store.versions(), [])


def parameters(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters, folder by folder, also of those that can be set and are not yet."""
    known = _values(arguments)
    if prefix.startswith(_WITH_FIELDS):
        known = known | _possible(arguments)
    return {path: known[path][0] if path in known else "" for path in _steps(known, prefix, ".")}


def assignments(arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return paths of parameters; after a ``=``, the allowed values or the present value."""
    if prefix.startswith(f"{DESTINATIONS}="):
        return _destinations(prefix)
    path, sign, _ = prefix.partition("=")
    if not sign:
        return parameters(arguments, prefix)
    offered = _values(arguments).get(path) or (
        _possible(arguments).get(path) if path.startswith(_WITH_FIELDS) else None
    )
    return [f"{path}={value}" for value in (offered or ())[1:]]


def _values(arguments: Namespace) -> dict[str, list[str]]:
    """Return the paths of the parameters, each with what it is for and the values offered; none for a secret."""
    version = getattr(arguments, "version", None)

    def read(_: Database) -> dict[str, list[str]]:
        return _with_values(_open(version).everything().values())

    return _cached(f"parameters of {version}", "config", read, {})


def _possible(arguments: Namespace) -> dict[str, list[str]]:
    """Return the same of parameters that can be set and are not yet."""
    version = getattr(arguments, "version", None)

    def read(_: Database) -> dict[str, list[str]]:
        from Tools.common import declared

        return _with_values(declared.not_set("", _open(version).everything()))

    return _cached(f"possible parameters of {version}", "config", read, {})


def _with_values(changes: Iterable[Change]) -> dict[str, list[str]]:
    from Tools.common.configuration import choices

    return {
        change.path: [
            one_line(change.comment or ""),
            *(choice for choice in choices(change) if len(choice) <= LONGEST_OFFERED_VALUE),
        ]
        for change in changes
    }


def _open(version: str | None) -> StoredConfiguration:
    from Tools.common.configuration import open_configuration

    return open_configuration(version)


def _destinations(prefix: str) -> Iterable[str]:
    """Return the kinds of destinations that may follow those already typed, which commas separate."""
    from NexusCore import plugins

    before, comma, _ = prefix.rpartition(",")
    before = f"{before}," if comma else f"{DESTINATIONS}="
    typed = {name.strip() for name in before.partition("=")[2].split(",")}
    return [f"{before}{name}" for name in plugins.names(plugins.DESTINATIONS) if name not in typed]


def _steps(names: Iterable[str], prefix: str, mark: str) -> list[str]:
    """Return the possible next parts of names; a part without alternative is followed by the part after it.

    So a thousand parameters are offered a screenful at a time, and parts without a choice need not be typed.
    """
    matching = {name for name in names if name.startswith(prefix)}
    while True:
        ends = {(name, name.find(mark, len(prefix))) for name in matching}
        steps = {name if end < 0 else name[: end + 1] for name, end in ends}
        if len(steps) != 1 or steps <= matching:
            return sorted(steps)
        prefix = steps.pop()
