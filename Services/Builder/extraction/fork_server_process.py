"""The process that reading processes are forked from: it imports what they need and serves requests (`fork_server`).

It must have one thread only: of the others, a fork would copy the locks but not the threads that release them.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import platform
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from NexusCore.resources import start_failure
from Services.Builder.extraction.fork_server import (
    FILL_CACHES,
    LONGEST_MESSAGE,
    READY,
    ForkReply,
    ForkRequest,
)
from Services.Builder.extraction.jobs import ReadFunction
from Services.Builder.extraction.preloading import copy_compiled, preload, use_cache_folder
from Services.Builder.extraction.reader_sandbox import own_variables, prepare
from Services.Builder.extraction.reading_process import die_with_parent, serve_jobs
from Services.Builder.extraction.workers import EXTRACT

_CLONE = {"x86_64": 56, "aarch64": 220}
"""Number of clone(2) by machine; sources as in `NexusCore.call_filter`."""
_CLONE_PARENT = 0x00008000
"""The new process is a sibling of the caller, not its child (linux/sched.h)."""
_PR_SET_PDEATHSIG = 1
_LONGEST_FILLING = 600
"""Seconds."""


def serve_forks(requests: int, lifeline: int, function: str, cache: str) -> None:
    """Fork a process for each request until the parent closes the connection.

    Parameters
    ----------
    requests
        Descriptor of a socket of packets.
    lifeline
        Descriptor of a pipe; this process ends when its other end is closed.
    function
        What the forked processes call.
    cache
        Folder for what is compiled once and kept.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that fill caches need not be waited for
    die_with_parent(lifeline)
    gc.disable()  # while so much is made that stays, looking for garbage is in vain
    kept = use_cache_folder(Path(cache))
    work = preload(function, everything=function == EXTRACT, cache=kept)
    prepare()
    gc.enable()
    gc.collect()
    gc.freeze()  # a collection must not write to what is shared
    with socket.socket(fileno=requests) as connection:
        connection.send(READY)
        while True:
            message, descriptors, _flags, _address = socket.recv_fds(connection, LONGEST_MESSAGE, 3)
            if not message:
                return
            if message == FILL_CACHES:
                _fill(kept, (connection.fileno(), lifeline))
                continue
            reply = _fork(message, descriptors, (connection.fileno(), lifeline), work, kept)
            for descriptor in descriptors:
                os.close(descriptor)
            connection.send(msgspec.msgpack.encode(reply))


def _fork(
    message: bytes, descriptors: Sequence[int], others: Sequence[int], work: ReadFunction, cache: Path | None
) -> ForkReply:
    request = msgspec.msgpack.decode(message, type=ForkRequest)
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - not worth a Path
        return ForkReply(refused="a library has started threads")
    try:
        pid = fork_sibling()
    except OSError as error:
        return ForkReply(refused=start_failure(error), for_now=error.errno in (errno.EAGAIN, errno.ENOMEM))
    if pid == 0:
        _become_reader(request, descriptors, others, work, cache)
    return ForkReply(pid)


def _become_reader(
    request: ForkRequest, descriptors: Sequence[int], others: Sequence[int], work: ReadFunction, cache: Path | None
) -> NoReturn:
    """Serve jobs as a process of its own, and end."""
    code = 1
    try:
        connection, lifeline, errors = descriptors
        os.dup2(errors, sys.stderr.fileno())
        for descriptor in (*others, errors):
            os.close(descriptor)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        scratch = Path(os.fsdecode(request.scratch))
        os.chdir(scratch)
        os.environ.update(own_variables(scratch))
        tempfile.tempdir = None  # a module may have asked for it while it was imported
        if cache is not None:
            copy_compiled(cache, scratch)
        die_with_parent(lifeline)
        serve_jobs(connection, request.memory_mb, work)
        code = 0
    except BaseException:  # noqa: BLE001 - it must never go on as a copy of the process that it was forked from
        with suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
    finally:
        os._exit(code)


def fork_sibling() -> int:
    """Fork, as `os.fork`, a process whose parent is the parent of this one; return its number, 0 in the new process.

    `os.fork` cannot do that. What Python does before and after is done here, too (PyOS_BeforeFork and the others, made
    for that: docs.python.org/3/c-api/sys.html); what the C library would do matters to processes with threads only.

    Raises
    ------
    OSError
        If the system refuses.
    """
    number = _CLONE[platform.machine()]
    libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, as a fork in Python does
    arguments = [ctypes.c_long(number), ctypes.c_ulong(_CLONE_PARENT | signal.SIGCHLD), *[ctypes.c_ulong(0)] * 4]
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid = int(libc.syscall(*arguments))
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    failed = ctypes.get_errno()
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(failed, os.strerror(failed))
    return pid


def _fill(cache: Path | None, others: Sequence[int]) -> None:
    """Compile, in a process of its own that ends with this one, what `cache` lacks."""
    if cache is None:
        return
    from Services.Builder.extraction.compiling import fill, is_filled

    if is_filled(cache):
        return
    try:
        if os.fork():
            return
    except OSError:  # no process is to be had now; the readers compile what they need themselves
        return
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for descriptor in others:
            os.close(descriptor)
        os.nice(10)  # files that are read now go first
        signal.alarm(_LONGEST_FILLING)  # whose default action ends the process
        fill(cache)
        code = 0
    except BaseException:  # noqa: BLE001 - as in `_become_reader`; the readers compile what they need themselves
        with suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
    finally:
        os._exit(code)
