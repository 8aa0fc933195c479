"""The configuration from one folder down: what `get_config` returns."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from NexusCore.config import exchange, history
from NexusCore.config.changes import check_comment, check_text, not_a_name
from NexusCore.config.group import Group
from NexusCore.config.history import Difference
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import CLEAR, REMOVE, Edit, HistoryEntry, check_path, near_miss
from NexusCore.config.tree import Leaves
from NexusCore.config.values import FOLDER, MASK, NO_LIMITS, Limits, Value, datatype_of
from NexusCore.config.watch import Callback, LiveConfiguration
from NexusCore.errors import ConfigException, NexusError, NoSuchParameterException, NotANumber, ValueMissing


class NamedConfiguration:
    """The parameters below a folder of one version, always as they are now.

    Reading never asks the database: all parameters are in memory, which a watcher keeps up to date. Names are paths
    relative to the folder, with dots.

    Parameters
    ----------
    live
        The configuration of this process.
    root
        Path of the folder, which need not exist; empty for the absolute root.
    version
        Name of the version; None for the default one.

    Raises
    ------
    ConfigException
        If `root` is not a valid path, or `version` not a valid name.
    """

    def __init__(self, live: LiveConfiguration, root: str = "", version: str | None = None) -> None:
        if root:
            check_path(root)
        self._live = live
        self._tree = live.tree(version)
        self.root = root
        self.version = self._tree.version
        self._prefix = f"{root}." if root else ""
        self._nodes = self._tree.nodes

    def __repr__(self) -> str:
        return f"<NamedConfiguration {self.root or '(root)'}, version {self.version}>"

    # -- reading ---------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Value:
        """Return the value of a parameter, or None if it does not exist.

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
        return None if node is None else node.get_value()

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

    def last_updated(self) -> datetime | None:
        """Return when anything in the view was last changed."""
        times = (node.last_modified for node in self._tree.below(self.root))
        return max((time for time in times if time is not None), default=None)

    def history(self, name: str) -> list[HistoryEntry]:
        """Return all changes of a parameter, newest first."""
        return self._live.store.history(self._tree.version_id, self._path(name))

    # -- changing --------------------------------------------------------------------------------------------------

    def __setitem__(self, name: str, value: Value) -> None:
        self.set(name, value, create=True)

    def set(
        self,
        name: str,
        value: Value,
        datatype: str | None = None,
        *,
        comment: str | None = None,
        check: bool = True,
        why: str | None = None,
        if_revision: int | None = None,
        create: bool = False,
        **limits: Any,
    ) -> None:
        """Change a parameter; with `create`, or by ``cfg[name] = value``, one that does not exist is created.

        Parameters
        ----------
        name, value
            What to set. The value is converted to the parameter's type, if that loses nothing.
        datatype
            New type; None keeps the current one; a new parameter gets the value's own.
        comment
            New comment; None keeps the current one.
        check
            Refuse a value that does not fit type and limits; without, the parameter gets the value's own type.
        why
            Reason, for the history.
        if_revision
            Only if the parameter was last changed at this revision (0: it does not exist and is created).
        create
            Create the parameter if it does not exist.
        **limits
            Fields of `Limits`, each replacing the current one; None removes it. Only ``secret=False`` reveals a secret;
            its earlier values stay hidden.

        Raises
        ------
        NoSuchParameterException
            If it does not exist and `create` is false; with a hint for a similar path.
        ValueRefused
            If type or limits do not allow the value.
        """
        path = self._path(name)
        edit = Edit(
            path, value=value, datatype=datatype, comment=comment, limits=self._limits(path, limits), check=check,
            if_revision=if_revision, only_there=not create and if_revision != 0,
            reveal="secret" in limits and not limits["secret"],
        )  # fmt: skip
        try:
            self._live.apply(self._tree, [edit], why)
        except NoSuchParameterException:
            raise self._missing(path) from None

    def add(
        self,
        name: str,
        value: Value = None,
        datatype: str | None = None,
        comment: str | None = None,
        **limits: Any,
    ) -> None:
        """Add a parameter, or with datatype "folder" a folder; `limits` as in `set_default`.

        Raises
        ------
        ConfigException
            If it exists.
        """
        path = self._path(name)
        if self._tree.node(path) is not None:
            raise ConfigException(reason=f"'{path}' already exists")
        edit = Edit(
            path, value=value, datatype=datatype, comment=comment, limits=self._limits(path, limits), if_revision=0
        )
        self._live.apply(self._tree, [edit])

    def remove(self, name: str) -> None:
        """Remove a parameter, or a folder with everything below it, in one transaction.

        Raises
        ------
        NoSuchParameterException
            If it does not exist; not if another program has just removed it.
        """
        path = self._path(name)
        known = self._tree.node(path) is not None
        if not known:
            self._live.catch_up()
            known = self._tree.node(path) is not None
        if not known:
            raise self._missing(path)
        itself = [Edit(path, REMOVE, if_there=True)] if path else []
        self._live.apply(self._tree, [Edit(path, CLEAR), *itself])

    def set_default(
        self, name: str, value: Value, datatype: str | None = None, comment: str | None = None, **limits: Any
    ) -> None:
        """Create a parameter if it does not exist; an existing one keeps its value.

        One that was set before any program declared it gets type, comment and limits now, if its value fits.

        Parameters
        ----------
        name, value, datatype, comment
            As in `set`.
        **limits
            Fields of `Limits` (``minimum=``, ``maximum=``, ``choices=``, ``pattern=``, ``path_exists=``, ``secret=``).
        """
        path, bounds = self._path(name), Limits.of(limits) if limits else NO_LIMITS
        check_comment(path, comment)
        node = self._tree.node(path)
        if node is None:
            edit = Edit(path, value=value, datatype=datatype, comment=comment, limits=bounds, only_new=True)
            self._live.apply(self._tree, [edit])
        elif (bounds != NO_LIMITS and node.limits == NO_LIMITS) or (comment and not node.comment):
            edit = Edit(
                path, value=node.value, datatype=datatype or datatype_of(path, value), comment=node.comment or comment,
                limits=bounds if node.limits == NO_LIMITS else None, if_revision=node.revision,
            )  # fmt: skip
            # A value that does not fit is refused where it is used, and other errors can wait, but not hiding a secret.
            with nullcontext() if bounds.secret else suppress(NexusError):
                self._live.apply(self._tree, [edit], "what it is for")

    def require(self, names: Iterable[str]) -> None:
        """Check that parameters exist, without creating them.

        Raises
        ------
        NoSuchParameterException
            For the first that does not.
        """
        for name in _each(names):
            self.get(name)

    def together(self, why: str | None = None) -> Group:
        """Return a group of changes that take effect in one transaction: ``with cfg.together() as group: ...``."""
        return Group(self._prefix, lambda edits: self._live.apply(self._tree, edits, why))

    def clear_all(self) -> None:
        """Remove everything below the view's folder, in one transaction."""
        self._live.apply(self._tree, [Edit(self.root, CLEAR)], "cleared")

    # -- files and the past ------------------------------------------------------------------------------------------

    def serialize(self, name: str | None = None) -> str:
        """Return a folder as JSON; see `NexusCore.config.exchange`."""
        return exchange.serialize(self.get(name))

    def deserialize(self, text: str, root: str | None = None, overwrite: bool = True, why: str | None = None) -> int:
        """Store JSON below the folder `root`, all or nothing; return how many parameters changed.

        Parameters
        ----------
        text
            The result of `serialize`.
        root
            Folder below the view's own; its own if not given.
        overwrite
            Change parameters that exist; without, only new ones are added.
        why
            Reason, for the history.
        """
        edits = exchange.deserialize(text, self._path(root))
        if not overwrite:
            edits = [replace(edit, only_new=True) for edit in edits]
        return len(self._live.apply(self._tree, edits, why))

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
        store, own = self._live.store, self._tree.version_id
        (old_id, before), (new_id, after) = (history.state_of(store, own, which, self.root) for which in (old, new))
        return history.differences(before, after, history.ever_secret(store, {old_id, new_id}))

    def compare(self, version: str) -> list[Difference]:
        """Return the differences between this version and another in the view's folder."""
        return self.diff(version)

    def rollback(self, revision: int, why: str | None = None) -> int:
        """Restore the view's state at a revision, as new revisions; return how many parameters changed.

        Raises
        ------
        ConfigException
            If the revision does not exist.
        """
        store, own = self._live.store, self._tree.version_id
        then = history.state_at(store, own, history.known_revision(store, revision, 1), self.root)
        edits = history.way_back(history.state_now(store, own, self.root), then)
        return len(self._live.apply(self._tree, edits, why or f"rollback to revision {revision}")) if edits else 0

    # -- callbacks -------------------------------------------------------------------------------------------------

    def add_callback(self, names: str | Iterable[str], callback: Callback) -> None:
        """Call `callback(parameter)` whenever a parameter or its comment changes.

        Parameters
        ----------
        names
            One name or several; a folder includes everything below it. They need not exist yet.
        callback
            Called on a thread of its own, with the parameter.
        """
        for name in _each(names):
            self._live.add_callback(self._tree, self._path(name), callback)

    def del_callback(self, names: str | Iterable[str], callback: Callback | None = None) -> None:
        """Stop calling `callback` for these names; without one, any callback of theirs."""
        for name in _each(names):
            self._live.del_callback(self._tree, self._path(name), callback)

    # -- versions --------------------------------------------------------------------------------------------------

    def list_versions(self) -> list[str]:
        """Return the names of all versions."""
        return self._live.store.versions()

    def add_version(self, version: str) -> None:
        """Add an empty version."""
        self._live.store.add_version(version)

    def delete_version(self, version: str) -> None:
        """Delete a version with all its parameters; "default" stays."""
        self._live.store.delete_version(version, self._live.origin)
        self._live.catch_up()
        self._live.forget(version)

    def copy_configuration(self, source: str, target: str, overwrite: bool = False) -> None:
        """Copy a version into another, all or nothing.

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false.
        """
        self._live.store.copy(source, target, overwrite, self._live.origin)
        self._live.catch_up()

    def _limits(self, path: str, given: dict[str, Any]) -> Limits | None:
        """Return the limits of a parameter, updated with `given`; None if nothing is given."""
        node = self._tree.node(path)
        return Limits.of({**(node.limits.given() if node is not None else {}), **given}) if given else None

    def _missing(self, path: str) -> NoSuchParameterException:
        return NoSuchParameterException(path=path, version=self.version, hint=near_miss(path, self._tree.paths()))

    def _path(self, name: str | None) -> str:
        if name is None or name == "":
            return self.root
        try:
            return self._prefix + name
        except TypeError:
            raise not_a_name(name) from None


def _each(names: str | Iterable[str]) -> Iterable[str]:
    """Return one name or several as an iterable."""
    if isinstance(names, (str, bytes)):
        return [names]
    try:
        return iter(names)
    except TypeError:
        raise not_a_name(names) from None
