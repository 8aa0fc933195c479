"""Questions on the terminal before something is done that many would regret."""

from __future__ import annotations

import sys

from Tools.common.terminal import Screen


def agreed(question: str, screen: Screen) -> bool:
    """Ask on the terminal; without a terminal, return False."""
    if screen.err is None or not screen.err.isatty() or sys.stdin is None or not sys.stdin.isatty():
        return False
    screen.err.write(question)
    screen.err.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
