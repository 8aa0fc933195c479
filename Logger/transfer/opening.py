"""Opening an instrument's file for reading, without being in the way of the program that writes it.

Promises
--------
* On Windows, other programs can go on to write, rename and delete the file while it is read here.
* Whether another program writes a file is asked where the system knows it: on Windows always, on Linux for files of
  this user. Elsewhere only time tells.
* A file that is replaced by a link or a pipe is not opened.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import BinaryIO

from Logger.transfer.scanning import native

IN_USE = "locked by another program"


class FileInUse(OSError):
    """Another program has the file open for writing, or lets nobody read it."""


def open_to_read(root: str, path: str) -> BinaryIO:
    """Open a file below a watched folder.

    Raises
    ------
    FileInUse
        If another program lets nobody read it.
    OSError
        If it cannot be opened, or is not a regular file.
    """
    file = _open(native(root, path))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "it is not a regular file")
    return file


def is_written(root: str, path: str) -> bool:
    """Return whether another program has a file open for writing; False also where the system does not know.

    Raises
    ------
    FileInUse
        If another program lets nobody read it.
    OSError
        If it cannot be opened.
    """
    return _is_written(root, path)


if sys.platform == "win32":
    import ctypes
    import msvcrt

    _GENERIC_READ = 0x80000000
    _SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
    _OPEN_EXISTING = 3
    _OPEN_REPARSE_POINT = 0x00200000
    _SEQUENTIAL = 0x08000000
    _IN_USE_ERRORS = (32, 33)
    """ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION."""
    _INVALID = ctypes.c_void_p(-1).value

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateFileW.restype = ctypes.c_void_p
    _kernel.CreateFileW.argtypes = (
        ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32,
        ctypes.c_void_p,
    )  # fmt: skip
    _kernel.CloseHandle.argtypes = (ctypes.c_void_p,)

    def _handle(path: str, sharing: int) -> int:
        handle = _kernel.CreateFileW(
            path, _GENERIC_READ, sharing, None, _OPEN_EXISTING, _SEQUENTIAL | _OPEN_REPARSE_POINT, None
        )
        if handle == _INVALID or handle is None:
            code = ctypes.get_last_error()
            if code in _IN_USE_ERRORS:
                raise FileInUse(code, IN_USE, path)
            raise ctypes.WinError(code)
        return int(handle)

    def _open(path: str) -> BinaryIO:
        handle = _handle(path, _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE)
        return os.fdopen(msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY), "rb", buffering=0)  # type: ignore[return-value]

    def _is_written(root: str, path: str) -> bool:
        # Without sharing of writing it can be opened only while no one has it open for writing. Readers are let in,
        # so that a viewer of images neither is in the way nor is kept out.
        try:
            handle = _handle(native(root, path), _SHARE_READ | _SHARE_DELETE)
        except FileInUse:
            return True
        _kernel.CloseHandle(handle)
        return False

else:
    import fcntl
    import signal

    def _open(path: str) -> BinaryIO:
        # Not blocking: the place of the file may be taken by a pipe.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.fdopen(number, "rb", buffering=0)

    def _is_written(root: str, path: str) -> bool:
        if not hasattr(fcntl, "F_SETLEASE"):
            return False
        with open_to_read(root, path) as file:
            # Who opens the file for writing in this moment is held up until the lease is given back, and we get a
            # signal: one that is ignored, instead of SIGIO, which would end this program.
            try:
                fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except BlockingIOError:
                return True
            except OSError:  # another user's file, or a file system without leases
                return False
            with suppress(OSError):
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
