"""Translates a vendor's metadata into HyperSpy's tree, by the mapping that RosettaSciIO returns with them.

A mapping names entries of the vendor's tree by paths, each with the place and the conversion of its value. HyperSpy's
browser of trees makes an attribute of each entry, which takes longer than reading the file. So the paths are followed
in the dictionaries themselves, by HyperSpy's rule for names (`slugify`); where the browser may see something else
(two entries of one name, a conversion that yields a tree), it is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.signals.entries import ABSENT, OBJECTS, Branch, NeedsBrowser
from Services.Builder.extraction.signals.libraries import hyperspy

_log = logging.getLogger("hyperspy.nexuscore")
Converter = Callable[[Any], Any]
Targets = Mapping[str, tuple[str, Converter | None] | None]
"""Place in the metadata and conversion, by the path of an entry."""


def translated(metadata: Mapping[Any, Any], original: Mapping[Any, Any], mapping: Targets | None) -> dict[str, Any]:
    """Return the metadata that a reader's dictionary has, and those that its mapping yields from the vendor's.

    One function of the mapping that fails costs its entry.

    Parameters
    ----------
    metadata
        Those in HyperSpy's layout.
    original
        The vendor's.
    mapping
        The reader's; None or empty where it has none.
    """
    given = plain(metadata)
    if not mapping:
        return given
    try:
        further = _followed(original, mapping)
    except NeedsBrowser:
        further = _browsed(original, mapping)
    return _merged(given, further)


def plain(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a copy without what HyperSpy would make objects of, wherever it stands."""
    return {str(key): _without_objects(value) for key, value in tree.items() if not str(key).startswith(OBJECTS)}


def _followed(original: Mapping[Any, Any], mapping: Targets) -> dict[str, Any]:
    """Return what a mapping yields, found in the dictionaries; raises `NeedsBrowser`."""
    if not isinstance(original, dict):
        raise NeedsBrowser
    root = Branch(original)
    # all of them are looked for first: what a conversion has logged cannot be taken back
    values = [(path, target, root.at(path)) for path, target in mapping.items() if target]
    further: dict[str, Any] = {}
    failures: list[tuple[str, Exception]] = []
    for path, (where, convert), value in values:
        given = Branch(value) if isinstance(value, dict) else value
        try:
            result = convert(given) if convert and value is not ABSENT else given
        except Exception as error:  # noqa: BLE001 - a foreign conversion of one entry; it is recorded
            result = None
            failures.append((path, error))
        if isinstance(result, Mapping | Branch) or (isinstance(given, Branch) and given.asked_for_more):
            raise NeedsBrowser
        if result is not ABSENT and result is not None:
            _put(further, where, result)
    for path, failure in failures:
        _log_failure(path, failure)
    return plain(further)


def _put(tree: dict[str, Any], where: str, value: Any) -> None:
    *above, last = where.split(".")
    for part in above:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise NeedsBrowser
    if isinstance(tree.get(last), dict):
        raise NeedsBrowser
    tree[last] = value


def _browsed(original: Mapping[Any, Any], mapping: Targets) -> dict[str, Any]:
    """Return what a mapping yields, from HyperSpy's browsers of the trees."""
    browser = hyperspy().utils.DictionaryTreeBrowser
    given, further = browser(_asked_for(original, _branches(mapping))), browser()
    for path, target in mapping.items():
        try:
            if not target or path not in given:
                continue
            where, convert = target
            value = given.get_item(path)
            value = convert(value) if convert else value
            if value is not None:
                further.set_item(where, value)
        except Exception as error:  # noqa: BLE001 - a foreign conversion of one entry; it is recorded, the entry kept
            _log_failure(path, error)
    return plain(further.as_dictionary())


def _log_failure(path: str, error: Exception) -> None:
    _log.warning("the entry %s could not be converted: %s", path, one_line(error))


def _branches(paths: Iterable[str]) -> dict[str, Any]:
    """Return the tree that some paths are of: their parts as keys, None at the end of each."""
    branches: dict[str, Any] = {}
    for path in paths:
        *above, last = str(path).split(".")
        branch = branches
        for part in above:
            branch = branch.setdefault(part, {})
            if branch is None:  # all of it is asked for
                break
        else:
            branch[last] = None
    return branches


def _asked_for(given: Mapping[Any, Any], branches: Mapping[str, Any]) -> dict[Any, Any]:
    """Return what a mapping can ask for, in a copy: HyperSpy makes an attribute of each entry that its tree is given.

    An entry whose name is no plain word is kept: HyperSpy calls it something else.
    """
    kept = {}
    for key, value in given.items():
        plain = isinstance(key, str) and key.isascii() and key.isidentifier()
        if plain and key not in branches:
            continue
        branch = branches[key] if plain else None
        kept[key] = value if branch is None or type(value) is not dict else _asked_for(value, branch)
    return kept


def _merged(given: dict[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Return one tree of two, in which the second one's values go before."""
    merged = dict(given)
    for key, value in further.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _without_objects(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [_without_objects(item) for item in value]
    return value
