"""One version of the configuration in memory: every parameter by its path, folders included."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, starmap
from sys import intern
from typing import Any, Protocol

from NexusCore.config.parameter import CONTENT, ConfigParameter
from NexusCore.config.store import REMOVE, SET, Change
from NexusCore.config.values import (
    FOLDER,
    NO_LIMITS,
    STRING,
    Limits,
    Value,
    cast,
    datatype_of,
    decode,
    discreet,
    encode,
)
from NexusCore.errors import ConfigException
from NexusCore.forks import renew_in_children
from NexusCore.text import one_line

Content = tuple[str, Value, str | None, Limits, int, int, bool]
"""The stored attributes of a parameter, in the order of `CONTENT`."""
NOTHING: Content = (FOLDER, None, None, NO_LIMITS, 0, 0, False)

_LOG = logging.getLogger("NexusCore.config")


class Owner(Protocol):
    """Stores what is set on a parameter of the tree."""

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        """Store a value."""
        ...

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a comment."""
        ...


class Leaves(list[ConfigParameter]):
    """Parameters below a folder; ``"gain" in leaves`` looks for a name relative to the folder.

    Parameters
    ----------
    folder
        Path of the folder.
    parameters
        The parameters below it.
    """

    def __init__(self, folder: str, parameters: Iterable[ConfigParameter]) -> None:
        super().__init__(parameters)
        self._prefix = f"{folder}." if folder else ""

    def __contains__(self, wanted: object) -> bool:
        if isinstance(wanted, str):
            return any(node.path == self._prefix + wanted for node in self)
        return super().__contains__(wanted)


class Tree:
    """The parameters of a version. Readers need no lock: `nodes` is one dict that is changed in place.

    A folder exists while it has children, or if it was added itself. A parameter that was not asked for yet exists only
    as its content, since most programs ask for few of many thousand parameters; the first request takes the lock.
    """

    def __init__(self, owner: Owner, version: str, version_id: int, revision: int = 0) -> None:
        self._owner = owner
        self.version = version
        self.version_id = version_id
        self.revision = revision
        """Changes up to this revision have been applied."""
        self.default: Callable[[str], Value] = _none
        """Returns the value of a parameter that is not stored."""
        self.nodes: dict[str, ConfigParameter] = {"": ConfigParameter(self, "")}
        """Those that were asked for; `node` returns the others."""
        self._unread: dict[str, Content] = {}
        self._removed: dict[str, ConfigParameter] = {}
        """Programs may still hold these; they are used again if the path is added again."""
        self._order: list[str] | None = None
        """The paths of all stored parameters, sorted; made when the children of a folder are first needed."""
        self._stored: dict[str, tuple[Value, str]] = {}
        """Stored values and types of parameters that were changed in this process only."""
        self._lock = threading.RLock()
        """Held while nodes are created or contents change."""
        renew_in_children(self)

    def forked(self) -> None:
        """Replace the lock."""
        self._lock = threading.RLock()

    def parameter(self, path: str) -> ConfigParameter | None:
        """Return the parameter stored at a path, or None; fast, since programs often ask for missing ones."""
        return self.node(path) if path in self._unread else self.nodes.get(path)

    def node(self, path: str) -> ConfigParameter | None:
        """Return the parameter or folder at a path, or None."""
        known = self.nodes.get(path)
        if known is not None:
            return known
        with self._lock:
            if path in self._unread or self._holds(path):
                return self._node(path)
            return self.nodes.get(path)

    def paths(self) -> set[str]:
        """Return the paths of all parameters and folders."""
        with self._lock:
            paths = set(self._sorted())
        for path in list(paths):
            while (path := path.rpartition(".")[0]) and path not in paths:
                paths.add(path)
        return paths

    def children(self, path: str) -> list[ConfigParameter]:
        """Return the children of a folder, ordered by name."""
        prefix = f"{path}." if path else ""
        with self._lock:
            return [self._node(prefix + name) for name in sorted(self._names(prefix))]

    def below(self, path: str) -> Iterator[ConfigParameter]:
        """Yield everything below a folder, depth first, ordered by name."""
        for child in self.children(path):
            yield child
            yield from self.below(child.path)

    def load(self, changes: Iterable[Change]) -> None:
        """Load parameters of the version, each as the change that set it, before any was asked for."""
        with self._lock:
            self._put((change.path, content) for change in changes if (content := _content(change)) is not None)

    def load_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Load the rows that `ConfigStore.load_into` reads, replacing what was loaded before."""
        with self._lock:
            self._unread.clear()
            self._put(_contents(rows))

    def dump(self, take: Callable[[int, Iterator[Change]], object]) -> None:
        """Call `take` with the number of parameters and the changes that `load` takes, under the lock."""
        with self._lock:
            read = [node for node in self.nodes.values() if node.revision]
            unread = starmap(self._unread_change, self._unread.items())
            take(len(read) + len(self._unread), chain(map(self._change, read), unread))

    def _change(self, node: ConfigParameter) -> Change:
        value, datatype = self._stored.get(node.path, (node.value, node.datatype))
        content = (datatype, value, node.comment, node.limits, node.revision, node.modified_ts, node.withheld)
        return self._unread_change(node.path, content)

    def _unread_change(self, path: str, content: Content) -> Change:
        datatype, value, comment, limits, revision, ts, withheld = content
        text = value if value is None or type(value) is str else encode(value)
        stored = None if limits is NO_LIMITS else limits.to_json()
        return Change(revision, self.version_id, path, SET, text, datatype, comment, stored, ts, withheld)

    def replace(self, changes: Iterable[Change]) -> list[ConfigParameter]:
        """Replace all parameters by these, ignoring revisions; return those that changed."""
        with self._lock:
            wanted = {change.path: change for change in changes}
            changed = [self._remove(self._node(path)) for path in list(self._sorted()) if path not in wanted]
            for path, change in wanted.items():
                content = _content(change)
                if content is None:
                    continue
                there = self.nodes.get(path)
                known = _content_of(there) if there is not None else self._unread.get(path)
                if known is None or known[1:3] != content[1:3]:
                    changed.append(self._take(path, content))
                elif there is not None:
                    self._take(path, content)
                else:
                    self._unread[path] = content
            return changed

    def apply(self, change: Change) -> ConfigParameter | None:
        """Apply one change; return its parameter, or None if the change is older than the known state."""
        with self._lock:
            node = self.node(change.path)
            if node is not None and node.revision >= change.revision:
                return None
            if change.action == REMOVE:
                return self._remove(node) if node is not None else None
            content = _content(change)
            return self._take(change.path, content) if content is not None else None

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
        """Restore the stored values of parameters that were changed in this process only."""
        for path in paths:
            if path in self._stored:
                value, datatype = self._stored.pop(path)
                self.nodes[path].update(value=value, datatype=datatype)

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a comment."""
        self._owner.set_comment(parameter, comment)

    def _put(self, contents: Iterable[tuple[str, Content]]) -> None:
        self._unread.update(contents)
        self._order = None
        odd = self._unread.pop("", None)
        if odd is not None:  # written into the tables by hand: the empty path is not a parameter
            self._take("", odd)

    def _take(self, path: str, content: Content) -> ConfigParameter:
        """Set the content of a parameter."""
        node = self._node(path)
        if not node.revision and self._order is not None:
            insort(self._order, path)
        self._stored.pop(path, None)
        node.update(**dict(zip(CONTENT, content, strict=True)))
        return node

    def _remove(self, node: ConfigParameter) -> ConfigParameter:
        self._stored.pop(node.path, None)
        if node.revision:
            order = self._sorted()
            del order[bisect_left(order, node.path)]
        node.update(**dict(zip(CONTENT, NOTHING, strict=True)))
        path = node.path
        while path and path not in self._unread and not self._holds(path):
            there = self.nodes.get(path)
            if there is not None:
                if there.revision:
                    break
                self._removed[path] = self.nodes.pop(path)
            path = path.rpartition(".")[0]
        return node

    def _node(self, path: str) -> ConfigParameter:
        """Return the node of a path that exists, created on the first request."""
        node = self.nodes.get(path)
        if node is None:
            node = self._removed.pop(path, None) or ConfigParameter(self, path)
            content = self._unread.get(path)
            if content is not None:
                node.update(**dict(zip(CONTENT, content, strict=True)))
            self.nodes[path] = node
            self._unread.pop(path, None)  # only now: a reader finds it in one of the two at any time
        return node

    def _sorted(self) -> list[str]:
        if self._order is None:
            self._order = sorted([*self._unread, *(path for path, node in self.nodes.items() if node.revision)])
        return self._order

    def _holds(self, path: str) -> bool:
        """Return whether anything is below a path."""
        order, prefix = self._sorted(), f"{path}." if path else ""
        place = bisect_left(order, prefix)
        return place < len(order) and order[place].startswith(prefix)

    def _names(self, prefix: str) -> set[str]:
        """Return the names of the children of a folder."""
        order, names = self._sorted(), set()
        place = bisect_left(order, prefix)
        while place < len(order) and order[place].startswith(prefix):
            name, dot, _ = order[place][len(prefix) :].partition(".")
            names.add(name)
            # What is below "a" begins with "a.", and the character behind the dot is the slash.
            place = bisect_left(order, f"{prefix}{name}/", place) if dot else place + 1
        if not prefix:
            names.discard("")  # as of ".a": the root does not hold itself
        return names


def _none(path: str) -> Value:
    """Return no value: nothing is declared."""
    return None


def _content(change: Change) -> Content | None:
    """Return the content of a change; None, with a warning, if it cannot be read."""
    row = (change.path, change.value, change.datatype, change.comment, change.limits, change.revision, change.ts)
    for _, content in _contents([row]):
        return (*content[:-1], change.withheld)
    return None


def _contents(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, Content]]:
    """Yield paths and contents; a warning for each that cannot be read.

    Limits, comments and times that many parameters share become one object each.
    """
    all_limits: dict[str | None, Limits] = {None: NO_LIMITS, "": NO_LIMITS}
    same = lru_cache(maxsize=1024)(str)
    last = 0
    for path, text, datatype, comment, written, revision, ts in rows:
        try:
            value = text if datatype == STRING else decode(text, datatype)
            limits = all_limits.get(written)
            if limits is None:
                limits = all_limits[written] = Limits.from_json(written)
        except (ValueError, TypeError, ConfigException) as error:
            _LOG.warning("'%s' of revision %d cannot be read and is passed over: %s", one_line(path), revision, error)
            continue
        last = last if last == ts else ts
        yield path, (intern(datatype), value, comment and same(comment), limits, revision, last, False)


def _content_of(node: ConfigParameter) -> Content:
    return node.datatype, node.value, node.comment, node.limits, node.revision, node.modified_ts, node.withheld
