"""One copy of the logger per computer, for all users.

The lock is an object of the operating system that disappears with its process, however that ends. There is no lock
file that could be left behind, or lie in a folder that other users cannot read.
"""

from __future__ import annotations

import errno
import socket
import sys

_ERROR_ACCESS_DENIED = 5
_ERROR_ALREADY_EXISTS = 183


def acquire_lock(host: str) -> bool:
    """Take the lock until this process ends; return False if another process of any user has it.

    Parameters
    ----------
    host
        Name of the computer; case and domain are ignored.
    """
    # Windows and Linux limit the length of the name.
    return _lock(f"NexusCore-SessionLogger-{host.lower().partition('.')[0][:60]}")


if sys.platform == "win32":

    def _lock(name: str) -> bool:
        """Create a mutex in the namespace shared by all logons; this needs no administrator rights."""
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateMutexW.restype = ctypes.c_void_p
        handle = kernel.CreateMutexW(None, False, f"Global\\{name}")  # closed by Windows when this process ends
        last = ctypes.get_last_error()
        if not handle and last != _ERROR_ACCESS_DENIED:  # denied: a process of another user has it
            raise OSError(f"the lock cannot be created (Windows error {last})")
        return bool(handle) and last != _ERROR_ALREADY_EXISTS

else:

    def _lock(name: str) -> bool:
        """Bind a socket in Linux's abstract namespace, which has no files (unix(7)) and is shared by all users."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(f"\0{name}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
            sock.detach()  # from Python, which would close it too early; Linux closes it when this process ends
            return True
