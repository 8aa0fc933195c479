"""Accepts a rule that was set or changed: it is used only if it would file what is there without collisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from NexusCore.clock import Clock
from NexusCore.config import NamedConfiguration
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import EXIT_REFUSED, EXIT_USAGE, NexusError
from NexusCore.storage import Database
from NexusCore.text import counted, one_line, suggest
from Services.Intake.facts import facts_of
from Services.Intake.moving import FilingInterrupted
from Services.Intake.planning import Entry, collisions, plan
from Services.Intake.rules.rule import FilingRule
from Services.Intake.scanning import scan
from Services.Intake.settings import ACCEPTED, IntakeSettings
from Services.Intake.targets import DiskTargets


class RuleCollides(NexusError):
    """The rule '{rule}' is not accepted: {count}, such as {path}: {reason}. All are shown by:
    python -m Services.Intake --dry-run. To use it nevertheless: python -m Services.Intake accept {rule} --force --why
    REASON
    """  # noqa: D205, D400  the docstring is the message

    exit_code = EXIT_REFUSED


class RuleNotUsable(NexusError):
    """There is no rule '{rule}' that can be used.{hint}"""  # noqa: D400

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Looks whether rules can be accepted, and notes that in the configuration, with the reason."""

    config: ReadOnlyConfiguration
    """From its absolute root."""
    own: NamedConfiguration
    """The folder `Services.Intake`."""
    database: Database
    clock: Clock
    stop: Callable[[], bool] = lambda: False

    def collisions(self, rule: FilingRule, settings: IntakeSettings) -> list[Entry]:
        """Return the files that are in inboxes now, and collide under a rule.

        Raises
        ------
        OSError, NexusError
            If an inbox or target cannot be looked at: nothing is known then.
        FilingInterrupted
            If the service is to end.
        """
        found = []
        for inbox in settings.inboxes:
            if rule.name not in inbox.rules:
                continue
            files = scan(inbox.path, inbox.ignore, subfolders=inbox.subfolders, stop=self.stop).files
            rules = settings.rules_of(inbox)
            self._go_on()  # a look that was given up shows too few files
            facts = facts_of(inbox, settings, rules, files, self.config, self.database, self.clock)
            entries = plan(files, rules, facts, DiskTargets(inbox.path), go_on=self._go_on)
            found += [entry for entry in collisions(entries) if entry.rule is not None and entry.rule.name == rule.name]
        return found

    def _go_on(self) -> None:
        if self.stop():
            raise FilingInterrupted

    def accept(self, rule: FilingRule, settings: IntakeSettings) -> None:
        """Accept a rule.

        Raises
        ------
        RuleCollides
            If files would collide.
        """
        found = self.collisions(rule, settings)
        if found:
            first = found[0]
            raise RuleCollides(
                rule=rule.name,
                count=counted(len(found), "collision"),
                path=one_line(first.found.path),
                reason=first.reason,
            )
        self.note(rule, "no file that is there collides")

    def note(self, rule: FilingRule, why: str) -> None:
        """Note that a rule is accepted as it is now."""
        self.own.set(
            f"rules.{rule.name}.{ACCEPTED}",
            rule.sha256,
            comment="Checksum of the settings of this rule that were accepted.",
            why=why,
            create=True,
        )


def rule_named(name: str, settings: IntakeSettings) -> FilingRule:
    """Return a rule by its name; raises `RuleNotUsable`."""
    rule = settings.rules.get(name)
    if rule is None:
        fault = next((text for path, text in settings.faults.items() if path.endswith(f".{name}")), None)
        raise RuleNotUsable(rule=name, hint=f" {fault}" if fault else suggest(name, settings.rules))
    return rule
