"""Commands that add, copy and delete versions of the configuration."""

from __future__ import annotations

import re
from argparse import Namespace

from NexusCore.config.history import state_at, version_at
from NexusCore.config.store import Change
from NexusCore.errors import EXIT_OK
from Tools.common import undoing
from Tools.common.changes import UNASKED, ChangeReport, NotConfirmed
from Tools.common.configuration import StoredConfiguration, open_configuration, origin
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
    store, target = configuration.store, arguments.target
    exists = target in store.versions()
    before = {change.path: change for change in store.load(store.version_id(target))} if exists else {}
    if arguments.overwrite and len(before) > UNASKED and _asks(arguments):
        preview = _copied(open_configuration(dry_run=True), arguments)
        replaces = sum(change.path in before for change in preview)
        if replaces > UNASKED:
            _confirm(f"This replaces {replaces} parameters of the version '{target}'.", screen)
    made = _copied(configuration, arguments)
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


def _copied(configuration: StoredConfiguration, arguments: Namespace) -> list[Change]:
    """Copy, and return what that changed."""
    store, target, why = configuration.store, arguments.target, origin(arguments.reason)
    then = _THEN.fullmatch(arguments.source)
    if then is None or arguments.source in store.versions():
        return configuration.made(store.copy(arguments.source, target, arguments.overwrite, why))
    revision = int(then[2])
    parameters = list(state_at(store, version_at(store, then[1], revision), revision).values())
    return configuration.made(store.fill(target, lambda _: parameters, arguments.source, arguments.overwrite, why))


def delete(arguments: Namespace, screen: Screen) -> int:
    """Delete a version with all its parameters; its history is kept, so that it can be restored."""
    configuration = open_configuration(dry_run=arguments.dry_run, create=not arguments.dry_run)
    store, name = configuration.store, arguments.name
    before = {change.path: change for change in store.load(store.version_id(name))}
    if len(before) > UNASKED and _asks(arguments):
        _confirm(f"This deletes the version '{name}' with {counted(len(before), 'parameter')}.", screen)
    made = configuration.made(store.delete_version(name, origin(arguments.reason)))
    undo = ["copy", f"{name}@{made[0].revision - 1}", name] if made else ["add-version", name]
    report = ChangeReport(name, before, arguments, screen, [undoing.CONFIG_TOOL, *undo])
    for change in made if arguments.json or arguments.dry_run else ():
        report.change(change)
    report.version(f"Version '{name}' deleted, with {counted(len(made), 'parameter')}.")
    report.end(made)
    return EXIT_OK


def _asks(arguments: Namespace) -> bool:
    return not (arguments.dry_run or arguments.yes)


def _confirm(question: str, screen: Screen) -> None:
    """Ask whether to go on; raise `NotConfirmed` if the answer is not yes."""
    if not screen.confirm(question):
        raise NotConfirmed(question=question)
