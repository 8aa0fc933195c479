"""The tree of the configuration: moving, searching and editing."""

from __future__ import annotations

import curses
from collections.abc import Callable

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import FOLDER
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import NexusError
from NexusCore.text import counted
from Tools.common import cells
from Tools.common.cells import plain
from Tools.common.time_parser import local
from Tools.configui import describing
from Tools.configui.canvas import ESCAPE, Canvas, Line
from Tools.configui.changing import Changes, differs
from Tools.configui.editing import edit
from Tools.configui.live_menu import LiveItem, LiveMenu
from Tools.configui.outline import Outline, OutlineRow, split_at
from Tools.configui.reading import HelpMenu, HistoryMenu
from Tools.configui.recent_changes import RecentChanges
from Tools.configui.text_line import TextLine

WIDEST_NAME = 28
"""Most characters to which the names of a folder are aligned."""


class TreeItem(LiveItem):
    """A parameter or folder.

    Parameters
    ----------
    row
        Its line of the outline; depth -1 shows the whole path, as in the results of a search.
    tree
        Its menu.
    """

    def __init__(self, row: OutlineRow, tree: TreeMenu) -> None:
        super().__init__(row.node.name, tree)
        self.row = row
        self.tree = tree

    @property
    def node(self) -> ConfigParameter:
        """The parameter or folder."""
        return self.row.node

    @property
    def is_folder(self) -> bool:
        """Whether it has no value."""
        return self.node.datatype == FOLDER

    def action(self) -> None:
        """Open or close a folder; edit a parameter."""
        if self.is_folder:
            self.tree.toggle()
        else:
            self.tree.edit()

    def line(self) -> Line:
        """Return its line in the list."""
        look, comment = self.tree.canvas.look, self.node.comment
        line = self._up_to_value()
        if comment and not self.is_folder:
            line.append((f"  # {plain(comment)}", look.faint))
        return line

    def details(self) -> list[Line]:
        """Return its details below the list; the value only if it does not fit on its line."""
        look, node = self.tree.canvas.look, self.node
        held = len(self.tree.config.keys(node.path))
        facts = describing.kind(node) if not self.is_folder else f"folder of {held}" if held else "empty folder"
        paragraphs: list[Line] = [[(plain(node.path), look.strong)]]
        if sum(cells.width(text) for text, _ in self._up_to_value()) > self.tree.canvas.size[1]:
            paragraphs.append([(describing.shown(node), look.value)])
        paragraphs.append([(plain(f"{facts}{describing.age(node)}"), look.plain)])
        if node.comment:
            paragraphs.append([(plain(node.comment), look.plain)])
        return paragraphs

    def _up_to_value(self) -> Line:
        look, node, row, tree = self.tree.canvas.look, self.node, self.row, self.tree
        is_open = node.path in tree.outline.opened and row.depth >= 0
        line: Line = [("●" if tree.news_of.is_fresh(node.path) and not is_open else " ", look.fresh)]
        if row.depth < 0:
            parts = split_at(plain(node.path), tree.search_text)
            line += [(part, look.match if number % 2 else look.plain) for number, part in enumerate(parts)]
        else:
            arrow = " " if not tree.outline.holds(node) else "▾" if is_open else "▸"
            name = plain(node.name)
            padding = 0 if self.is_folder else min(row.widest, WIDEST_NAME) - len(name)
            line.append((f"{'  ' * row.depth}{arrow} ", look.faint))
            line.append((name + " " * padding, look.folder if self.is_folder else look.plain))
        return line if self.is_folder else [*line, (" = ", look.faint), (describing.shown(node), look.value)]


class TreeMenu(LiveMenu):
    """The tree.

    Parameters
    ----------
    config
        The configuration, from its root.
    canvas
        The drawing area.
    news
        The recent changes.
    warning
        Returns a sentence while the database is away.
    begin
        Initial place of the cursor.
    """

    hints = ("Enter opens, edits", "/ search", "a add", "x remove", "u undo", "? help", "q quit")
    nothing = "This version of the configuration is empty."

    def __init__(
        self,
        config: NamedConfiguration,
        canvas: Canvas,
        news: RecentChanges,
        warning: Callable[[], str],
        begin: ConfigParameter,
    ) -> None:
        super().__init__(f"Configuration, version {config.version}", canvas, news.take, warning)
        self.config = config
        self.news_of = news
        self.outline = Outline(config)
        self.search_text = ""
        self._filtering = False
        self._only_changed = False
        self._changes = Changes(self, config)
        self.user_input_handlers.update(
            {
                curses.KEY_RIGHT: self.go_in,
                curses.KEY_LEFT: self.go_out,
                ord(ESCAPE): self.go_out,
                curses.KEY_BACKSPACE: self.go_out,
                ord("/"): self.search,
                ord("n"): lambda _: self.next_match(1),
                ord("N"): lambda _: self.next_match(-1),
                ord("h"): self.show_history,
                ord("a"): self.add,
                ord("x"): self.remove,
                curses.KEY_DC: self.remove,
                ord("u"): self.undo,
                ord("c"): self.filter_changed,
                ord("?"): self.show_help,
            }
        )
        if begin.datatype == FOLDER:
            self.outline.opened.add(begin.path)
        self.go_to(begin.path)

    @property
    def chosen(self) -> ConfigParameter | None:
        """The parameter or folder at the cursor."""
        return self.current_item.node if self.items else None

    def take_over(self) -> None:
        """Update the lines; the cursor stays on its parameter or folder, if that still exists."""
        node = self.chosen
        self.refill(node.path if node is not None else "")
        newest = self.news_of.newest
        if newest is not None:
            what = newest.path if newest.path in self.config else f"{newest.path} (removed)"
            self.news = f"changed{f' {local(newest.modified_ts)[11:]}' if newest.modified_ts else ''}: {what}"

    def refill(self, path: str) -> None:
        """Show the present lines, with the cursor on a path if it exists, else where it was."""
        if self._filtering:
            rows = [OutlineRow(node, -1, 0) for node in self.outline.matches(self.search_text)]
        elif self._only_changed:
            rows = [OutlineRow(node, -1, 0) for node in self.config.get_leaves() if differs(node)]
        else:
            rows = self.outline.rows()
        matches = (number for number, row in enumerate(rows) if row.node.path == path)
        self.fill([TreeItem(row, self) for row in rows], next(matches, self.current_option))

    # -- moving ------------------------------------------------------------------------------------------------------

    def go_to(self, path: str) -> None:
        """Put the cursor on a path, and open the folders around it."""
        self.outline.open_to(path)
        self.refill(path)

    def toggle(self) -> None:
        """Open or close the folder at the cursor."""
        if self.chosen is not None:
            self.outline.opened ^= {self.chosen.path}
            self.refill(self.chosen.path)

    def go_in(self, _: int = 0) -> None:
        """Open the folder at the cursor; if it is open, go to its first child."""
        node = self.chosen
        if node is None or not self.outline.holds(node):
            return
        if node.path not in self.outline.opened:
            self.toggle()
        elif self.config.keys(node.path):
            self.step(1)

    def go_out(self, _: int = 0) -> None:
        """Close the folder at the cursor; if it is closed, or a parameter, go to its parent folder."""
        node = self.chosen
        if node is None:
            return
        folder = node.path.rpartition(".")[0]
        if node.path in self.outline.opened:
            self.toggle()
        elif folder:
            self.go_to(folder)
        else:
            self.say("This is the top; q quits.")

    # -- searching ---------------------------------------------------------------------------------------------------

    def search(self, _: int = 0) -> None:
        """Show the matches while the text is typed; Enter goes to the chosen match, Escape back."""
        self._only_changed = False
        before, search_text = self.chosen, self.search_text
        line = TextLine()

        def narrow() -> None:
            self.search_text = line.text.strip()
            self._filtering = bool(self.search_text)
            self.current_option = 0
            self.refill(before.path if before is not None and not self._filtering else "")

        self.nothing = "No path, value or comment contains this."
        text = self.ask("Search: ", line, ("Enter goes there", "↑ ↓ choose", "Esc back"), narrow)
        target = before if text is None else self.chosen or before
        if not text:
            self.search_text = search_text
        self._filtering, self.nothing = False, TreeMenu.nothing
        if target is not None:
            self.go_to(target.path)
        if text:
            self.next_match(0)

    def next_match(self, step: int) -> None:
        """Go to the next match of the last search, with step -1 to the previous match."""
        path = self.chosen.path if self.chosen is not None else ""
        place = self.outline.match(self.search_text, path, step)
        if not self.search_text:
            self.say("Search first, with /.")
        elif place is None:
            self.say(f"No path, value or comment contains '{self.search_text}'.")
        else:
            self.go_to(place.path)
            self.say(f"Match {place.number} of {place.total} for '{self.search_text}'")

    # -- Enter, h and ? ----------------------------------------------------------------------------------------------

    def edit(self) -> None:
        """Edit the value of the chosen parameter."""
        if self.chosen is not None:
            edit(self, self.config, self.chosen, self._changes.store)

    def add(self, _: int = 0) -> None:
        """Add a parameter in the folder at the cursor, or in that of the parameter there."""
        node = self.chosen
        folder = "" if node is None else node.path if node.datatype == FOLDER else node.path.rpartition(".")[0]
        path = self._changes.add(folder)
        if path is not None:
            self._only_changed = False
            self.outline.open_to(path)
            self.refill(path)

    def remove(self, _: int = 0) -> None:
        """Remove the parameter or folder at the cursor."""
        if self.chosen is not None:
            self._changes.remove(self.chosen)

    def undo(self, _: int = 0) -> None:
        """Undo the last change made here."""
        self._changes.undo()

    def filter_changed(self, _: int = 0) -> None:
        """Show only what differs from its declared default, or everything again."""
        path = self.chosen.path if self.chosen is not None else ""
        self._only_changed = not self._only_changed
        self.nothing = "Everything has its declared default." if self._only_changed else TreeMenu.nothing
        if not self._only_changed:
            self.outline.open_to(path)
        self.refill(path)
        if self._only_changed:
            self.say(f"{counted(len(self.items), 'parameter differs', 'parameters differ')} from the default; c ends.")

    def show_history(self, _: int = 0) -> None:
        """Show the history of the chosen parameter."""
        node = self.chosen
        if node is None:
            return
        if not node.revision:
            self.say("This folder has no history of its own, but its parameters have.")
            return
        try:
            entries = self.wait_for(lambda: self.config.history(node.path))
        except NexusError as error:
            self.refuse(error)
            return
        HistoryMenu(self, self.config, node, entries).show()
        self.take_over()

    def show_help(self, _: int = 0) -> None:
        """Show the help."""
        HelpMenu(self).show()
        self.take_over()
