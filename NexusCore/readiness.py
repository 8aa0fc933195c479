"""Reports to systemd, or to an init script, that the service it started is ready."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

READY_FILE = "NEXUSCORE_READY_FILE"
"""Variable that names the file that gets the number of the process once it is ready."""
SYSTEMD_SOCKET = "NOTIFY_SOCKET"
"""Variable that names the socket of ``Type=notify`` (`sd_notify(3)`)."""


def report_ready() -> None:
    """Say that this process has begun its work, to those that asked for it; nothing that goes wrong here stops it."""
    path = os.environ.get(READY_FILE)
    if path:
        with suppress(OSError):
            Path(path).write_text(f"{os.getpid()}\n", "ascii")
    address = os.environ.get(SYSTEMD_SOCKET)
    if address and hasattr(socket, "AF_UNIX"):
        # An address that begins with @ is in the abstract name space, where it begins with a NUL.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1.0)
            sender.sendto(b"READY=1", f"\0{address[1:]}" if address.startswith("@") else address)
