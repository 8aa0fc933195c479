"""Output in a pager, as ``less``: what does not fit on the screen can be read at leisure."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from NexusCore.errors import NexusError
from Tools.common.terminal import Screen

PAGER = "less"


class NoPager(NexusError):
    """The pager '{command}' cannot be started: {reason}. Set PAGER to another one, or leave out --pager."""


@contextmanager
def paged(screen: Screen) -> Iterator[None]:
    """Send the output of the block to the pager of the user; wait until the user has left it.

    Raises
    ------
    NoPager
        If it cannot be started.
    """
    command = os.environ.get("PAGER") or PAGER
    # As for git and journalctl: end at once if all fits, let colours through, and leave the text on the screen.
    environment = {"LESS": "FRX", **os.environ}
    try:
        pager = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, env=environment)  # noqa: S603  the user's own
    except (OSError, ValueError) as error:
        raise NoPager(command=command, reason=getattr(error, "strerror", None) or error) from None
    assert pager.stdin is not None  # noqa: S101  asked for
    terminal, screen.out = screen.out, TextIOWrapper(pager.stdin, "utf-8", errors="backslashreplace")
    try:
        yield
    finally:
        with suppress(BrokenPipeError):
            screen.out.close()
        screen.out = terminal
        while True:
            with suppress(KeyboardInterrupt):  # Ctrl-C belongs to the pager
                pager.wait()
                break
