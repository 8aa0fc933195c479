"""Renames a file without replacing another one, in one step."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

from NexusCore.files import Folder

_NOREPLACE = 1
"""RENAME_NOREPLACE of renameat2(2)."""
_NOT_THERE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""The file system, or the kernel, does not know the flag; NFS is one."""


def rename_new(source: Folder, name: str, target: Folder, new_name: str) -> None:
    """Give a file another name, if that is free.

    Parameters
    ----------
    source, name
        Its folder, and its name there.
    target, new_name
        Its new folder, on the same file system, and its new name.

    Raises
    ------
    FileExistsError
        If the new name is taken; nothing has changed then.
    OSError
        With the system's reason; EXDEV for another file system.
    """
    call = _renameat2()
    number = errno.ENOSYS
    if call is not None:
        number = call(source.descriptor, os.fsencode(name), target.descriptor, os.fsencode(new_name))
        if number == 0:
            return
    if number not in _NOT_THERE:
        raise OSError(number, os.strerror(number), str(source.path / name), None, str(target.path / new_name))
    # Two steps: who is killed in between leaves one file with two names, which are then told from a copy.
    places = {"src_dir_fd": source.descriptor, "dst_dir_fd": target.descriptor}
    os.link(name, new_name, **places, follow_symlinks=False)
    os.unlink(name, dir_fd=source.descriptor)


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes], int] | None:
    """Return a function that returns 0 or the number of an error; None where the system has no such call."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    def call(source: int, name: bytes, target: int, new_name: bytes) -> int:
        return ctypes.get_errno() if function(source, name, target, new_name, _NOREPLACE) else 0

    return call
