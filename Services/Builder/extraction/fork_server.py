"""Starts a process that has imported what reading files takes, and has it fork a process for each request.

Importing the readers takes longer than reading most files. So one process does it, with the environment of a reader
(`reader_sandbox.environment`): it reads no instrument file, is not confined, and has no passwords or tokens. Those that
it forks are children of this process, not its own (CLONE_PARENT of clone(2)): how they end is known here, and nothing
is lost when it is killed. It ends with this process, even a killed one.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from NexusCore.errors import NexusError
from Services.Builder.extraction.processes import ChildProcess, ForkedProcess, Launch
from Services.Builder.extraction.reader_sandbox import environment
from Services.Builder.extraction.scratch_folder import ScratchFolder

READY, FILL_CACHES = b"ready", b"fill caches"
LONGEST_MESSAGE = 65_536
"""Bytes."""
START_SECONDS = 60.0
"""Time limit for the imports, and for each request."""
_END_SECONDS = 10.0
_PROCESS = (
    "from Services.Builder.extraction.fork_server_process import serve_forks; "
    "serve_forks({requests}, {lifeline}, {function!r}, {cache!r})"
)


class ForkServerLost(NexusError):
    """The process that reading processes are forked from ended or failed: {reason}."""


class ForkRefused(NexusError):
    """Reading processes cannot be forked here: {reason}."""


class ForkDelayed(NexusError):
    """The process that reading processes are forked from cannot fork now: {reason}."""


class ForkRequest(msgspec.Struct):
    """What a reading process is forked with, besides its descriptors: connection, lifeline, file for errors."""

    scratch: bytes
    memory_mb: int


class ForkReply(msgspec.Struct):
    """What became of a request."""

    pid: int = 0
    refused: str = ""
    """Why there is none."""
    for_now: bool = False
    """Another attempt may succeed: the system has no room for a process now."""


def supported() -> bool:
    """Return whether processes can be forked for another one here; on other systems each is started alone."""
    return platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64")


class ForkServer:
    """The process, as the one that uses it sees it; it is started at once and gets ready meanwhile.

    Parameters
    ----------
    function
        ``module:function`` that the forked processes call, as for `Workers`.
    cache
        Folder for compiled functions and definitions of units, which the forked processes cannot change.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, function: str, cache: Path) -> None:
        self._ready = False
        self._deadline = time.monotonic() + START_SECONDS
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._scratch = ScratchFolder()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb", 0)
        code = _PROCESS.format(requests=theirs.fileno(), lifeline=reading, function=function, cache=str(cache))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with code of this package
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(), reading),
                cwd=self._scratch.path,
                env=environment(os.environ, self._scratch.path),
                start_new_session=True,  # the terminal's Ctrl-C is the parent's business
            )
        except BaseException:
            self._release()
            raise
        finally:
            theirs.close()
            os.close(reading)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def ready(self, seconds: float) -> bool:
        """Wait so many seconds for the imports to be done; return whether they are.

        Raises
        ------
        ForkServerLost
            If the process ended, or takes longer than `START_SECONDS`.
        """
        if not self._ready:
            self._requests.settimeout(max(seconds, 0.001))
            try:
                self._ready = self._receive() == READY
            except TimeoutError:
                if time.monotonic() > self._deadline:
                    raise ForkServerLost(reason=f"it did not start within {START_SECONDS:g} s") from None
        return self._ready

    def fork(self, launch: Launch) -> ChildProcess:
        """Return a new process; to be called when `ready` has returned true.

        Raises
        ------
        ForkServerLost
            If the process that forks has ended, or does not answer.
        ForkRefused
            If it cannot fork: another attempt would fail, too.
        ForkDelayed
            If the system starts no more processes now.
        """
        request = ForkRequest(os.fsencode(launch.scratch), launch.memory_mb)
        descriptors = (launch.connection, launch.lifeline, launch.errors)
        self._requests.settimeout(START_SECONDS)
        try:
            socket.send_fds(self._requests, [msgspec.msgpack.encode(request)], descriptors)
            reply = msgspec.msgpack.decode(self._receive(), type=ForkReply)
        except TimeoutError:
            raise ForkServerLost(reason=f"it does not answer within {START_SECONDS:g} s") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise ForkServerLost(reason=str(error)) from error
        if reply.refused and reply.for_now:
            raise ForkDelayed(reason=reply.refused)
        if reply.refused:
            raise ForkRefused(reason=reply.refused)
        return ForkedProcess(reply.pid)

    def fill_caches(self) -> None:
        """Have functions compiled, in a process beside the others, that some readers would compile for each file.

        Nothing waits for it, and it does nothing where they have been compiled before.
        """
        with suppress(OSError):
            self._requests.send(FILL_CACHES)

    def close(self) -> None:
        """End the process; those that it forked are not affected."""
        if self._process.poll() is None:
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # in the kernel's hands
            self._process.wait(_END_SECONDS)
        self._release()

    def _release(self) -> None:
        self._requests.close()
        self._lifeline.close()
        self._errors.close()
        self._scratch.remove()

    def _receive(self) -> bytes:
        message = b""
        with suppress(ConnectionError):
            message = self._requests.recv(LONGEST_MESSAGE)
        if not message:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            raise ForkServerLost(reason=self._last_error_line() or f"exit code {self._process.poll()}")
        return message

    def _last_error_line(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
