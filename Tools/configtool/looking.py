"""Commands that show parameters and their history."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.config.history import old_datatypes
from NexusCore.config.store import REMOVE, Change, HistoryEntry
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.text import one_line, suggest
from Tools.common.arguments import WrongUse
from Tools.common.configuration import StoredConfiguration, open_configuration
from Tools.common.parameters import by_type, described, lines, shown
from Tools.common.terminal import Screen, brief, brief_value
from Tools.common.time_parser import local, rfc3339


def get(arguments: Namespace, screen: Screen) -> int:
    """Show only the value of a parameter."""
    configuration = open_configuration(arguments.version)
    parameter = configuration.get(arguments.path)
    if arguments.json:
        screen.show_json(**described(parameter, configuration.version))
    else:
        screen.show(shown(parameter))
    return EXIT_OK


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show a folder, or everything."""
    configuration = open_configuration(arguments.version)
    return _show_all(_below(arguments, configuration), configuration, arguments, screen)


def tree(arguments: Namespace, screen: Screen) -> int:
    """Show a folder, or everything, as a tree."""
    if arguments.json and arguments.depth is not None:
        raise WrongUse(mistake="--json cannot be combined with --depth.", tool=f"{screen.name} tree")
    configuration = open_configuration(arguments.version)
    parameters = _below(arguments, configuration)
    if arguments.json:
        return _show_all(parameters, configuration, arguments, screen)
    from Tools.configtool import drawing

    for line in drawing.drawn(parameters, (arguments.path or "").rstrip("."), arguments.depth, screen):
        screen.show(line)
    return EXIT_OK


def look(arguments: Namespace, screen: Screen) -> int:
    """Show the parameter or folder of a path, or else all parameters with the word in their paths."""
    word = arguments.words[0].rstrip(".")
    if len(arguments.words) > 1:
        mistake = f"Unknown command '{word}'.{suggest(word, arguments.commands)}"
        if arguments.words[1].startswith("="):
            mistake = f"Write PATH=VALUE without blanks: {word}=VALUE."
        raise WrongUse(mistake=mistake, tool=screen.name)
    configuration = open_configuration(arguments.version)
    parameters = configuration.below(word)
    if parameters:
        return _show_all(parameters, configuration, arguments, screen)
    everything = configuration.everything()
    parameters = [change for path, change in everything.items() if word.lower() in path.lower()]
    if not parameters:
        begun = [command for command in arguments.commands if command.startswith(word)]
        hint = suggest(word, begun, 0.0) or suggest(word, [*arguments.commands, *everything])
        screen.fail(f"'{word}' is neither a command nor part of a parameter's path.{hint}")
        return EXIT_FAILURE
    return _show_all(parameters, configuration, arguments, screen)


def search(arguments: Namespace, screen: Screen) -> int:
    """Show the parameters with a text in path, value or comment."""
    configuration = open_configuration(arguments.version)
    text = arguments.text.lower()
    matches = [
        change
        for change in configuration.everything().values()
        if any(text in place.lower() for place in (change.path, shown(change), change.comment or ""))
    ]
    if not matches:
        screen.fail(f"Version '{configuration.version}' does not contain '{arguments.text}'.")
        return EXIT_FAILURE
    return _show_all(matches, configuration, arguments, screen)


def versions(arguments: Namespace, screen: Screen) -> int:
    """Show the versions of the configuration."""
    configuration = open_configuration()
    for name in configuration.store.versions():
        used = name == configuration.version
        if arguments.json:
            screen.show_json(version=name, used=used)
        else:
            screen.show(one_line(name) + screen.note("   used by default" if used else ""))
    return EXIT_OK


def history(arguments: Namespace, screen: Screen) -> int:
    """Show the changes of a parameter, newest first."""
    configuration = open_configuration(arguments.version)
    everything = configuration.store.history(configuration.version_id, arguments.path)
    if not everything:
        configuration.get(arguments.path)
    entries = everything[: arguments.lines]
    if arguments.json:
        types = old_datatypes(configuration.store, configuration.version_id, entries)
        for entry, before in zip(entries, types, strict=True):
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


def _below(arguments: Namespace, configuration: StoredConfiguration) -> list[Change]:
    path = (arguments.path or "").rstrip(".")
    parameters = configuration.below(path)
    if not parameters and path:
        raise configuration.missing(path)
    return parameters


def _show_all(
    parameters: Sequence[Change], configuration: StoredConfiguration, arguments: Namespace, screen: Screen
) -> int:
    if arguments.json:
        for change in parameters:
            screen.show_json(**described(change, configuration.version))
    else:
        for line in lines(parameters, screen):
            screen.show(line)
    return EXIT_OK
