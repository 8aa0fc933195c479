"""Undoing changes of the configuration: the command that undoes exactly these, and its work."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from NexusCore.config.changes import NAMES_VERSION
from NexusCore.config.history import state_at, state_now, way_back
from NexusCore.config.store import DEFAULT, Change, Edit
from NexusCore.config.values import FOLDER
from NexusCore.errors import ConfigException
from Tools.common.configuration import StoredConfiguration

CONFIG_TOOL = "ConfigTool"
LONGEST = 2000
"""Longest command that names each parameter; a longer command names the revisions."""


def words(made: Sequence[Change], version: str, *, named: bool) -> list[str]:
    """Return the words of the command that undoes changes made together, and nothing else.

    Parameters
    ----------
    made
        The changes, in order of revision.
    version
        The version of the configuration that was changed.
    named
        Whether the user named the version.
    """
    paths = sorted({change.path for change in made})
    # Without a name, the version is that of `default_version`, which may change later.
    chosen = ["-v", version] if named or version != DEFAULT or NAMES_VERSION in paths else []
    command = [CONFIG_TOOL, *chosen, "rollback"]
    first, last = made[0].revision, made[-1].revision
    by_name = [*command, str(first - 1), *paths]
    # A folder as an argument would include all that is in it, also changes of others.
    ambiguous = any(change.datatype == FOLDER or change.path.startswith("-") for change in made)
    if ambiguous or len(shlex.join(by_name)) > LONGEST:
        return [*command, "--only", str(first) if first == last else f"{first}..{last}"]
    return by_name


def undone(first: int, last: int, configuration: StoredConfiguration) -> tuple[list[Edit], list[Change]]:
    """Return the changes that undo some revisions, and the later changes that they would overwrite.

    Parameters that were changed again since stay as they are.

    Raises
    ------
    ConfigException
        If these revisions changed nothing in this version.
    """
    store, version_id = configuration.store, configuration.version_id
    newest = store.revision()
    if last > newest:
        raise ConfigException(reason=f"revision {last} does not exist yet; the newest is {newest}")
    changes = [change for change in store.changes_since(first - 1) if change.version_id == version_id]
    paths = {change.path for change in changes if change.revision <= last}
    if not paths:
        which = f"revision {first} changed" if first == last else f"revisions {first} to {last} changed"
        raise ConfigException(
            reason=f"{which} nothing in version '{configuration.version}'; use -v for another version"
        )
    latest = {change.path: change for change in changes}
    now = {path: change for path, change in state_now(store, version_id).items() if path in paths}
    then = {path: change for path, change in state_at(store, version_id, first - 1).items() if path in paths}
    wanted = way_back(now, then)
    left = [latest[edit.path] for edit in wanted if latest[edit.path].revision > last]
    # With a condition, so that a change made in the meantime is not undone.
    edits = [
        replace(edit, if_revision=now[edit.path].revision if edit.path in now else 0)
        for edit in wanted
        if latest[edit.path].revision <= last
    ]
    return edits, left
