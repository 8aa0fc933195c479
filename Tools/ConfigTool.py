#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show and change the configuration; every change is kept with who made it, when and why."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

if not __package__:
    # Run as ./Tools/ConfigTool.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from NexusCore.errors import NoSuchVersionException
from Tools.common import completion
from Tools.common.arguments import Arguments, count, negative, revisions
from Tools.common.terminal import Screen, run_tool

NAME = "ConfigTool"
TYPE_NAMES = ("string", "integer", "double", "boolean", "folder")
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
    choices: tuple[str, ...] | None = None


class Command(NamedTuple):
    """What the tool can do."""

    run: str
    """Room in `Tools.configtool` and function that does it; imported when it is wanted."""
    help: str
    words: tuple[Word, ...] = ()
    options: tuple[str, ...] = ()
    """Names of the options in `OPTIONS` that it has besides those of all commands."""
    more: str | None = None
    """Stands below its help."""


OPTIONS: dict[str, dict[str, Any]] = {
    "--type": {"choices": TYPE_NAMES, "help": "datatype; the one that the value looks like, if not given"},
    "--comment": {"metavar": "TEXT", "help": "what the parameter is for, and its unit"},
    "--secret": {
        "action": argparse.BooleanOptionalAction,
        "help": "a secret is shown to no one; without VALUE it is asked for on the terminal; --no-secret ends it, "
        "with a new VALUE",
    },
    "--from-file": {
        "metavar": "FILE",
        "help": "take the value from a file, - for the standard input, without the line end at its end",
    },
    "-n": {"dest": "lines", "type": count, "default": 20, "metavar": "N", "help": "how many (20)"},
    "--depth": {"type": count, "metavar": "N", "help": "how many levels of folders to draw (all)"},
    "--below": {"metavar": "FOLDER", "help": "compare only what is in a folder"},
    "--root": {"metavar": "FOLDER", "default": ".", "help": "where the file's parameters belong (the root)"},
    "--after": {"type": count, "metavar": "REVISION", "help": "begin with what came after a revision"},
    "-m": {"dest": "reason", "metavar": "REASON", "help": "why, for the history"},
    "--only": {
        "type": revisions,
        "metavar": "FIRST..LAST",
        "help": "undo what these revisions changed and nothing else; what was changed again since stays as it is",
    },
    "--overwrite": {"action": "store_true", "help": "replace parameters that are there"},
    "--dry-run": {"action": "store_true", "help": "check and show what would change, and change nothing"},
    "--if-revision": {
        "type": count,
        "metavar": "N",
        "help": "only if the parameter was last changed at this revision (0: if it is not there)",
    },
}
LONG_OPTIONS = {"-m": "--reason", "-n": "--lines"}
CHANGE = ("-m", "--dry-run")
"""Options of every command that changes something."""
ONE_CHANGE = (*CHANGE, "--if-revision")
VALUE = ("--type", "--comment", "--secret", "--from-file")
"""Options of the commands that take a value."""
_BEFORE = ("-v", "--version", "-m", "--reason", "--if-revision")
"""Options with a value that may stand before the command."""

_INTO = "With -v they go into a version that is there; add-version adds one, so that a mistyped name makes none."
_VISIBLE = "Other users can see a secret on the command line; the terminal, a file and the standard input hide it."
_NO_MISTAKE = "that word, so that nothing is deleted by mistake"


def _the_word_version(text: str) -> str:
    if text != "version":
        import shlex  # only who mistyped pays for it

        raise argparse.ArgumentError(None, f"Write: {NAME} delete version {shlex.quote(text)}")
    return text


_PATH = Word("path", "PATH", "a parameter or folder, such as Services.Builder.interval", completion.parameters)
_SUBTREE = _PATH._replace(nargs="?", help="a parameter or folder; everything, if not given")
_A_VERSION = Word("name", "NAME", "the version", completion.versions)
_A_STATE = Word("old", "REVISION|VERSION", "a revision's number, or a version's name", completion.versions)

CONFIG_COMMANDS = {
    "get": Command("looking.get", "show the value of a parameter, and nothing else", (_PATH,)),
    "list": Command("looking.list_", "show a folder, or everything, line by line", (_SUBTREE,)),
    "tree": Command("looking.tree", "show a folder, or everything, as a tree", (_SUBTREE,), ("--depth",)),
    "search": Command(
        "looking.search", "show what has a text in its path, value or comment", (Word("text", "TEXT", "in any case"),)
    ),
    "history": Command("looking.history", "show who changed a parameter, when and why", (_PATH,), ("-n",)),
    "diff": Command(
        "comparing.diff",
        "show what is different between two revisions or versions; without the second, between one and now",
        (_A_STATE, _A_STATE._replace(name="new", nargs="?")),
        ("--below",),
    ),
    "watch": Command(
        "watching.watch", "show changes as they come, and who made them", (_SUBTREE._replace(name="paths", nargs="*"),),
        ("--after",),
    ),
    "validate": Command(
        "comparing.validate",
        "check every parameter against its type and limits, or a JSON file against what is there",
        (Word("file", "FILE", "what serialize wrote, - for the standard input", completion.files, "?"),),
        ("--root",),
    ),
    "set": Command(
        "changing.set_",
        "set a parameter, its type too (PATH=VALUE keeps to the type)",
        (_PATH, Word("value", "VALUE", "the new value; a secret is asked for if it is not given", nargs="?")),
        (*VALUE, *ONE_CHANGE),
        _VISIBLE,
    ),
    "add": Command(
        "changing.add",
        "add a parameter, or with --type folder a folder",
        (_PATH, Word("value", "VALUE", "its value; a secret is asked for if it is not given", nargs="?")),
        (*VALUE, *CHANGE),
        _VISIBLE,
    ),
    "remove": Command("changing.remove", "remove a parameter, or a folder with everything in it", (_PATH,), ONE_CHANGE),
    "rollback": Command(
        "changing.rollback",
        "make parameters or folders, or everything, what they were at a revision",
        (
            Word("revision", "REVISION", "its number; history shows it", nargs="?", type=count),
            _SUBTREE._replace(name="paths", nargs="*"),
        ),
        ("--only", *CHANGE),
        "REVISION takes back whatever anybody changed after it; --only takes back what these revisions changed. Exit "
        "code 1: something of that was changed again since, and stays.",
    ),
    "serialize": Command("exchanging.serialize", "write a folder, or everything, as JSON", (_SUBTREE,)),
    "deserialize": Command(
        "exchanging.deserialize",
        "take over the JSON that serialize wrote, all or nothing",
        (
            Word("root", "FOLDER", "where it belongs; . for the root", completion.parameters),
            Word("file", "FILE", "what serialize wrote, - for the standard input", completion.files),
        ),
        ("--overwrite", *CHANGE),
        _INTO,
    ),
    "import": Command(
        "exchanging.import_",
        "take over XML in the shape of CryoCore's defaultConfiguration.xml, all or nothing",
        (Word("file", "FILE", "the XML, - for the standard input", completion.files),),
        ("--overwrite", *CHANGE),
        "Below <configuration>, an element with others in it is a folder, and one with a text is a parameter, of the "
        "type that the text looks like. The attributes name, type, value and comment say more, where there are some. "
        f"{_INTO}",
    ),
    "versions": Command("looking.versions", "show the versions of the configuration"),
    "add-version": Command(
        "versions.add_version", "add a version without parameters", (_A_VERSION._replace(read=None),), CHANGE
    ),
    "copy": Command(
        "versions.copy",
        "copy a version's parameters into another, which is added if it is not there",
        (
            _A_VERSION._replace(name="source", metavar="FROM", help="the version; NAME@REVISION for what it was then"),
            _A_VERSION._replace(name="target", metavar="TO", help="the other version"),
        ),
        ("--overwrite", *CHANGE),
    ),
    "delete": Command(
        "versions.delete",
        "delete a version with all its parameters",
        (Word("what", "version", _NO_MISTAKE, type=_the_word_version, choices=("version",)), _A_VERSION),
        CHANGE,
    ),
    LOOK: Command("looking.look", "", (Word("words", "WORD", "a parameter, a folder or a part of a path", nargs="+"),)),
    ASSIGN: Command(
        "changing.assign", "", (Word("assignments", "PATH=VALUE", "what to set", completion.assignments, "+"),),
        ONE_CHANGE,
    ),
}  # fmt: skip
"""Everything the tool can do, by the word that is typed; each command adds itself here."""
HIDDEN_COMMANDS = (LOOK, ASSIGN)


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
    for option in ONE_CHANGE:
        _add_option(made, option)
    made.set_defaults(commands=[name for name in CONFIG_COMMANDS if name not in HIDDEN_COMMANDS])
    commands = made.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog=NAME, parser_class=Arguments
    )
    completion.attach(commands, completion.assignments)
    for name, command in CONFIG_COMMANDS.items():
        listed: dict[str, Any] = {"prog": NAME} if name in HIDDEN_COMMANDS else {"help": command.help}
        description = f"{command.help[:1].upper()}{command.help[1:]}."
        subparser = commands.add_parser(name, description=description, epilog=command.more, **listed)
        for word in command.words:
            action = subparser.add_argument(
                word.name, metavar=word.metavar, help=word.help, nargs=word.nargs, type=word.type, choices=word.choices
            )
            if word.read is not None:
                completion.attach(action, word.read)
        for option in command.options:
            _add_option(subparser, option)
        # Not a default of its own: it would override what stands before the command.
        _add_common(subparser, argparse.SUPPRESS)
    return made


def _add_common(made: Arguments, default: object) -> None:
    version = made.add_argument(
        "-v", "--version", default=default, metavar="VERSION", help="version of the configuration"
    )
    completion.attach(version, completion.versions)
    made.add_argument(
        "--json", action="store_true", default=default or False, help="one JSON object per line, for programs"
    )


def _add_option(made: Arguments, option: str) -> None:
    names = (option, LONG_OPTIONS[option]) if option in LONG_OPTIONS else (option,)
    made.add_argument(*names, **OPTIONS[option])


class ConfigArguments(Arguments):
    """The tool's arguments: a first word that is no command is a parameter, a folder or a part of a path."""

    hidden = HIDDEN_COMMANDS

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments; options before the command are the command's."""
        given = list(sys.argv[1:] if args is None else args)
        words, options = _apart(given)
        if words:
            known, at = words[0] in CONFIG_COMMANDS, given.index(words[0])
            command = words[0] if known else ASSIGN if "=" in words[0] else LOOK
            rest = [*given[at + known :], *given[:at]] if known else [*words, *options]
            if "--" in given:  # what is behind it is no option, whatever it looks like
                rest = [*given[:at], *given[at + known :]]
            given = [command, *rest]
        found, extras = super().parse_known_args(given, namespace)
        if getattr(found, "value", "") is None and extras:
            _take_value(found, extras)
            if found.value is None and found.command == "set" and not (found.secret or found.from_file):
                self.error("the following arguments are required: VALUE")  # not that there is no such option
        return found, extras


def _take_value(found: Namespace, extras: list[str]) -> None:
    """Take the value that stands behind options, where `argparse` does not look for a word that may be missing."""
    behind_dashes = extras[0] == "--" and len(extras) > 1
    if behind_dashes or not extras[0].startswith("-") or negative(extras[0]):
        del extras[:behind_dashes]
        found.value = extras.pop(0)


def _apart(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words, and the options with their values."""
    words: list[str] = []
    options: list[str] = []
    takes_value = False
    for argument in given:
        (options if takes_value or argument.startswith("-") else words).append(argument)
        takes_value = not takes_value and argument in _BEFORE
    return words, options


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    room, _, name = CONFIG_COMMANDS[arguments.command].run.partition(".")
    command: Callable[[Namespace, Screen], int] = getattr(import_module(f"Tools.configtool.{room}"), name)
    try:
        return command(arguments, screen)
    except NoSuchVersionException as error:
        from Tools.common.configuration import open_configuration

        there = f"There are: {', '.join(open_configuration('default').store.versions())}."
        name = arguments.version
        if "-m" in CONFIG_COMMANDS[arguments.command].options and name == error.facts["version"]:
            there += f" To add it: {NAME} add-version {name}"
        screen.fail(f"{error} {there}")
        return error.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
