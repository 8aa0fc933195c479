#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show and change the configuration; every change is kept with who made it, when and why."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if not __package__:
    # Run as ./Tools/ConfigTool.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NoSuchParameterException, NoSuchVersionException
from Tools import completion
from Tools.arguments import Arguments, WrongUse, count, did_you_mean
from Tools.terminal import Screen, run_tool

if TYPE_CHECKING:
    from NexusCore.config.store import Change
    from Tools.configuration import Configuration

NAME = "ConfigTool"
TYPES = ("string", "integer", "double", "boolean", "folder")
LOOK, ASSIGN = "(look)", "(assign)"
"""Commands that nobody types: they stand for a word that is no command, and for PATH=VALUE."""


class Word(NamedTuple):
    """An argument of a command."""

    name: str
    metavar: str
    help: str
    read: completion.Read | None = None
    nargs: str | None = None
    type: Callable[[str], Any] = str


class Command(NamedTuple):
    """What the tool can do."""

    run: Callable[[Namespace, Screen], int]
    help: str
    words: tuple[Word, ...] = ()
    options: tuple[str, ...] = ()
    """Names of the options in `OPTIONS` that it has besides those of all commands."""


OPTIONS: dict[str, dict[str, Any]] = {
    "--type": {"choices": TYPES, "help": "datatype; the one that the value looks like, if not given"},
    "--comment": {"metavar": "TEXT", "help": "what the parameter is for, and its unit"},
    "-n": {"dest": "lines", "type": count, "default": 20, "metavar": "N", "help": "how many (20)"},
}


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = ConfigArguments(
        prog=NAME,
        description=__doc__,
        usage=f"{NAME} [options] COMMAND ... | PATH=VALUE ... | WORD",
        examples=(
            (f"{NAME} Instruments", "show a folder, or all with the word in the path"),
            (f"{NAME} Services.Builder.interval=5 -m 'demo'", "change a parameter"),
            (f"{NAME} history Services.Builder.interval", "who changed it, when and why"),
        ),
        epilog=f"Exit codes: 0 done, 1 nothing found, 2 usage, 3 database away, 4 refused. {NAME} COMMAND --help "
        "tells more of a command.",
    )
    _add_common(made, None)
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog=NAME)
    completion.attach(commands, completion.assignments)
    for name, command in COMMANDS.items():
        listed: dict[str, Any] = {} if name in made.hidden else {"help": command.help}
        one = commands.add_parser(name, description=f"{command.help[:1].upper()}{command.help[1:]}.", **listed)
        for word in command.words:
            action = one.add_argument(word.name, metavar=word.metavar, help=word.help, nargs=word.nargs, type=word.type)
            if word.read is not None:
                completion.attach(action, word.read)
        for option in command.options:
            one.add_argument(option, **OPTIONS[option])
        # Not a default of its own: it would override what stands before the command.
        _add_common(one, argparse.SUPPRESS)
    return made


def _add_common(made: Arguments, default: object) -> None:
    version = made.add_argument(
        "-v", "--version", default=default, metavar="VERSION", help="version of the configuration"
    )
    completion.attach(version, completion.versions)
    made.add_argument("-m", "--reason", default=default, metavar="REASON", help="why, for the history")
    made.add_argument(
        "--json", action="store_true", default=default or False, help="one JSON object per line, for programs"
    )


class ConfigArguments(Arguments):
    """The tool's arguments: a first word that is no command is a parameter, a folder or a part of a path (003-30)."""

    hidden = (LOOK, ASSIGN)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments."""
        words = list(sys.argv[1:] if args is None else args)
        first = _first_word(words)
        if first is not None and words[first] not in COMMANDS:
            words.insert(first, ASSIGN if "=" in words[first] else LOOK)
        return super().parse_args(words, namespace)


def _first_word(words: Sequence[str]) -> int | None:
    """Return where the first word is that is neither an option nor an option's value."""
    takes_value = False
    for number, word in enumerate(words):
        if takes_value:
            takes_value = False
        elif word in ("-v", "--version", "-m", "--reason"):
            takes_value = True
        elif not word.startswith("-"):
            return number
    return None


# -- reading -----------------------------------------------------------------------------------------------------------


def get(arguments: Namespace, screen: Screen) -> int:
    """Show the value of a parameter, and nothing else."""
    from Tools.configuration import open_configuration
    from Tools.parameters import described, shown

    configuration = open_configuration(arguments.version)
    found = configuration.get(arguments.path)
    if arguments.json:
        screen.show_json(**described(found, configuration.version))
    else:
        screen.show(shown(found))
    return EXIT_OK


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show a folder, or everything."""
    from Tools.configuration import open_configuration

    configuration = open_configuration(arguments.version)
    path = (arguments.path or "").rstrip(".")
    found = configuration.below(path)
    if not found:
        raise NoSuchParameterException(path=path, version=configuration.version, hint=configuration.near_miss(path))
    _show_all(found, configuration, arguments, screen)
    return EXIT_OK


def look(arguments: Namespace, screen: Screen) -> int:
    """Show the parameter or folder of a name, or else every parameter with the word in its path (003-30)."""
    from Tools.configuration import open_configuration

    commands = [name for name in COMMANDS if name not in ConfigArguments.hidden]
    word = arguments.words[0].rstrip(".")
    if len(arguments.words) > 1:
        mistake = f"There is no command '{word}'.{did_you_mean(word, commands)}"
        if arguments.words[1].startswith("="):
            mistake = f"Write it without blanks: {word}=VALUE."
        raise WrongUse(mistake=mistake, tool=NAME)
    configuration = open_configuration(arguments.version)
    everything = configuration.everything()
    found = configuration.below(word) or [one for path, one in everything.items() if word.lower() in path.lower()]
    if not found:
        hint = did_you_mean(word, [*commands, *everything])
        screen.fail(f"'{word}' is no command, and no parameter's path contains it.{hint}")
        return EXIT_FAILURE
    _show_all(found, configuration, arguments, screen)
    return EXIT_OK


def search(arguments: Namespace, screen: Screen) -> int:
    """Show every parameter with a text in its path, value or comment."""
    from Tools.configuration import open_configuration
    from Tools.parameters import shown

    configuration = open_configuration(arguments.version)
    text = arguments.text.lower()
    found = [
        one
        for one in configuration.everything().values()
        if any(text in place.lower() for place in (one.path, shown(one), one.comment or ""))
    ]
    if not found:
        screen.fail(f"Nothing in version '{configuration.version}' contains '{arguments.text}'.")
        return EXIT_FAILURE
    _show_all(found, configuration, arguments, screen)
    return EXIT_OK


def versions(arguments: Namespace, screen: Screen) -> int:
    """Show the versions of the configuration."""
    from Tools.configuration import open_configuration

    configuration = open_configuration()
    for name in configuration.store.versions():
        used = name == configuration.version
        if arguments.json:
            screen.show_json(version=name, used=used)
        else:
            screen.show(name + screen.note("   used where none is named" if used else ""))
    return EXIT_OK


def history(arguments: Namespace, screen: Screen) -> int:
    """Show what happened to a parameter, newest first."""
    from Tools.configuration import open_configuration
    from Tools.moments import local, rfc3339

    configuration = open_configuration(arguments.version)
    entries = configuration.store.history(configuration.version_id, arguments.path)[: arguments.lines]
    if not entries:
        configuration.get(arguments.path)
    if arguments.json:
        for one in entries:
            screen.show_json(
                path=arguments.path, version=configuration.version, revision=one.revision, time=rfc3339(one.ts),
                action=one.action, old=one.old_value, new=one.new_value, datatype=one.datatype, comment=one.comment,
                who=one.who, host=one.host, tool=one.tool, why=one.why,
            )  # fmt: skip
        return EXIT_OK
    rows = [
        (
            str(one.revision),
            local(one.ts),
            f"{one.who}@{one.host}" if one.host else one.who,
            one.tool,
            "removed" if one.action == "remove" else one.new_value or "",
            one.why or "",
        )
        for one in entries
    ]
    screen.table(("revision", "when", "who", "with", "value", "why"), rows, {"removed": "red"})
    return EXIT_OK


def _show_all(found: Sequence[Change], configuration: Configuration, arguments: Namespace, screen: Screen) -> None:
    from Tools.parameters import described, lines

    if arguments.json:
        for one in found:
            screen.show_json(**described(one, configuration.version))
    else:
        for line in lines(found, screen):
            screen.show(line)


# -- changing ----------------------------------------------------------------------------------------------------------


def assign(arguments: Namespace, screen: Screen) -> int:
    """Set parameters, keeping to their types and limits (003-31); a new one takes the type its value looks like."""
    from Tools.changes import Changer, assigned

    changer = Changer(arguments, screen)
    return changer.make([assigned(word, changer.before) for word in arguments.assignments])


def set_(arguments: Namespace, screen: Screen) -> int:
    """Set a parameter, its type too (003-32)."""
    from Tools.changes import Changer, typed

    edit = typed(arguments.path, arguments.value, arguments.type, arguments.comment)
    return Changer(arguments, screen).make([edit])


def add(arguments: Namespace, screen: Screen) -> int:
    """Add a parameter or a folder that isn't there."""
    from Tools.changes import Changer, added

    changer = Changer(arguments, screen)
    edit = added(arguments.path, arguments.value, arguments.type, arguments.comment, changer.before)
    return changer.make([edit])


def remove(arguments: Namespace, screen: Screen) -> int:
    """Remove a parameter, or a folder with everything in it."""
    from Tools.changes import Changer, removed

    changer = Changer(arguments, screen)
    return changer.make(removed(arguments.path, changer.configuration), [arguments.path])


def rollback(arguments: Namespace, screen: Screen) -> int:
    """Make parameters and folders what they were at a revision."""
    from Tools.changes import Changer, rolled_back

    changer = Changer(arguments, screen)
    edits = rolled_back(arguments.revision, arguments.paths, changer.configuration)
    return changer.make(edits, arguments.paths, f"rollback to revision {arguments.revision}")


_PATH = Word("path", "PATH", "a parameter or folder, such as Services.Builder.interval", completion.parameters)

COMMANDS = {
    "get": Command(get, "show the value of a parameter, and nothing else", (_PATH,)),
    "list": Command(list_, "show a folder, or everything", (_PATH._replace(nargs="?"),)),
    "search": Command(
        search, "show what has a text in its path, value or comment", (Word("text", "TEXT", "in any case"),)
    ),
    "history": Command(history, "show who changed a parameter, when and why", (_PATH,), ("-n",)),
    "versions": Command(versions, "show the versions of the configuration"),
    "set": Command(
        set_,
        "set a parameter, its type too (PATH=VALUE keeps to the type)",
        (_PATH, Word("value", "VALUE", "the new value")),
        ("--type", "--comment"),
    ),
    "add": Command(
        add,
        "add a parameter, or with --type folder a folder",
        (_PATH, Word("value", "VALUE", "its value", nargs="?")),
        ("--type", "--comment"),
    ),
    "remove": Command(remove, "remove a parameter, or a folder with everything in it", (_PATH,)),
    "rollback": Command(
        rollback,
        "make parameters or folders what they were at a revision",
        (
            Word("revision", "REVISION", "its number; history shows it", type=count),
            _PATH._replace(name="paths", nargs="+"),
        ),
    ),
    LOOK: Command(look, "", (Word("words", "WORD", "a parameter, a folder or a part of a path", nargs="+"),)),
    ASSIGN: Command(assign, "", (Word("assignments", "PATH=VALUE", "what to set", completion.assignments, "+"),)),
}
"""Everything the tool can do, by the word that is typed; each command adds itself here."""


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    try:
        return COMMANDS[arguments.command].run(arguments, screen)
    except NoSuchVersionException as error:
        from Tools.configuration import open_configuration

        screen.fail(f"{error} There are: {', '.join(open_configuration('default').store.versions())}.")
        return error.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
