"""A process that reads instrument files for `workers`: it serves, confined, until its parent ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from Services.Builder.extraction import wire
from Services.Builder.extraction.jobs import Job, ReadFunction, unknown
from Services.Builder.extraction.preloading import preload
from Services.Builder.extraction.reader_sandbox import enter, prepare
from Services.Builder.model import Extraction

_MEGABYTE = 1024 * 1024


def serve(conn: int, lifeline: int, memory_mb: int, function: str) -> None:
    """Do jobs as a process that was started alone, until the parent closes the connection."""
    die_with_parent(lifeline)
    work = preload(function)
    prepare()
    serve_jobs(conn, memory_mb, work)


def serve_jobs(conn: int, memory_mb: int, work: ReadFunction) -> None:
    """Do jobs until the parent closes the connection.

    With its first job it is confined to the folder of this job's file, in which all further files lie.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = _memory_kib("VmHWM")
    _limit_memory(memory_mb)
    confined = False
    with Connection(conn) as connection, contextlib.suppress(EOFError, OSError):
        connection.send_bytes(wire.SERVING)
        while True:
            job: Job = connection.recv()
            if not confined:
                enter(job.store, Path.cwd())
                confined = True
            answer = _answer(connection, work, job)
            spent = _memory_kib("VmHWM") - before > 0.7 * memory_mb * 1024
            connection.send_bytes(wire.encode_reply(answer, True, spent))


def _answer(connection: Connection, work: ReadFunction, job: Job) -> Extraction:
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


def _memory_kib(field: str) -> int:
    """Return how much memory this process has, by a field of proc(5)'s ``status``.

    Not getrusage's peak: that counts what the parent had when this process was begun, too.
    """
    status = Path("/proc/self/status").read_text("ascii", "replace")
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def die_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the parent's end of a pipe closes, even inside a reader that hangs.

    The signal's default action ends the process, without Python. (PR_SET_PDEATHSIG would act at the end of the thread
    that started the child.)
    """
    import fcntl

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # closed before, so that there is no signal
        os._exit(1)


def _limit_memory(megabytes: int) -> None:
    """Limit what is allocated besides the program itself, and not what is mapped.

    A stack of 4 GB on disk may be mapped and shown in part.
    """
    import resource

    kind = getattr(resource, "RLIMIT_DATA", resource.RLIMIT_AS)
    own = _memory_kib("VmData" if kind != resource.RLIMIT_AS else "VmSize") * 1024
    _soft, hard = resource.getrlimit(kind)
    wanted = own + megabytes * _MEGABYTE
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
