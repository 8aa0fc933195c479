"""Commands that show parameters and what happened to them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.config.store import REMOVE, Change, HistoryEntry
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.text import one_line, suggest
from Tools.common.arguments import WrongUse
from Tools.common.configuration import StoredConfiguration, open_configuration
from Tools.common.parameters import by_type, described, lines, shown
from Tools.common.terminal import Screen, brief, brief_value
from Tools.common.time_parser import local, rfc3339

_OLD_DATATYPES = """
    -- the types that a parameter had before each of its changes
    SELECT revision, old_datatype
      FROM config_change
     WHERE version_id = :version AND path = :path AND revision BETWEEN :first AND :last
"""


def get(arguments: Namespace, screen: Screen) -> int:
    """Show the value of a parameter, and nothing else."""
    configuration = open_configuration(arguments.version)
    found = configuration.get(arguments.path)
    if arguments.json:
        screen.show_json(**described(found, configuration.version))
    else:
        screen.show(shown(found))
    return EXIT_OK


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show a folder, or everything."""
    configuration = open_configuration(arguments.version)
    return _show_all(_below(arguments, configuration), configuration, arguments, screen)


def tree(arguments: Namespace, screen: Screen) -> int:
    """Show a folder, or everything, as a tree."""
    configuration = open_configuration(arguments.version)
    found = _below(arguments, configuration)
    if arguments.json:
        return _show_all(found, configuration, arguments, screen)
    from Tools.configtool import drawing

    for line in drawing.drawn(found, (arguments.path or "").rstrip("."), arguments.depth, screen):
        screen.show(line)
    return EXIT_OK


def look(arguments: Namespace, screen: Screen) -> int:
    """Show the parameter or folder of a name, or else every parameter with the word in its path."""
    word = arguments.words[0].rstrip(".")
    if len(arguments.words) > 1:
        mistake = f"There is no command '{word}'.{suggest(word, arguments.commands)}"
        if arguments.words[1].startswith("="):
            mistake = f"Write it without blanks: {word}=VALUE."
        raise WrongUse(mistake=mistake, tool=screen.name)
    configuration = open_configuration(arguments.version)
    found = configuration.below(word)
    if found:
        return _show_all(found, configuration, arguments, screen)
    everything = configuration.everything()
    found = [change for path, change in everything.items() if word.lower() in path.lower()]
    if not found:
        hint = suggest(word, [*arguments.commands, *everything])
        screen.fail(f"'{word}' is no command, and no parameter's path contains it.{hint}")
        return EXIT_FAILURE
    return _show_all(found, configuration, arguments, screen)


def search(arguments: Namespace, screen: Screen) -> int:
    """Show every parameter with a text in its path, value or comment."""
    configuration = open_configuration(arguments.version)
    text = arguments.text.lower()
    found = [
        change
        for change in configuration.everything().values()
        if any(text in place.lower() for place in (change.path, shown(change), change.comment or ""))
    ]
    if not found:
        screen.fail(f"Nothing in version '{configuration.version}' contains '{arguments.text}'.")
        return EXIT_FAILURE
    return _show_all(found, configuration, arguments, screen)


def versions(arguments: Namespace, screen: Screen) -> int:
    """Show the versions of the configuration."""
    configuration = open_configuration()
    for name in configuration.store.versions():
        used = name == configuration.version
        if arguments.json:
            screen.show_json(version=name, used=used)
        else:
            screen.show(one_line(name) + screen.note("   used where none is named" if used else ""))
    return EXIT_OK


def history(arguments: Namespace, screen: Screen) -> int:
    """Show what happened to a parameter, newest first."""
    configuration = open_configuration(arguments.version)
    everything = configuration.store.history(configuration.version_id, arguments.path)
    if not everything:
        configuration.get(arguments.path)
    entries = everything[: arguments.lines]
    if arguments.json:
        for entry, before in zip(entries, old_datatypes(entries, configuration), strict=True):
            screen.show_json(**of_entry(entry, before))
        return EXIT_OK
    rows = [
        (
            str(entry.revision),
            local(entry.ts),
            f"{entry.who}@{entry.host}" if entry.host else entry.who,
            entry.tool,
            "removed" if entry.action == "remove" else brief_value(entry.new_value or ""),
            brief(entry.why or ""),
        )
        for entry in entries
    ]
    screen.table(("revision", "when", "who", "with", "value", "why"), rows, {"removed": "red"})
    return EXIT_OK


def old_datatypes(entries: Sequence[HistoryEntry], configuration: StoredConfiguration) -> list[str | None]:
    """Return the type that a parameter had before each change of it; None where it did not exist."""
    if not entries:
        return []
    revisions = [entry.revision for entry in entries]
    with configuration.store.database.reading() as reading:
        rows = reading.all(
            _OLD_DATATYPES, version=configuration.version_id, path=entries[0].path, first=min(revisions),
            last=max(revisions),
        )  # fmt: skip
    found: dict[int, str | None] = {int(revision): before for revision, before in rows}
    return [found.get(revision) for revision in revisions]


def of_entry(entry: HistoryEntry, old_datatype: str | None) -> dict[str, object]:
    """Return a line of the history as the fields of a JSON object.

    Parameters
    ----------
    entry
        The change.
    old_datatype
        Type that the parameter had before it.
    """
    return {
        "path": entry.path, "version": entry.version, "revision": entry.revision, "time": rfc3339(entry.ts),
        "action": entry.action, "old": by_type(entry.old_value, old_datatype or entry.datatype),
        "new": by_type(entry.new_value, entry.datatype), "old_datatype": old_datatype,
        "datatype": None if entry.action == REMOVE else entry.datatype, "comment": entry.comment, "who": entry.who,
        "host": entry.host, "tool": entry.tool, "why": entry.why,
    }  # fmt: skip


def _below(arguments: Namespace, configuration: StoredConfiguration) -> list[Change]:
    path = (arguments.path or "").rstrip(".")
    found = configuration.below(path)
    if not found and path:
        raise configuration.missing(path)
    return found


def _show_all(found: Sequence[Change], configuration: StoredConfiguration, arguments: Namespace, screen: Screen) -> int:
    if arguments.json:
        for change in found:
            screen.show_json(**described(change, configuration.version))
    else:
        for line in lines(found, screen):
            screen.show(line)
    return EXIT_OK
