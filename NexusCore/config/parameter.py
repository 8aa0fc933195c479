"""A parameter of the configuration: the object that programs hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from NexusCore.clock import to_datetime
from NexusCore.config.values import FOLDER, MASK, NO_LIMITS, Value, encode
from NexusCore.errors import SecretWithheld

CONTENT = ("datatype", "value", "comment", "limits", "revision", "modified_ts", "withheld")
"""The attributes that are stored."""


class ParameterTree(Protocol):
    """The version that a parameter is part of: `NexusCore.config.tree.Tree`."""

    version: str

    def children(self, path: str) -> list[ConfigParameter]:
        """Return the children of a folder, ordered by name."""
        ...

    def set_value(
        self, parameter: ConfigParameter, value: Value, datatype: str | None, check: bool, commit: bool
    ) -> None:
        """Store a value, or without `commit` keep it in this process."""
        ...

    def set_comment(self, parameter: ConfigParameter, comment: str) -> None:
        """Store a comment."""
        ...


class ConfigParameter:
    """A parameter or folder of one version of the configuration.

    The object stays the same while the process lives and is updated in place when anyone changes the parameter, so a
    loop that reads `value` again sees the new one.

    Attributes
    ----------
    name, path
        Last part of the path, and the whole path, with dots between the parts.
    datatype
        ``string``, ``integer``, ``double``, ``boolean`` or ``folder``.
    value
        Of the Python type that belongs to the datatype; None for a folder.
    comment
        What the parameter is for, and its unit.
    revision
        Revision of the configuration at which it was last changed; 0 for a folder without an entry of its own.
    modified_ts
        When that was, in microseconds since the epoch, UTC.
    withheld
        It is a secret that this program's database account may not read; `value` is None.
    """

    __slots__ = (
        "_tree", "comment", "datatype", "limits", "modified_ts", "name", "path", "revision", "value", "withheld",
    )  # fmt: skip

    def __init__(self, tree: ParameterTree, path: str) -> None:
        self._tree = tree
        self.path = path
        self.name = path.rpartition(".")[2]
        self.datatype = FOLDER
        self.value: Value = None
        self.comment: str | None = None
        self.limits = NO_LIMITS
        self.revision = 0
        self.modified_ts = 0
        self.withheld = False

    def __repr__(self) -> str:
        return f"<ConfigParameter {self.path}={self.shown} ({self.datatype}, version {self.version})>"

    @property
    def shown(self) -> str:
        """The value as text; a secret is masked."""
        hidden = self.withheld or (self.limits.secret and self.value is not None)
        return MASK if hidden else encode(self.value) or ""

    @property
    def version(self) -> str:
        """Name of the version it belongs to."""
        return self._tree.version

    @property
    def last_modified(self) -> datetime | None:
        """When it was last changed (aware, UTC); None for a folder without an entry of its own."""
        return to_datetime(self.modified_ts) if self.modified_ts else None

    @property
    def children(self) -> list[ConfigParameter]:
        """The children of the folder, ordered by name; empty for a parameter."""
        return self._tree.children(self.path)

    def get_full_path(self) -> str:
        """Return the path from the absolute root."""
        return self.path

    def get_value(self) -> Value:
        """Return the value, in its type.

        Raises
        ------
        SecretWithheld
            If it is a secret that this program's database account may not read.
        """
        if self.withheld and self.value is None:
            raise SecretWithheld(path=self.path)
        return self.value

    def set_value(self, value: Value, datatype: str | None = None, check: bool = True, commit: bool = True) -> None:
        """Change the value.

        Parameters
        ----------
        value
            The new value; a text is cast to the parameter's type.
        datatype
            New type of the parameter; None keeps the one it has.
        check
            Refuse a value that does not fit type and limits; without, the parameter gets the value's own type.
        commit
            Store it; without, only this process sees it, until another value is stored.

        Raises
        ------
        ValueRefused
            If the check fails.
        """
        self._tree.set_value(self, value, datatype, check, commit)

    def set_comment(self, comment: str) -> None:
        """Change the comment; it counts as a change."""
        self._tree.set_comment(self, comment)

    def snapshot(self) -> ConfigParameter:
        """Return a copy that later changes do not affect."""
        copy = ConfigParameter(self._tree, self.path)
        copy.update(**{field: getattr(self, field) for field in CONTENT})
        return copy

    def update(self, **fields: Any) -> None:
        """Set attributes from the database; for the tree only."""
        for name, value in fields.items():
            setattr(self, name, value)
