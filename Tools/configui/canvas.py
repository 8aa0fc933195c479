"""The full terminal: drawing, keys, and restoring it at the end.

Promises
--------
* The terminal is restored at the end, also after an exception, Ctrl-C, SIGTERM or the closing of the window.
* Only the canvas writes to the terminal; other text on the standard error is shown afterwards.
* Characters and colours that a terminal cannot show are replaced by simpler ones.
"""

from __future__ import annotations

import curses
import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO

from NexusCore.errors import EXIT_USAGE, NexusError
from Tools.common import cells
from Tools.common.interruption import Interrupted
from Tools.configui.text_line import Key

TICK = 0.03
"""Seconds after which `Canvas.key` returns None, so that changes can be drawn."""
ESCAPE_MILLISECONDS = 50
"""Milliseconds that curses waits after an Escape for the rest of a sequence."""
ESCAPE, ENTER = "\x1b", "\n"

Piece = tuple[str, int]
"""A text, and its curses attributes."""
Line = list[Piece]

_REPLACEMENTS = {"▸": ">", "▾": "v", "●": "*", "…": "~", "─": "-", "·": "-", "↑": "^", "↓": "v", "←": "<", "→": ">"}
"""Replacements for our signs that the encoding of the terminal lacks."""

_SEQUENCES: dict[str, Key] = {
    "A": curses.KEY_UP, "B": curses.KEY_DOWN, "C": curses.KEY_RIGHT, "D": curses.KEY_LEFT, "H": curses.KEY_HOME,
    "F": curses.KEY_END, "M": ENTER, "1~": curses.KEY_HOME, "3~": curses.KEY_DC, "4~": curses.KEY_END,
    "5~": curses.KEY_PPAGE, "6~": curses.KEY_NPAGE, "7~": curses.KEY_HOME, "8~": curses.KEY_END,
}  # fmt: skip
"""Keys by the text after Escape and [ or O: many terminals send other sequences than terminfo has."""
_KEY_ALIASES: dict[Key, Key] = {
    "\r": ENTER,
    curses.KEY_ENTER: ENTER,
    "\x7f": curses.KEY_BACKSPACE,
    "\b": curses.KEY_BACKSPACE,
}


class UnfitTerminal(NexusError):
    """ConfigUI cannot draw on this terminal: {reason}. Use ConfigTool instead."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class ScreenAttributes:
    """The curses attributes of the parts of the screen."""

    plain: int = curses.A_NORMAL
    faint: int = curses.A_DIM
    strong: int = curses.A_BOLD
    folder: int = curses.A_BOLD
    value: int = curses.A_NORMAL
    fresh: int = curses.A_BOLD
    match: int = curses.A_UNDERLINE
    fault: int = curses.A_BOLD
    bar: int = curses.A_REVERSE


class Canvas:
    """The full terminal as a drawing area.

    Parameters
    ----------
    window
        The window of curses.
    look
        Attributes of the parts of the screen.
    """

    def __init__(self, window: curses.window, look: ScreenAttributes) -> None:
        self.window = window
        self.look = look
        self._encoding = window.encoding
        self._cursor = (0, 0)
        self._typing = False
        window.timeout(int(TICK * 1000))
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), 0)  # a hang-up is always reported

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""
        return self.window.getmaxyx()

    def clear(self) -> None:
        """Begin a new screen."""
        self.window.erase()
        self._typing = False

    def put(self, row: int, line: Iterable[Piece], over: int = curses.A_NORMAL) -> None:
        """Draw a line, cut to the width of the terminal; `over` replaces the attributes of its pieces, except bold."""
        columns = self.size[1]
        column = 0
        for text, look in line:
            shown = cells.cut(text, columns - column)
            self._write(row, column, shown, over | (look & curses.A_BOLD) if over else look)
            column += cells.width(shown)
        if over:
            self._write(row, column, " " * (columns - column), over)

    def sentence(self, text: str) -> None:
        """Show only a sentence."""
        rows, columns = self.size
        self.clear()
        for row, part in enumerate(cells.wrapped(text, columns - 1, rows)):
            self.put(row, [(part, self.look.plain)])
        self.show()

    def place_cursor(self, row: int, column: int, *, typing: bool = False) -> None:
        """Place the cursor; it is visible only for typing, but a Braille display follows it."""
        self._cursor, self._typing = (row, column), typing

    def show(self) -> None:
        """Update the terminal; unchanged parts are not sent again."""
        with suppress(curses.error):  # not every terminal can hide its cursor
            curses.curs_set(int(self._typing))
        with suppress(curses.error):  # the window may have become smaller
            self.window.move(*self._cursor)
        self.window.refresh()

    def redraw(self) -> None:
        """Send the complete screen with the next update."""
        self.window.clearok(True)

    def key(self) -> Key | None:
        """Return the pressed key, or None after `TICK` seconds."""
        try:
            key = self.window.get_wch()
        except curses.error:
            if self._poll.poll(0):  # the terminal is closed; curses would return "no key" at once, again and again
                raise Interrupted(signal.SIGHUP) from None
            return None
        if key == ESCAPE:
            return self._sequence()
        return _KEY_ALIASES.get(key, key)

    def _sequence(self) -> Key | None:
        """Return the key of the sequence after an Escape; None if it is unknown."""
        self.window.timeout(0)
        try:
            begin = self.window.get_wch()
            if begin not in ("[", "O"):
                _unread(begin)
                return ESCAPE
            rest = ""
            while not rest or not "@" <= rest[-1] <= "~":
                rest += str(self.window.get_wch())
            return _SEQUENCES.get(rest)
        except curses.error:
            return ESCAPE
        finally:
            self.window.timeout(int(TICK * 1000))

    def _write(self, row: int, column: int, text: str, look: int) -> None:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            text = "".join(self._replacement(character) for character in text)
        # Curses raises an error for the last cell of a window, after filling it.
        with suppress(curses.error):
            self.window.addstr(row, column, text, look)

    def _replacement(self, character: str) -> str:
        try:
            character.encode(self._encoding)
        except UnicodeEncodeError:
            return _REPLACEMENTS.get(character, "?" * cells.width(character))
        return character


@contextmanager
def full_screen(colour: bool) -> Iterator[Canvas]:
    """Use the full terminal in the block.

    Parameters
    ----------
    colour
        Whether to use colours, if the terminal has them.

    Raises
    ------
    UnfitTerminal
        If the terminal cannot be drawn on.
    """
    _check_terminal()
    # Curses would prefer these to the real size, and not notice when the window is resized.
    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)
    errors = StringIO()
    try:
        with redirect_stderr(errors):
            try:
                yield _start_curses(colour)
            finally:
                with suppress(curses.error):  # curses had not started yet
                    curses.endwin()
    finally:
        if errors.getvalue() and sys.stderr is not None:
            sys.stderr.write(errors.getvalue())


def _start_curses(colour: bool) -> Canvas:
    window = curses.initscr()
    curses.noecho()
    curses.cbreak()
    window.keypad(True)
    if "ESCDELAY" not in os.environ:
        curses.set_escdelay(ESCAPE_MILLISECONDS)
    return Canvas(window, _colours() if colour else ScreenAttributes())


def _colours() -> ScreenAttributes:
    curses.start_color()
    if not curses.has_colors():
        return ScreenAttributes()
    background = -1
    try:
        curses.use_default_colors()
    except curses.error:
        background = curses.COLOR_BLACK
    colours = (curses.COLOR_BLUE, curses.COLOR_CYAN, curses.COLOR_YELLOW, curses.COLOR_RED)
    for number, colour in enumerate(colours, 1):
        curses.init_pair(number, colour, background)
    blue, cyan, yellow, red = (curses.color_pair(number) for number in range(1, len(colours) + 1))
    bold = curses.A_BOLD
    return ScreenAttributes(folder=bold | blue, value=cyan, fresh=bold | yellow, match=bold | yellow, fault=bold | red)


def _check_terminal() -> None:
    # Curses itself would end the process for an unknown or too simple terminal.
    name = os.environ.get("TERM", "")
    try:
        curses.setupterm()
    except curses.error:
        reason = f"TERM={name} is not known on this machine" if name else "the variable TERM is not set"
        raise UnfitTerminal(reason=f"{reason}; most terminals understand TERM=xterm") from None
    if not curses.tigetstr("cup"):
        raise UnfitTerminal(reason=f"TERM={name} cannot place the cursor")


def _unread(key: Key) -> None:
    if isinstance(key, str):
        curses.unget_wch(key)
    else:
        curses.ungetch(key)
