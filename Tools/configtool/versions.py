"""Commands that add, copy and delete versions of the configuration."""

from __future__ import annotations

import re
from argparse import Namespace

from NexusCore.config.history import state_at, version_at
from NexusCore.errors import EXIT_OK
from Tools.common import undoing
from Tools.common.changes import ChangeReport
from Tools.common.configuration import open_configuration, origin
from Tools.common.quantities import counted
from Tools.common.terminal import Screen

_THEN = re.compile(r"(.+)@(\d+)")


def add_version(arguments: Namespace, screen: Screen) -> int:
    """Add a version without parameters."""
    configuration = open_configuration(dry_run=arguments.dry_run, create=not arguments.dry_run)
    configuration.store.add_version(arguments.name)
    report = ChangeReport(
        arguments.name, {}, arguments, screen, [undoing.CONFIG_TOOL, "delete", "version", arguments.name]
    )
    report.version(f"Version '{arguments.name}' added, empty.")
    report.end([])
    return EXIT_OK


def copy(arguments: Namespace, screen: Screen) -> int:
    """Copy all parameters of a version into another, which is added if it does not exist."""
    configuration = open_configuration(dry_run=arguments.dry_run, create=not arguments.dry_run)
    store, target, why = configuration.store, arguments.target, origin(arguments.reason)
    exists = target in store.versions()
    before = {change.path: change for change in store.load(store.version_id(target))} if exists else {}
    then = _THEN.fullmatch(arguments.source)
    if then is None or arguments.source in store.versions():
        revisions = store.copy(arguments.source, target, arguments.overwrite, why)
    else:
        revision = int(then[2])
        parameters = list(state_at(store, version_at(store, then[1], revision), revision).values())
        revisions = store.fill(target, lambda _: parameters, arguments.source, arguments.overwrite, why)
    made = configuration.made(revisions)
    undo = [undoing.CONFIG_TOOL, "delete", "version", target]
    if exists:
        undo = undoing.words(made, target, named=True) if made else []
    report = ChangeReport(target, before, arguments, screen, undo)
    for change in made:
        # There may be thousands of new parameters: only a dry run lists each, otherwise they are counted.
        if change.path in before or arguments.dry_run or arguments.json:
            report.change(change)
    new = sum(change.path not in before for change in made)
    replaced = len(made) - new
    report.version(
        f"Version '{target}' now has all parameters of '{arguments.source}': {new} new, {replaced} replaced."
    )
    report.end(made)
    return EXIT_OK


def delete(arguments: Namespace, screen: Screen) -> int:
    """Delete a version with all its parameters; its history is kept, so that it can be restored."""
    configuration = open_configuration(dry_run=arguments.dry_run, create=not arguments.dry_run)
    store, name = configuration.store, arguments.name
    before = {change.path: change for change in store.load(store.version_id(name))}
    made = configuration.made(store.delete_version(name, origin(arguments.reason)))
    undo = ["copy", f"{name}@{made[0].revision - 1}", name] if made else ["add-version", name]
    report = ChangeReport(name, before, arguments, screen, [undoing.CONFIG_TOOL, *undo])
    for change in made if arguments.json or arguments.dry_run else ():
        report.change(change)
    report.version(f"Version '{name}' deleted, with {counted(len(made), 'parameter')}.")
    report.end(made)
    return EXIT_OK
