"""The whole terminal: what is drawn on it, which key was pressed, and how it is given back.

Promises
--------
* However the program ends, by an exception, Ctrl-C, SIGTERM or the closing of the window, the terminal is as it was.
* Nothing but the canvas writes to the terminal meanwhile; what others say on standard error is shown afterwards.
* Where a terminal cannot show a letter or a colour, it shows something plainer.
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
"""Seconds after which `Canvas.key` gives up, so that what changed meanwhile can be drawn."""
ESCAPE_MILLISECONDS = 50
"""How long curses waits after an Escape for the rest of a key's sequence."""
ESCAPE, ENTER = "\x1b", "\n"

Piece = tuple[str, int]
"""A text, and how it looks: attributes of curses."""
Line = list[Piece]

_PLAINER = {"▸": ">", "▾": "v", "●": "*", "…": "~", "─": "-", "·": "-", "↑": "^", "↓": "v", "←": "<", "→": ">"}
"""What stands for our own signs where the terminal's encoding has none of them."""

_SEQUENCES: dict[str, Key] = {
    "A": curses.KEY_UP, "B": curses.KEY_DOWN, "C": curses.KEY_RIGHT, "D": curses.KEY_LEFT, "H": curses.KEY_HOME,
    "F": curses.KEY_END, "M": ENTER, "1~": curses.KEY_HOME, "3~": curses.KEY_DC, "4~": curses.KEY_END,
    "5~": curses.KEY_PPAGE, "6~": curses.KEY_NPAGE, "7~": curses.KEY_HOME, "8~": curses.KEY_END,
}  # fmt: skip
"""Keys by what follows Escape and [ or O: many terminals send others than the database of terminals says of them."""
_SAME: dict[Key, Key] = {
    "\r": ENTER,
    curses.KEY_ENTER: ENTER,
    "\x7f": curses.KEY_BACKSPACE,
    "\b": curses.KEY_BACKSPACE,
}


class UnfitTerminal(NexusError):
    """It cannot be drawn on this terminal: {reason}. ConfigTool does without."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class ScreenAttributes:
    """How the parts of the picture look: attributes of curses."""

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
    """A terminal that belongs to the program.

    Parameters
    ----------
    window
        The window of curses.
    look
        How the parts of the picture look.
    """

    def __init__(self, window: curses.window, look: ScreenAttributes) -> None:
        self.window = window
        self.look = look
        self._encoding = window.encoding
        self._cursor = (0, 0)
        self._typing = False
        window.timeout(int(TICK * 1000))
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), 0)  # a hang-up is told without asking

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""
        return self.window.getmaxyx()

    def clear(self) -> None:
        """Begin a new picture."""
        self.window.erase()
        self._typing = False

    def put(self, row: int, line: Iterable[Piece], over: int = curses.A_NORMAL) -> None:
        """Draw a line, cut to the terminal's width; with `over`, all of it looks like that, whatever its colours."""
        columns = self.size[1]
        column = 0
        for text, look in line:
            shown = cells.cut(text, columns - column)
            self._write(row, column, shown, over | (look & curses.A_BOLD) if over else look)
            column += cells.width(shown)
        if over:
            self._write(row, column, " " * (columns - column), over)

    def sentence(self, text: str) -> None:
        """Show a sentence and nothing else."""
        rows, columns = self.size
        self.clear()
        for row, part in enumerate(cells.wrapped(text, columns - 1, rows)):
            self.put(row, [(part, self.look.plain)])
        self.show()

    def place_cursor(self, row: int, column: int, *, typing: bool = False) -> None:
        """Say where the cursor stands in this picture; it is seen only for typing, but a Braille line follows it."""
        self._cursor, self._typing = (row, column), typing

    def show(self) -> None:
        """Show the picture; what is the same as before is not sent again."""
        with suppress(curses.error):  # not every terminal can hide its cursor
            curses.curs_set(int(self._typing))
        with suppress(curses.error):  # the window may have become smaller
            self.window.move(*self._cursor)
        self.window.refresh()

    def redraw(self) -> None:
        """Send everything again with the next picture."""
        self.window.clearok(True)

    def key(self) -> Key | None:
        """Return the key that was pressed, or None if there was none for `TICK` seconds."""
        try:
            key = self.window.get_wch()
        except curses.error:
            if self._poll.poll(0):  # nobody is there any more; curses would say "no key" for ever, and at once
                raise Interrupted(signal.SIGHUP) from None
            return None
        if key == ESCAPE:
            return self._sequence()
        return _SAME.get(key, key)

    def _sequence(self) -> Key | None:
        """Return the key whose sequence begins with the Escape just read; None if it is not known."""
        self.window.timeout(0)
        try:
            begin = self.window.get_wch()
            if begin not in ("[", "O"):
                _give_back(begin)
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
            text = "".join(self._plainer(character) for character in text)
        # Curses complains of the last cell of a window, after it has filled it.
        with suppress(curses.error):
            self.window.addstr(row, column, text, look)

    def _plainer(self, character: str) -> str:
        try:
            character.encode(self._encoding)
        except UnicodeEncodeError:
            return _PLAINER.get(character, "?" * cells.width(character))
        return character


@contextmanager
def full_screen(colour: bool) -> Iterator[Canvas]:
    """Take the terminal for as long as the block lasts.

    Parameters
    ----------
    colour
        Use colours, if the terminal has some.

    Raises
    ------
    UnfitTerminal
        If the terminal cannot be drawn on.
    """
    _check_terminal()
    # Curses would believe them more than the terminal, and not notice when the window's size changes.
    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)
    said = StringIO()
    try:
        with redirect_stderr(said):
            try:
                yield _begun(colour)
            finally:
                with suppress(curses.error):  # it had not come so far
                    curses.endwin()
    finally:
        if said.getvalue() and sys.stderr is not None:
            sys.stderr.write(said.getvalue())


def _begun(colour: bool) -> Canvas:
    window = curses.initscr()
    curses.noecho()
    curses.cbreak()
    window.keypad(True)
    if "ESCDELAY" not in os.environ:
        curses.set_escdelay(ESCAPE_MILLISECONDS)
    return Canvas(window, _coloured() if colour else ScreenAttributes())


def _coloured() -> ScreenAttributes:
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
    # The library itself ends the process where it does not know the terminal, or the terminal can do too little.
    name = os.environ.get("TERM", "")
    try:
        curses.setupterm()
    except curses.error:
        reason = f"its kind, TERM={name}, is not known on this machine" if name else "the variable TERM is not set"
        raise UnfitTerminal(reason=f"{reason}; TERM=xterm is understood by most") from None
    if not curses.tigetstr("cup"):
        raise UnfitTerminal(reason=f"one of its kind, TERM={name}, has no cursor that could be placed")


def _give_back(key: Key) -> None:
    if isinstance(key, str):
        curses.unget_wch(key)
    else:
        curses.ungetch(key)
