"""The user and host of this process, as recorded in histories, events and logs."""

from __future__ import annotations

import os


def user() -> str:
    """Return the name of the account that this process runs under."""
    import getpass  # not at the top: a tool that only reads never asks

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the user is not in the system's list, as in some containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def host() -> str:
    """Return the name of this machine."""
    import socket

    return socket.gethostname()
