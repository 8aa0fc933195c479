"""The reading part of `NexusCore.config.view.NamedConfiguration`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from NexusCore.config import exchange, history
from NexusCore.config.changes import check_text, not_a_name
from NexusCore.config.history import Difference
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import ConfigStore, HistoryEntry, check_path, near_miss
from NexusCore.config.tree import Leaves, Tree
from NexusCore.config.values import FOLDER, MASK, Value
from NexusCore.errors import NoSuchParameterException, NotANumber, ValueMissing


class ConfigurationSource(Protocol):
    """What a view reads from: what a process watches, or what was read once."""

    @property
    def store(self) -> ConfigStore:
        """The configuration in the database."""

    def tree(self, version: str | None = None) -> Tree:
        """Return a version's tree; None for the default version."""


class ReadOnlyConfiguration:
    """Reads the parameters below a folder of one version.

    Parameters
    ----------
    source
        Where it reads from.
    root
        Path of the folder, which need not exist; empty for the absolute root.
    version
        Name of the version; None for the default one.

    Raises
    ------
    ConfigException
        If `root` is not a valid path, or `version` not a valid name.
    """

    def __init__(self, source: ConfigurationSource, root: str = "", version: str | None = None) -> None:
        if root != "":
            check_path(root)
        self._source = source
        self._tree = source.tree(version)
        self.root = root
        self.version = self._tree.version
        self._prefix = f"{root}." if root else ""
        self._nodes = self._tree.nodes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.root or '(root)'}, version {self.version}>"

    def __getitem__(self, name: str) -> Value:
        """Return the value of a parameter; if it does not exist, its declared default in a service, else None.

        Raises
        ------
        SecretWithheld
            If it is a secret that this program's database account may not read.
        """
        try:
            path = self._prefix + name
        except TypeError:
            raise not_a_name(name) from None
        node = self._nodes.get(path) or self._tree.parameter(path)
        return self._tree.default(path) if node is None else node.get_value()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the folder's children; see `keys`."""
        return iter(self.keys())

    def __contains__(self, name: str) -> bool:
        return self._tree.node(self._path(name)) is not None

    def get(self, name: str | None = None) -> ConfigParameter:
        """Return a parameter or folder; without a name, the view's own folder.

        Raises
        ------
        NoSuchParameterException
            If there is none of that name.
        """
        path = self._path(name)
        node = self._tree.node(path)
        if node is None:
            if name:
                raise self._missing(path)
            node = ConfigParameter(self._tree, path)
        return node

    def number(self, name: str) -> float:
        """Return the value of a parameter that must be a number.

        Raises
        ------
        ValueMissing
            If it has no value.
        NotANumber
            If it is not a number: it was set before a program declared it.
        """
        value = self[name]
        if value is None:
            raise ValueMissing(path=self._path(name), kind="a number")
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            path = self._path(name)
            secret = self.get(name).limits.secret
            raise NotANumber(path=path, value=MASK if secret else repr(value))
        return value

    def keys(self, name: str | None = None) -> list[str]:
        """Return the names of the folder's children, parameters and folders; [] if it does not exist."""
        return [child.name for child in self.get_children(name)]

    def get_children(self, name: str | None = None) -> list[ConfigParameter]:
        """Return the folder's children."""
        return self._tree.children(self._path(name))

    def get_leaves(self, name: str | None = None, recursive: bool = True) -> Leaves:
        """Return all parameters below the folder; without `recursive`, only its children."""
        path = self._path(name)
        if not recursive:
            return Leaves(path, self._tree.children(path))
        return Leaves(path, (node for node in self._tree.below(path) if node.datatype != FOLDER))

    def search(self, text: str) -> list[ConfigParameter]:
        """Return everything with `text` in its own name, ignoring case, in the whole version."""
        check_text("the text to search for", text)
        wanted = text.lower()
        return [node for node in self._tree.below("") if wanted in node.name.lower()]

    @property
    def store(self) -> ConfigStore:
        """The configuration in the database."""
        return self._source.store

    def last_updated(self) -> datetime | None:
        """Return when anything in the view was last changed."""
        times = (node.last_modified for node in self._tree.below(self.root))
        return max((time for time in times if time is not None), default=None)

    def history(self, name: str) -> list[HistoryEntry]:
        """Return all changes of a parameter, newest first."""
        return self._source.store.history(self._tree.version_id, self._path(name))

    def require(self, names: Iterable[str]) -> None:
        """Check that parameters exist, without creating them.

        Raises
        ------
        NoSuchParameterException
            For the first that does not.
        """
        for name in each_name(names):
            self.get(name)

    def serialize(self, name: str | None = None) -> str:
        """Return a folder as JSON; see `NexusCore.config.exchange`."""
        return exchange.serialize(self.get(name))

    def diff(self, old: int | str, new: int | str | None = None) -> list[Difference]:
        """Return the differences between two states in the view.

        Parameters
        ----------
        old, new
            A revision of this version (0 is before the first), or the name of a version as it is now. Without `new`:
            the revision against the current state, or this version against the named one.

        Raises
        ------
        ConfigException
            If the revision or version does not exist.
        """
        if new is None:
            old, new = (self.version, old) if isinstance(old, str) else (old, self.version)
        store, own = self._source.store, self._tree.version_id
        (old_id, before), (new_id, after) = (history.state_of(store, own, which, self.root) for which in (old, new))
        return history.differences(before, after, history.ever_secret(store, {old_id, new_id}))

    def compare(self, version: str) -> list[Difference]:
        """Return the differences between this version and another in the view's folder."""
        return self.diff(version)

    def list_versions(self) -> list[str]:
        """Return the names of all versions."""
        return self._source.store.versions()

    def _missing(self, path: str) -> NoSuchParameterException:
        return NoSuchParameterException(path=path, version=self.version, hint=near_miss(path, self._tree.paths()))

    def _path(self, name: str | None) -> str:
        if name is None or name == "":
            return self.root
        try:
            return self._prefix + name
        except TypeError:
            raise not_a_name(name) from None


def each_name(names: str | Iterable[str]) -> Iterable[str]:
    """Return one name or several as an iterable."""
    if isinstance(names, (str, bytes)):
        return [names]
    try:
        return iter(names)
    except TypeError:
        raise not_a_name(names) from None
