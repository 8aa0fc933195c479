"""The configuration, read once: it is neither watched nor changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from NexusCore.config import snapshot
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import DEFAULT, Change, ConfigStore
from NexusCore.config.tree import Tree
from NexusCore.config.values import Value
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import ConfigException
from NexusCore.settings import Settings


class _ReadOnlyStore:
    """Refuses every change."""

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        """Refuse to store a value."""
        raise ConfigException(reason="it is read-only here")

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Refuse to store a comment."""
        raise ConfigException(reason="it is read-only here")


class ReadOnlyConfiguration(NamedConfiguration):
    """A version of the configuration, from its root.

    Parameters
    ----------
    version
        Name of the version.
    changes
        Newest change of each parameter.
    revision
        Newest revision of the configuration when it was read.
    from_snapshot
        Whether it is the snapshot that a program of this user saved, because the database does not answer.
    """

    def __init__(self, version: str, changes: Iterable[Change], revision: int, *, from_snapshot: bool = False) -> None:
        # Not the constructor of the base class: it starts a watcher, and adds a missing version.
        self._tree = Tree(_ReadOnlyStore(), version, 0)
        self._tree.load(changes)
        self._nodes = self._tree.nodes
        self._prefix = self.root = ""
        self.version = version
        self.revision = revision
        self.from_snapshot = from_snapshot


def read_stored(store: ConfigStore) -> ReadOnlyConfiguration:
    """Read the configuration from its database."""
    revision = store.revision()
    changes = store.load(store.version_id(DEFAULT))
    version = _default_version(changes)
    if version != DEFAULT:
        changes = store.load(store.version_id(version))
    return ReadOnlyConfiguration(version, changes, revision)


def read_snapshot(settings: Settings) -> ReadOnlyConfiguration | None:
    """Read the configuration from the snapshot that programs of this user save; None without a usable snapshot."""
    saved = snapshot.load(snapshot_file(settings))
    if saved is None or DEFAULT not in saved.versions:
        return None
    versions = {name: changes for name, (_, changes) in saved.versions.items()}
    version = _default_version(versions[DEFAULT])
    version = version if version in versions else DEFAULT
    return ReadOnlyConfiguration(version, versions[version], saved.revision, from_snapshot=True)


def snapshot_file(settings: Settings) -> Path:
    """Return the file in which programs save the configuration that they read last."""
    return snapshot.file_of(settings.home, settings.config)


def _default_version(changes: Iterable[Change]) -> str:
    """Return the version used where none is named."""
    return next((change.value for change in changes if change.path == "default_version" and change.value), DEFAULT)
