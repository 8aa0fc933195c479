"""One look into one inbox: what is complete is filed, and what is not has a reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import NexusError
from NexusCore.facility.inboxes import Inbox
from NexusCore.facility.intake_move import digest_of
from NexusCore.facility.intake_moves import Filed, IntakeMoves, Stamp
from NexusCore.resources import sentence_of
from NexusCore.storage import Database
from Services.Intake.acceptance import Acceptance
from Services.Intake.facts import facts_of
from Services.Intake.filing import Filer, FilingFacts
from Services.Intake.moving import FilingInterrupted
from Services.Intake.open_folders import OpenFolders
from Services.Intake.planning import Entry, Outcome, plan
from Services.Intake.recovery import Recovery
from Services.Intake.rules.rule import FilingRule, Ready
from Services.Intake.scanning import Found, Scan, scan
from Services.Intake.settings import IntakeSettings
from Services.Intake.stability import Stability, is_marker
from Services.Intake.targets import DiskTargets


@dataclass(frozen=True, slots=True)
class Remaining:
    """A file that stays in the inbox."""

    path: str
    """Below the inbox."""
    outcome: Outcome
    reason: str
    seconds: float
    """For which it has been there unchanged, as far as this Intake has seen."""


@dataclass(slots=True)
class InboxReport:
    """What came of a look into an inbox."""

    inbox: str
    filed: list[Filed] = field(default_factory=list)
    remaining: list[Remaining] = field(default_factory=list)
    unreadable: Sequence[str] = ()
    """Sentences about folders in it that could not be looked into."""
    notes: list[str] = field(default_factory=list)
    """Sentences about rules."""
    trouble: str | None = None
    """Why the inbox could not be looked into."""
    rules_used: frozenset[str] = frozenset()
    """Names of its rules that took a file."""
    quiet: float | None = None
    """Seconds for which nothing new has come, as far as this Intake has seen; None if nothing ever has."""
    settling: float | None = None
    """Seconds after which the next file may be complete; None if none is waited for."""

    def count(self, *outcomes: Outcome) -> int:
        """Return how many files stay for such a reason."""
        return sum(remaining.outcome in outcomes for remaining in self.remaining)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all rounds share."""

    config: ReadOnlyConfiguration
    """From its absolute root."""
    database: Database
    moves: IntakeMoves
    acceptance: Acceptance
    clock: Clock
    stop: Callable[[], bool]


class InboxRounds:
    """Looks into one inbox again and again; one at a time.

    Parameters
    ----------
    around
        What all rounds share.
    filer, recovery
        Of this inbox alone.
    """

    def __init__(self, around: Surroundings, filer: Filer, recovery: Recovery) -> None:
        self._around = around
        self._filer = filer
        self._recovery = recovery
        self._stability = Stability()

    def round(self, inbox: Inbox, settings: IntakeSettings) -> InboxReport:
        """File what is complete.

        Raises
        ------
        NexusError
            If the database does not answer.
        """
        report = InboxReport(inbox.name)
        roots = settings.roots()
        self._recovery.run(roots, [self._filer.owner])
        try:
            found = scan(inbox.path, inbox.ignore, subfolders=inbox.subfolders, stop=self._around.stop)
        except OSError as error:
            report.trouble = f"{inbox.path} cannot be read: {error.strerror or error}"
            report.quiet = self._stability.nothing_new_for(self._around.clock.monotonic())
            return report
        if self._around.stop():
            return report
        report.unreadable = found.unreadable
        now = self._around.clock.monotonic()
        self._stability.look(found, now)
        report.quiet = self._stability.nothing_new_for(now)
        try:
            self._file(inbox, settings, found, now, report)
        except FilingInterrupted:
            return report
        except OSError as error:
            report.trouble = sentence_of(error)
        return report

    def _file(self, inbox: Inbox, settings: IntakeSettings, found: Scan, now: float, report: InboxReport) -> None:
        rules = settings.rules_of(inbox)
        files = [file for file in found.files if not is_marker(file, rules, found.beside)]
        files = not_filed(self._around.moves, inbox, rules, settings, files)
        held = self._held(rules, settings, report)
        put_back = self._around.moves.put_back(inbox.name)

        def waits(file: Found, rule: FilingRule) -> str | None:
            if rule.name in held:
                return held[rule.name]
            key = (digest_of(str(inbox.path / file.path)), Stamp(file.size, file.modified_ts), rule.sha256)
            if put_back and key in put_back:
                return "it was put back by an undo; it is filed again when it or its rule changes"
            return self._stability.reason_to_wait(file, rule, found.beside, now, inbox.stable_seconds)

        def go_on() -> None:
            if self._around.stop():
                raise FilingInterrupted

        around = self._around
        facts = facts_of(inbox, settings, rules, files, around.config, around.database, around.clock)
        entries = plan(files, rules, facts, DiskTargets(inbox.path), waits, go_on)
        entries = without_loops(around.moves, inbox, settings, entries)
        report.rules_used = frozenset(entry.rule.name for entry in entries if entry.rule is not None)
        done = self._filer.file(
            entries, FilingFacts(inbox.name, inbox.path, inbox.instrument or None), settings.roots()
        )
        report.filed = done.filed
        for entry in entries:
            if entry.outcome in (Outcome.WAITS, Outcome.REFUSED, Outcome.UNMATCHED):
                report.remaining.append(self._remaining(entry.found, entry.outcome, entry.reason, now))
        for failure in done.failures:
            report.remaining.append(self._remaining(failure.entry.found, Outcome.REFUSED, failure.reason, now))
        self._remove_markers(inbox, entries, done.filed, settings.roots())
        quiet = [self._stability.quiet_for(entry.found, now) for entry in entries if entry.outcome is Outcome.WAITS]
        left = [inbox.stable_seconds - seconds for seconds in quiet if seconds < inbox.stable_seconds]
        report.settling = min(left, default=None)

    def _remaining(self, found: Found, outcome: Outcome, reason: str, now: float) -> Remaining:
        return Remaining(found.path, outcome, reason, self._stability.quiet_for(found, now))

    def _held(self, rules: Sequence[FilingRule], settings: IntakeSettings, report: InboxReport) -> dict[str, str]:
        """Return the rules by which nothing is filed now, each with the reason."""
        held: dict[str, str] = {}
        for rule in rules:
            if settings.accepted.get(rule.name) != rule.sha256:
                try:
                    self._around.acceptance.accept(rule, settings)
                except NexusError as error:
                    held[rule.name] = f"its rule '{rule.name}' is not accepted yet"
                    report.notes.append(str(error))
                except OSError as error:
                    held[rule.name] = f"its rule '{rule.name}' cannot be checked: {error}"
            if rule.mount and not os.path.ismount(rule.mount):
                held[rule.name] = f"nothing is mounted on {rule.mount}"
                report.notes.append(f"The rule '{rule.name}' files nothing: nothing is mounted on {rule.mount}")
        return held

    def _remove_markers(
        self, inbox: Inbox, entries: Sequence[Entry], filed: Sequence[Filed], roots: Sequence[Path]
    ) -> None:
        """Remove the empty markers of filed files, which would speak for the next file of that name."""
        sources = {done.move.source for done in filed}
        with OpenFolders(roots) as places:
            for entry in entries:
                if entry.rule is None or entry.rule.ready != Ready.MARKER:
                    continue
                source = inbox.path / entry.found.path
                if str(source) not in sources:
                    continue
                with suppress(OSError, NexusError):
                    marker = places.spot(source.with_name(entry.rule.ready_file(entry.found.name)))
                    state = marker.state()
                    if state is not None and stat.S_ISREG(state.st_mode) and state.st_size == 0:
                        marker.folder.remove(marker.name)


def not_filed(
    moves: IntakeMoves, inbox: Inbox, rules: Sequence[FilingRule], settings: IntakeSettings, files: Sequence[Found]
) -> list[Found]:
    """Return the files but those that were filed to where they are: a target may lie in the inbox.

    Parameters
    ----------
    moves
        The history.
    inbox, rules, settings, files
        The inbox, with its rules and files.
    """
    roots = {rule.name: rule.root(inbox.path, settings.data_root) for rule in rules}
    inside = [rule for rule in rules if _overlap(roots[rule.name], inbox.path)]
    if not inbox.subfolders:
        # Files at the top are new, whatever their names, if all that is filed goes into folders.
        inside = [rule for rule in inside if rule.template.may_end_at_top]
    if not inside:
        return list(files)
    filed = moves.filed_at([str(inbox.path / file.path) for file in files])
    return [
        file
        for file in files
        if Stamp(file.size, file.modified_ts) not in filed.get(str(inbox.path / file.path), set())
    ]


def without_loops(moves: IntakeMoves, inbox: Inbox, settings: IntakeSettings, entries: Sequence[Entry]) -> list[Entry]:
    """Return a plan in which no rule files a second time what other rules have brought back.

    Parameters
    ----------
    moves
        The history.
    inbox, settings, entries
        The inbox, and the plan.
    """
    if not any(inbox.name in loop for loop in settings.loops(certain=False)):
        return list(entries)
    due = [entry.found for entry in entries if entry.outcome in (Outcome.FILE, Outcome.SAME)]
    before = moves.rules_before({str(inbox.path / found.path): Stamp(found.size, found.modified_ts) for found in due})
    return [
        _come_back(entry)
        if entry.rule is not None and entry.rule.name in before.get(str(inbox.path / entry.found.path), ())
        else entry
        for entry in entries
    ]


def _come_back(entry: Entry) -> Entry:
    assert entry.rule is not None  # noqa: S101  only what a rule takes comes back
    reason = f"its rule '{entry.rule.name}' has filed it before, and another one has brought it back"
    return replace(entry, outcome=Outcome.REFUSED, reason=reason, note=None)


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
