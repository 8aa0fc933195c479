"""Arguments of the tools: `argparse` with examples at the top of the help, and hints for mistyped words."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, NoReturn

from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.text import one_line, shell_quote, suggest

Example = tuple[str, str]
"""A command line, and what it does."""

OPTION_SIMILARITY = 0.75
"""Similarity to an option above which a word counts as that option, mistyped."""
MAY_BE_EMPTY = frozenset({"value", "comment", "after_cursor"})
"""Destinations of the arguments that may be empty: an empty text is a value, and removes a comment."""
LARGEST_COUNT = 999_999_999
"""The largest number accepted as a count."""
_NEGATIVE = re.compile(r"^-\.?\d")
_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")


def negative(word: str) -> bool:
    """Return whether a word with a leading dash is a number rather than an option."""
    return _NEGATIVE.match(word) is not None


class WrongUse(NexusError):
    """{mistake} See {tool} --help."""

    exit_code = EXIT_USAGE


class Arguments(argparse.ArgumentParser):
    """A parser of arguments.

    Parameters
    ----------
    examples
        The beginning of the help.
    **options
        As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples: Sequence[Example] = (), **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self._examples = examples
        self._given: Sequence[str] = ()
        # So that a value such as -1e-6 or -15m is not taken for an option: options have no leading digit.
        self._negative_number_matcher = _NEGATIVE

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Called for every added argument; without a width, each call would import `shutil`, which is slow.
        return argparse.HelpFormatter(prog=self.prog, width=_columns() - 2)

    def format_help(self) -> str:
        """Return the help, with the examples at the top."""
        width = max((len(command) for command, _ in self._examples), default=0)
        lines = [f"  {command.ljust(width)}   {what}" for command, what in self._examples]
        text = super().format_help()
        if self._examples:  # that of a tool, not of one of its commands
            text += f"\n{self.prog} --version alone shows the version of NexusCore.\n"
        return "\n".join(["Examples:", *lines, "", text]) if lines else text

    def print_help(self, file: Any = None) -> None:
        """Write the help; unlike `argparse`, raise an error if it cannot be written."""
        out = file or sys.stdout
        if out is not None:
            out.write(self.format_help())

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments; a mistake in an option is reported before a missing command."""
        if list(sys.argv[1:] if args is None else args) == ["--version"]:
            # Before the parser: ConfigTool and ConfigUI have an option of that name, which takes a value.
            self._show_version()
        parsed = super().parse_args(args, namespace)
        if getattr(parsed, "command", "") is None:
            self.error("the following arguments are required: COMMAND")
        return parsed

    def _show_version(self) -> NoReturn:
        from NexusCore import __version__

        if sys.stdout is not None:
            sys.stdout.write(f"{self.prog} of NexusCore {__version__}\n")
        self.exit()

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments that are known."""
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self._given, namespace)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if not isinstance(action.choices, dict):  # as those of commands, whose own parsers look at the rest
            for word in arg_strings:
                _check_word(action, word)
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Exit with a sentence about the mistake."""
        self.exit(EXIT_USAGE, one_line(f"{self.prog}: {self._sentence(message)} See {self.prog} --help.") + "\n")

    def _sentence(self, message: str) -> str:
        kind, _, rest = message.partition(": ")
        if kind == "unrecognized arguments":
            odd = rest.split()[0]
            if odd.startswith("-") and odd != "-":
                if odd.partition("=")[0] in self._options():
                    return f"This command has no option '{odd}'."
                return f"Unknown option '{odd}'.{self._similar_option(odd)}"
            return f"Unexpected argument '{odd}'."
        choice = _CHOICE.search(message)
        if choice:
            known = re.findall(r"[^\s',]+", choice[2])
            return f"Invalid choice '{choice[1]}'; use one of {', '.join(known)}.{suggest(choice[1], known)}"
        if kind == "the following arguments are required":
            return f"{rest} is missing.{self._dash_hint()}"
        return f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'}"

    def _dash_hint(self) -> str:
        """Return a sentence about a value that was taken for an option because of its dash."""
        before = takewhile(lambda argument: argument != "--", self._given)
        odd = (
            argument
            for argument in before
            if argument.startswith("-") and argument.partition("=")[0] not in self._options()
        )
        word = next((argument for argument in odd if argument != "-" and not _NEGATIVE.match(argument)), None)
        if word is None:
            return ""
        return self._similar_option(word) or f" Use -- before values that start with '-': -- {word}"

    def _similar_option(self, word: str) -> str:
        return suggest(word.partition("=")[0], self._options(), OPTION_SIMILARITY)

    def _options(self) -> Iterator[str]:
        """Yield every option of this parser and its commands."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for command in action.choices.values():
                    yield from command._options()


def _check_word(action: argparse.Action, word: str) -> None:
    """Refuse a word that no argument can be."""
    # An empty one is mostly the "$UNSET" of a script: read as no name at all, it would mean everything.
    if not word.strip() and action.dest not in MAY_BE_EMPTY:
        raise argparse.ArgumentError(None, f"{argument_name(action)} is empty")
    if str(action.metavar).startswith("FILE"):  # its name may have any bytes
        return
    try:
        word.encode()
    except UnicodeEncodeError:
        shown = shell_quote(os.fsencode(word).decode("utf-8", "backslashreplace"))
        raise argparse.ArgumentError(None, f"{argument_name(action)} is not valid UTF-8: {shown}") from None


def argument_name(action: argparse.Action) -> str:
    """Return the name of an argument, as in the help: the longest of an option's, or the word for its value."""
    if action.option_strings:
        return max(action.option_strings, key=len)
    return str(action.metavar or action.dest)


@cache
def _columns() -> int:
    """Return the width of the help, as `shutil.get_terminal_size` finds it."""
    variable = os.environ.get("COLUMNS", "")
    if variable.isdecimal() and int(variable):
        return int(variable)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


def count(text: str) -> int:
    """Return a whole number, 0 or more; for `add_argument(type=...)`."""
    if re.fullmatch(r"-\d+", text):
        raise argparse.ArgumentTypeError(f"a number cannot be negative: use {text[1:21].lstrip('0') or '0'}")
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    if len(text.lstrip("0")) > len(str(LARGEST_COUNT)):  # Python refuses to read very long ones
        raise argparse.ArgumentTypeError(
            f"{text[:20]}{'...' * (len(text) > 20)} is too large; the largest is {LARGEST_COUNT:,}"
        )
    return int(text)


def revisions(text: str) -> tuple[int, int]:
    """Return the first and the last revision of ``6..14``, or of ``6``."""
    first, dots, last = text.partition("..")
    begin, end = count(first), count(last if dots else first)
    if not 0 < begin <= end:
        raise argparse.ArgumentTypeError(f"invalid revision range '{text}'; use for example 6..14")
    return begin, end


SYSLOG_LEVELS = {
    "emerg": "critical", "panic": "critical", "alert": "critical", "crit": "critical", "err": "error",
    "warn": "warning", "notice": "info",
}  # fmt: skip
"""Names of levels in syslog, and the level of Python that has such messages here."""
SYSLOG_NUMBERS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of syslog's levels by their numbers, which are the other way round than Python's."""


def level(text: str) -> int:
    """Return the number of a log level, given by its name, its name in syslog, or Python's number."""
    import logging

    if re.fullmatch(r"\d{1,3}", text):
        if int(text) < len(SYSLOG_NUMBERS):
            name = SYSLOG_NUMBERS[int(text)]
            right = SYSLOG_LEVELS.get(name, name)
            number = logging.getLevelNamesMapping()[right.upper()]
            raise argparse.ArgumentTypeError(
                f"{text} is {name} in syslog, but here levels are numbered as in Python; use {right} or {number}"
            )
        return int(text)
    known = {name: number for name, number in logging.getLevelNamesMapping().items() if number}
    name = SYSLOG_LEVELS.get(text.lower(), text).upper()
    if name not in known:
        hint = suggest(text.lower(), (*(name.lower() for name in known), *SYSLOG_LEVELS))
        mistake = f"unknown level '{text}'; use debug, info, warning, error, critical or a number"
        raise argparse.ArgumentTypeError(f"{mistake}.{hint}" if hint else mistake)
    return known[name]


def levels(text: str) -> tuple[int, int | None]:
    """Return the lowest and the highest level of ``warning``, which has no end, or of ``debug..info``."""
    lowest, dots, highest = text.partition("..")
    first = level(lowest) if lowest or not dots else 0
    last = level(highest) if highest else None
    return (first, last) if last is None else (min(first, last), max(first, last))


def moment(text: str) -> int:
    """Return a time, in microseconds since the epoch, as a person writes it."""
    from NexusCore.clock import SYSTEM_CLOCK
    from Tools.common import time_parser

    try:
        return time_parser.moment(text, SYSTEM_CLOCK.now())
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid time '{text}'; examples are {time_parser.TIME_EXAMPLES}") from None


def duration(text: str) -> int:
    """Return a length of time in microseconds; at least a second."""
    from NexusCore.clock import SECOND

    microseconds = round(seconds(text) * SECOND)
    if microseconds < SECOND:
        raise argparse.ArgumentTypeError(f"'{text}' is too short; use at least 1s")
    return microseconds


def seconds(text: str) -> float:
    """Return the length in seconds of a time such as ``90``, ``15m`` or ``1h30m``."""
    from NexusCore.clock import SECOND
    from Tools.common import time_parser

    try:
        return time_parser.length(text) / SECOND
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"invalid length of time '{text}'; examples are 90, 15m and '2 hours'"
        ) from None
