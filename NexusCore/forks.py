"""Objects that are renewed in a forked child.

A child has only the thread that forked; a lock that another thread held at that moment is never released.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol


class Forkable(Protocol):
    """Something with locks or threads."""

    def forked(self) -> None:
        """Replace the locks; called in the child before anything else runs there."""
        ...


_there: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_in_children(forkable: Forkable) -> None:
    """Call `forkable.forked()` in every child that is forked while `forkable` lives."""
    _there.add(forkable)


def in_children(function: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every forked child, after those that were named before it; for use as a decorator."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


@in_children
def _after_fork() -> None:
    for forkable in list(_there):
        forkable.forked()
