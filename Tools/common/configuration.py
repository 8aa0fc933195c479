"""One version of the configuration, read straight from the database.

A tool that reads one parameter and ends needs neither a watcher nor a memory of all the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from NexusCore import settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config import secrets
from NexusCore.config.parameter import BOOLEAN, FOLDER, Limits
from NexusCore.config.store import DEFAULT, Change, ConfigStore, Edit, Origin, near_miss
from NexusCore.errors import NexusError, NoSuchInstrument, NoSuchParameterException
from NexusCore.identity import host, user
from NexusCore.storage import Database
from NexusCore.wakeup import Wakeups

if TYPE_CHECKING:
    from NexusCore.config.view import NamedConfiguration

INSTRUMENTS = "Instruments."
NAMES_VERSION = "default_version"
"""Parameter that names the version that is used where none is named."""
SINGLE_FOLDERS = 10
"""Folders up to which each is read by itself."""

_BELOW = """
    -- a parameter and all below it, shaped like the changes that made them; what is below "a.b" begins with "a.b." and
    -- so comes before "a.b/"; the version stands in each part, since SQLite makes use of an index for OR only then
    SELECT revision, version_id, path, 'set', value, datatype, comment, limits, last_modified
      FROM config_parameter
     WHERE (version_id = :version AND path = :path)
        OR (version_id = :version AND path > :from AND path < :to)
"""


class IsFolder(NexusError):
    """'{path}' is a folder; ConfigTool list {path} shows what is in it."""


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
            If there is none of that path; with a hint for a near miss.
        """
        found = self.find(path)
        if found is None and not self.below(path):
            raise self.missing(path)
        if found is None or found.datatype == FOLDER:
            raise IsFolder(path=path)
        return found

    def missing(self, path: str) -> NoSuchParameterException:
        """Return the error that says that there is nothing of a path; with a hint for a near miss."""
        everything = self.everything()
        folders = {known[:end] for known in everything for end, letter in enumerate(known) if letter == "."}
        hint = near_miss(path, [*everything, *sorted(folders)])
        return NoSuchParameterException(path=path, version=self.version, hint=hint)

    def everything(self) -> dict[str, Change]:
        """Return all parameters by their paths, folder by folder."""
        return {change.path: change for change in _folder_by_folder(self.store.load(self.version_id))}

    def below(self, path: str) -> list[Change]:
        """Return a parameter, or everything below a folder; all there is for an empty path."""
        if not path:
            return _folder_by_folder(self.store.load(self.version_id))
        with self.store.database.reading() as reading:
            values = {"version": self.version_id, "path": path, "from": f"{path}.", "to": f"{path}/"}
            return _folder_by_folder(secrets.revealed(reading, reading.all(_BELOW, **values)))

    def around(self, paths: Iterable[str]) -> dict[str, Change]:
        """Return the parameters at some paths with all that is in the same folders, by their paths."""
        folders = {path.rpartition(".")[0] for path in paths}
        if "" in folders or len(folders) > SINGLE_FOLDERS:
            return self.everything()
        return {change.path: change for folder in sorted(folders) for change in self.below(folder)}

    def apply(self, edits: Sequence[Edit], why: str | None) -> list[Change]:
        """Make changes, all or none; return what was changed."""
        return self.made(self.store.apply(self.version_id, self.version, edits, origin(why)))

    def made(self, revisions: Sequence[int]) -> list[Change]:
        """Return what was changed in revisions; in a dry run, what would have been."""
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
        found = self.below(INSTRUMENTS.rstrip("."))
        paths = (change.path.removeprefix(INSTRUMENTS) for change in found if change.path.startswith(INSTRUMENTS))
        return list(dict.fromkeys(path.partition(".")[0] for path in paths))

    def instrument(self, pid: str) -> str:
        """Return `pid` if there is such an instrument.

        Raises
        ------
        NoSuchInstrument
            If there is none; with a hint for a near miss.
        """
        known = self.instruments()
        if pid not in known:
            raise NoSuchInstrument(pid=pid, hint=near_miss(pid, known))
        return pid


def _folder_by_folder(changes: Iterable[Change]) -> list[Change]:
    # A dot comes before all that can be in a name, so that a folder's contents follow it.
    return sorted(changes, key=lambda change: change.path.replace(".", "\0"))


def choices(found: Change) -> Iterable[str]:
    """Return what a parameter can be set to, where that is known; else what it is set to, to be edited."""
    limits = Limits.readable(found.limits)
    if limits.secret or found.value is None:
        return ()
    if limits.choices:
        return map(str, limits.choices)
    return ("True", "False") if found.datatype == BOOLEAN else (found.value,)


def open_configuration(version: str | None = None, *, dry_run: bool = False) -> StoredConfiguration:
    """Return a version of the configuration.

    Parameters
    ----------
    version
        Its name; None for the one that `default_version` names.
    dry_run
        Have changes checked and shown as always, and then taken back.

    Raises
    ------
    NoSuchVersionException
        If there is none of that name.
    """
    store = ConfigStore(_database(dry_run), SYSTEM_CLOCK)
    if version is None:
        version_id = store.version_id(DEFAULT)
        named = store.find(version_id, NAMES_VERSION)
        version = named.value if named is not None and named.value else DEFAULT
        if version == DEFAULT:
            return StoredConfiguration(store, DEFAULT, version_id)
    return StoredConfiguration(store, version, store.version_id(version))


def view(configuration: StoredConfiguration) -> NamedConfiguration:
    """Return the configuration as programs see it, as it is at this moment."""
    from NexusCore.config.view import NamedConfiguration
    from NexusCore.config.watch import LiveConfiguration

    live = LiveConfiguration(configuration.store, origin(None), SYSTEM_CLOCK)
    live.close()  # read once, not watched
    return NamedConfiguration(live, version=configuration.version)


def _database(dry_run: bool) -> Database:
    found = settings.load()
    if not dry_run:
        return Database(found.config, wakeups=Wakeups(found.home))
    from NexusCore.config.dry_run import DryRunDatabase

    return DryRunDatabase(found.config)


def origin(why: str | None) -> Origin:
    """Return what the history says of changes made here."""
    return Origin(user(), host(), "ConfigTool", why)


def is_below(path: str, folder: str) -> bool:
    """Tell whether `path` is `folder` or in it; everything is in the folder without a name."""
    return not folder or path == folder or path.startswith(f"{folder}.")
