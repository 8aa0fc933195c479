"""Finds entries of a vendor's metadata by the names that HyperSpy's browser of trees gives them.

That browser makes an attribute of every entry of a tree before one of them can be asked for; here, only the
dictionaries on the way to an entry are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from Services.Builder.extraction.signals.libraries import hyperspy

OBJECTS = ("_sig_", "_hspy_AxesManager_", "_hspy_Axis_")
"""How keys begin that HyperSpy takes for objects to be made."""
ABSENT = object()
"""Stands for an entry that there is not."""


class NeedsBrowser(Exception):
    """HyperSpy's browser may see something else than what stands in the dictionaries."""


class Branch:
    """Part of a tree, as the functions of readers ask for what is in it.

    What else they may ask of HyperSpy's browser is noted in `asked_for_more`, and refused.
    """

    def __init__(self, tree: dict[Any, Any]) -> None:
        self._tree = tree
        self._known: dict[int, dict[str, str]] = {}
        self.asked_for_more = False

    def at(self, path: str) -> Any:
        """Return the value at a path, a dictionary as it is; `ABSENT` where there is none; raises `NeedsBrowser`."""
        value: Any = self._tree
        for part in path.split("."):
            if not isinstance(value, dict):
                if isinstance(value, Mapping):
                    raise NeedsBrowser
                return ABSENT
            name = named(part)
            if _is_method(name):
                raise NeedsBrowser
            keys = self._known.get(id(value))
            if keys is None:
                keys = self._known[id(value)] = _keys_by_name(value)
            if name not in keys:
                return ABSENT
            value = value[keys[name]]
        return value

    def get_item(self, path: str, default: Any = None) -> Any:
        """Return the value at a path, as HyperSpy's browser does."""
        value = self._looked_up(path)
        return default if value is ABSENT else value

    def keys(self) -> list[str]:
        """Return the names of the entries, as HyperSpy's browser does."""
        return sorted(name for name in _keys_by_name(self._tree) if not name.startswith("_"))

    def __contains__(self, path: str) -> bool:
        return self._looked_up(path) is not ABSENT

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __getattr__(self, name: str) -> Any:  # of what is no method
        if not name.startswith("__"):
            value = self._looked_up(name)
            if value is not ABSENT:
                return value
        raise AttributeError(name)

    def _looked_up(self, path: str) -> Any:
        try:
            value = self.at(path)
        except NeedsBrowser:
            self.asked_for_more = True
            raise
        if isinstance(value, dict):
            self.asked_for_more = True
            raise NeedsBrowser
        return value


def _keys_by_name(tree: dict[Any, Any]) -> dict[str, str]:
    names = {named(key): key for key in tree}
    if len(names) < len(tree):
        raise NeedsBrowser
    return names


@lru_cache(4096)
def named(key: object) -> str:
    """Return what HyperSpy calls an entry."""
    if not isinstance(key, str) or key.startswith(OBJECTS):
        raise NeedsBrowser
    if key.isascii() and key.isidentifier():
        return key
    return str(hyperspy().utils.slugify(key, valid_variable_name=True))


@lru_cache(1024)
def _is_method(name: str) -> bool:
    return hasattr(hyperspy().utils.DictionaryTreeBrowser, name)
