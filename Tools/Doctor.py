#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Look whether all is well, and say what to do where it is not."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    # Run as ./Tools/Doctor.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_UNREACHABLE
from NexusCore.text import one_line
from Tools.common import completion
from Tools.common.arguments import Arguments, WrongUse, count
from Tools.common.terminal import Screen, run_tool

if TYPE_CHECKING:
    from Tools.doctor.checks.outcome import CheckResult

NAME = "Doctor"
RECORDS_SHOWN = 50
RESULT_MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN_MARKS = {"ok": "ok", "note": "!", "problem": "X"}
"""For terminals that know only ASCII."""
RESULT_STYLES = {"ok": ("green",), "note": ("bold", "yellow"), "problem": ("bold", "red")}
NARROWEST_TERMINAL = 60
"""Columns below which sentences are left to the terminal to break."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = Arguments(
        prog=NAME,
        description=__doc__,
        usage=f"{NAME} [--json]\n       {NAME} --journals [NAME] [--json] [--show [-n N] | --repair]\n"
        f"       {NAME} --rows [--json | --repair]\n       {NAME} --bundle [FILE.zip] [--force]",
        examples=(
            (NAME, "databases, journals, instruments, services, sessions, disks: all is looked at"),
            (f"{NAME} --journals", "what waits on this machine to be delivered; --repair puts it in order"),
            (f"{NAME} --rows", "values in the tables that cannot be read; --repair puts them right"),
            (f"{NAME} --bundle", "an archive for whoever helps you, without passwords"),
        ),
        epilog="Nothing is changed, except by --repair. Exit codes: 0 no problem, 1 a problem, 2 usage, 3 a database "
        "does not answer, 4 refused.",
    )
    made.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    journals = made.add_argument(
        "--journals",
        nargs="?",
        const="",
        metavar="NAME",
        help="the journals of this user on this machine, or one of them",
    )
    completion.attach(journals, _journals)
    made.add_argument("--show", action="store_true", help="with --journals NAME: the records that wait in it")
    made.add_argument(
        "-n", "--lines", type=count, default=RECORDS_SHOWN, metavar="N", help=f"with --show: how many ({RECORDS_SHOWN})"
    )
    made.add_argument(
        "--repair",
        action="store_true",
        help="with --journals: take out damage, and deliver refused records once more; with --rows: put rows right",
    )
    made.add_argument(
        "--rows", action="store_true", help="look at every row of every table for values that cannot be read"
    )
    made.add_argument(
        "--bundle", nargs="?", const="", metavar="FILE.zip", help="write an archive for support, without secrets"
    )
    made.add_argument("--force", action="store_true", help="with --bundle: replace a file that is there")
    return made


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    _check(arguments)
    if arguments.journals is not None:
        from Tools.doctor import journal_commands

        return journal_commands.run(arguments, screen)
    if arguments.rows:
        from Tools.doctor import row_commands

        return row_commands.run(arguments, screen)
    if arguments.bundle is not None:
        from Tools.doctor import bundle

        return bundle.write(arguments.bundle, screen, force=arguments.force)
    return _examine(arguments, screen)


def _check(arguments: Namespace) -> None:
    mistake = ""
    modes = {
        "--journals": arguments.journals is not None, "--rows": arguments.rows, "--bundle": arguments.bundle is not None
    }  # fmt: skip
    given = [option for option, is_given in modes.items() if is_given]
    if len(given) > 1:
        mistake = f"{given[0]} and {given[1]} do not go together."
    elif arguments.show and arguments.journals is None:
        mistake = "--show goes with --journals."
    elif arguments.repair and not given:
        mistake = "--repair goes with --journals or --rows."
    elif arguments.repair and arguments.bundle is not None:
        mistake = "--repair and --bundle do not go together."
    elif arguments.repair and (arguments.show or arguments.json):
        mistake = f"{'--show' if arguments.show else '--json'} and --repair do not go together."
    elif arguments.show and not arguments.journals:
        mistake = "--show needs to know of which journal: --journals NAME --show."
    elif arguments.force and arguments.bundle is None:
        mistake = "--force goes with --bundle."
    if mistake:
        raise WrongUse(mistake=mistake, tool=NAME)


def _examine(arguments: Namespace, screen: Screen) -> int:
    from Tools.doctor.checks.context import Case
    from Tools.doctor.checks.examination import examine
    from Tools.doctor.checks.listing import checks
    from Tools.doctor.checks.outcome import described

    screen.live()
    found: list[CheckResult] = []
    heading = ""
    with Case() as case:
        for group, outcome in examine(case, checks()):
            found.append(outcome)
            if arguments.json:
                screen.show_json(**described(group, outcome))
                continue
            if group != heading:
                if heading:
                    screen.show()
                screen.show(screen.paint(group, "bold"))
                heading = group
            _show(outcome, screen)
    if not arguments.json:
        screen.show(f"\n{_summary(found)}")
    return exit_code(found)


def exit_code(found: Sequence[CheckResult]) -> int:
    """Return what the outcomes mean for the shell."""
    if any(result.unreachable for result in found):
        return EXIT_UNREACHABLE
    return EXIT_FAILURE if any(result.grade == "problem" for result in found) else EXIT_OK


def _show(outcome: CheckResult, screen: Screen) -> None:
    unicode = screen.out is None or (screen.out.encoding or "").lower().replace("-", "") == "utf8"
    mark = (RESULT_MARKS if unicode else PLAIN_MARKS)[outcome.grade]
    width = 1 if unicode else 2
    indent = " " * (width + 3)
    lines = _broken(one_line(outcome.sentence), len(indent), screen)
    screen.show(f"  {screen.paint(mark, *RESULT_STYLES[outcome.grade])}{' ' * (width - len(mark))} {lines[0]}")
    for line in lines[1:]:
        screen.show(indent + line)
    if outcome.remedy:
        # Not broken: a command in it is to be copied.
        screen.show(f"{indent}  {screen.paint(one_line(outcome.remedy), 'cyan')}")


def _broken(sentence: str, indent: int, screen: Screen) -> list[str]:
    """Return the lines of a sentence: on a terminal, broken between words; else one."""
    if not screen.terminal:
        return [sentence]
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns - indent
    if width < NARROWEST_TERMINAL - indent:
        return [sentence]
    return textwrap.wrap(sentence, width, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(found: Sequence[CheckResult]) -> str:
    from Tools.common.quantities import counted

    problems, notes = (sum(result.grade == grade for result in found) for grade in ("problem", "note"))
    rest = counted(len(found) - problems - notes, "thing is as it should be", "things are as they should be")
    return f"{counted(problems, 'problem') if problems else 'No problem'}, {counted(notes, 'note')}; {rest}."


def _journals(_arguments: Namespace, _prefix: str) -> list[str]:
    """Return the names of the journals, for the shell to offer."""
    from NexusCore import settings
    from NexusCore.delivery.inspection import journals

    return [journal.name for journal in journals(settings.load().home)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
