"""Arguments of the tools: `argparse`, with examples before all else and a hint for a near miss."""

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
from NexusCore.text import one_line, suggest

Example = tuple[str, str]
"""A command line, and what it does."""

LIKE_AN_OPTION = 0.75
"""Share of letters that a mistyped option has in common with the one that was meant."""
LARGEST_COUNT = 999_999_999
"""A count is not larger."""
_NEGATIVE = re.compile(r"^-\.?\d")
_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")


def negative(word: str) -> bool:
    """Return whether a word that begins with a dash is a number rather than an option."""
    return _NEGATIVE.match(word) is not None


class WrongUse(NexusError):
    """{mistake} See {tool} --help."""

    exit_code = EXIT_USAGE


class Arguments(argparse.ArgumentParser):
    """A parser of arguments.

    Parameters
    ----------
    examples
        What the help begins with.
    **options
        As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples: Sequence[Example] = (), **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self._examples = examples
        self._given: Sequence[str] = ()
        # A value such as -1e-6 or -15m is no option: none begins with a digit.
        self._negative_number_matcher = _NEGATIVE

    def _get_formatter(self) -> argparse.HelpFormatter:
        # One is made for every argument that is added; without a width, each would ask `shutil`, slow to import.
        return argparse.HelpFormatter(prog=self.prog, width=_columns() - 2)

    def format_help(self) -> str:
        """Return the help, the examples first."""
        width = max((len(command) for command, _ in self._examples), default=0)
        lines = [f"  {command.ljust(width)}   {what}" for command, what in self._examples]
        return "\n".join(["Examples:", *lines, "", super().format_help()]) if lines else super().format_help()

    def print_help(self, file: Any = None) -> None:
        """Write the help; unlike `argparse`, tell when it cannot be written."""
        out = file or sys.stdout
        if out is not None:
            out.write(self.format_help())

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments; a mistake in an option is told before a missing command."""
        parsed = super().parse_args(args, namespace)
        if getattr(parsed, "command", "") is None:
            self.error("the following arguments are required: COMMAND")
        return parsed

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the arguments that are known."""
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self._given, namespace)

    def error(self, message: str) -> NoReturn:
        """End the program with a sentence about the mistake."""
        self.exit(EXIT_USAGE, one_line(f"{self.prog}: {self._sentence(message)} See {self.prog} --help.") + "\n")

    def _sentence(self, message: str) -> str:
        kind, _, rest = message.partition(": ")
        if kind == "unrecognized arguments":
            odd = rest.split()[0]
            if odd.startswith("-") and odd != "-":
                if odd.partition("=")[0] in self._options():
                    return f"The option '{odd}' does not go with this command."
                return f"There is no option '{odd}'.{self._option_like(odd)}"
            return f"'{odd}' is one word too many."
        choice = _CHOICE.search(message)
        if choice:
            known = re.findall(r"[^\s',]+", choice[2])
            return f"'{choice[1]}' is none of {', '.join(known)}.{suggest(choice[1], known)}"
        if kind == "the following arguments are required":
            return f"{rest} is missing.{self._taken_for_an_option()}"
        return f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'}"

    def _taken_for_an_option(self) -> str:
        """Return a sentence about a word that was to be a value, and is none only because of its dash."""
        before = takewhile(lambda argument: argument != "--", self._given)
        odd = (
            argument
            for argument in before
            if argument.startswith("-") and argument.partition("=")[0] not in self._options()
        )
        word = next((argument for argument in odd if argument != "-" and not _NEGATIVE.match(argument)), None)
        if word is None:
            return ""
        return self._option_like(word) or f" What begins with a dash and is no option goes behind --, as in: -- {word}."

    def _option_like(self, word: str) -> str:
        return suggest(word.partition("=")[0], self._options(), LIKE_AN_OPTION)

    def _options(self) -> Iterator[str]:
        """Yield every option of this parser and of its commands'."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for command in action.choices.values():
                    yield from command._options()


@cache
def _columns() -> int:
    """Return the width that help is written in, found as `shutil.get_terminal_size` does."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


def count(text: str) -> int:
    """Return a whole number that is not negative; for `add_argument(type=...)`."""
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number")
    if len(text.lstrip("0")) > len(str(LARGEST_COUNT)):  # Python refuses to read very long ones
        raise argparse.ArgumentTypeError(
            f"{text[:20]}{'...' * (len(text) > 20)} is too large; {LARGEST_COUNT:,} is the most"
        )
    return int(text)


def revisions(text: str) -> tuple[int, int]:
    """Return the first and the last revision of ``6..14``, or of ``6``."""
    first, dots, last = text.partition("..")
    found = count(first), count(last if dots else first)
    if not 0 < found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"'{text}' are no revisions; it looks like 6..14")
    return found


def level(text: str) -> int:
    """Return the number of a level of logging, given by name in any case or by number."""
    import logging

    if re.fullmatch(r"\d{1,3}", text):
        return int(text)
    known = {name: number for name, number in logging.getLevelNamesMapping().items() if number}
    if text.upper() not in known:
        hint = suggest(text.lower(), (name.lower() for name in known))
        mistake = f"'{text}' is no level, such as debug, info, warning, error, critical or a number"
        raise argparse.ArgumentTypeError(f"{mistake}.{hint}" if hint else mistake)
    return known[text.upper()]


def levels(text: str) -> tuple[int, int | None]:
    """Return the lowest and the highest level of ``warning``, which has no end, or of ``debug..info``."""
    lowest, dots, highest = text.partition("..")
    first = level(lowest) if lowest or not dots else 0
    last = level(highest) if highest else None
    return (first, last) if last is None else (min(first, last), max(first, last))


def moment(text: str) -> int:
    """Return the time, in microseconds since the epoch, that a person wrote."""
    from NexusCore.clock import SYSTEM_CLOCK
    from Tools.common import time_parser

    try:
        return time_parser.moment(text, SYSTEM_CLOCK.now())
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; examples are {time_parser.TIME_EXAMPLES}") from None


def seconds(text: str) -> float:
    """Return the length in seconds of a time such as ``90``, ``15m`` or ``1h30m``."""
    from NexusCore.clock import SECOND
    from Tools.common import time_parser

    try:
        return time_parser.length(text) / SECOND
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"'{text}' is no length of time; examples are 90, 15m and '2 hours'") from None
