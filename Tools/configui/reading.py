"""Read-only pages: the history of a parameter, and the help."""

from __future__ import annotations

import curses
from collections.abc import Sequence

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import REMOVE, HistoryEntry
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import NexusError
from Tools.common import cells
from Tools.common.cells import plain
from Tools.common.time_parser import local
from Tools.configui.canvas import ESCAPE, Line
from Tools.configui.live_menu import LiveItem, LiveMenu

KEY_COLUMNS = 8

HELP = (
    ("↑ ↓", "move; also Page up and down, Home, End"),
    ("Enter", "open or close a folder, edit a parameter"),
    ("→", "open a folder, or go into an open one"),
    ("← Esc", "close a folder, or go to its parent"),
    ("/", "search paths, values and comments while you type"),
    ("n N", "go to the next match, to the previous match"),
    ("h", "history: who changed a parameter, when, to what and why"),
    ("a", "add a parameter to the folder at the cursor"),
    ("x Del", "remove the parameter or folder at the cursor, after a question"),
    ("u", "undo the last change made here; again for the one before"),
    ("c", "show only what differs from its declared default, or everything again"),
    ("Ctrl-L", "redraw the screen"),
    ("q", "quit; everything is saved already"),
    ("", ""),
    ("●", "changed within the last minute, by any user; the newest change is at the top right"),
    ("*****", "a secret, which is never shown"),
    ("", ""),
    ("Editing", "Enter stores, Esc cancels. ↑ ↓ go through the choices, if there are any. "
     "Ctrl-A and Ctrl-E go to the ends, Ctrl-U, Ctrl-K and Ctrl-W erase, as in a shell."),
    ("", "A value must fit the parameter's type and limits. A reason is optional; the history keeps it."),
    ("", "What a program needs is not removed: it gets its default. u undoes what was done since ConfigUI began."),
)  # fmt: skip
"""Keys and signs, with their meaning."""


class ReadingMenu(LiveMenu):
    """A page that q, Escape or the left arrow close.

    Parameters
    ----------
    title
        Text above it.
    parent
        The menu before it.
    """

    hints = ("↑ ↓ move", "Esc back")

    def __init__(self, title: str, parent: LiveMenu) -> None:
        super().__init__(title, parent.canvas, parent.changed, parent.warning)
        self.parent = parent
        for key in (ord(ESCAPE), curses.KEY_LEFT, curses.KEY_BACKSPACE):
            self.user_input_handlers[key] = self.leave


class EntryItem(LiveItem):
    """A change in the history.

    Parameters
    ----------
    entry
        Its entry in the history.
    """

    def __init__(self, entry: HistoryEntry) -> None:
        super().__init__(str(entry.revision))
        self.entry = entry
        self.value = "" if entry.new_value is None else plain(entry.new_value) or "''"
        if entry.action == REMOVE:
            self.value = "removed"

    def line(self) -> Line:
        """Return its line in the list."""
        look, entry = self.menu.canvas.look, self.entry
        return [
            (f" {local(entry.ts)}  ", look.faint),
            (plain(entry.who), look.plain),
            ("  ", look.plain),
            (self.value, look.fault if entry.action == REMOVE else look.value),
            (f"  {plain(entry.why)}" if entry.why else "", look.faint),
        ]

    def details(self) -> list[Line]:
        """Return its details below the list."""
        look, entry = self.menu.canvas.look, self.entry
        where = f"{entry.who} at {entry.host}" if entry.host else entry.who
        return [
            [(self.value, look.value)],
            [(plain(f"revision {entry.revision}, {local(entry.ts)}, by {where} with {entry.tool}"), look.plain)],
            [(plain(entry.why) if entry.why else "no reason given", look.plain)],
        ]


class HistoryMenu(ReadingMenu):
    """The changes of a parameter, newest first.

    Parameters
    ----------
    parent
        The menu before it.
    config
        The configuration, from its root.
    node
        The parameter.
    entries
        Its history so far.
    """

    def __init__(
        self, parent: LiveMenu, config: NamedConfiguration, node: ConfigParameter, entries: Sequence[HistoryEntry]
    ) -> None:
        super().__init__(f"History of {node.path}", parent)
        self._config = config
        self._node = node
        self._fill(entries)

    def take_over(self) -> None:
        """Update the history; the cursor stays on its entry, or on the newest."""
        if self._revision == self._node.revision:
            return
        try:
            self._fill(self.wait_for(lambda: self._config.history(self._node.path)))
        except NexusError as error:
            self.refuse(error)

    def _fill(self, entries: Sequence[HistoryEntry]) -> None:
        self._revision = entries[0].revision if entries else 0
        further = len(entries) - len(self.items) if self.current_option else 0
        self.fill([EntryItem(entry) for entry in entries], self.current_option + further)


class HelpItem(LiveItem):
    """A line of the help."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key

    def line(self) -> Line:
        """Return its line in the list."""
        look = self.menu.canvas.look
        return [(f" {self.key}{' ' * (KEY_COLUMNS - cells.width(self.key))}", look.strong), (self.text, look.plain)]

    def details(self) -> list[Line]:
        """Return nothing: the line is complete."""
        return []


class HelpMenu(ReadingMenu):
    """What the keys do.

    Parameters
    ----------
    parent
        The menu before it.
    """

    def __init__(self, parent: LiveMenu) -> None:
        super().__init__("ConfigUI, help", parent)
        self._wrap()

    def on_resize(self, _: int = 0) -> None:
        """Redraw in the new size."""
        super().on_resize()
        self._wrap()

    def room_for_details(self, rows: int) -> int:
        """Return how many lines of a window are for details."""
        return 0

    def _wrap(self) -> None:
        columns = self.canvas.size[1] - KEY_COLUMNS - 2
        items = []
        for key, what in HELP:
            first, *further = cells.wrapped(what, columns, len(what)) or [""]
            items += [HelpItem(key, first), *(HelpItem("", part) for part in further)]
        self.fill(items, self.current_option)
