"""Dry run of a change of the configuration: it is made and rolled back in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from NexusCore.config.store import Change, changes_since, lock_revision
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database, Transaction

T = TypeVar("T")


class DryRunDatabase(Database):
    """A database for a `ConfigStore` whose changes are checked as usual and then rolled back.

    Attributes
    ----------
    changes
        What would have been changed.
    """

    def __init__(self, url: DatabaseURL) -> None:
        super().__init__(url, create=False)
        self.changes: list[Change] = []

    def write(self, work: Callable[[Transaction], T], *, seconds: float | None = None) -> T:
        """Run `work` in a transaction that is rolled back; return its result."""

        def run_and_undo(transaction: Transaction) -> None:
            newest = lock_revision(transaction)
            result = work(transaction)
            raise _RolledBack(result, changes_since(transaction, newest))

        try:
            super().write(run_and_undo, seconds=seconds)
        except _RolledBack as end:
            self.changes += end.changes
            return end.result  # type: ignore[no-any-return]
        raise AssertionError("unreachable")


class _RolledBack(Exception):
    """Ends a transaction without committing it."""

    def __init__(self, result: Any, changes: list[Change]) -> None:
        super().__init__()
        self.result = result
        self.changes = changes
