"""``undo --since 1h``: puts back what was filed, names and bytes."""

from __future__ import annotations

from NexusCore.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK
from NexusCore.text import counted, one_line
from Services.Intake.commands.cli_options import IntakeOptions
from Services.Intake.commands.session import command
from Services.Intake.filing import Filer
from Services.Intake.undoing import Undoer

LATEST = 1 << 62


def main(options: IntakeOptions) -> int:
    """Run from the command line; return the exit code: 1 if something stays filed."""
    with command() as session:
        session.check_rule(options.rule)
        lease = session.settings.lease
        filer = Filer(session.moves, session.clock, f"{session.owner}/undo", lease, session.stopped)
        undoer = Undoer(session.moves, filer, lease, session.settings.roots(), session.stopped)
        until = LATEST if options.until is None else options.until
        done = undoer.undo(options.since or 0, until, options.rule)
        for move, reason in done.kept:
            session.log.warning("%s stays: %s", one_line(move.target), one_line(reason))
        session.out.write(f"{counted(len(done.files), 'file was', 'files were')} put back; ")
        session.out.write(f"{counted(len(done.kept), 'file stays', 'files stay')} filed.\n")
        if session.stop.is_set():
            return EXIT_INTERRUPTED
    return EXIT_FAILURE if done.kept else EXIT_OK
