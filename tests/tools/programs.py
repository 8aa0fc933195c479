"""The tools as a user runs them: as processes, with pipes or a terminal around them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import queue
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
LIMIT = 60.0
"""Seconds after which something that a test waits for will not come any more."""


@dataclass(frozen=True)
class Done:
    """What a program that has ended left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def command(tool: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"Tools.{tool}", *words]


def run(tool: str, *words: str, **variables: str) -> Done:
    """Run a tool between pipes to its end."""
    return run_command(command(tool, *words), **variables)


def run_command(words: Sequence[str], **variables: str) -> Done:
    done = subprocess.run(
        words, cwd=PROJECT, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def in_process(tool: str, *words: str) -> Done:
    """Run a tool in this process, as between pipes: for what it finds and says, which needs no process of its own."""
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        with redirect_stdout(out), redirect_stderr(err):
            code = import_module(f"Tools.{tool}").main(list(words))
        texts = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            texts.append(stream.read())
    return Done(code, *texts)


def bash(script: str, **variables: str) -> Done:
    """Run a script in bash, with the tools on the path."""
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    return run_command(["bash", "--norc", "--noprofile", "-c", script], PATH=path, **variables)


class Follower:
    """A tool that goes on; its lines come in as it writes them."""

    def __init__(self, tool: str, *words: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            command(tool, *words), cwd=PROJECT, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.messages: list[str] = []
        self._out: queue.Queue[str | None] = queue.Queue()
        self._err: queue.Queue[str | None] = queue.Queue()
        self._pumps = [self._pump(self._process.stdout, self._out), self._pump(self._process.stderr, self._err)]

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(LIMIT)
        for pump in self._pumps:
            pump.join(LIMIT)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def until(self, pattern: str) -> str:
        """Take lines until one matches; return it."""
        return self._take(self._out, self.lines, pattern)

    def until_message(self, pattern: str) -> str:
        return self._take(self._err, self.messages, pattern)

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Read to the end; return the exit code."""
        code = self._process.wait(LIMIT)
        for pump, source, kept in zip(self._pumps, (self._out, self._err), (self.lines, self.messages), strict=True):
            pump.join(LIMIT)
            while (line := source.get(timeout=LIMIT)) is not None:
                kept.append(line)
        return code

    def _take(self, source: queue.Queue[str | None], kept: list[str], pattern: str) -> str:
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                line = source.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line matched {pattern!r}; there were {kept!r} and messages {self.messages!r}"
            kept.append(line)
            if re.search(pattern, line):
                return line

    @staticmethod
    def _pump(stream: IO[str] | None, into: queue.Queue[str | None]) -> threading.Thread:
        assert stream is not None

        def pump() -> None:
            for line in stream:
                into.put(line.rstrip("\n"))
            into.put(None)

        thread = threading.Thread(target=pump)
        thread.start()
        return thread


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, words: Sequence[str], variables: Mapping[str, str] | None = None, width: int = 120) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environment = {
            "TERM": "xterm-256color",
            **{k: v for k, v in os.environ.items() if k not in ("TERM", "NO_COLOR")},
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL, *words], cwd=PROJECT, env={**environment, **(variables or {})},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(LIMIT)
        os.close(self._master)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, pattern: str) -> None:
        """Read what is shown until it matches."""
        while not re.search(pattern, self.text):
            assert self._read(), f"{pattern!r} was not shown, but {self.text!r}"

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(LIMIT)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], LIMIT)
        assert ready, f"nothing more was shown after {self.text!r}"
        try:
            found = os.read(self._master, 65536)
        except OSError:  # how a terminal says that nobody is there any more
            return False
        self.text += found.decode().replace("\r\n", "\n")
        return bool(found)


# Makes the terminal the controlling one, so that Ctrl-C typed there is a signal.
_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def on_terminal(tool: str, *words: str, width: int = 120, **variables: str) -> Done:
    """Run a tool on a terminal to its end."""
    with Terminal(command(tool, *words), variables, width) as terminal:
        code = terminal.end()
        return Done(code, terminal.text, "")
