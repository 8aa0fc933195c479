"""Several changes that take effect together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from NexusCore.config.changes import not_a_name
from NexusCore.config.store import REMOVE, Edit
from NexusCore.config.values import Value


class Group:
    """Collects changes; they are stored in one transaction at the end of the block, or none if it raises.

    Parameters
    ----------
    prefix
        Put before each name.
    apply
        Stores the changes.
    """

    def __init__(self, prefix: str, apply: Callable[[Sequence[Edit]], object]) -> None:
        self._prefix = prefix
        self._apply = apply
        self._edits: list[Edit] = []

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and self._edits:
            self._apply(self._edits)

    def __setitem__(self, name: str, value: Value) -> None:
        self.set(name, value, create=True)

    def set(
        self,
        name: str,
        value: Value,
        datatype: str | None = None,
        *,
        if_revision: int | None = None,
        create: bool = False,
    ) -> None:
        """Change a parameter; arguments as for `NamedConfiguration.set`."""
        path, only_there = self._path(name), not create and if_revision != 0
        self._edits.append(Edit(path, value=value, datatype=datatype, if_revision=if_revision, only_there=only_there))

    def remove(self, name: str, *, if_revision: int | None = None) -> None:
        """Remove a parameter."""
        self._edits.append(Edit(self._path(name), REMOVE, if_revision=if_revision))

    def _path(self, name: str) -> str:
        if not isinstance(name, str) or not name:
            raise not_a_name(name)
        return self._prefix + name
