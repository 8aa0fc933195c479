"""A view of the configuration from one folder down: what `get_config` returns."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from NexusCore.config import exchange, past
from NexusCore.config.group import Group
from NexusCore.config.parameter import FOLDER, NO_LIMITS, ConfigParameter, Limits, Value, datatype_of
from NexusCore.config.past import Difference
from NexusCore.config.store import CLEAR, REMOVE, Edit, Entry, check_path, near_miss
from NexusCore.config.tree import Leaves
from NexusCore.config.watch import Callback, LiveConfiguration
from NexusCore.errors import ConfigException, NexusError, NoSuchParameterException, ValueRefused


class NamedConfiguration:
    """The parameters below a folder of one version, always as they are now.

    Reading never goes to the database: every parameter, also a missing one, is answered from memory, which a watcher
    keeps fresh. Names are paths from the view's folder, with dots.

    Parameters
    ----------
    live
        The configuration of this process.
    root
        Path of the folder; empty for the absolute root. It need not exist.
    version
        Name of the version; None for the default one.

    Raises
    ------
    ConfigException
        If `root` is no path, or `version` no name.
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
        """Return the value of a parameter, or None if there is none (003-22)."""
        node = self._nodes.get(self._prefix + name)
        return None if node is None else node.value

    def __contains__(self, name: str) -> bool:
        return self._path(name) in self._nodes

    def get(self, name: str | None = None) -> ConfigParameter:
        """Return a parameter or folder (003-21); without a name, the view's own folder.

        Raises
        ------
        NoSuchParameterException
            If there is none of that name.
        """
        path = self._path(name)
        node = self._nodes.get(path)
        if node is None:
            if name:
                raise self._missing(path)
            node = ConfigParameter(self._tree, path)
        return node

    def number(self, name: str) -> float:
        """Return the value of a parameter that is to be a number.

        Raises
        ------
        ValueRefused
            If it is none: it was set to something else before any program told what it is for.
        """
        value = self[name]
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueRefused(path=self._path(name), value=repr(value), reason="it is a number")
        return value

    def keys(self, name: str | None = None) -> list[str]:
        """Return the names of what the folder holds, parameters and folders (003-23); [] if there is no such folder."""
        return [child.name for child in self.get_children(name)]

    def get_children(self, name: str | None = None) -> list[ConfigParameter]:
        """Return what the folder holds."""
        return self._tree.children(self._path(name))

    def get_leaves(self, name: str | None = None, recursive: bool = True) -> Leaves:
        """Return all parameters below the folder, however deep, or without `recursive` what it holds itself."""
        path = self._path(name)
        if not recursive:
            return Leaves(path, self._tree.children(path))
        return Leaves(path, (node for node in self._tree.below(path) if node.datatype != FOLDER))

    def search(self, text: str) -> list[ConfigParameter]:
        """Return what has `text` in its own name, whatever the case, in the whole version."""
        wanted = text.lower()
        return [node for node in self._tree.below("") if wanted in node.name.lower()]

    def last_updated(self) -> datetime | None:
        """Return when anything in the view was last changed."""
        times = (node.last_modified for node in self._tree.below(self.root))
        return max((time for time in times if time is not None), default=None)

    def history(self, name: str) -> list[Entry]:
        """Return all that ever happened to a parameter, newest first."""
        return self._live.store.history(self._tree.version_id, self._path(name))

    # -- changing --------------------------------------------------------------------------------------------------

    def __setitem__(self, name: str, value: Value) -> None:
        self.set(name, value)

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
        **limits: Any,
    ) -> None:
        """Change a parameter, or create it.

        Parameters
        ----------
        name, value
            What to set. A value is cast to the type the parameter has, if that loses nothing.
        datatype
            New type; None keeps the one there is, or takes the value's own.
        comment
            New comment; None keeps the one there is.
        check
            Keep to type and limits; without, the parameter takes on the value's own type.
        why
            Reason, for the history.
        if_revision
            Only if the parameter was last changed at this revision (0: if it does not exist).
        **limits
            Fields of `Limits`, each in the place of the one there is; None for none.

        Raises
        ------
        ValueRefused
            With a sentence saying why.
        """
        path = self._path(name)
        edit = Edit(
            path, value=value, datatype=datatype, comment=comment, limits=self._limits(path, limits), check=check,
            if_revision=if_revision,
        )  # fmt: skip
        self._live.apply(self._tree, [edit], why)

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
        if path in self._nodes:
            raise ConfigException(reason=f"'{path}' already exists")
        edit = Edit(
            path, value=value, datatype=datatype, comment=comment, limits=self._limits(path, limits), if_revision=0
        )
        self._live.apply(self._tree, [edit])

    def remove(self, name: str) -> None:
        """Remove a parameter, or a folder with everything that is below it by then, in one transaction.

        Raises
        ------
        NoSuchParameterException
            If there is none of that name; what somebody else removed just before is as it should be.
        """
        path = self._path(name)
        known = path in self._nodes
        if not known:
            self._live.catch_up()
            known = path in self._nodes
        if not known:
            raise self._missing(path)
        itself = [Edit(path, REMOVE, if_there=True)] if path else []
        self._live.apply(self._tree, [Edit(path, CLEAR), *itself])

    def set_default(
        self, name: str, value: Value, datatype: str | None = None, comment: str | None = None, **limits: Any
    ) -> None:
        """Create a parameter if it isn't there (003-15); one that is keeps its value.

        One that somebody set before any program told what it is for gets type, comment and limits now, if it fits them.

        Parameters
        ----------
        name, value, datatype, comment
            As in `set`.
        **limits
            Fields of `Limits` (``minimum=``, ``maximum=``, ``choices=``, ``pattern=``, ``path_exists=``, ``secret=``).
        """
        path, bounds = self._path(name), Limits.of(limits) if limits else NO_LIMITS
        node = self._nodes.get(path)
        if node is None:
            edit = Edit(path, value=value, datatype=datatype, comment=comment, limits=bounds, only_new=True)
            self._live.apply(self._tree, [edit])
        elif (bounds != NO_LIMITS and node.limits == NO_LIMITS) or (comment and not node.comment):
            edit = Edit(
                path, value=node.value, datatype=datatype or datatype_of(path, value), comment=node.comment or comment,
                limits=bounds if node.limits == NO_LIMITS else None, if_revision=node.revision,
            )  # fmt: skip
            # What does not fit is refused where it is used, and the rest can wait, but for hiding a secret.
            with nullcontext() if bounds.secret else suppress(NexusError):
                self._live.apply(self._tree, [edit], "what it is for")

    def require(self, names: Iterable[str]) -> None:
        """Demand that parameters exist, without creating them (003-16).

        Raises
        ------
        NoSuchParameterException
            For the first that doesn't.
        """
        for name in [names] if isinstance(names, str) else names:
            self.get(name)

    def together(self, why: str | None = None) -> Group:
        """Return a group of changes that take effect in one transaction: ``with cfg.together() as group: ...``."""
        return Group(self._prefix, lambda edits: self._live.apply(self._tree, edits, why))

    def clear_all(self) -> None:
        """Remove everything that is below the view's folder by then, in one transaction."""
        self._live.apply(self._tree, [Edit(self.root, CLEAR)], "cleared")

    # -- files and the past ------------------------------------------------------------------------------------------

    def serialize(self, name: str | None = None) -> str:
        """Return a folder as JSON (003-33); see `NexusCore.config.exchange`."""
        return exchange.serialize(self.get(name))

    def deserialize(self, text: str, root: str | None = None, overwrite: bool = True, why: str | None = None) -> int:
        """Take over JSON below the folder `root`, all or nothing (003-34); return how many parameters changed.

        Parameters
        ----------
        text
            What `serialize` made.
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
        """Return what is different in the view between two states.

        Parameters
        ----------
        old, new
            A revision of this version (0 is before the first), or the name of a version, as it is now. Without `new`: a
            revision against what is now, or this version against the one named.

        Raises
        ------
        ConfigException
            If there is no such revision or version.
        """
        if new is None:
            old, new = (self.version, old) if isinstance(old, str) else (old, self.version)
        store, own = self._live.store, self._tree.version_id
        (one, before), (other, after) = (past.state_of(store, own, which, self.root) for which in (old, new))
        return past.differences(before, after, past.ever_secret(store, {one, other}))

    def compare(self, version: str) -> list[Difference]:
        """Return what is different between this version and another, in the view's folder."""
        return self.diff(version)

    def rollback(self, revision: int, why: str | None = None) -> int:
        """Make the view what it was at a revision, as new revisions; return how many parameters changed.

        Raises
        ------
        ConfigException
            If there is no such revision.
        """
        store, own = self._live.store, self._tree.version_id
        then = past.state_at(store, own, past.known_revision(store, revision, 1), self.root)
        edits = past.way_back(past.state_now(store, own, self.root), then)
        return len(self._live.apply(self._tree, edits, why or f"rollback to revision {revision}")) if edits else 0

    # -- callbacks -------------------------------------------------------------------------------------------------

    def add_callback(self, names: str | Iterable[str], callback: Callback) -> None:
        """Have `callback(parameter)` called whenever a parameter changes (003-17), its comment included.

        Parameters
        ----------
        names
            A name or several; a folder stands for everything below it. They need not exist yet.
        callback
            Called on a thread of its own, with the parameter.
        """
        for name in [names] if isinstance(names, str) else names:
            self._live.add_callback(self._tree, self._path(name), callback)

    def del_callback(self, names: str | Iterable[str], callback: Callback | None = None) -> None:
        """Stop calling `callback` for these names; without one, any callback of theirs."""
        for name in [names] if isinstance(names, str) else names:
            self._live.del_callback(self._tree, self._path(name), callback)

    # -- versions --------------------------------------------------------------------------------------------------

    def list_versions(self) -> list[str]:
        """Return the names of all versions (003-24)."""
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
        """Copy a version into another, all or nothing (003-25).

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false.
        """
        self._live.store.copy(source, target, overwrite, self._live.origin)
        self._live.catch_up()

    def _limits(self, path: str, given: dict[str, Any]) -> Limits | None:
        """Return the limits of a parameter with those that are given; None to leave them as they are."""
        node = self._nodes.get(path)
        return Limits.of({**(node.limits.given() if node is not None else {}), **given}) if given else None

    def _missing(self, path: str) -> NoSuchParameterException:
        return NoSuchParameterException(path=path, version=self.version, hint=near_miss(path, self._nodes))

    def _path(self, name: str | None) -> str:
        return self._prefix + name if name else self.root
