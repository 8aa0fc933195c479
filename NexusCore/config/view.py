"""The configuration from one folder down: what `get_config` returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from NexusCore.config import exchange, history
from NexusCore.config.changes import not_a_name
from NexusCore.config.declarations import declaration
from NexusCore.config.group import Group
from NexusCore.config.readonly import ReadOnlyConfiguration, each_name
from NexusCore.config.store import CLEAR, REMOVE, Edit
from NexusCore.config.values import NO_LIMITS, Limits, Value
from NexusCore.config.watch import Callback, ChangeSetCallback, LiveConfiguration
from NexusCore.errors import ConfigException, NexusError, NoSuchParameterException
from NexusCore.text import kind_of


class NamedConfiguration(ReadOnlyConfiguration):
    """The parameters below a folder of one version, always as they are now.

    Reading never asks the database: all parameters are in memory, which a watcher keeps up to date. Names are paths
    relative to the folder, with dots.

    Parameters
    ----------
    live
        The configuration of this process.
    root, version
        As for `ReadOnlyConfiguration`; a version that does not exist is created by the first change.
    """

    def __init__(self, live: LiveConfiguration, root: str = "", version: str | None = None) -> None:
        super().__init__(live, root, version)
        self._live = live

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
        path = self._named(name)
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
        """Add a parameter or folder.

        Parameters
        ----------
        name, value, datatype, comment
            As in `set`; the datatype "folder" adds a folder.
        **limits
            As in `set_default`.

        Raises
        ------
        ConfigException
            If it exists.
        """
        path = self._named(name)
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
        ConfigException
            If the name is empty or not text: only `clear_all` removes everything.
        """
        path = self._named(name)
        known = self._tree.node(path) is not None
        if not known:
            self._live.catch_up()
            known = self._tree.node(path) is not None
        if not known:
            raise self._missing(path)
        self._live.apply(self._tree, [Edit(path, CLEAR), Edit(path, REMOVE, if_there=True)])

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
        path, bounds = self._named(name), Limits.of(limits) if limits else NO_LIMITS
        edit = declaration(self._tree.node(path), path, value, datatype, comment, bounds)
        if edit is None:
            return
        # A value that does not fit is refused where it is used, and other errors can wait, but not hiding a secret.
        with nullcontext() if edit.only_new or bounds.secret else suppress(NexusError):
            self._live.apply(self._tree, [edit], None if edit.only_new else "what it is for")

    def together(self, why: str | None = None) -> Group:
        """Return a group of changes that take effect in one transaction: ``with cfg.together() as group: ...``."""
        return Group(self._prefix, lambda edits: self._live.apply(self._tree, edits, why))

    def store_edits(self, edits: Sequence[Edit], why: str | None = None) -> list[int]:
        """Store prepared changes, whose paths are absolute, all or none; return the revisions."""
        return self._live.apply(self._tree, edits, why)

    def clear_all(self) -> None:
        """Remove everything below the view's folder, in one transaction."""
        self._live.apply(self._tree, [Edit(self.root, CLEAR)], "cleared")

    # -- files and the past ------------------------------------------------------------------------------------------

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

    def rollback(self, revision: int, why: str | None = None) -> int:
        """Restore the view's state at a revision, as new revisions; return how many parameters changed.

        Parameters
        ----------
        revision
            A revision from 1 to the newest.
        why
            Reason, for the history.

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

        Raises
        ------
        ConfigException
            If `callback` cannot be called.
        """
        if not callable(callback):
            raise ConfigException(reason=f"a callback must be a function, but is {kind_of(callback)}")
        for name in each_name(names):
            self._live.add_callback(self._tree, self._path(name), callback)

    def add_set_callback(self, names: Iterable[str], callback: ChangeSetCallback) -> None:
        """Call `callback(parameters)` once for each set of changes made together at or below some names."""
        self._live.add_set_callback(self._tree, [self._path(name) for name in names], callback)

    def del_callback(self, names: str | Iterable[str], callback: Callback | None = None) -> None:
        """Stop calling `callback` for these names; without one, any callback of theirs."""
        for name in each_name(names):
            self._live.del_callback(self._tree, self._path(name), callback)

    # -- versions --------------------------------------------------------------------------------------------------

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

        Parameters
        ----------
        source, target
            Names of versions; `target` is added if needed.
        overwrite
            Replace existing parameters.

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false.
        """
        self._live.store.copy(source, target, overwrite, self._live.origin)
        self._live.catch_up()

    def _named(self, name: str) -> str:
        """Return the path of what is to be changed; without a name it would be the view's own folder."""
        if not isinstance(name, str) or not name:
            raise not_a_name(name)
        return self._prefix + name

    def _limits(self, path: str, given: dict[str, Any]) -> Limits | None:
        """Return the limits of a parameter, updated with `given`; None if nothing is given."""
        node = self._tree.node(path)
        return Limits.of({**(node.limits.given() if node is not None else {}), **given}) if given else None
