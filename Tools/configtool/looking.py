"""Commands that show parameters and their history."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence

from NexusCore.config.store import Change
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.text import one_line, suggest
from Tools.common import declared
from Tools.common.arguments import WrongUse
from Tools.common.configuration import StoredConfiguration, folder_by_folder, open_configuration
from Tools.common.parameters import described, lines, shown
from Tools.common.terminal import Screen


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
    path = (arguments.path or "").rstrip(".")
    parameters = configuration.below(path)
    unset = (
        []
        if arguments.json or arguments.set_only or not declared.may_be_declared(path)
        else declared.not_set(path, {change.path: change for change in parameters})
    )
    if not parameters and path and (not unset or _is_mistyped(path, configuration.everything())):
        raise configuration.missing(path)
    if arguments.json:
        return _show_all(parameters, configuration, arguments, screen)
    from Tools.configtool import drawing

    parameters = folder_by_folder([*parameters, *unset])

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


def _is_mistyped(path: str, everything: Mapping[str, Change]) -> bool:
    """Return whether a folder without parameters has nearly the name of one that has some, such as an instrument."""
    folder, dot, name = path.rpartition(".")
    prefix = folder + dot
    return bool(
        suggest(name, {known[len(prefix) :].partition(".")[0] for known in everything if known.startswith(prefix)})
    )


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
