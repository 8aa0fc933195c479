"""Commands that change parameters."""

from __future__ import annotations

from argparse import Namespace

from Tools.changes import Changer, added, assigned, removed, rolled_back, typed
from Tools.terminal import Screen


def assign(arguments: Namespace, screen: Screen) -> int:
    """Set parameters, keeping to their types and limits (003-31); a new one takes the type its value looks like."""
    changer = Changer(arguments, screen)
    return changer.make([assigned(word, changer.before) for word in arguments.assignments])


def set_(arguments: Namespace, screen: Screen) -> int:
    """Set a parameter, its type too (003-32)."""
    edit = typed(arguments.path, arguments.value, arguments.type, arguments.comment)
    return Changer(arguments, screen).make([edit])


def add(arguments: Namespace, screen: Screen) -> int:
    """Add a parameter or a folder that isn't there."""
    changer = Changer(arguments, screen)
    edit = added(arguments.path, arguments.value, arguments.type, arguments.comment, changer.before)
    return changer.make([edit])


def remove(arguments: Namespace, screen: Screen) -> int:
    """Remove a parameter, or a folder with everything in it."""
    changer = Changer(arguments, screen)
    return changer.make(removed(arguments.path, changer.configuration), [arguments.path])


def rollback(arguments: Namespace, screen: Screen) -> int:
    """Make parameters and folders, or the whole version, what they were at a revision."""
    changer = Changer(arguments, screen)
    edits = rolled_back(arguments.revision, arguments.paths, changer.configuration)
    if not edits:
        screen.say(f"All is as it was at revision {arguments.revision}: nothing to change.")
    return changer.make(edits, arguments.paths, f"rollback to revision {arguments.revision}")
