"""The configuration as it was read once: nothing watches it, and nothing can be changed in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from NexusCore.config import snapshot
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import DEFAULT, Change, ConfigStore
from NexusCore.config.tree import Tree
from NexusCore.config.values import Value
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import ConfigException
from NexusCore.settings import Settings
from Tools.doctor.checks.context import NotLookedAt

if TYPE_CHECKING:
    from Tools.doctor.checks.context import Case


class _Nobody:
    """Stores nothing."""

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        """Refuse to store a value."""
        raise ConfigException(reason="it is only looked at")

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Refuse to store a comment."""
        raise ConfigException(reason="it is only looked at")


class Seen(NamedConfiguration):
    """A version of the configuration, from its root.

    Parameters
    ----------
    version
        Its name.
    changes
        Its parameters, each as the change that made it.
    revision
        Newest revision of the configuration when it was read.
    kept
        It is what a program of this user saw last, since the database does not answer.
    """

    def __init__(self, version: str, changes: Iterable[Change], revision: int, *, kept: bool = False) -> None:
        # Not the base's own constructor: that one has the configuration watched, and adds a version that is missing.
        self._tree = Tree(_Nobody(), version, 0)
        self._tree.load(changes)
        self._nodes = self._tree.nodes
        self._prefix = self.root = ""
        self.version = version
        self.revision = revision
        self.kept = kept


def read(case: Case) -> Seen:
    """Read the configuration from its database, or from the file that programs keep of it."""
    try:
        store = ConfigStore(case.database(case.settings.config), case.clock)
    except NotLookedAt:
        kept = snapshot.load(snapshot_file(case.settings))
        if kept is None or DEFAULT not in kept.versions:
            raise
        found = {name: changes for name, (_, changes) in kept.versions.items()}
        version = _chosen(found[DEFAULT])
        version = version if version in found else DEFAULT
        return Seen(version, found[version], kept.revision, kept=True)
    revision = store.revision()
    changes = store.load(store.version_id(DEFAULT))
    version = _chosen(changes)
    if version != DEFAULT:
        changes = store.load(store.version_id(version))
    return Seen(version, changes, revision)


def snapshot_file(settings: Settings) -> Path:
    """Return the file in which programs keep the configuration they saw last."""
    return snapshot.file_of(settings.home, settings.config)


def _chosen(changes: Iterable[Change]) -> str:
    """Return the version that is used where none is named."""
    return next((one.value for one in changes if one.path == "default_version" and one.value), DEFAULT)
