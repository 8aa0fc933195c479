"""What begins anew in a forked child.

It has no thread but the one that forked, and a lock that another thread held at that moment is never given back.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
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


def in_children(function: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every forked child, after those that were named before it; for use as a decorator."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


@in_children
def _after_fork() -> None:
    for one in list(_there):
        one.forked()
