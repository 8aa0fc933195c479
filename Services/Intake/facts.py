"""What is known about an inbox when a plan is made: its instrument, and who was there."""

from __future__ import annotations

from collections.abc import Sequence

from NexusCore.clock import Clock
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.facility import Instruments
from NexusCore.facility.inboxes import Inbox
from NexusCore.facility.people import People, who_was_there
from NexusCore.storage import Database
from Services.Intake.planning import InboxFacts
from Services.Intake.rules.rule import FilingRule
from Services.Intake.scanning import Found
from Services.Intake.settings import IntakeSettings


def facts_of(
    inbox: Inbox,
    settings: IntakeSettings,
    rules: Sequence[FilingRule],
    files: Sequence[Found],
    config: ReadOnlyConfiguration,
    database: Database,
    clock: Clock,
) -> InboxFacts:
    """Return the facts for a plan; the database is asked only if a rule needs to know who was there.

    Parameters
    ----------
    inbox, settings, rules, files
        The inbox, with its rules and files.
    config
        The configuration from its absolute root.
    database, clock
        The facility's own database.
    """
    zone = Instruments(config).get(inbox.instrument).zone if inbox.instrument else None
    if not inbox.instrument or not files or not any(rule.uses_people for rule in rules):
        return InboxFacts(inbox.name, inbox.path, settings.data_root, inbox.instrument, zone)
    times = [found.modified_ts for found in files]
    # Files may have any time; one beyond this range was written by nobody that the facility knows of.
    first, last = max(min(times), 0), min(max(times), clock.now())
    stays = People(database, clock).stays(inbox.instrument, first, max(first, last))

    def user_at(ts: int) -> str | None:
        return who_was_there(stays, ts)

    return InboxFacts(inbox.name, inbox.path, settings.data_root, inbox.instrument, zone, user_at)
