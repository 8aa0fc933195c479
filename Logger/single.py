"""One copy of the logger per computer, whoever is logged on.

The lock is an object of the operating system that belongs to the process and goes with it, however it ends: there is no
file that could be left behind, and none that lies in a folder of one user.
"""

from __future__ import annotations

import errno
import socket
import sys

_ERROR_ACCESS_DENIED = 5
_ERROR_ALREADY_EXISTS = 183


def only_copy(host: str) -> bool:
    """Take the lock, until this process ends; return False if another process has it, under this logon or another.

    Parameters
    ----------
    host
        Name of the computer; its case and a domain behind it do not matter.
    """
    # Windows and Linux limit the length of such a name.
    return _lock(f"NexusCore-SessionLogger-{host.lower().partition('.')[0][:60]}")


if sys.platform == "win32":

    def _lock(name: str) -> bool:
        """Create a mutex in the namespace that all logons share; that needs no administrator's rights."""
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateMutexW.restype = ctypes.c_void_p
        handle = kernel.CreateMutexW(None, False, f"Global\\{name}")  # never closed: Windows does, at our end
        last = ctypes.get_last_error()
        if not handle and last != _ERROR_ACCESS_DENIED:  # denied: the process of another user has it
            raise OSError(f"no lock can be made (Windows error {last})")
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
            sock.detach()  # from Python, which would close it with the object; Linux does, at our end
            return True
