"""A process that reads instrument files for `workers`: it serves, confined, until its parent ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from Services.Builder.extraction import wire
from Services.Builder.extraction.jobs import Job, unknown
from Services.Builder.extraction.reader_sandbox import enter, prepare
from Services.Builder.extraction.workers import EXTRACT
from Services.Builder.model import Extraction


def serve(conn: int, lifeline: int, memory_mb: int, function: str) -> None:
    """Do jobs until the parent closes the connection.

    With its first job it is confined to the folder of this job's file, in which all further files lie.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(lifeline)
    _limit_memory(memory_mb)
    work = _function(function)
    prepare()
    confined = False
    with Connection(conn) as connection, contextlib.suppress(EOFError, OSError):
        connection.send_bytes(wire.SERVING)
        while True:
            job: Job = connection.recv()
            if not confined:
                enter(job.store, Path.cwd())
                confined = True
            connection.send_bytes(wire.encode_reply(_answer(connection, work, job), True, _uses_much_memory(memory_mb)))


def _answer(connection: Connection, work: Callable[[Job], Iterable[Extraction]], job: Job) -> Extraction:
    best = unknown(job, "Nothing could be read.")
    try:
        for extraction in work(job):
            best = extraction
            connection.send_bytes(wire.encode_reply(best, False, False))
    except MemoryError:
        return unknown(job, "Reading the file takes more memory than one file is allowed.")
    except Exception as error:  # noqa: BLE001 - a process's edge; the parent records it with the dataset
        return unknown(job, f"Reading the file failed ({type(error).__name__}).")
    return best


def _uses_much_memory(memory_mb: int) -> bool:
    """Return whether the process used so much memory that the next file needs a new one."""
    # Not getrusage's: that counts what the parent had when this process was begun, too (proc(5), VmHWM).
    status = Path("/proc/self/status").read_text("ascii", "replace")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) > 0.7 * memory_mb * 1024


def _function(name: str) -> Callable[[Job], Iterable[Extraction]]:
    # Dask looks for a cluster at every computation, if that package is there: 0.2 s to find that a child has none.
    sys.modules.setdefault("distributed", None)  # type: ignore[arg-type]  # importing it fails then
    module, _, attribute = name.partition(":")
    work: Callable[[Job], Iterable[Extraction]] = getattr(import_module(module), attribute)
    if name == EXTRACT:  # what the first file would otherwise wait for
        import_module("Services.Builder.extraction.extract")
        import_module("Services.Builder.extraction.extractors.rosettasciio.read")
    return work


def _die_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the parent's end of a pipe closes, even inside a reader that hangs.

    The signal's default action ends the process, without Python. (PR_SET_PDEATHSIG would act at the end of the thread
    that started the child.)
    """
    import fcntl

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_memory(megabytes: int) -> None:
    """Limit what is allocated, not what is mapped: a stack of 4 GB on disk may be mapped and shown in part."""
    import resource

    kind = getattr(resource, "RLIMIT_DATA", resource.RLIMIT_AS)
    _soft, hard = resource.getrlimit(kind)
    wanted = megabytes * 1024 * 1024
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
