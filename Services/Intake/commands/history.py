"""``history``: what was filed, from where, by which rule."""

from __future__ import annotations

from NexusCore.clock import readable_time
from NexusCore.errors import EXIT_OK
from NexusCore.facility.intake_move import IntakeMove, MoveState
from NexusCore.text import one_line
from Services.Intake.commands.cli_options import IntakeOptions
from Services.Intake.commands.session import command

MOST_SHOWN = 1000
"""Filings shown at once."""


def main(options: IntakeOptions) -> int:
    """Run from the command line; return the exit code."""
    with command() as session:
        session.check_rule(options.rule)
        until = 1 << 62 if options.until is None else options.until
        moves = session.moves.history(options.since or 0, until, options.rule, count=MOST_SHOWN)
        for move in reversed(moves):
            session.out.write(f"{_line(move)}\n")
        if not moves:
            session.log.info("Nothing was filed in this time.")
        elif len(moves) == MOST_SHOWN:
            session.log.info("These are the newest %d; earlier ones: --until", MOST_SHOWN)
    return EXIT_OK


def _line(move: IntakeMove) -> str:
    filed = readable_time(move.filed_ts)
    when = "?" if filed is None else filed.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    undone = " (put back)" if move.state is MoveState.UNDONE else ""
    source = one_line(move.source) if move.source else "(note)"
    sha256 = (move.sha256 or "")[:12]
    return f"{when}  {one_line(move.rule)}  {sha256}  {source} -> {one_line(move.target)}{undone}"
