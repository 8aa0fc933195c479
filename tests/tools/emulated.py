"""A program on a terminal that is emulated: what a person in front of it sees, and which keys they press."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence

import pyte

from tests.tools.programs import LIMIT, PROJECT

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END, PAGE_DOWN, PAGE_UP = "\x1b[1~", "\x1b[4~", "\x1b[6~", "\x1b[5~"
ENTER, ESCAPE, BACKSPACE, DELETE = "\r", "\x1b", "\x7f", "\x1b[3~"
ERASE_LINE = "\x05\x15"

# Makes the terminal the controlling one, so that Ctrl-C typed there is a signal.
_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Emulated:
    """A program, the terminal it runs on, and its screen.

    The terminal is a Linux console by default: the emulator knows all that one can do.
    """

    def __init__(self, words: Sequence[str], rows: int = 24, columns: int = 80, **variables: str) -> None:
        self._master, self._terminal = pty.openpty()
        self._set_size(rows, columns)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        """All that the program sent to the terminal."""
        self._before = termios.tcgetattr(self._terminal)
        dropped = ("NO_COLOR", "LC_ALL", "LANG")
        inherited = {key: value for key, value in os.environ.items() if key not in dropped}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL, *words], cwd=PROJECT, stdin=self._terminal, stdout=self._terminal,
            stderr=self._terminal, start_new_session=True,
            env={**inherited, "LANG": "C.UTF-8", "TERM": "linux", **variables},
        )  # fmt: skip

    def __enter__(self) -> Emulated:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        self.hang_up()

    # -- what is seen ------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def chosen(self) -> str:
        """The line below the title that is shown in reverse."""
        for row, line in enumerate(self.lines[1:], 1):
            if self.screen.buffer[row][1].reverse:
                return line.strip(" ●")
        return ""

    @property
    def colours(self) -> set[str]:
        """The colours that letters have."""
        return {self.screen.buffer[y][x].fg for y in range(self.screen.lines) for x in range(self.screen.columns)}

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was, with a cursor."""
        return termios.tcgetattr(self._terminal) == self._before and not self.screen.cursor.hidden

    def until(self, pattern: str, *, chosen: str | None = None) -> None:
        """Wait until the screen shows what matches, and the cursor is on what matches `chosen`.

        The rest of the screen may still be on its way then: what else a test expects there, it waits for likewise.
        """
        self._wait(
            lambda: (
                re.search(pattern, self.text, re.MULTILINE) is not None
                and (chosen is None or re.search(chosen, self.chosen) is not None)
            ),
            f"{pattern!r} {chosen or ''}",
        )

    def until_gone(self, pattern: str) -> None:
        self._wait(lambda: re.search(pattern, self.text, re.MULTILINE) is None, f"no {pattern!r}")

    def until_said(self, sentence: str) -> None:
        """Wait until the screen shows what matches, on however many lines."""
        self._wait(lambda: re.search(sentence, " ".join(self.text.split())) is not None, repr(sentence))

    def until_chosen(self, pattern: str) -> None:
        self.until("", chosen=pattern)

    def _wait(self, condition: object, what: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + LIMIT
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0 and self._read(left), f"{what} did not come, but:\n{self.text}"

    # -- what is done ------------------------------------------------------------------------------------------------

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the kernel sends the program SIGWINCH."""
        self.screen.resize(rows, columns)
        self._set_size(rows, columns)

    def hang_up(self) -> None:
        """Close the window."""
        for descriptor in (self._master, self._terminal):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._terminal = -1

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the program to end; return its exit code."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.text}"
            self._read(0.02)
        while self._read(0.0):
            pass
        return self.process.returncode

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        found = os.read(self._master, 65536)
        self.written += found
        self._stream.feed(found)
        return True
