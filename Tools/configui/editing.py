"""Editing the value of a parameter; the typed text is kept until it is stored or cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import Edit
from NexusCore.config.values import encode
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import NexusError
from Tools.common.cells import plain
from Tools.configui import describing
from Tools.configui.live_menu import LiveMenu
from Tools.configui.text_line import TextLine

Store = Callable[[Sequence[Edit], str | None], object]

VALUE_HINTS = ("Enter stores", "Esc cancels")
CHOICE_HINTS = ("Enter stores", "↑ ↓ choose", "Esc cancels")
WHY_HINTS = ("Enter stores, with or without a reason", "Esc back to the value")


def edit(menu: LiveMenu, config: NamedConfiguration, node: ConfigParameter, store: Store) -> None:
    """Let the user type a new value and a reason, and store them.

    Parameters
    ----------
    menu
        Where to ask.
    config
        The configuration, from its root.
    node
        The parameter.
    store
        Stores changes, with a reason.
    """
    editing = _Editing(menu, config, node, store)
    while not editing.is_done():
        pass


class _Editing:
    """A change of a parameter, from the first key to the last."""

    def __init__(self, menu: LiveMenu, config: NamedConfiguration, node: ConfigParameter, store: Store) -> None:
        self._store = store
        self._menu = menu
        self._config = config
        self._node = node
        self._hidden = node.limits.secret
        self._value = TextLine(
            "" if self._hidden else encode(node.value) or "",
            hidden=self._hidden,
            choices=() if self._hidden else describing.choices(node),
        )
        self._why = TextLine()
        self._revision = node.revision
        """The revision that the user saw; a later change by others is not overwritten silently."""

    def is_done(self) -> bool:
        """Ask once; return whether editing has ended."""
        node, menu = self._node, self._menu
        hints = CHOICE_HINTS if self._value.choices else VALUE_HINTS
        label = f"{plain(node.name)} (hidden) = " if self._hidden else f"{plain(node.name)} = "
        text = menu.ask(label, self._value, hints)
        if text is None or (self._hidden and not text):
            menu.say("Not changed.")
            return True
        if node.path not in self._config:
            menu.refuse(f"'{node.path}' was removed in the meantime; Esc cancels, and a adds it.")
            return False
        try:
            value = describing.checked(node, text)
        except NexusError as error:
            menu.refuse(describing.sentence(error, node))
            return False
        if value == node.value or (node.value is None and not text):
            menu.say(f"{node.path} is already {describing.shown(node) or 'empty'}.")
            return True
        return self._is_as_seen() and self._is_stored(text)

    def _is_as_seen(self) -> bool:
        node = self._node
        if node.revision == self._revision:
            return True
        self._revision = node.revision
        self._menu.refuse(
            f"It was changed to {describing.shown(node)} in the meantime. Enter stores your value anyway."
        )
        return False

    def _is_stored(self, text: str) -> bool:
        node, menu, old = self._node, self._menu, describing.shown(self._node)
        why = menu.ask("Why? ", self._why, WHY_HINTS)
        if why is None:
            return False
        try:
            self._store([Edit(node.path, value=text, if_revision=self._revision)], why.strip() or None)
        except NexusError as error:
            menu.refuse(describing.sentence(error, node))
            return False
        was = "" if self._hidden else f", was {old or 'empty'}"
        menu.take_over()
        menu.say(f"Stored as revision {node.revision}: {node.name} = {describing.shown(node)}{was}")
        return True
