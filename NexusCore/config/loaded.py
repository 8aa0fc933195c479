"""The configuration as it was when it was read: neither watched nor changed; for tools, dry runs and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from NexusCore.config import snapshot
from NexusCore.config.changes import DEFAULT, NAMES_VERSION, Change
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.config.store import ConfigStore
from NexusCore.config.tree import Tree
from NexusCore.config.values import Value
from NexusCore.errors import ConfigException


class LoadedConfiguration(ReadOnlyConfiguration):
    """A version of the configuration, from its root.

    Parameters
    ----------
    source
        What was read.
    version
        Name of the version; None for the default one.
    """

    def __init__(self, source: _Loaded, version: str | None = None) -> None:
        super().__init__(source, version=version)
        self.revision = source.revision
        """Newest revision of the configuration when it was read."""
        self.from_snapshot = source.from_snapshot
        """Whether it is the snapshot that a program of this user saved, because the database does not answer."""


def load_configuration(store: ConfigStore, version: str | None = None) -> LoadedConfiguration:
    """Read the configuration from its database.

    Parameters
    ----------
    store
        The configuration in the database.
    version
        Name of the version; None for the default one.

    Raises
    ------
    NoSuchVersionException
        If the version does not exist.
    """

    def load(name: str) -> tuple[int, Sequence[Change]]:
        version_id = store.version_id(name)
        return version_id, store.load(version_id)

    return LoadedConfiguration(_Loaded(store, store.revision(), load), version)


def load_snapshot(file: Path) -> LoadedConfiguration | None:
    """Read the configuration from the snapshot that programs of this user save; None without a usable snapshot.

    Parameters
    ----------
    file
        The snapshot.
    """
    saved = snapshot.load(file)
    if saved is None or DEFAULT not in saved.versions:
        return None
    versions = saved.versions

    def load(name: str) -> tuple[int, Sequence[Change]]:
        return versions.get(name) or versions[DEFAULT]

    return LoadedConfiguration(_Loaded(None, saved.revision, load))


class _Loaded:
    """What was read of the configuration, a version at a time."""

    def __init__(
        self,
        store: ConfigStore | None,
        revision: int,
        load: Callable[[str], tuple[int, Sequence[Change]]],
    ) -> None:
        self.revision = revision
        self.from_snapshot = store is None
        self._store = store
        self._load = load
        self._trees: dict[str, Tree] = {}

    @property
    def store(self) -> ConfigStore:
        if self._store is None:
            raise ConfigException(reason="its history cannot be read: the database does not answer")
        return self._store

    def tree(self, version: str | None = None) -> Tree:
        if version is None:
            node = self.tree(DEFAULT).parameter(NAMES_VERSION)
            version = str(node.value) if node is not None and node.value else DEFAULT
        if version not in self._trees:
            version_id, changes = self._load(version)
            tree = self._trees[version] = Tree(_Unchanging(), version, version_id)
            tree.load(changes)
        return self._trees[version]


class _Unchanging:
    """Refuses every change."""

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        raise ConfigException(reason=f"'{parameter.path}' cannot be changed: the configuration is read only here")

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        raise ConfigException(reason=f"'{parameter.path}' cannot be changed: the configuration is read only here")
