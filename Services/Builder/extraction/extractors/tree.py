"""Looks things up in the nested dictionaries that readers call original metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_MOST_KEPT = 2000
"""Entries of a branch, the first ones, that are found under another spelling; no program writes more."""


@lru_cache(maxsize=8192, typed=True)
def same(key: object) -> str:
    """Return the form of a key in which spelling differences vanish.

    Paths are written for HyperSpy's attribute-like keys (``Exposure_s``), files hold ``Exposure (s)``.
    """
    return _NOT_ALPHANUMERIC.sub("", str(key)).lower()


def child(tree: Any, key: str) -> Any:
    """Return the entry `key` of a mapping, spelled exactly or nearly so; None where there is none."""
    if isinstance(tree, dict):  # which is told at once
        if key in tree:
            return dict.get(tree, key)
    elif not isinstance(tree, Mapping):
        return None
    elif key in tree:
        return tree[key]
    wanted = same(key)
    if not wanted:
        return None
    name = _spelled(tuple(islice(tree, _MOST_KEPT))).get(wanted)
    return None if name is None else tree[name]


@lru_cache(maxsize=256)
def _spelled(names: tuple[Any, ...]) -> dict[str, Any]:
    """Return the first of the names of each form: rules look hundreds of paths up in the same trees."""
    return {same(name): name for name in reversed(names)}


def lookup(tree: Any, path: str) -> Any:
    """Return what stands at a dotted path, None where nothing does; keys that contain dots are found too."""
    value = child(tree, path)
    if value is not None or "." not in path:
        return value
    parts = path.split(".")
    for length in range(1, len(parts)):
        branch = child(tree, ".".join(parts[:length]))
        if isinstance(branch, Mapping):
            value = lookup(branch, ".".join(parts[length:]))
            if value is not None:
                return value
    return None


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at a dotted path, making the branches that are missing."""
    *branches, leaf = path.split(".")
    for branch in branches:
        following = tree.get(branch)
        if not isinstance(following, dict):
            following = tree[branch] = {}
        tree = following
    tree[leaf] = value


def leaves(tree: Mapping[str, Any]) -> int:
    """Count the values in a tree."""
    return sum(leaves(value) if isinstance(value, Mapping) else 1 for value in tree.values())
