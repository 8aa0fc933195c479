"""The command that shows who changed what, when and why: one parameter, a folder, or everything."""

from __future__ import annotations

from argparse import Namespace

from NexusCore.config.history import ChangeSelection, entries_of, old_datatypes
from NexusCore.config.store import REMOVE, HistoryEntry
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from Tools.common.configuration import open_configuration
from Tools.common.parameters import by_type
from Tools.common.terminal import Screen, brief, brief_value
from Tools.common.time_parser import local, rfc3339


def history(arguments: Namespace, screen: Screen) -> int:
    """Show changes, newest first."""
    configuration = open_configuration(arguments.version)
    path = (arguments.path or "").rstrip(".")
    wanted = ChangeSelection(path, arguments.since, arguments.until, arguments.who, arguments.tool)
    entries = entries_of(configuration.store, configuration.version_id, wanted, arguments.lines)
    if not entries and arguments.lines:
        if (
            path
            and not configuration.below(path)
            and not entries_of(configuration.store, configuration.version_id, ChangeSelection(path), 1)
        ):
            raise configuration.missing(path)
        screen.fail("No change matches.")
        return EXIT_FAILURE
    if arguments.json:
        single = {entry.path for entry in entries} == {path}
        types = (
            old_datatypes(configuration.store, configuration.version_id, entries) if single else [None] * len(entries)
        )
        for entry, before in zip(entries, types, strict=True):
            screen.show_json(**of_entry(entry, before))
        return EXIT_OK
    several = any(entry.path != path for entry in entries)
    rows = [_row(entry, several) for entry in entries]
    paths = ("path",) if several else ()
    screen.table(("revision", "when", *paths, "who", "with", "value", "why"), rows, {"removed": "red"})
    return EXIT_OK


def _row(entry: HistoryEntry, several: bool) -> tuple[str, ...]:
    return (
        str(entry.revision),
        local(entry.ts),
        *((entry.path,) if several else ()),
        f"{entry.who}@{entry.host}" if entry.host else entry.who,
        entry.tool,
        "removed" if entry.action == "remove" else brief_value(entry.new_value or ""),
        brief(entry.why or ""),
    )


def of_entry(entry: HistoryEntry, old_datatype: str | None) -> dict[str, object]:
    """Return an entry of the history as the fields of a JSON object.

    Parameters
    ----------
    entry
        The change.
    old_datatype
        Type of the parameter before the change.
    """
    return {
        "path": entry.path, "version": entry.version, "revision": entry.revision, "time": rfc3339(entry.ts),
        "action": entry.action, "old": by_type(entry.old_value, old_datatype or entry.datatype),
        "new": by_type(entry.new_value, entry.datatype), "old_datatype": old_datatype,
        "datatype": None if entry.action == REMOVE else entry.datatype, "comment": entry.comment, "who": entry.who,
        "host": entry.host, "tool": entry.tool, "why": entry.why,
    }  # fmt: skip
