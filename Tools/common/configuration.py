"""A version of the configuration, read directly from the database.

A tool that reads a parameter and ends needs neither a watcher nor all the other parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from NexusCore import settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.changes import NAMES_VERSION
from NexusCore.config.store import DEFAULT, Change, ConfigStore, Edit, Origin, near_miss
from NexusCore.config.values import BOOLEAN, FOLDER, Limits
from NexusCore.errors import NexusError, NoSuchInstrument, NoSuchParameterException
from NexusCore.identity import host, user
from NexusCore.storage import Database
from NexusCore.wakeup import Wakeups

if TYPE_CHECKING:
    from NexusCore.config.loaded import LoadedConfiguration

INSTRUMENTS = "Instruments."
SINGLE_FOLDERS = 10
"""Most folders that are read one by one; for more, everything is read."""


class IsFolder(NexusError):
    """'{path}' is a folder; use ConfigTool list {path} to see its contents."""


@dataclass(frozen=True, slots=True)
class StoredConfiguration:
    """A version of the configuration."""

    store: ConfigStore
    version: str
    version_id: int

    def find(self, path: str) -> Change | None:
        """Return a parameter, or None."""
        return self.store.find(self.version_id, path)

    def get(self, path: str) -> Change:
        """Return a parameter.

        Raises
        ------
        IsFolder
            If a folder has the path.
        NoSuchParameterException
            If the path does not exist; with a hint for a mistyped path.
        """
        parameter = self.find(path)
        if parameter is None and not self.below(path):
            raise self.missing(path)
        if parameter is None or parameter.datatype == FOLDER:
            raise IsFolder(path=path)
        return parameter

    def missing(self, path: str) -> NoSuchParameterException:
        """Return the error for a path that does not exist, with a hint for a mistyped path."""
        everything = self.everything()
        folders = {known[:end] for known in everything for end, letter in enumerate(known) if letter == "."}
        # Not a folder around the path, which would be far too much for a command such as remove.
        known = [name for name in [*everything, *sorted(folders)] if not path.startswith(f"{name}.")]
        hint = near_miss(path, known)
        return NoSuchParameterException(path=path, version=self.version, hint=hint)

    def everything(self) -> dict[str, Change]:
        """Return all parameters by their paths, folder by folder."""
        return {change.path: change for change in folder_by_folder(self.store.load(self.version_id))}

    def below(self, path: str) -> list[Change]:
        """Return a parameter, or everything below a folder; an empty path is the root."""
        below = self.store.below(self.version_id, path) if path else self.store.load(self.version_id)
        return folder_by_folder(below)

    def around(self, paths: Iterable[str]) -> dict[str, Change]:
        """Return the parameters at some paths and all others of the same folders, by their paths."""
        folders = {path.rpartition(".")[0] for path in paths}
        if "" in folders or len(folders) > SINGLE_FOLDERS:
            return self.everything()
        return {change.path: change for folder in sorted(folders) for change in self.below(folder)}

    def apply(self, edits: Sequence[Edit], why: str | None) -> list[Change]:
        """Make changes, all or none; return those that changed something."""
        return self.made(self.store.apply(self.version_id, self.version, edits, origin(why)))

    def made(self, revisions: Sequence[int]) -> list[Change]:
        """Return the changes of some revisions; in a dry run, those that would have been made."""
        from NexusCore.config.dry_run import DryRunDatabase

        if isinstance(self.store.database, DryRunDatabase):
            return self.store.database.changes
        wanted = set(revisions)
        return (
            [change for change in self.store.changes_since(revisions[0] - 1) if change.revision in wanted]
            if wanted
            else []
        )

    def instruments(self) -> list[str]:
        """Return the pids of the instruments."""
        parameters = self.below(INSTRUMENTS.rstrip("."))
        paths = (change.path.removeprefix(INSTRUMENTS) for change in parameters if change.path.startswith(INSTRUMENTS))
        return list(dict.fromkeys(path.partition(".")[0] for path in paths))

    def instrument(self, pid: str) -> str:
        """Return `pid` if there is such an instrument.

        Raises
        ------
        NoSuchInstrument
            If the instrument does not exist; with a hint for a mistyped pid.
        """
        known = self.instruments()
        if pid not in known:
            raise NoSuchInstrument(pid=pid, hint=near_miss(pid, known))
        return pid


def folder_by_folder(changes: Iterable[Change]) -> list[Change]:
    """Return parameters sorted so that a folder is followed by its contents."""
    # The dot sorts before all characters of names, so that a folder is followed by its contents.
    return sorted(changes, key=lambda change: change.path.replace(".", "\0"))


def choices(change: Change) -> Iterable[str]:
    """Return the allowed values of a parameter if these are few; else its present value, for editing."""
    limits = Limits.readable(change.limits)
    if limits.secret or change.value is None:
        return ()
    if limits.choices:
        return map(str, limits.choices)
    return ("True", "False") if change.datatype == BOOLEAN else (change.value,)


def open_configuration(
    version: str | None = None, *, dry_run: bool = False, create: bool = False
) -> StoredConfiguration:
    """Return a version of the configuration.

    Parameters
    ----------
    version
        Name of the version; None for the default version.
    dry_run
        Check and show changes as usual, and then roll them back.
    create
        Create the embedded default if it does not exist, for a change.

    Raises
    ------
    NoSuchVersionException
        If the version does not exist.
    """
    store = ConfigStore(_database(dry_run, create), SYSTEM_CLOCK)
    if version is None:
        version_id = store.version_id(DEFAULT)
        named = store.find(version_id, NAMES_VERSION)
        version = named.value if named is not None and named.value else DEFAULT
        if version == DEFAULT:
            return StoredConfiguration(store, DEFAULT, version_id)
    return StoredConfiguration(store, version, store.version_id(version))


def view(configuration: StoredConfiguration) -> LoadedConfiguration:
    """Return the present configuration as programs see it."""
    from NexusCore.config.loaded import load_configuration

    return load_configuration(configuration.store, configuration.version)


def _database(dry_run: bool, create: bool) -> Database:
    loaded = settings.load()
    if not dry_run:
        return Database(loaded.config, wakeups=Wakeups(loaded.home), create=create)
    from NexusCore.config.dry_run import DryRunDatabase

    return DryRunDatabase(loaded.config)


def origin(why: str | None) -> Origin:
    """Return who and what makes changes here, for the history."""
    return Origin(user(), host(), "ConfigTool", why)


def is_below(path: str, folder: str) -> bool:
    """Return whether `path` is `folder` or in it; everything is in the root, an empty path."""
    return not folder or path == folder or path.startswith(f"{folder}.")
