"""A line of text for typing."""

from __future__ import annotations

import curses
from collections.abc import Sequence

from Tools.common import cells

Key = str | int
"""A character, or the curses number of a key without one."""

MASK_CHARACTER = "*"
"""Shown for each character of a secret."""


class TextLine:
    """A text with a cursor.

    Parameters
    ----------
    text
        The initial text.
    hidden
        Whether to mask its characters.
    choices
        Texts that the up and down arrows select in turn.
    """

    def __init__(self, text: str = "", *, hidden: bool = False, choices: Sequence[str] = ()) -> None:
        self.text = text
        self.place = len(text)
        self.choices = choices
        self._hidden = hidden
        self._first = 0
        """The first visible character, if not all fit."""

    def press(self, key: Key) -> bool:
        """Handle a key; return whether it has a meaning here."""
        if isinstance(key, str) and key.isprintable():
            self._replace(self.place, self.place, key)
            return True
        action = _KEY_ACTIONS.get(key)
        if action is not None:
            action(self)
            return True
        if self.choices and key in (curses.KEY_UP, curses.KEY_DOWN):
            self._choose(1 if key == curses.KEY_DOWN else -1)
            return True
        return False

    def view(self, columns: int) -> tuple[str, int]:
        """Return the part of the text that fits `columns` cells, and the cell of the cursor in it."""
        shown = MASK_CHARACTER * len(self.text) if self._hidden else cells.in_place(self.text)
        room = columns - 2  # a cell before the text for the ellipsis, and a cell after it for the cursor
        first = self.place - cells.fitting(shown[max(0, self.place - room) : self.place][::-1], room)
        self._first = max(first, min(self._first, self.place))
        if not self._first:
            room += 1
        before = cells.ELLIPSIS if self._first else ""
        part = shown[self._first :]
        visible = before + part[: cells.fitting(part, room)]
        return visible, cells.width(before + shown[self._first : self.place])

    def _replace(self, begin: int, end: int, text: str = "") -> None:
        self.text = self.text[:begin] + text + self.text[end:]
        self.place = begin + len(text)

    def _choose(self, step: int) -> None:
        if self.text in self.choices:
            number = (self.choices.index(self.text) + step) % len(self.choices)
        else:
            number = 0 if step > 0 else -1
        self._replace(0, len(self.text), self.choices[number])

    def _left(self) -> None:
        self.place = max(0, self.place - 1)

    def _right(self) -> None:
        self.place = min(len(self.text), self.place + 1)

    def _home(self) -> None:
        self.place = 0

    def _end(self) -> None:
        self.place = len(self.text)

    def _erase_left(self) -> None:
        self._replace(max(0, self.place - 1), self.place)

    def _erase_right(self) -> None:
        self._replace(self.place, self.place + 1)

    def _erase_word(self) -> None:
        self._replace(
            self.text.rstrip(
                " ",
            ).rfind(" ", 0, self.place)
            + 1,
            self.place,
        )

    def _erase_to_begin(self) -> None:
        self._replace(0, self.place)

    def _erase_to_end(self) -> None:
        self._replace(self.place, len(self.text))


_KEY_ACTIONS = {
    curses.KEY_LEFT: TextLine._left,
    curses.KEY_RIGHT: TextLine._right,
    curses.KEY_HOME: TextLine._home,
    curses.KEY_END: TextLine._end,
    curses.KEY_BACKSPACE: TextLine._erase_left,
    curses.KEY_DC: TextLine._erase_right,
    # As in a shell.
    "\x01": TextLine._home,
    "\x05": TextLine._end,
    "\x0b": TextLine._erase_to_end,
    "\x15": TextLine._erase_to_begin,
    "\x17": TextLine._erase_word,
}
