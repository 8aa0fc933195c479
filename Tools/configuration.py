"""One version of the configuration, read straight from the database.

A tool that reads one parameter and ends needs neither a watcher nor a memory of all the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from NexusCore import settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.parameter import BOOLEAN, FOLDER, Limits
from NexusCore.config.store import DEFAULT, REMOVE, Change, ConfigStore, Edit, Origin, near_miss
from NexusCore.errors import NexusError, NoSuchInstrument, NoSuchParameterException
from NexusCore.storage import Database
from Tools.person import host, user

INSTRUMENTS = "Instruments."


class IsFolder(NexusError):
    """'{path}' is a folder; ConfigTool list {path} shows what is in it."""


@dataclass(frozen=True, slots=True)
class Configuration:
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
        if (found is None and self.below(path)) or (found is not None and found.datatype == FOLDER):
            raise IsFolder(path=path)
        if found is None:
            raise NoSuchParameterException(path=path, version=self.version, hint=self.near_miss(path))
        return found

    def near_miss(self, path: str) -> str:
        """Return " Did you mean ...?" for the parameter or folder most like `path`, or an empty text."""
        everything = self.everything()
        folders = {one[:end] for one in everything for end, letter in enumerate(one) if letter == "."}
        return near_miss(path, [*everything, *sorted(folders)])

    def everything(self) -> dict[str, Change]:
        """Return all parameters by their paths, folder by folder."""
        changes = sorted(self.store.load(self.version_id), key=lambda change: change.path.split("."))
        return {change.path: change for change in changes}

    def below(self, path: str) -> list[Change]:
        """Return a parameter, or everything below a folder; all there is for an empty path."""
        return [one for one in self.everything().values() if is_below(one.path, path)]

    def apply(self, edits: Sequence[Edit], tool: str, why: str | None) -> list[int]:
        """Make changes, all or none; return their revisions."""
        return self.store.apply(self.version_id, self.version, edits, Origin(user(), host(), tool, why))

    def changes(self, revisions: Sequence[int]) -> dict[str, Change | None]:
        """Return what each of these revisions changed: the parameter as it is since, or None where it was removed."""
        if not revisions:
            return {}
        found = (one for one in self.store.changes_since(revisions[0] - 1) if one.revision in revisions)
        return {one.path: None if one.action == REMOVE else one for one in found}

    def instruments(self) -> list[str]:
        """Return the pids of the instruments."""
        paths = (path.removeprefix(INSTRUMENTS) for path in self.everything() if path.startswith(INSTRUMENTS))
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

    def choices(self, path: str) -> Iterable[str]:
        """Return what a parameter can be set to, where that is known; else what it is set to, to be edited."""
        found = self.find(path)
        if found is None or found.value is None or Limits.from_json(found.limits).secret:
            return ()
        limits = Limits.from_json(found.limits)
        if limits.choices:
            return map(str, limits.choices)
        return ("True", "False") if found.datatype == BOOLEAN else (found.value,)


def open_configuration(version: str | None = None) -> Configuration:
    """Return a version of the configuration; without a name, the one that `default_version` names.

    Raises
    ------
    NoSuchVersionException
        If there is none of that name.
    """
    store = ConfigStore(Database(settings.load().config), SYSTEM_CLOCK)
    if version is None:
        version_id = store.version_id(DEFAULT)
        named = store.find(version_id, "default_version")
        version = named.value if named is not None and named.value else DEFAULT
        if version == DEFAULT:
            return Configuration(store, DEFAULT, version_id)
    return Configuration(store, version, store.version_id(version))


def is_below(path: str, folder: str) -> bool:
    """Tell whether `path` is `folder` or in it; everything is in the folder without a name."""
    return not folder or path == folder or path.startswith(f"{folder}.")
