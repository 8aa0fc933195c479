#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Check the installation, and say how to fix what is wrong."""

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
"""For terminals limited to ASCII."""
RESULT_STYLES = {"ok": ("green",), "note": ("bold", "yellow"), "problem": ("bold", "red")}
NARROWEST_TERMINAL = 60
"""Columns; on a narrower terminal, sentences are not wrapped here."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = Arguments(
        prog=NAME,
        description=__doc__,
        usage=f"{NAME} [--json]\n       {NAME} --journals [NAME] [--json] [--show [-n N] | --repair]\n"
        f"       {NAME} --rows [--json | --repair]\n       {NAME} --bundle [FILE.zip] [--force]",
        examples=(
            (NAME, "check databases, journals, instruments, services, sessions and disks"),
            (f"{NAME} --journals", "records on this machine that wait for delivery; --repair repairs journals"),
            (f"{NAME} --rows", "unreadable values in the tables; --repair corrects them"),
            (f"{NAME} --bundle", "write an archive for support, without passwords"),
        ),
        epilog="Only --repair changes anything. Exit codes: 0 no problem, 1 a problem, 2 usage, 3 a database does "
        "not answer, 4 refused.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    journals = parser.add_argument(
        "--journals",
        nargs="?",
        const="",
        metavar="NAME",
        help="list the journals of this user on this machine, or only NAME",
    )
    completion.attach(journals, _journals)
    parser.add_argument("--show", action="store_true", help="with --journals NAME: show its waiting records")
    parser.add_argument(
        "-n",
        "--lines",
        type=count,
        metavar="N",
        help=f"with --show: number of records ({RECORDS_SHOWN})",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="with --journals: remove damage and retry refused records; with --rows: correct the rows",
    )
    parser.add_argument("--rows", action="store_true", help="check every row of every table for unreadable values")
    parser.add_argument(
        "--bundle", nargs="?", const="", metavar="FILE.zip", help="write an archive for support, without secrets"
    )
    parser.add_argument("--force", action="store_true", help="with --bundle: replace an existing file")
    return parser


def run(arguments: Namespace, screen: Screen) -> int:
    """Run the mode that the arguments name."""
    _check(arguments)
    arguments.lines = RECORDS_SHOWN if arguments.lines is None else arguments.lines
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
    chosen = [option for option, is_chosen in modes.items() if is_chosen]
    if len(chosen) > 1:
        mistake = f"{chosen[0]} cannot be combined with {chosen[1]}."
    elif arguments.show and arguments.journals is None:
        mistake = "--show needs --journals."
    elif arguments.repair and not chosen:
        mistake = "--repair needs --journals or --rows."
    elif arguments.repair and arguments.bundle is not None:
        mistake = "--repair cannot be combined with --bundle."
    elif arguments.repair and (arguments.show or arguments.json):
        mistake = f"--repair cannot be combined with {'--show' if arguments.show else '--json'}."
    elif arguments.bundle is not None and arguments.json:
        mistake = "--bundle cannot be combined with --json."
    elif arguments.lines is not None and not arguments.show:
        mistake = "--lines needs --show."
    elif arguments.show and not arguments.journals:
        mistake = "--show needs the name of a journal: --journals NAME --show."
    elif arguments.force and arguments.bundle is None:
        mistake = "--force needs --bundle."
    if mistake:
        raise WrongUse(mistake=mistake, tool=NAME)


def _examine(arguments: Namespace, screen: Screen) -> int:
    from Tools.doctor.checks.context import Case
    from Tools.doctor.checks.examination import examine
    from Tools.doctor.checks.listing import checks
    from Tools.doctor.checks.outcome import described

    screen.live()
    results: list[CheckResult] = []
    heading = ""
    with Case() as case:
        for group, outcome in examine(case, checks()):
            results.append(outcome)
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
        screen.show(f"\n{_summary(results)}")
    return exit_code(results)


def exit_code(results: Sequence[CheckResult]) -> int:
    """Return the exit code for some results."""
    if any(result.unreachable for result in results):
        return EXIT_UNREACHABLE
    return EXIT_FAILURE if any(result.grade == "problem" for result in results) else EXIT_OK


def _show(outcome: CheckResult, screen: Screen) -> None:
    unicode = screen.out is None or (screen.out.encoding or "").lower().replace("-", "") == "utf8"
    mark = (RESULT_MARKS if unicode else PLAIN_MARKS)[outcome.grade]
    width = 1 if unicode else 2
    indent = " " * (width + 3)
    lines = _wrapped(one_line(outcome.sentence), len(indent), screen)
    screen.show(f"  {screen.paint(mark, *RESULT_STYLES[outcome.grade])}{' ' * (width - len(mark))} {lines[0]}")
    for line in lines[1:]:
        screen.show(indent + line)
    if outcome.remedy:
        # Not wrapped, so that a command in it can be copied.
        screen.show(f"{indent}  {screen.paint(one_line(outcome.remedy), 'cyan')}")


def _wrapped(sentence: str, indent: int, screen: Screen) -> list[str]:
    """Return the lines of a sentence: wrapped on a terminal, else a single line."""
    if not screen.terminal:
        return [sentence]
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns - indent
    if width < NARROWEST_TERMINAL - indent:
        return [sentence]
    return textwrap.wrap(sentence, width, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(results: Sequence[CheckResult]) -> str:
    from Tools.common.quantities import counted

    problems, notes = (sum(result.grade == grade for result in results) for grade in ("problem", "note"))
    passed = counted(len(results) - problems - notes, "check passed", "checks passed")
    return f"{counted(problems, 'problem') if problems else 'No problem'}, {counted(notes, 'note')}; {passed}."


def _journals(_arguments: Namespace, _prefix: str) -> list[str]:
    """Return the names of the journals, for completion."""
    from NexusCore import settings
    from NexusCore.delivery.inspection import journals

    return [journal.name for journal in journals(settings.load().home)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
