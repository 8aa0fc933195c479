"""A menu of curses-menu that fits any terminal, scrolls, takes typed text, and shows changes while it is open.

The library itself writes lines wider than the terminal, for which curses raises an exception; it draws all items,
visible or not; and it reacts only to the keyboard.
"""

from __future__ import annotations

import curses
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TypeVar

from cursesmenu import CursesMenu, ItemGroup  # type: ignore[import-untyped]  # it has annotations, but no py.typed
from cursesmenu.items import MenuItem  # type: ignore[import-untyped]

from NexusCore.errors import EXIT_UNREACHABLE, NexusError
from NexusCore.threads import start_thread
from Tools.common import cells
from Tools.configui.canvas import ENTER, ESCAPE, Canvas, Line
from Tools.configui.text_line import Key, TextLine

T = TypeVar("T")

LEAST_ROWS, LEAST_COLUMNS = 10, 40
"""Lines and columns below which only a sentence is shown."""
NOTICE_SECONDS = 0.5
"""Seconds after which a notice says that the database has not answered."""
_CHARACTERS = 256
"""From this number on, keys and characters overlap."""


class OutcomeUnknown(NexusError):
    """The database has not answered: it is not known whether the change was made."""

    exit_code = EXIT_UNREACHABLE


class LiveItem(MenuItem):  # type: ignore[misc]  # the library has no py.typed
    """An item of a `LiveMenu`."""

    def line(self) -> Line:
        """Return its line in the list."""
        raise NotImplementedError

    def details(self) -> list[Line]:
        """Return its details below the list, as paragraphs."""
        raise NotImplementedError


class LiveMenu(CursesMenu):  # type: ignore[misc]  # the library has no py.typed
    """A list with a cursor, and below it the details of the chosen item and a line for messages and typing.

    Parameters
    ----------
    title
        Text above the list.
    canvas
        The drawing area.
    changed
        Takes outside changes and returns whether the screen is affected; called continuously.
    warning
        Returns a sentence for the line below the title, or an empty text.
    """

    hints: Sequence[str] = ()
    """The most important keys, for the last line."""
    nothing = ""
    """Text for an empty list."""

    def __init__(self, title: str, canvas: Canvas, changed: Callable[[], bool], warning: Callable[[], str]) -> None:
        super().__init__(title, show_exit_item=False)
        self.canvas = canvas
        self.news = ""
        """Text at the right of the title."""
        self.changed = changed
        self.warning = warning
        self._warned = ""
        self._message: tuple[str, int] | None = None
        self._typing: tuple[str, TextLine] | None = None
        self._typing_hints: Sequence[str] = ()
        self._top = 0
        self._height = 1
        for digit in range(1, 10):
            del self.user_input_handlers[ord(str(digit))]
        self.user_input_handlers.update(
            {
                ord("q"): self.leave,
                curses.KEY_NPAGE: lambda _: self.step(self._height),
                curses.KEY_PPAGE: lambda _: self.step(-self._height),
                curses.KEY_HOME: lambda _: self.step(-len(self.items)),
                curses.KEY_END: lambda _: self.step(len(self.items)),
                0x0C: lambda _: self.canvas.redraw(),  # Ctrl-L
            }
        )

    # -- methods that the library calls ------------------------------------------------------------------------------

    @property
    def all_items(self) -> ItemGroup:
        """The items; the library would copy them for each key."""
        return self.items

    def show(self) -> object:
        """Show the menu until it is left; unlike the library, on the calling thread, which gets the signals."""
        CursesMenu.stdscr = self.screen = self.canvas.window
        self.should_exit = False
        while not self.should_exit:
            self.process_user_input()
        return self.returned_value

    def process_user_input(self) -> Key:
        """Wait for a key and handle it."""
        key = self.get_input()
        self._message = None
        self._do(key)
        return key

    def get_input(self) -> Key:
        """Wait for a key; meanwhile, show changes."""
        self.draw()
        while True:
            key = self.canvas.key()
            if key is not None and (self.is_shown or key == curses.KEY_RESIZE or (key == "q" and not self._typing)):
                return key
            if self.changed():
                self.take_over()
                self.draw()
            elif self.warning() != self._warned:
                self.draw()

    @property
    def is_shown(self) -> bool:
        """Whether the window is large enough; otherwise typing is ignored."""
        rows, columns = self.canvas.size
        return rows >= LEAST_ROWS and columns >= LEAST_COLUMNS

    def select(self, _: int = 0) -> None:
        """Run the action of the chosen item."""
        if self.items:
            self.current_item.action()

    def go_up(self, _: int = 0) -> None:
        """Choose the item above."""
        self.step(-1)

    def go_down(self, _: int = 0) -> None:
        """Choose the item below."""
        self.step(1)

    def on_resize(self, _: int = 0) -> None:
        """Redraw in the new size."""
        self.canvas.redraw()

    def leave(self, _: int = 0) -> None:
        """Leave the menu."""
        self.should_exit = True

    # -- updates -----------------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Update the items; called after a change."""

    def fill(self, items: Sequence[LiveItem], chosen: int) -> None:
        """Replace the items, and choose one by number."""
        self.items = ItemGroup(self, items)
        self.current_option = max(0, min(chosen, len(items) - 1))

    def step(self, by: int) -> None:
        """Choose the item `by` lines further down, within the list."""
        self.current_option = max(0, min(self.current_option + by, len(self.items) - 1))

    def say(self, text: str, look: int | None = None) -> None:
        """Show a message until the next key."""
        self._message = (text, self.canvas.look.strong if look is None else look)

    def refuse(self, error: object) -> None:
        """Show an error until the next key."""
        self.say(str(error), self.canvas.look.fault)

    def ask(
        self, label: str, line: TextLine, hints: Sequence[str], typed: Callable[[], object] | None = None
    ) -> str | None:
        """Let the user type a text; return it after Enter, None after Escape.

        Parameters
        ----------
        label
            Text before the line.
        line
            The initial text; it keeps what was typed.
        hints
            The keys, for the last line.
        typed
            Called after each change of the text. With it, keys without a meaning for the text move in the list.
        """
        self._typing, self._typing_hints = (label, line), hints
        try:
            while True:
                key = self.get_input()
                if key in (ENTER, ESCAPE):
                    self._message = None
                    return line.text if key == ENTER else None
                if line.press(key):
                    if typed is not None:
                        typed()
                elif typed is not None or key == curses.KEY_RESIZE:
                    self._do(key)
        finally:
            self._typing = None

    def wait_for(self, work: Callable[[], T]) -> T:
        """Return the result of `work` with the database; Escape stops waiting for it.

        Keys pressed during the first moment are handled afterwards.

        Raises
        ------
        OutcomeUnknown
            If the user stopped waiting.
        """
        outcome = start_thread(work)
        if not wait([outcome], NOTICE_SECONDS).done:
            self.say("The database has not answered yet. Esc stops waiting.")
            while not outcome.done():
                self.draw()
                key = self.canvas.key()
                if key == ESCAPE:
                    raise OutcomeUnknown
            self._message = None
        return outcome.result()

    def _do(self, key: Key) -> None:
        number = ord(key) if isinstance(key, str) else key
        if isinstance(key, int) or number < _CHARACTERS:
            self.user_input_handlers[number](number)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the visible part of the menu."""
        canvas = self.canvas
        rows, columns = canvas.size
        if not self.is_shown:
            least = f"{LEAST_COLUMNS} x {LEAST_ROWS}"
            canvas.sentence(f"This window has {columns} x {rows} characters; ConfigUI needs {least}.")
            return
        canvas.clear()
        self._warned = self.warning()
        canvas.put(0, self._title(columns), canvas.look.bar)
        if self._warned:
            canvas.put(1, [(f" {cells.plain(self._warned)}", canvas.look.fault)])
        first = 2 if self._warned else 1
        self._draw_items(first, self._draw_foot(rows, columns, first))
        if self._typing is not None:
            self._draw_typing(rows - 2, columns, *self._typing)
        canvas.show()

    def _title(self, columns: int) -> Line:
        left = f" {cells.plain(self.title)} "
        room = columns - cells.width(left)
        right = cells.cut(cells.plain(self.news), room - 1) if room > LEAST_COLUMNS // 2 else ""
        return [(left, curses.A_BOLD), (" " * (room - cells.width(right) - 1) + right, curses.A_NORMAL)]

    def _draw_items(self, first: int, last: int) -> None:
        """Draw the items that fit from line `first` to before line `last`."""
        self._height = max(1, last - first)
        self._top = max(self.current_option - self._height + 1, min(self._top, self.current_option))
        self._top = max(0, min(self._top, len(self.items) - self._height))
        for number, item in enumerate(self.items.items[self._top : self._top + self._height], self._top):
            chosen = curses.A_REVERSE if number == self.current_option else curses.A_NORMAL
            self.canvas.put(first + number - self._top, item.line(), chosen)
        self.canvas.place_cursor(first + self.current_option - self._top, 0)
        if not self.items:
            self.canvas.put(first, [(f" {self.nothing}", self.canvas.look.faint)])

    def _draw_foot(self, rows: int, columns: int, first: int) -> int:
        """Draw details, messages, the typed text and hints; return the first of these lines."""
        # A line is reserved for messages, so that the list does not jump; longer messages displace details.
        below = self._message_lines(columns, rows - first - 4) or [[]]
        room = max(0, self.room_for_details(rows) + 1 - len(below))
        details = self._detail_lines(columns, room)
        rule: Line = [("─" * columns, self.canvas.look.faint)]
        lines = [rule, *details, *[[]] * (room - len(details)), *below]
        begin = rows - 1 - len(lines)
        for row, line in enumerate(lines, begin):
            self.canvas.put(row, line)
        self.canvas.put(rows - 1, self._hint_line(columns))
        return begin

    def room_for_details(self, rows: int) -> int:
        """Return the number of lines for details."""
        return 5 if rows >= 22 else 3 if rows >= 12 else 2

    def _detail_lines(self, columns: int, most: int) -> list[Line]:
        """Return the details of the chosen item as lines; long paragraphs are cut in favour of those below them."""
        if most <= 0:
            return []
        paragraphs = self.current_item.details() if self.items else []
        lines: list[Line] = []
        for number, pieces in enumerate(paragraphs):
            room = most - len(lines) - (len(paragraphs) - number - 1)
            text, look = "".join(text for text, _ in pieces), pieces[0][1]
            if cells.width(text) < columns - 1:
                lines.append([(" ", look), *pieces])
            else:
                lines += [[(" " + part, look)] for part in cells.wrapped(text, columns - 2, max(1, room))]
        return lines[:most]

    def _message_lines(self, columns: int, most: int) -> list[Line]:
        typed: list[Line] = [] if self._typing is None else [[]]
        if self._message is None:
            return typed
        text, look = self._message
        parts = cells.wrapped(cells.plain(text), columns - 2, most - len(typed))
        return [*([(f" {part}", look)] for part in parts), *typed]

    def _draw_typing(self, row: int, columns: int, label: str, line: TextLine) -> None:
        label = f" {cells.cut(label, columns // 2)}"
        text, place = line.view(columns - cells.width(label))
        self.canvas.put(row, [(label, self.canvas.look.strong), (text, self.canvas.look.plain)])
        self.canvas.place_cursor(row, cells.width(label) + place, typing=True)

    def _hint_line(self, columns: int) -> Line:
        shown = ""
        for hint in self._typing_hints if self._typing is not None else self.hints:
            longer = f"{shown}   {hint}" if shown else f" {hint}"
            if cells.width(longer) > columns:
                break
            shown = longer
        return [(shown, self.canvas.look.faint)]
