"""Store the declarations of all parameters: ``python -m NexusCore.declare``.

Values that people have set stay as they are. What is missing is added with its default. What is there gets the declared
type, comment and limits, so that a wrong value is refused from the first day, and found if it is there already (by
``ConfigTool validate`` and Doctor).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from NexusCore import settings
from NexusCore.API import App
from NexusCore.config.catalogue import Catalogue, DeclaredParameter, catalogue
from NexusCore.config.changes import Edit
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import FOLDER, cast
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import NexusError, ValueRefused
from NexusCore.resources import complain, reported, sentence_of
from NexusCore.settings import DatabaseURL, Settings

WHY = "declared"
"""Reason of these changes in the history."""


def missing(config: NamedConfiguration, folders: Iterable[str] = ("",), known: Catalogue | None = None) -> list[Edit]:
    """Return the edits that add the declared parameters that are not stored, with their defaults.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    folders
        Only those below these paths; an empty path is the root.
    known
        The declarations; those of this installation if not given.
    """
    places = tuple(folders)
    return [
        item.edit(item.default, only_new=True)
        for item in (known or catalogue()).stored
        if any(not place or item.path.startswith(f"{place}.") for place in places)
        and item.path not in config
        and not _is_below_a_parameter(item.path, config)
    ]


def _is_below_a_parameter(path: str, config: NamedConfiguration) -> bool:
    """Return whether somebody has set a parameter where a folder belongs: nothing can be stored below it."""
    while path := path.rpartition(".")[0]:
        if path in config:
            return config.get(path).datatype != FOLDER
    return False


def declare(config: NamedConfiguration, folders: Iterable[str] = ("",), known: Catalogue | None = None) -> int:
    """Store the declarations of parameters below some folders, in one transaction; return how many changed.

    Parameters
    ----------
    config, folders, known
        As for `missing`.
    """
    places, known = tuple(folders), known or catalogue()
    edits = missing(config, places, known)
    for place in places:
        for node in config.get_leaves(place or None):
            item = known.find(node.path)
            edit = None if item is None else _declared(node, item)
            edits += [] if edit is None else [edit]
    return len(config.store_edits(edits, WHY)) if edits else 0


def _declared(node: ConfigParameter, item: DeclaredParameter) -> Edit | None:
    """Return the edit that gives a stored parameter its declared type, comment and limits; None if it has them.

    A value that does not fit is kept as it is.
    """
    # A secret stays one, also where a facility made one of what is declared as none.
    limits = replace(item.limits, secret=item.limits.secret or node.limits.secret)
    comment = node.comment or item.comment
    same = node.comment == comment and node.limits == limits
    if node.withheld or (same and node.datatype == item.datatype) or node.datatype == FOLDER:
        return None
    if node.datatype != item.datatype:
        try:
            value = cast(node.path, node.value, item.datatype)
            limits.check(node.path, value)
        except ValueRefused:
            pass
        else:
            return Edit(
                node.path, value=value, datatype=item.datatype, comment=comment, limits=limits,
                if_revision=node.revision,
            )  # fmt: skip
    return None if same else Edit(node.path, comment=comment, limits=limits, keep_value=True)


def declare_all(url: DatabaseURL) -> int:
    """Store all declarations in a database; return how many parameters changed."""
    with tempfile.TemporaryDirectory() as home:  # temporary, so that no journals are left behind
        app = App(Settings(url, url, url, url, Path(home)), tool="install")
        try:
            return declare(app.get_config())
        finally:
            app.shutdown()


def main(argv: Sequence[str] | None = None) -> int:
    """Store all declarations in the configuration's database of the settings."""
    parser = argparse.ArgumentParser(
        prog="python -m NexusCore.declare",
        description="Store type, limits, default and comment of every parameter that a program reads.",
    )
    parser.parse_args(argv)
    try:
        changed = declare_all(settings.load().config)
    except NexusError as error:
        complain(sentence_of(error))
        return error.exit_code
    print(f"{changed} parameters were declared." if changed else "All parameters are declared.")  # noqa: T201  this is a command
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
