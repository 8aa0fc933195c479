"""Who is at the keyboard, and where: what the histories say of a change made with a tool."""

from __future__ import annotations

import getpass
import os
import socket


def user() -> str:
    """Return the name of the account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in the system's list, as in some containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()
