"""One copy of the logger per computer, for all users; the second one makes the first come forward.

Lock and message are objects of the operating system that disappear with their process, however that ends. There is no
lock file that could be left behind, or lie in a folder that other users cannot read.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from typing import Protocol

_ERROR_ACCESS_DENIED = 5
_ERROR_ALREADY_EXISTS = 183
_WAIT_OBJECT_0 = 0
_EVENT_MODIFY_STATE = 2


class Claim(Protocol):
    """What the only copy of the logger has."""

    def raised(self) -> bool:
        """Return whether another launch wants the window to come forward, since this was last asked. Never waits."""
        ...


class Only:
    """The lock of the only copy."""

    @staticmethod
    def claim(host: str) -> Claim | None:
        """Take the lock until this process ends; return None if another process of any user has it.

        Parameters
        ----------
        host
            Name of the computer; case and domain are ignored.

        Raises
        ------
        OSError
            If the system does not say.
        """
        return _claim(_name(host))


def raise_other(host: str) -> None:
    """Make the window of the copy that has the lock come forward, if it can be reached; see `Only.claim`."""
    _raise(_name(host))


def _name(host: str) -> str:
    # Windows and Linux limit the length of the name.
    return f"NexusCore-SessionLogger-{host.lower().partition('.')[0][:60]}"


if sys.platform == "win32":
    import ctypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateMutexW.restype = ctypes.c_void_p
    _kernel.CreateEventW.restype = ctypes.c_void_p
    _kernel.OpenEventW.restype = ctypes.c_void_p

    class _WindowsEvent:
        """An event in the namespace shared by all logons; this needs no administrator rights."""

        def __init__(self, name: str) -> None:
            self._handle = _kernel.CreateEventW(None, False, False, f"Global\\{name}-Raise")

        def raised(self) -> bool:
            """Return whether it was set, and reset it."""
            return (
                bool(self._handle) and _kernel.WaitForSingleObject(ctypes.c_void_p(self._handle), 0) == _WAIT_OBJECT_0
            )

    def _claim(name: str) -> Claim | None:
        handle = _kernel.CreateMutexW(None, False, f"Global\\{name}")  # closed by Windows when this process ends
        last = ctypes.get_last_error()
        if not handle and last != _ERROR_ACCESS_DENIED:  # denied: a process of another user has it
            raise OSError(f"the lock cannot be created (Windows error {last})")
        return _WindowsEvent(name) if handle and last != _ERROR_ALREADY_EXISTS else None

    def _raise(name: str) -> None:
        handle = _kernel.OpenEventW(_EVENT_MODIFY_STATE, False, f"Global\\{name}-Raise")
        if handle:  # else it is another user's, whose window cannot come forward here
            _kernel.SetEvent(ctypes.c_void_p(handle))
            _kernel.CloseHandle(ctypes.c_void_p(handle))

else:
    _held: list[socket.socket] = []
    """Kept until the process ends, which closes them."""

    class _Socket:
        """A socket in Linux's abstract namespace, which has no files (unix(7)) and is shared by all users."""

        def __init__(self, bound: socket.socket) -> None:
            self._socket = bound

        def raised(self) -> bool:
            """Return whether a message came; only that it came matters."""
            came = False
            with suppress(BlockingIOError):
                while True:
                    self._socket.recv(1)
                    came = True
            return came

    def _claim(name: str) -> Claim | None:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bound.bind(f"\0{name}")
        except OSError as error:
            bound.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        bound.setblocking(False)
        _held.append(bound)
        return _Socket(bound)

    def _raise(name: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(OSError):
            other.sendto(b"!", f"\0{name}")
