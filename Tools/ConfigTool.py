#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show and change the configuration; the history keeps who changed what, when and why."""

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
from Tools.common.arguments import Arguments, count, moment, negative, revisions
from Tools.common.terminal import Screen, run_tool

NAME = "ConfigTool"
TYPE_NAMES = ("string", "integer", "double", "boolean", "folder")
LOOK, ASSIGN = "(look)", "(assign)"
"""Internal commands: for a first word that is not a command, and for PATH=VALUE."""


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
    """A command of the tool."""

    run: str
    """Module in `Tools.configtool` and its function; imported when needed."""
    help: str
    words: tuple[Word, ...] = ()
    options: tuple[str, ...] = ()
    """Its options, of `OPTIONS`, besides those that all commands have."""
    more: str | None = None
    """Text below its help."""


OPTIONS: dict[str, dict[str, Any]] = {
    "--type": {"choices": TYPE_NAMES, "help": "datatype; by default, the type that the value looks like"},
    "--comment": {"metavar": "TEXT", "help": "purpose and unit of the parameter"},
    "--secret": {
        "action": argparse.BooleanOptionalAction,
        "help": "make it a secret, which is never shown; without VALUE, the terminal asks for it; --no-secret "
        "makes it a normal parameter again and needs a new VALUE",
    },
    "--from-file": {
        "metavar": "FILE",
        "help": "read the value from a file (- for the standard input), without its final line end",
    },
    "--from": {"dest": "kept_text", "metavar": "FILE", "help": "go on with a text that was refused and kept"},
    "-n": {"dest": "lines", "type": count, "default": 20, "metavar": "N", "help": "number of entries (20)"},
    "--depth": {"type": count, "metavar": "N", "help": "levels of folders to draw (all)"},
    "--below": {"metavar": "FOLDER", "help": "compare only this folder"},
    "--root": {"metavar": "FOLDER", "default": ".", "help": "folder of the file's parameters (the root)"},
    "--after": {"type": count, "metavar": "REVISION", "help": "begin after this revision"},
    "-m": {"dest": "reason", "metavar": "REASON", "help": "reason for the change, kept in the history"},
    "--only": {
        "type": revisions,
        "metavar": "FIRST..LAST",
        "help": "undo only these revisions; parameters that were changed again since stay as they are",
    },
    "--yes": {"action": "store_true", "help": "change more than 20 parameters without a question"},
    "-S": {"dest": "since", "type": moment, "metavar": "TIME", "help": "changes from this time on, such as -2h"},
    "-U": {"dest": "until", "type": moment, "metavar": "TIME", "help": "changes up to this time"},
    "--who": {"metavar": "USER", "help": "changes by this user"},
    "--tool": {"metavar": "TOOL", "help": "changes with this program, such as ConfigUI"},
    "--set-only": {"action": "store_true", "help": "leave out what can be set but is not"},
    "--overwrite": {"action": "store_true", "help": "replace existing parameters"},
    "--dry-run": {"action": "store_true", "help": "show what would change, and change nothing"},
    "--if-revision": {
        "type": count,
        "metavar": "N",
        "help": "only if the parameter was last changed at this revision (0: if it does not exist)",
    },
}
LONG_OPTIONS = {"-m": "--reason", "-n": "--lines", "-S": "--since", "-U": "--until"}
CHANGE = ("-m", "--dry-run", "--yes")
"""Options of all commands that change something."""
ONE_CHANGE = (*CHANGE, "--if-revision")
VALUE = ("--type", "--comment", "--secret", "--from-file")
"""Options of commands with a value."""
_BEFORE = ("-v", "--version", "-m", "--reason", "--if-revision")
"""Options with a value that may stand before the command."""

_INTO = "The version of -v must exist; add-version adds one."
_VISIBLE = "Other users can see the command line: let the terminal ask for a secret, or use --from-file."
_NO_MISTAKE = "the word 'version', so that nothing is deleted by mistake"


def _the_word_version(text: str) -> str:
    if text != "version":
        import shlex  # only needed after a mistake

        raise argparse.ArgumentError(None, f"Write: {NAME} delete version {shlex.quote(text)}")
    return text


_PATH = Word("path", "PATH", "a parameter or folder, such as Services.Builder.interval", completion.parameters)
_PARAMETER = _PATH._replace(help="a parameter, such as Services.Builder.interval; list shows folders")
_SUBTREE = _PATH._replace(nargs="?", help="a parameter or folder; everything by default")
_SUBTREE_TO_EDIT = _PATH._replace(help="a folder, such as Services.Builder")
_FROM_TO = (
    _PATH._replace(name="source", metavar="FROM", help="a folder or parameter, such as Instruments.A"),
    _PATH._replace(name="target", metavar="TO", help="its new path, such as Instruments.B"),
)
_A_VERSION = Word("name", "NAME", "the version", completion.versions)
_A_STATE = Word("old", "REVISION|VERSION", "number of a revision, or name of a version", completion.versions)

CONFIG_COMMANDS = {
    "get": Command("looking.get", "show only the value of a parameter", (_PARAMETER,)),
    "list": Command("looking.list_", "show a folder, or everything, one parameter per line", (_SUBTREE,)),
    "tree": Command(
        "looking.tree", "show a folder, or everything, as a tree, with what can be set", (_SUBTREE,),
        ("--depth", "--set-only"),
    ),
    "search": Command(
        "looking.search", "find parameters by a text in path, value or comment", (Word("text", "TEXT", "in any case"),)
    ),
    "describe": Command(
        "describing.describe", "show what a parameter is for, what it may be, and who changed it last", (_PARAMETER,)
    ),
    "history": Command(
        "past.history", "show who changed a parameter, a folder or anything, when and why", (_SUBTREE,),
        ("-n", "-S", "-U", "--who", "--tool"),
    ),
    "diff": Command(
        "comparing.diff",
        "compare two revisions or versions, or one with the present state",
        (_A_STATE, _A_STATE._replace(name="new", nargs="?")),
        ("--below",),
    ),
    "watch": Command(
        "watching.watch", "show changes by any process as they happen", (_SUBTREE._replace(name="paths", nargs="*"),),
        ("--after",),
    ),
    "validate": Command(
        "comparing.validate",
        "check all parameters against their declared types, limits and names, or a JSON file",
        (Word("file", "FILE", "the JSON of serialize, - for the standard input", completion.files, "?"),),
        ("--root",),
    ),
    "set": Command(
        "changing.set_",
        "set a parameter and its type (PATH=VALUE keeps the type)",
        (_PATH, Word("value", "VALUE", "the new value; without it, the terminal asks for a secret", nargs="?")),
        (*VALUE, *ONE_CHANGE),
        _VISIBLE,
    ),
    "add": Command(
        "changing.add",
        "add a parameter, or with --type folder a folder",
        (_PATH, Word("value", "VALUE", "its value; without it, the terminal asks for a secret", nargs="?")),
        (*VALUE, *CHANGE),
        _VISIBLE,
    ),
    "remove": Command(
        "changing.remove", "remove a parameter, or a folder with everything in it", (_PATH,), ONE_CHANGE,
        "What a program needs is not removed, but gets its default (as with reset).",
    ),
    "reset": Command(
        "changing.reset", "give a parameter, or all below a folder, the default that its program declares", (_PATH,),
        CHANGE,
    ),
    "edit": Command(
        "editing.edit", "change a folder in your editor ($VISUAL, $EDITOR)", (_SUBTREE_TO_EDIT,), ("--from", *CHANGE)
    ),
    "clone": Command(
        "changing.clone", "copy a folder or parameter, such as an instrument", _FROM_TO, ("--overwrite", *CHANGE)
    ),
    "move": Command("changing.move", "move a folder or parameter", _FROM_TO, ("--overwrite", *CHANGE)),
    "rollback": Command(
        "changing.rollback",
        "restore parameters or folders, or everything, to a revision",
        (
            Word("revision", "REVISION", "number of the revision, as history shows it", nargs="?", type=count),
            _SUBTREE._replace(name="paths", nargs="*"),
        ),
        ("--only", *CHANGE),
        "REVISION undoes all later changes; --only undoes the changes of these revisions. Exit code 1: some of these "
        "parameters were changed again since and stay as they are.",
    ),
    "serialize": Command("exchanging.serialize", "write a folder, or everything, as JSON", (_SUBTREE,)),
    "deserialize": Command(
        "exchanging.deserialize",
        "import the JSON of serialize, all or nothing",
        (
            Word("root", "FOLDER", "target folder; . for the root", completion.parameters),
            Word("file", "FILE", "the JSON of serialize, - for the standard input", completion.files),
        ),
        ("--overwrite", *CHANGE),
        _INTO,
    ),
    "import": Command(
        "exchanging.import_",
        "import XML in the format of CryoCore's defaultConfiguration.xml, all or nothing",
        (Word("file", "FILE", "the XML, - for the standard input", completion.files),),
        ("--overwrite", *CHANGE),
        "Below <configuration>, an element with child elements is a folder; an element with text is a parameter, of "
        "the type that the text looks like. The attributes name, type, value and comment are read too. "
        f"{_INTO}",
    ),
    "versions": Command("looking.versions", "show the versions of the configuration"),
    "add-version": Command(
        "versions.add_version", "add a version without parameters", (_A_VERSION._replace(read=None),), CHANGE
    ),
    "copy": Command(
        "versions.copy",
        "copy the parameters of a version into another, which is added if it does not exist",
        (
            _A_VERSION._replace(name="source", metavar="FROM", help="the version; NAME@REVISION for an earlier state"),
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
"""All commands, by the word that is typed."""
HIDDEN_COMMANDS = (LOOK, ASSIGN)


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = ConfigArguments(
        prog=NAME,
        description=__doc__,
        usage=f"{NAME} [options] COMMAND ... | PATH=VALUE ... | WORD",
        examples=(
            (f"{NAME} Instruments", "show a folder, or all paths with the word"),
            (f"{NAME} Services.Builder.interval=5 -m 'demo'", "change a parameter"),
            (f"{NAME} history Services.Builder.interval", "who changed it, when and why"),
        ),
        epilog=f"Exit codes: 0 done, 1 nothing found, 2 usage, 3 database away, 4 refused. For help on a command: "
        f"{NAME} COMMAND --help",
    )
    _add_common(parser, None)
    for option in ONE_CHANGE:
        _add_option(parser, option)
    parser.set_defaults(commands=[name for name in CONFIG_COMMANDS if name not in HIDDEN_COMMANDS])
    commands = parser.add_subparsers(
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
        # Suppressed: a default would override the option before the command.
        _add_common(subparser, argparse.SUPPRESS)
    return parser


def _add_common(parser: Arguments, default: object) -> None:
    version = parser.add_argument(
        "-v", "--version", default=default, metavar="VERSION", help="version of the configuration"
    )
    completion.attach(version, completion.versions)
    parser.add_argument(
        "--json", action="store_true", default=default or False, help="one JSON object per line, for programs"
    )


def _add_option(parser: Arguments, option: str) -> None:
    names = (option, LONG_OPTIONS[option]) if option in LONG_OPTIONS else (option,)
    parser.add_argument(*names, **OPTIONS[option])


class ConfigArguments(Arguments):
    """Parser whose first word may also be a parameter, a folder or a part of a path."""

    hidden = HIDDEN_COMMANDS

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments; options before the command belong to it."""
        arguments = list(sys.argv[1:] if args is None else args)
        words, options = _words_and_options(arguments)
        if words:
            known, at = words[0] in CONFIG_COMMANDS, arguments.index(words[0])
            command = words[0] if known else ASSIGN if "=" in words[0] else LOOK
            rest = [*arguments[at + known :], *arguments[:at]] if known else [*words, *options]
            if "--" in arguments:  # words after it are never options
                rest = [*arguments[:at], *arguments[at + known :]]
            arguments = [command, *rest]
        parsed, extras = super().parse_known_args(arguments, namespace)
        if getattr(parsed, "value", "") is None and extras:
            _take_value(parsed, extras)
            if parsed.value is None and parsed.command == "set" and not (parsed.secret or parsed.from_file):
                self.error("the following arguments are required: VALUE")  # rather than "no such option"
        return parsed, extras


def _take_value(parsed: Namespace, extras: list[str]) -> None:
    """Take the optional value from behind options, where `argparse` does not look for it."""
    behind_dashes = extras[0] == "--" and len(extras) > 1
    if behind_dashes or not extras[0].startswith("-") or negative(extras[0]):
        del extras[:behind_dashes]
        parsed.value = extras.pop(0)


def _words_and_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the words from the options and their values."""
    words: list[str] = []
    options: list[str] = []
    takes_value = False
    for argument in arguments:
        (options if takes_value or argument.startswith("-") else words).append(argument)
        takes_value = not takes_value and argument in _BEFORE
    return words, options


def run(arguments: Namespace, screen: Screen) -> int:
    """Run the command."""
    module, _, name = CONFIG_COMMANDS[arguments.command].run.partition(".")
    command: Callable[[Namespace, Screen], int] = getattr(import_module(f"Tools.configtool.{module}"), name)
    try:
        return command(arguments, screen)
    except NoSuchVersionException as error:
        from Tools.common.configuration import open_configuration

        there = f"Versions: {', '.join(open_configuration('default').store.versions())}."
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
