"""A dry run: the tree that a pass would make, what would stay and why; nothing is changed anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from NexusCore.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, DatabaseUnreachable, NexusError
from NexusCore.facility.inboxes import Inbox, inbox_names
from NexusCore.text import counted, one_line, suggest
from Services.Intake.commands.cli_options import IntakeOptions, lines_of
from Services.Intake.commands.session import CommandContext, command
from Services.Intake.facts import facts_of
from Services.Intake.inbox_round import not_filed, without_loops
from Services.Intake.moving import FilingInterrupted
from Services.Intake.planning import Entry, Outcome, collisions, plan
from Services.Intake.scanning import invented, scan
from Services.Intake.stability import is_marker
from Services.Intake.targets import DiskTargets


class NoSuchInbox(NexusError):
    """There is no inbox '{name}' that is on.{hint}"""  # noqa: D400

    exit_code = EXIT_USAGE


def main(options: IntakeOptions) -> int:
    """Run from the command line; return the exit code: 1 if files collide, or settings or folders cannot be used."""
    with command() as session:
        for fault in session.settings.faults.values():
            session.log.warning("%s", fault)
        inboxes = [box for box in session.settings.inboxes if options.inbox in (None, box.name)]
        if options.inbox is not None and not inboxes:
            known = [box.name for box in session.settings.inboxes]
            raise NoSuchInbox(name=options.inbox, hint=suggest(options.inbox, known))
        if not inboxes:
            if inbox_names(session.config):
                session.log.warning("No inbox can be used, or is on.")
            else:
                session.log.info(
                    "There is no inbox. One is made by: ConfigTool Services.Intake.inboxes.<name>.path=<folder>"
                )
        for loop in session.settings.loops(certain=True):
            way = " -> ".join((*loop, loop[0]))
            session.log.warning("Rules file into inboxes in a circle: %s. What has come back stays.", way)
        lines = None if options.names is None else lines_of(options.names)
        failed = bool(session.settings.faults)
        for inbox in inboxes:
            try:
                entries, notes = planned(session, inbox, lines)
            except FilingInterrupted:
                return EXIT_INTERRUPTED
            except (OSError, NexusError) as error:
                if isinstance(error, DatabaseUnreachable):
                    raise
                failed = True
                reason = error.strerror or error if isinstance(error, OSError) else error
                session.log.warning("%s: %s cannot be planned for: %s", inbox.name, inbox.path, reason)
                continue
            for note in notes:
                session.log.warning("%s: %s", inbox.name, one_line(note))
            failed = failed or bool(notes)
            session.out.write("".join(f"{line}\n" for line in shown(inbox, entries)))
            failed = failed or bool(collisions(entries))
        session.out.flush()
    return EXIT_FAILURE if failed else EXIT_OK


def planned(session: CommandContext, inbox: Inbox, lines: Sequence[str] | None) -> tuple[list[Entry], Sequence[str]]:
    """Return what would become of the files of an inbox, as if all were complete; and what could not be looked into.

    Parameters
    ----------
    session, inbox
        What to work with, and the inbox.
    lines
        Invented paths; None for the files that are there.
    """
    settings = session.settings
    rules = settings.rules_of(inbox)
    if lines is None:
        found = scan(inbox.path, inbox.ignore, subfolders=inbox.subfolders, stop=session.stopped)
        files = [file for file in found.files if not is_marker(file, rules, found.beside)]
        files = not_filed(session.moves, inbox, rules, settings, files)
    else:
        found = invented(lines, inbox.path)
        files = list(found.files)
    facts = facts_of(inbox, settings, rules, files, session.config, session.database, session.clock)
    session.go_on()  # a look that was given up shows too few files
    entries = plan(files, rules, facts, DiskTargets(inbox.path), go_on=session.go_on)
    return entries if lines is not None else without_loops(session.moves, inbox, settings, entries), found.unreadable


def shown(inbox: Inbox, entries: Sequence[Entry]) -> Iterable[str]:
    """Yield the lines that show a plan: the tree of each target, then what stays."""
    yield f"Inbox {inbox.name}: {one_line(str(inbox.path))}"
    filed = [entry for entry in entries if entry.outcome in (Outcome.FILE, Outcome.SAME)]
    for root in sorted({entry.root for entry in filed}):
        yield f"  {one_line(str(root))}/"
        yield from _tree([entry for entry in filed if entry.root == root])
    for outcome, title in (
        (Outcome.REFUSED, "refused"),
        (Outcome.UNMATCHED, "taken by no rule"),
        (Outcome.IN_PLACE, "where they are to be"),
    ):
        some = [entry for entry in entries if entry.outcome is outcome]
        if some:
            yield f"  {counted(len(some), 'file')} {title}:"
            for entry in some:
                reason = "" if outcome is not Outcome.REFUSED else f": {one_line(entry.reason)}"
                yield f"    {one_line(entry.found.path)}{reason}"
    notes = {(entry.root, entry.note.parts) for entry in filed if entry.note is not None and not entry.note.fault}
    folders = {(entry.root, entry.parts[:-1]) for entry in filed}
    numbers = f"{counted(len(filed), 'file')} would be filed into {counted(len(folders), 'folder')}"
    yield f"  {numbers}; {counted(len(notes), 'note')}; {counted(len(collisions(entries)), 'collision')}"


def _tree(entries: Sequence[Entry]) -> Iterable[str]:
    before: tuple[str, ...] = ()
    lines: dict[tuple[str, ...], str] = {}
    for entry in entries:
        same = " (has this content already; the source would be removed)" if entry.outcome is Outcome.SAME else ""
        lines[entry.parts] = f"  <- {one_line(entry.found.path)}{same}"
        if entry.note is not None:
            lines.setdefault(
                entry.note.parts, f"  (note{', not written: ' if entry.note.fault else ''}{entry.note.fault})"
            )
    for parts, origin in sorted(lines.items()):
        common = 0
        while common < min(len(parts) - 1, len(before)) and parts[common] == before[common]:
            common += 1
        for depth in range(common, len(parts) - 1):
            yield f"    {'  ' * depth}{one_line(parts[depth])}/"
        before = parts[:-1]
        yield f"    {'  ' * (len(parts) - 1)}{one_line(parts[-1])}{origin}"
