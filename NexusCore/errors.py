"""Errors that more than one package raises or catches.

The docstring of a class is its message; the constructor takes the facts named in it. `exit_code` is the exit code of a
tool or service that the error ends: 1 failure or no match, 2 usage, 3 database unreachable, 4 refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import ClassVar

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_REFUSED = 4
EXIT_INTERRUPTED = 130

LONGEST_VALUE_SHOWN = 200
"""Characters of a value shown in a message."""


class NexusError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = EXIT_FAILURE

    def __init__(self, **facts: object) -> None:
        sentence = inspect.cleandoc(type(self).__doc__ or "")
        if "{reason}." in sentence or "{reason})" in sentence:
            facts = _with_one_stop(facts)
            if str(facts.get("reason")).endswith(("?", "!")):
                sentence = sentence.replace("{reason}.", "{reason}")
        self.facts = facts
        super().__init__(" ".join(sentence.format(**facts).split()))

    def __reduce__(self) -> tuple[Callable[[], NexusError], tuple[()]]:
        # From a worker to its pool; facts become text, since some cannot be pickled.
        return partial(type(self), **{name: str(fact) for name, fact in self.facts.items()}), ()


def _with_one_stop(facts: dict[str, object]) -> dict[str, object]:
    """Remove a full stop from the end of the reason: messages of drivers and systems may have one."""
    reason = str(facts.get("reason", "")).rstrip()
    if not reason.endswith(".") or reason.endswith(".."):  # dots that mean "and so on" stay
        return facts
    return {**facts, "reason": reason[:-1]}


class WrongArgument(NexusError):
    """{function} takes {what}, not {value}."""

    exit_code = EXIT_USAGE


class TooLong(NexusError):
    """{what} has {size}; at most {most} can be stored."""

    exit_code = EXIT_REFUSED


# -- the machine --------------------------------------------------------------------------------------------------


class DiskFull(NexusError):
    """The disk is full: {place}. {what}Make room there, and try again."""


class TooManyOpenFiles(NexusError):
    """Too many files are open ({limit}). {what}Raise the limit with ulimit -n, or for a service with LimitNOFILE=."""


class TooManyProcesses(NexusError):
    """The system starts no more processes or threads ({limit}). {what}Raise the limit with ulimit -u, or for a service
    with TasksMax=.
    """


class OutOfMemory(NexusError):
    """There is not enough memory for this. {what}Close other programs, or raise the limit that this one has."""


# -- settings and databases --------------------------------------------------------------------------------------


class BadDatabaseURL(NexusError):
    """The database URL in {where} cannot be used: {reason}. It looks like mysql://user:password@host:3306/nexuscore
    or sqlite:////path/nexus.db.
    """

    exit_code = EXIT_USAGE


class NoHomeFolder(NexusError):
    """The user has no home folder, and HOME is not set. Set it, or name a folder for NexusCore's own files in
    NEXUSCORE_HOME.
    """

    exit_code = EXIT_USAGE


class SettingsRefused(NexusError):
    """The settings file {path} holds a password and other users can read it (mode {mode}). Close it with:
    chmod 600 {path}
    """

    exit_code = EXIT_REFUSED


class SettingsUnreadable(NexusError):
    """The settings in {path} cannot be used: {reason}."""

    exit_code = EXIT_USAGE


class DatabaseUnreachable(NexusError):
    """The database at {where} does not answer ({reason}). Is the server running, and is the host right?"""

    exit_code = EXIT_UNREACHABLE


class ConnectionLost(DatabaseUnreachable):
    """The database at {where} does not answer ({reason}). Is the server running, and is the host right?"""

    # Raised while a connection was in use: what was not committed has not taken effect and may be repeated.


class CommitUnknown(DatabaseUnreachable):
    """The database at {where} does not answer ({reason}). Whether the last change took effect is not known. Is the
    server running, and is the host right?
    """


class DatabaseUnusable(DatabaseUnreachable):
    """The database at {where} cannot be used now ({reason})."""


class DatabaseFull(DatabaseUnusable):
    """The disk is full: {place}. The database at {where} stores nothing, and perhaps cannot be read, until there is
    room again ({reason}).
    """


class DatabaseNotSecure(DatabaseUnreachable):
    """The connection to the database at {where} cannot be secured: {reason}."""


class DatabaseDenied(NexusError):
    """The database at {where} does not let this user in or does not allow this ({reason}). Check the user, the
    password, the grants and, where the account demands TLS or a certificate, ssl_mode and ssl_cert in the URL.
    """

    exit_code = EXIT_REFUSED


class DatabaseFileDenied(DatabaseDenied):
    """This user may not {kind} the database at {where}: {reason}."""  # noqa: D404  the docstring is the message


class LoginNeedsTLS(DatabaseDenied):
    """The database at {where} accepts the first login of this account over TLS only ({reason}). Use TLS: put
    ssl_mode=required into the database's URL, in place of any other ssl_mode and of ssl_disabled. Or log in once over
    TLS or through the server's socket: the server then knows the account until it is restarted.
    """


class NoSuchDatabase(DatabaseDenied):
    """The database at {where} does not exist ({reason}). Is its name right? An administrator creates it with:
    ./install.sh mysql
    """


class DatabaseBusy(NexusError):
    """The database at {where} could not do this now because others hold what it needs ({reason}). Try again."""

    exit_code = EXIT_UNREACHABLE


class DatabaseRefused(NexusError):
    """The database at {where} refused a statement ({reason})."""

    exit_code = EXIT_FAILURE


class NoDatabaseFile(NexusError):
    """The database {where} does not exist. Is the path right? Create it with: python -m NexusCore.storage.migrate"""

    exit_code = EXIT_UNREACHABLE


class SchemaMissing(NexusError):
    """The database at {where} holds no NexusCore tables. Create them with: python -m NexusCore.storage.migrate"""

    exit_code = EXIT_REFUSED


class SchemaMismatch(NexusError):
    """The tables in the database at {where} are of revision {found}, older than this program, which needs {needed}.
    Bring them up to date with: python -m NexusCore.storage.migrate
    """

    exit_code = EXIT_REFUSED


class SchemaNewer(SchemaMismatch):
    """The tables in the database at {where} are of revision {found}, newer than this program, which knows {needed}.
    Update NexusCore on this machine.
    """


class SchemaUnfinished(NexusError):
    """The tables in the database at {where} are not complete: their creation was interrupted. Finish it with:
    python -m NexusCore.storage.migrate
    """

    exit_code = EXIT_REFUSED


# -- configuration -----------------------------------------------------------------------------------------------


class ConfigException(NexusError):
    """The configuration refused this: {reason}."""

    exit_code = EXIT_REFUSED


class NoSuchParameterException(ConfigException):
    """Parameter '{path}' does not exist in version '{version}' of the configuration.{hint}"""

    exit_code = EXIT_FAILURE


class NoSuchVersionException(ConfigException):
    """Version '{version}' of the configuration does not exist."""

    exit_code = EXIT_FAILURE


class ValueRefused(ConfigException):
    """'{path}' cannot be set to {value}: {reason}."""

    def __init__(self, **facts: object) -> None:
        value = str(facts.get("value"))
        shown = value if len(value) <= LONGEST_VALUE_SHOWN else f"{value[:LONGEST_VALUE_SHOWN]}…"
        super().__init__(**{**facts, "value": shown})


class NotANumber(ValueRefused):
    """'{path}' is {value}, but must be a number. Set it with: ConfigTool set {path} <number> --type double"""


class ValueMissing(ConfigException):
    """'{path}' has no value, but must be {kind}. Set it with: ConfigTool {path}=<value>"""


class SecretWithheld(ConfigException):
    """The value of '{path}' is a secret, and the database account of this program may not read secrets (the table
    config_secret); the services' account may.
    """


class VersionAlreadyExistsException(ConfigException):
    """Version '{version}' of the configuration already exists."""


# -- status ------------------------------------------------------------------------------------------------------


class StatusException(NexusError):
    """The status refused this: {reason}."""

    exit_code = EXIT_REFUSED


class NoSuchElementException(StatusException):
    """Status element '{name}' does not exist in channel '{channel}'."""

    exit_code = EXIT_FAILURE


# -- facility ----------------------------------------------------------------------------------------------------


class NoSuchInstrument(NexusError):
    """Instrument '{pid}' does not exist in the configuration.{hint} Add it with:
    ConfigTool Instruments.{pid}.filestore_path=<folder>
    """


class NoInstrumentForHost(NexusError):
    """No instrument is assigned to this computer, whose name is '{host}'. The facility's staff can assign one with:
    ConfigTool Instruments.<pid>.computer_name={host}
    """


class NoSuchSession(NexusError):
    """Session '{identifier}' does not exist.{hint}"""


class SessionOpen(NexusError):
    """{instrument} already has an open session, started {since} by {user} ({identifier}). End it first with:
    SessionTool end {identifier}
    """

    exit_code = EXIT_REFUSED


class SessionElsewhere(NexusError):
    """Session '{identifier}' was started on {instrument}; a session on another instrument needs another identifier."""

    exit_code = EXIT_REFUSED


class NoOpenSession(NexusError):
    """{instrument} has no open session."""
