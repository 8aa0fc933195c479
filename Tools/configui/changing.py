"""Adding, removing and undoing in ConfigUI, and what differs from the declared defaults."""

from __future__ import annotations

from collections.abc import Sequence

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import REMOVE, Edit
from NexusCore.config.values import FOLDER
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import NexusError
from NexusCore.text import counted
from Tools.common import declared, undoing
from Tools.common.changes import assigned
from Tools.common.configuration import StoredConfiguration
from Tools.configui.live_menu import LiveMenu
from Tools.configui.text_line import TextLine

PATH_HINTS = ("Enter goes on", "Esc cancels")
VALUE_HINTS = ("Enter stores", "Esc back to the path")
YES_HINTS = ("y and Enter goes on", "Esc cancels")


class Changes:
    """The changes of one sitting, so that the last one can be undone.

    Parameters
    ----------
    menu
        Where to ask.
    config
        The configuration, from its root.
    """

    def __init__(self, menu: LiveMenu, config: NamedConfiguration) -> None:
        self._menu = menu
        self._config = config
        self._made: list[tuple[int, int]] = []
        """First and last revision of each change, the newest last."""

    def store(self, edits: Sequence[Edit], why: str | None) -> bool:
        """Store changes, all or none; return whether anything changed."""
        revisions = self._menu.wait_for(lambda: self._config.store_edits(edits, why))
        if revisions:
            self._made.append((revisions[0], revisions[-1]))
        return bool(revisions)

    def add(self, folder: str) -> str | None:
        """Ask for path and value of a new parameter, and add it; return its path, None if nothing was added."""
        path_line, value_line = TextLine(f"{folder}." if folder else ""), TextLine()
        while True:
            path = self._menu.ask("New parameter: ", path_line, PATH_HINTS)
            if path is None or not path.strip():
                self._menu.say("Nothing was added.")
                return None
            path = path.strip().rstrip(".")
            if path in self._config:
                self._menu.refuse(f"'{path}' exists already; Enter on it changes it.")
                continue
            value = self._menu.ask(f"{path} = ", value_line, VALUE_HINTS)
            if value is None:
                continue
            try:
                edits = declared.completed([assigned(f"{path}={value}", {})], {}, known_names=True)
                self.store([Edit(path, value=edits[0].value, datatype=edits[0].datatype, comment=edits[0].comment,
                                 limits=edits[0].limits, if_revision=0)], "added in ConfigUI")  # fmt: skip
            except declared.NothingReads as error:
                self._menu.refuse(f"{error.facts['reason']} ConfigTool add adds it all the same.")
                continue
            except NexusError as error:
                self._menu.refuse(error)
                continue
            self._menu.say(f"Added {path}; u undoes it.")
            return path

    def remove(self, node: ConfigParameter) -> None:
        """Ask, and remove a parameter, or a folder with its contents; what a program needs gets its default."""
        leaves = [node] if node.datatype != FOLDER else list(self._config.get_leaves(node.path))
        own = [node] if node.datatype == FOLDER and node.revision else []
        edits = declared.completed([Edit(one.path, REMOVE, if_there=True) for one in [*leaves, *own]], {})
        kept = sum(edit.action != REMOVE for edit in edits)
        what = node.path if node.datatype != FOLDER else f"{node.path}, {counted(len(leaves), 'parameter')}"
        rest = f" Programs need {kept} of these, which get the default." if kept else ""
        self._menu.say(f"Remove {what}?{rest}")
        answer = self._menu.ask("y removes: ", TextLine(), YES_HINTS)
        if answer is None or answer.strip().lower() not in ("y", "yes"):
            self._menu.say("Nothing was removed.")
            return
        try:
            changed = self.store(edits, "removed in ConfigUI")
        except NexusError as error:
            self._menu.refuse(error)
            return
        self._menu.take_over()
        self._menu.say(f"Removed {what}; u undoes it." if changed else "It has its default already.")

    def undo(self) -> None:
        """Undo the newest change of this sitting, unless somebody has changed the same since."""
        if not self._made:
            self._menu.say("Nothing was changed here. ConfigTool rollback undoes the changes of others.")
            return
        first, last = self._made[-1]
        try:
            undone, left = self._menu.wait_for(lambda: self._undone(first, last))
        except NexusError as error:
            self._menu.refuse(error)
            return
        self._made.pop()
        self._menu.take_over()
        also = f"; {counted(left, 'parameter was', 'parameters were')} changed again since" if left else ""
        which = f"revision {first}" if first == last else f"revisions {first} to {last}"
        self._menu.say(f"Undone: {counted(undone, 'change')} of {which}{also}.")

    def _undone(self, first: int, last: int) -> tuple[int, int]:
        store = self._config.store
        stored = StoredConfiguration(store, self._config.version, store.version_id(self._config.version))
        edits, left = undoing.undone(first, last, stored)
        return len(self._config.store_edits(edits, f"undone in ConfigUI: revision {first}")) if edits else 0, len(left)


def differs(node: ConfigParameter) -> bool:
    """Return whether a parameter has another value than its declared default."""
    item = declared.catalogue().find(node.path)
    return item is not None and node.datatype != FOLDER and (node.withheld or node.value != item.default)
