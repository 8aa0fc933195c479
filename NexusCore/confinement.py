"""Restricts a process for the rest of its life: files, network, starting programs.

Files and TCP are restricted by Landlock, which any process may apply to itself (Linux 5.13 and later; landlock(7) and
Documentation/userspace-api/landlock.rst of the kernel, the source of all numbers here). Later kernels can restrict
more; all that the running one supports is used. `NexusCore.call_filter` refuses what Landlock does not control.

It applies to the calling thread and those it starts later: confine a process before it has others. No maintained
library exists for it: those on PyPI are development versions or do not support later kernels.
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from NexusCore.call_filter import no_new_privileges

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same on all architectures."""
_RULESET_VERSION, _PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1
"""All that version 1 knows: to execute, read, write, list, make and remove."""
_ON_FILES = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_MAKE_DEVICES = 1 << 6 | 1 << 11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


@cache
def landlock_version() -> int:
    """Return the version of Landlock's interface that the running kernel has; 0 without Landlock."""
    if platform.system() != "Linux":
        return 0
    try:
        return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_RULESET_VERSION)))
    except OSError:
        return 0


def confine(read: Iterable[Path], look: Iterable[Path], write: Iterable[Path]) -> bool:
    """Restrict this process to the named paths, without network; return False where Landlock is missing.

    No program can be started afterwards. Open files stay open.

    Parameters
    ----------
    read
        Files and whole folders to read. Missing ones are ignored.
    look
        Folders to list, at any depth, without reading files.
    write
        Folders to do anything in, except creating devices; files to read and write.

    Raises
    ------
    OSError
        The kernel has Landlock and refuses.
    """
    version = landlock_version()
    if not version:
        return False
    no_new_privileges()
    handled = _handled(version)
    rules = _Ruleset(handled, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for paths, allowed in (
            (read, _READ_FILE | _READ_DIR),
            (look, _READ_DIR),
            (write, handled & ~1 & ~_MAKE_DEVICES),
        ):
            for path in paths:
                _allow(ruleset, path, allowed)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return True


def _handled(version: int) -> int:
    later = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
    return _FIRST | sum(right for since, right in later if version >= since)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            allowed &= _ON_FILES
        rule = _PathBeneath(allowed, target)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(target)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc().syscall(ctypes.c_long(number), *arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
