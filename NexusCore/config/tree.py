"""One version of the configuration in memory: every parameter by its path, folders included."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Protocol

from NexusCore.config.parameter import (
    FOLDER,
    NO_LIMITS,
    ConfigParameter,
    Limits,
    Value,
    cast,
    datatype_of,
    decode,
    discreet,
    encode,
)
from NexusCore.config.store import REMOVE, SET, Change
from NexusCore.errors import ConfigException

_LOG = logging.getLogger("NexusCore.config")


class Owner(Protocol):
    """Who stores what is set on a parameter of the tree."""

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        """Store a value."""
        ...

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a comment."""
        ...


class Leaves(list[ConfigParameter]):
    """Parameters below a folder; ``"gain" in leaves`` tells by its name, as seen from the folder, whether one is there.

    Parameters
    ----------
    folder
        Path of the folder.
    found
        What is below it.
    """

    def __init__(self, folder: str, found: Iterable[ConfigParameter]) -> None:
        super().__init__(found)
        self._prefix = f"{folder}." if folder else ""

    def __contains__(self, wanted: object) -> bool:
        if isinstance(wanted, str):
            return any(node.path == self._prefix + wanted for node in self)
        return super().__contains__(wanted)


class Tree:
    """The parameters of a version. Readers need no lock: `nodes` is one dict that is changed in place.

    A folder exists as long as it holds something, or was added by itself.
    """

    def __init__(self, owner: Owner, version: str, version_id: int, revision: int = 0) -> None:
        self._owner = owner
        self.version = version
        self.version_id = version_id
        self.revision = revision
        """Up to which changes have been taken over."""
        self.nodes: dict[str, ConfigParameter] = {"": ConfigParameter(self, "")}
        self._removed: dict[str, ConfigParameter] = {}
        """Programs may hold on to these; they come to life again when the path does."""
        self._names: dict[str, set[str]] = {"": set()}
        """Names of what each folder holds."""
        self._stored: dict[str, tuple[Value, str]] = {}
        """Values and types in the database of what was changed in this process only."""

    def children(self, path: str) -> list[ConfigParameter]:
        """Return what a folder holds, in order of name."""
        prefix = f"{path}." if path else ""
        found = (self.nodes.get(prefix + name) for name in sorted(self._names.get(path, ())))
        return [node for node in found if node is not None]

    def below(self, path: str) -> Iterator[ConfigParameter]:
        """Yield everything below a folder, depth first, in order of name."""
        for child in self.children(path):
            yield child
            yield from self.below(child.path)

    def load(self, changes: Iterable[Change]) -> None:
        """Take over all parameters of the version, each as the change that made it."""
        for change in changes:
            self.apply(change)

    def dump(self) -> list[Change]:
        """Return the parameters as `load` takes them."""
        return [
            Change(
                node.revision,
                self.version_id,
                path,
                SET,
                encode(self._stored.get(path, (node.value, ""))[0]),
                self._stored.get(path, (None, node.datatype))[1],
                node.comment,
                node.limits.to_json(),
                node.modified_ts,
            )
            for path, node in self.nodes.items()
            if node.revision
        ]

    def replace(self, changes: Iterable[Change]) -> list[ConfigParameter]:
        """Make the tree hold these parameters and no others, whatever their revisions; return what changed."""
        wanted = {change.path: change for change in changes}
        gone = [node for path, node in self.nodes.items() if node.revision and path not in wanted]
        changed = [self._remove(node) for node in gone]
        for path, change in wanted.items():
            content = _content(change)
            if content is None:
                continue
            node = self.nodes.get(path)
            if node is None or node.value != content[0] or node.comment != change.comment:
                changed.append(self._add(path) if node is None else node)
            if node is not None:
                node.update(revision=0)
            self.apply(change)
        return changed

    def apply(self, change: Change) -> ConfigParameter | None:
        """Take over one change; return the parameter it concerns, or None where it is older than what is known."""
        node = self.nodes.get(change.path)
        if node is not None and node.revision >= change.revision:
            return None
        if change.action == REMOVE:
            return self._remove(node) if node is not None else None
        content = _content(change)
        if content is None:
            return None
        if node is None:
            node = self._add(change.path)
        self._stored.pop(change.path, None)
        node.update(
            datatype=change.datatype,
            value=content[0],
            comment=change.comment,
            limits=content[1],
            revision=change.revision,
            modified_ts=change.ts,
        )
        return node

    def set_value(
        self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool, commit: bool
    ) -> None:
        """Store a value, or without `commit` keep it in this process."""
        if commit:
            self._owner.set_value(parameter, value, datatype, check)
            return
        datatype = datatype or (parameter.datatype if check else datatype_of(parameter.path, value))
        with discreet(parameter.limits):
            value = cast(parameter.path, value, datatype)
            if check:
                parameter.limits.check(parameter.path, value)
        self._stored.setdefault(parameter.path, (parameter.value, parameter.datatype))
        parameter.update(value=value, datatype=datatype)

    def take_back(self, paths: Iterable[str]) -> None:
        """Give parameters the values that are stored, which someone wants to change now."""
        for path in paths:
            if path in self._stored:
                value, datatype = self._stored.pop(path)
                self.nodes[path].update(value=value, datatype=datatype)

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a comment."""
        self._owner.set_comment(parameter, comment)

    def _add(self, path: str) -> ConfigParameter:
        folder, _, name = path.rpartition(".")
        if folder not in self.nodes:
            self._add(folder)
        self._names.setdefault(folder, set()).add(name)
        known = self._removed.pop(path) if path in self._removed else None
        node = self.nodes[path] = known or ConfigParameter(self, path)
        return node

    def _remove(self, node: ConfigParameter) -> ConfigParameter:
        self._stored.pop(node.path, None)
        node.update(datatype=FOLDER, value=None, comment=None, limits=NO_LIMITS, revision=0, modified_ts=0)
        path = node.path
        while path and not self._names.get(path) and self.nodes[path].revision == 0:
            folder, _, name = path.rpartition(".")
            self._removed[path] = self.nodes.pop(path)
            self._names.pop(path, None)
            self._names[folder].discard(name)
            path = folder
        return node


def _content(change: Change) -> tuple[Value, Limits] | None:
    """Return value and limits; None, and a warning, where someone wrote what cannot be read into the tables."""
    try:
        return decode(change.value, change.datatype), Limits.from_json(change.limits) if change.limits else NO_LIMITS
    except (ValueError, TypeError, ConfigException) as error:
        _LOG.warning("'%s' of revision %d cannot be read and is passed over: %s", change.path, change.revision, error)
        return None
