"""What begins anew in a forked child.

It has no thread but the one that forked, and a lock that another thread held at that moment is never given back.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something with locks or threads."""

    def forked(self) -> None:
        """Make the locks new; called in the child, before anything else runs there."""
        ...


_there: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_in_children(one: Forkable) -> None:
    """Have `one.forked()` called in every child that is forked while `one` lives."""
    _there.add(one)


def _after_fork() -> None:
    for one in list(_there):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
