"""GNU find in a sub-process that can be killed: what it printed, and what it complained of."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

_GRACE = 5.0
"""Seconds a killed sub-process has to go; one that hangs in the kernel on a dead file server is left behind."""
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class FindFailed(Exception):
    """GNU find cannot be used here; the text says why."""


class Printed(NamedTuple):
    """What find said."""

    records: list[bytes]
    """What `-printf` with a NUL at its end printed, without the NULs."""
    complaints: list[tuple[bytes, str]]
    """Relative path and the system's reason: find went on without these."""


def either(test: str, patterns: Iterable[str]) -> Iterator[str]:
    """Yield the words of an expression: one of several patterns matches."""
    yield "("
    for index, pattern in enumerate(patterns):
        yield from ("-o", test, pattern) if index else (test, pattern)
    yield ")"


class Find:
    """GNU find in one folder.

    Parameters
    ----------
    program
        Its path.
    start
        The folder: an absolute path that ends in a slash.
    limit
        Seconds for all runs together. One that exceeds them is killed, with all that it started.
    """

    def __init__(self, program: str, start: bytes, limit: float) -> None:
        self._program = program
        self.start = start
        self._limit = limit
        self._deadline = time.monotonic() + limit

    def run(self, folders: Sequence[bytes], words: Sequence[str]) -> Printed:
        """Run it.

        Parameters
        ----------
        folders
            Where to begin, relative to the start; empty for the start itself.
        words
            Its expression.

        Raises
        ------
        FindFailed
            It cannot be started, took too long, ended with an error of its own, or said what cannot be understood.
        """
        command: list[str | bytes] = [self._program, *(self.start + folder for folder in folders), *words]
        code, output, complaints = self._outputs(command)
        if code not in (0, 1) or bool(code) != bool(complaints):
            raise FindFailed(f"find ended with code {code}: {complaints.decode('ascii', 'replace').strip()}")
        if output and not output.endswith(b"\0"):
            raise FindFailed("the output of find is cut short")
        return Printed(output.split(b"\0")[:-1], [_complaint(line, self.start) for line in complaints.splitlines()])

    def _outputs(self, command: Sequence[str | bytes]) -> tuple[int, bytes, bytes]:
        # In the C locale find matches bytes, as we do, and escapes all but plain ASCII in its complaints.
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            process = subprocess.Popen(  # noqa: S603 (no shell; the words are ours, the folders are among them)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise FindFailed(f"find cannot be started: {error}") from None
        try:
            output, complaints = process.communicate(timeout=max(self._deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise FindFailed(f"find took longer than {self._limit:g} s") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=_GRACE)
        return process.returncode, output, complaints


def _complaint(line: bytes, start: bytes) -> tuple[bytes, str]:
    """Read ``find: '/a/b': Permission denied``, where the path is quoted as in C."""
    match = re.fullmatch(rb"[^']*find: '((?:[^'\\]|\\.)*)': (.+)", line)
    if match is None:
        raise FindFailed(f"find says: {line.decode('ascii', 'replace')}")

    def character(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _ESCAPED.get(code, code)

    path = _ESCAPE.sub(character, match[1])
    if not path.startswith(start):
        raise FindFailed(f"find says: {line.decode('ascii', 'replace')}")
    return path[len(start) :], match[2].decode("ascii", "replace")
