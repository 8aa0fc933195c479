"""One copy of the logger per computer, whoever is logged on.

The lock is an object of the operating system, held by the process and gone with it, however it ends: there is no file
that could be left behind, and none that lies in a folder of one user.
"""

from __future__ import annotations

import errno
import socket
import sys

_ERROR_ACCESS_DENIED = 5
_ERROR_ALREADY_EXISTS = 183


class OneCopy:
    """The lock of a name. Keep the object for as long as the lock is to be held.

    Parameters
    ----------
    name
        Of the computer.
    """

    def __init__(self, name: str) -> None:
        # Windows and Linux limit the length; the part before the first dot is what tells computers apart.
        self._name = f"NexusCore-SessionLogger-{name.lower().partition('.')[0][:60]}"
        self._held: object | None = None

    def take(self) -> bool:
        """Take the lock; return False if another process has it, under this logon or another."""
        if self._held is None:
            self._held = _lock(self._name)
        return self._held is not None


if sys.platform == "win32":

    def _lock(name: str) -> object | None:
        """Create a mutex in the namespace that all logons share; that needs no administrator's rights."""
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateMutexW.restype = ctypes.c_void_p
        handle = kernel.CreateMutexW(None, False, f"Global\\{name}")
        last = ctypes.get_last_error()
        if not handle and last != _ERROR_ACCESS_DENIED:  # denied: the process of another user has it
            raise OSError(f"no lock can be made (Windows error {last})")
        # Another's mutex was opened, not made; our handle to it goes with this process, which ends soon.
        return handle if handle and last != _ERROR_ALREADY_EXISTS else None

else:

    def _lock(name: str) -> object | None:
        """Bind a socket in Linux's abstract namespace, which has no files (unix(7)) and is shared by all users."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.bind(f"\0{name}")
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        return sock
