"""A real X server without a monitor, and a user who sits before it: clicks, keys, and the window's close button."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.logger.facility import LIMIT, until

PROJECT = Path(__file__).resolve().parents[2]
NEEDED = ("Xvfb", "xdotool")


class Screen:
    """An X server of the tests' own, on a display that it finds free itself."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.display = ""

    def __enter__(self) -> Screen:
        reading, writing = os.pipe()
        size = f"{self.width}x{self.height}x24"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp", "-noreset"],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb did not start"
        self.display = f":{number}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.terminate()
        self._server.wait(LIMIT)

    def xdotool(self, *arguments: object) -> str:
        """Do something with mouse or keyboard."""
        done = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env={**os.environ, "DISPLAY": self.display},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.stdout.strip()

    def window(self, title: str, *, besides: str = "") -> str:
        """Return the number of the window of a title, once it is there."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [one for one in self.xdotool("search", "--name", f"^{title}$").split() if one != besides]
            return bool(found)

        until(look, f"a window titled {title}")
        return found[0]

    def close_button(self, window: str) -> None:
        """Do what a window manager does when the close button of a window's frame is clicked (ICCCM 4.2.8.1)."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.display.encode()))
        atoms = [x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
        message = _ClientMessage(
            type=33, send_event=1, display=display, window=int(window), kind=atoms[0], format=32, data=(atoms[1],)
        )
        x11.XSendEvent(display, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0), ctypes.byref(message))
        x11.XFlush(display)
        x11.XCloseDisplay(display)

    def clipboard(self) -> str:
        """Return what another program would paste."""
        program = "import sys, tkinter; sys.stdout.write(tkinter.Tk(screenName=sys.argv[1]).clipboard_get())"
        command = [sys.executable, "-c", program, self.display]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT).stdout


class _ClientMessage(ctypes.Structure):
    """`XClientMessageEvent` of Xlib.h, filled up to the size of `XEvent`."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("kind", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 12),
    )


_LOG_OFF = """
import sys, tkinter
from Logger.__main__ import facility
from Logger.controller import Controller
from Logger.debuglog import DebugLog
from Logger.outbox import Outbox
from Logger.pc_settings import load
from Logger.uptime import Uptime
from Logger.window import MainWindow
root, settings, uptime = tkinter.Tk(), load(), Uptime()
outbox = Outbox(settings.home / "pc.outbox", uptime)
window = MainWindow(root, Controller(outbox, lambda: facility(settings, sys.argv[1], uptime)), DebugLog())
root.after_idle(window.system_ends)
sys.exit(window.run())
"""


class Desk:
    """Someone at the PC of a microscope, who has only eyes and hands; the logger says where its buttons are."""

    def __init__(
        self, screen: Screen, host: str, folder: Path, program: Sequence[str] = (sys.executable, "-m", "Logger")
    ) -> None:
        self.screen = screen
        self._program = program
        self._host = host
        self._report = folder / "buttons.json"
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def double_click(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the logger as its shortcut does."""
        return self._start(*self._program, "--host", self._host, *arguments, **environment)

    def log_off(self) -> subprocess.Popen[str]:
        """Start the logger, and have the system end at once, as Windows says it to a window."""
        return self._start(sys.executable, "-c", _LOG_OFF, self._host)

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        self._report.unlink(missing_ok=True)
        more = {"DISPLAY": self.screen.display, "NEXUSCORE_LOGGER_GEOMETRY": str(self._report), **environment}
        process = subprocess.Popen(
            arguments,
            cwd=PROJECT,
            env={**os.environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def see(self, page: str, button: str = "") -> dict[str, list[int]]:
        """Wait until a page, and a button, can be seen; return all buttons with left, top, width and height."""
        page_now, buttons = "", {}

        def look() -> bool:
            nonlocal page_now, buttons
            if self._report.exists():
                report = json.loads(self._report.read_text("utf-8"))
                page_now, buttons = report["page"], report["buttons"]
            return page_now == page and (not button or button in buttons)

        until(look, f"the {page} with a button {button!r}")
        return buttons

    def read(self, words: str) -> str:
        """Wait until a text with these words can be seen; return it."""
        found: list[str] = []

        def look() -> bool:
            texts = json.loads(self._report.read_text("utf-8"))["texts"] if self._report.exists() else []
            found[:] = [text for text in texts if words in text]
            return bool(found)

        until(look, f"a text with {words!r}")
        return found[0]

    def click(self, page: str, button: str) -> None:
        """Click a button once it can be seen."""
        left, top, width, height = self.see(page, button)[button]
        self.screen.xdotool("mousemove", left + width // 2, top + height // 2, "click", 1)

    def press(self, keys: str, window: str) -> None:
        """Press keys while a window has the keyboard."""
        self.screen.xdotool("windowfocus", "--sync", window, "key", keys)

    def type(self, text: str, window: str) -> None:
        """Type a text while a window has the keyboard."""
        self.screen.xdotool("windowfocus", "--sync", window, "type", text)

    def close_button(self) -> None:
        """Click the close button of the main window's frame."""
        self.screen.close_button(self.screen.window("Session logger"))


def code_of(process: subprocess.Popen[str], number: signal.Signals | None = None) -> int:
    """Wait for the logger to end by itself, or with a signal; return its exit code."""
    if number is not None:
        process.send_signal(number)
    return process.wait(LIMIT)
