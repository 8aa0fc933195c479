"""The configuration kept up to date in this process: one watcher for all views, callbacks on a thread of their own.

Promises
--------
* A change made anywhere is seen within about one interval, one made on this machine at once (see `NexusCore.wakeup`);
  each once, in the order of revisions, none missed: a watcher that was away gets all changes since the revision it
  knows.
* A change made by this process is visible to it when `set` returns; if the database stops answering after it has
  stored the change, as soon as it answers again.
* Callbacks run one after the other on their own thread, in the order of revisions; one that raises or hangs is
  logged and does not stop the others.
* A version that does not exist is created by the first change, never by reading.
* After the file of an SQLite database was replaced, the values are those of the file that is there.
* While the database is away the known values stay readable; a process that starts then uses the last ones that any
  process of this user read on this machine, and logs that.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.config import snapshot
from NexusCore.config.changes import NAMES_VERSION, Change
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import DEFAULT, ConfigStore, Edit, Origin, check_version
from NexusCore.config.tree import Tree
from NexusCore.config.values import Value
from NexusCore.dispatch import Dispatcher
from NexusCore.errors import (
    ConfigException,
    DatabaseBusy,
    DatabaseUnreachable,
    NexusError,
    NoDatabaseFile,
    NoSuchVersionException,
)
from NexusCore.forks import in_children
from NexusCore.storage.polling import LONGEST_WAIT, Follower

WATCH_INTERVAL = 0.05
"""Seconds between two polls of the revision counter while the configuration changes."""
IDLE_INTERVAL = 0.07
"""The same otherwise: many waiting processes must not cost a server much."""
LIVELY_SECONDS = 1.0
"""The configuration counts as changing for this long after a change."""
AWAY_INTERVAL = 1.0
"""Seconds between two attempts while the database is away."""

SAVE_INTERVAL = 0.5
"""Seconds from one write of the snapshot to the next, while the configuration changes; the first is made at once."""
SAVE_PAUSE = 10
"""The pause is this many times as long as the write took, too, so that a large configuration costs no more."""

Callback = Callable[[ConfigParameter], object]
ChangeSetCallback = Callable[[list[ConfigParameter]], object]

_LOG = logging.getLogger("NexusCore.config")


class LiveConfiguration:
    """All versions of the configuration that this process uses, kept up to date.

    Parameters
    ----------
    store
        The configuration in the database.
    origin
        Origin of changes made by this process, for the history.
    clock
        Source of time, also for waiting.
    snapshot_file
        File for the snapshot; None for no snapshot.
    interval
        Seconds between two polls while the configuration changes.
    source_reported
        Called with `source` whenever it changes.
    """

    def __init__(
        self,
        store: ConfigStore,
        origin: Origin,
        clock: Clock,
        snapshot_file: Path | None = None,
        interval: float = WATCH_INTERVAL,
        source_reported: Callable[[str], object] = lambda source: None,
    ) -> None:
        self.store = store
        self.origin = origin
        self._clock = clock
        self._snapshot_file = snapshot_file
        self._interval = interval
        self._source_reported = source_reported
        self.source = "database"
        """Source of the values: ``database``, or ``snapshot`` until the database answers."""
        self.trouble: Exception | None = None
        """Why the database cannot be read at present."""
        self._unsaved = False
        self._generation: int | None = None
        """Which file of an SQLite database was read; see `Database.generation`."""
        self._trees: dict[str, Tree] = {}
        self._by_id: dict[int, Tree] = {}
        self._revision = 0
        self._lock = threading.RLock()
        self._callbacks: dict[int, list[tuple[str, Callback]]] = {}
        self._set_callbacks: dict[int, list[tuple[tuple[str, ...], ChangeSetCallback]]] = {}
        self._together: dict[int, list[ConfigParameter]] = {}
        """What changed since the callbacks for whole change sets were last called, by version."""
        self._default: Callable[[str], Value] | None = None
        self._dispatcher = Dispatcher("config-callbacks", self._clock)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._follower: Follower | None = None
        _living.add(self)

    def tree(self, version: str | None = None) -> Tree:
        """Return a version's tree, loaded on first use.

        Parameters
        ----------
        version
            Its name; None for the one that the parameter `default_version` of version "default" names. One that does
            not exist is empty, and the first change creates it.
        """
        with self._lock:
            if version is None:
                node = self.tree(DEFAULT).parameter(NAMES_VERSION)
                version = str(node.value) if node is not None and node.value else DEFAULT
            if not isinstance(version, str):
                raise ConfigException(reason=f"{version!r} is not a valid name of a version")
            tree = self._trees.get(version)
            if tree is None:
                tree = self._load(version)
            return tree

    def catch_up(self, *, current: bool = False) -> bool:
        """Apply all changes in the database and call the callbacks; return whether there were any.

        With `current`, also changes just committed on another host of a cluster.
        """
        with self._lock:
            if self._is_replaced():
                return True
            changes = self.store.changes_since(self._revision, current=current)
            if not self._by_id.keys() >= {change.version_id for change in changes}:
                self._bind()
            for change in changes:
                tree = self._by_id.get(change.version_id)
                self._revision = change.revision
                if tree is None or change.revision <= tree.revision:
                    continue
                self._take_over(tree, change)
                tree.revision = change.revision
            self._end_of_set()
            return bool(changes)

    def apply(self, tree: Tree, edits: Sequence[Edit], why: str | None = None) -> list[int]:
        """Store changes, all or none, and apply them; return their revisions."""
        origin = Origin(self.origin.who, self.origin.host, self.origin.tool, why) if why else self.origin
        changes = self.store.changed(tree.version_id, tree.version, edits, origin)
        tree.take_back(edit.path for edit in edits)
        try:
            self.catch_up(current=True)
            if tree.version_id < 0:
                self._bind()
        except (DatabaseUnreachable, DatabaseBusy) as error:
            # It is stored: after an error the caller would set it again.
            with self._lock:
                for change in changes:
                    self._take_over(tree, change)
                self._end_of_set()
            _LOG.warning("A change is stored, but what others changed before it cannot be read yet. %s", error)
        return [change.revision for change in changes]

    def set_value(self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool) -> None:
        """Store a parameter's value."""
        edit = Edit(parameter.path, value=value, datatype=datatype, check=check)
        self.apply(self._known(parameter.version), [edit])

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a parameter's comment."""
        self.apply(self._known(parameter.version), [Edit(parameter.path, comment=comment, keep_value=True)])

    def add_callback(self, tree: Tree, path: str, callback: Callback) -> None:
        """Call `callback` with the parameter whenever `path` or anything below it changes."""
        with self._lock:
            self._callbacks.setdefault(tree.version_id, []).append((path, callback))
            self._start()

    def add_set_callback(self, tree: Tree, paths: Iterable[str], callback: ChangeSetCallback) -> None:
        """Call `callback` with all parameters at or below `paths` that changed together, once for each change set."""
        with self._lock:
            self._set_callbacks.setdefault(tree.version_id, []).append((tuple(paths), callback))
            self._start()

    def fall_back_on(self, default: Callable[[str], Value]) -> None:
        """Read a parameter that is not stored as what `default` returns for its path; None for none."""
        with self._lock:
            self._default = default
            for tree in self._trees.values():
                tree.default = default

    def del_callback(self, tree: Tree, path: str, callback: Callback | None = None) -> None:
        """Stop calling `callback`, or all callbacks of `path`."""
        with self._lock:
            remaining = [
                entry
                for entry in self._callbacks.get(tree.version_id, [])
                if not (entry[0] == path and callback in (None, entry[1]))
            ]
            self._callbacks[tree.version_id] = remaining

    def forget(self, version: str) -> None:
        """Forget a deleted version."""
        with self._lock:
            tree = self._trees.pop(version, None)
            if tree is not None:
                self._by_id.pop(tree.version_id, None)
                self._callbacks.pop(tree.version_id, None)
                self._set_callbacks.pop(tree.version_id, None)

    def close(self, seconds: float = 2.0) -> None:
        """Stop watching, after the callbacks that are due, for at most `seconds`."""
        self._stop.set()
        if self._follower is not None:
            self._follower.wake()
        if self._thread is not None and self._thread.ident is not None:  # the system may have refused to start it
            self._thread.join(seconds / 2)
        self._dispatcher.close(seconds / 2)

    def _take_over(self, tree: Tree, change: Change) -> None:
        parameter = tree.apply(change)
        self._unsaved = True
        if parameter is not None:
            self._call_back(change.version_id, parameter)

    def _known(self, version: str) -> Tree:
        tree = self._trees.get(version)
        if tree is None:  # deleted, while the program still holds one of its parameters
            raise NoSuchVersionException(version=version)
        return tree

    def _load(self, version: str) -> Tree:
        try:
            version_id, revision = self._find(version)
            tree = Tree(self, version, version_id, revision)
            tree.load(self.store.load_into(version_id, tree.load_rows))
        except (DatabaseUnreachable, DatabaseBusy, NoDatabaseFile) as error:
            stored = snapshot.load(self._snapshot_file) if self._snapshot_file is not None else None
            if stored is None or version not in stored.versions:
                raise
            revision, (version_id, changes) = stored.revisions[version], stored.versions[version]
            tree = Tree(self, version, version_id, revision)
            tree.load(changes)
            self._revision = min(self._revision, revision)  # later changes must be caught up
            self.trouble = error
            _LOG.warning("Starting with the configuration last seen here, of revision %d. %s", revision, error)
            self._is_from("snapshot")
        if not self._trees:
            self._revision = revision
        if self._default is not None:
            tree.default = self._default
        if version_id < 0:
            version_id = tree.version_id = self._free_id()
        self._trees[version] = self._by_id[version_id] = tree
        self._unsaved = True
        self._start()
        return tree

    def _is_from(self, source: str) -> None:
        if source != self.source:
            self.source = source
            self._source_reported(source)

    def _find(self, version: str) -> tuple[int, int]:
        """Return the id of a version, negative if it does not exist, and a revision that all later reads include."""
        # The revision is read first: a change in between is then seen twice and applied once, never missed.
        revision = self.store.revision()
        try:
            version_id = self.store.version_id(version)
        except NoSuchVersionException:
            check_version(version)
            version_id = -1
        return version_id, revision

    def _free_id(self) -> int:
        """Return an id for a version that does not exist."""
        return min(0, *self._by_id) - 1 if self._by_id else -1

    def _bind(self) -> None:
        """Load the versions in use that did not exist, if they do now."""
        with self._lock:
            for tree in list(self._trees.values()):
                if tree.version_id < 0:
                    version_id, revision = self._find(tree.version)
                    if version_id > 0:
                        self._rebind(tree, version_id, revision)

    def _is_replaced(self) -> bool:
        """Load the state of the file that has replaced that of the database; return whether there is another one."""
        generation = self.store.database.generation()
        if self._generation == generation:
            return False
        revision = self.store.revision()
        if self._generation is None:
            self._generation = generation
            return False
        self._reload(revision)
        self._generation = generation  # only now: after an error it is loaded at the next attempt
        _LOG.warning(
            "The database at %s was replaced; the configuration was read again, at revision %d.",
            self.store.database.url, revision,
        )  # fmt: skip
        return True

    def _reload(self, revision: int) -> None:
        """Load the state of a database that was restored or set up again, so that its revisions went back."""
        with self._lock:
            for tree in self._trees.values():
                version_id, _ = self._find(tree.version)
                if version_id < 0:
                    version_id = self._free_id()
                self._rebind(tree, version_id, revision)
            self._revision = revision

    def _rebind(self, tree: Tree, version_id: int, revision: int) -> None:
        """Load a tree again, whose version may have another id now."""
        self._by_id = {key: known for key, known in self._by_id.items() if known is not tree}
        callbacks = self._callbacks.pop(tree.version_id, [])
        of_sets = self._set_callbacks.pop(tree.version_id, [])
        tree.version_id, self._by_id[version_id], self._callbacks[version_id] = version_id, tree, callbacks
        if of_sets:
            self._set_callbacks[version_id] = of_sets
        for parameter in tree.replace(self.store.load(version_id)):
            self._call_back(version_id, parameter)
        self._end_of_set()
        tree.revision, self._unsaved = revision, True

    def _save(self) -> None:
        if self._snapshot_file is not None:
            content = snapshot.SnapshotContent(self._snapshot_file, set(self._trees))
            with self._lock:
                for name, tree in self._trees.items():
                    tree.dump(partial(content.put, name, tree.revision, tree.version_id))
                self._unsaved = False
            content.save()

    def _start(self) -> None:
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._watch, name="config-watch", daemon=True)
            self._thread.start()

    def _forked(self) -> None:
        """Replace lock and threads in a forked child."""
        self._lock, self._thread = threading.RLock(), None
        self._dispatcher = Dispatcher("config-callbacks", self._clock)
        if self._trees:
            self._start()

    def _watch(self) -> None:
        with closing(self.store.database.follow("config_revision", self._clock)) as self._follower:
            self._watch_with(self._follower)
        if self._unsaved:
            self._save()

    def _watch_with(self, follower: Follower) -> None:
        away = self.source == "snapshot"
        due = self._clock.monotonic()
        known, changed = self._revision, float("-inf")
        while not self._stop.is_set():
            try:
                news = False
                if away:
                    follower.wait(self._stop, AWAY_INTERVAL)
                else:
                    news = self._wait(follower, changed, due)
                if self._stop.is_set():
                    return
                if not (news and self.catch_up()):
                    self._look()
                if away:
                    _LOG.info("The configuration is being watched again, at revision %d.", self._revision)
                away, self.trouble = False, None
                self._is_from("database")
            except NexusError as error:
                if not away:
                    _LOG.warning("The configuration cannot be watched now; the known values stay in use. %s", error)
                away, self.trouble = True, error
            except Exception:  # noqa: BLE001  the edge of the thread: it must go on watching
                if not away:
                    _LOG.exception("Looking for changes of the configuration failed")
                away = True
            if self._revision != known:
                known, changed = self._revision, self._clock.monotonic()
            if self._unsaved and self._clock.monotonic() >= due:
                begin = self._clock.monotonic()
                self._save()
                end = self._clock.monotonic()
                due = end + max(SAVE_INTERVAL, SAVE_PAUSE * (end - begin))

    def _wait(self, follower: Follower, changed: float, due: float) -> bool:
        """Wait until it is time to look, or to save; return whether something seems to have changed.

        Parameters
        ----------
        follower
            Waits for news.
        changed, due
            When the last change was seen, and when the snapshot may be saved; seconds of the monotonic clock.
        """
        now = self._clock.monotonic()
        pause, longest = max(self._interval, IDLE_INTERVAL), LONGEST_WAIT
        if now - changed < LIVELY_SECONDS:
            pause, longest = self._interval, LIVELY_SECONDS
        if self._unsaved and self._snapshot_file is not None:
            longest = max(pause, min(longest, due - now))
        return follower.wait_for_news(self._stop, pause, self._revision, longest)

    def _look(self) -> None:
        with self._lock:
            if self._is_replaced():
                return
        revision = self.store.revision()
        if revision > self._revision:
            self.catch_up()
        elif revision < self._revision:
            with self._lock:
                # Another host of a cluster may just lag behind the previous one.
                newest = self.store.revision(current=True)
                if newest < self._revision:
                    self._reload(newest)

    def _call_back(self, version_id: int, parameter: ConfigParameter) -> None:
        due = [callback for path, callback in self._callbacks.get(version_id, ()) if _is_below(parameter.path, (path,))]
        in_sets = version_id in self._set_callbacks
        if due or in_sets:
            as_changed = parameter.snapshot()  # it may change again before the callbacks run
            for callback in due:
                self._dispatcher.call(callback, as_changed)
            if in_sets:
                self._together.setdefault(version_id, []).append(as_changed)

    def _end_of_set(self) -> None:
        """Call the callbacks for whole change sets: a transaction is always read as a whole."""
        together, self._together = self._together, {}
        for version_id, parameters in together.items():
            for paths, callback in self._set_callbacks.get(version_id, ()):
                concerned = [parameter for parameter in parameters if _is_below(parameter.path, paths)]
                if concerned:
                    self._dispatcher.call(callback, concerned)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(not folder or path == folder or path.startswith(f"{folder}.") for folder in folders)


_living: weakref.WeakSet[LiveConfiguration] = weakref.WeakSet()


@in_children
def _after_fork() -> None:
    for live in list(_living):
        live._forked()
