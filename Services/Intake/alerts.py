"""Alerts: what a person should know of, each once, again after a while, and not while it is silenced.

They are warnings in the log, which its own mail destination sends (`Log.mail_to`): queued, and limited per hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.clock import SECOND, Clock
from NexusCore.facility.inboxes import Inbox
from NexusCore.log import Log
from NexusCore.resources import bytes_text, room_of
from NexusCore.text import counted, one_line
from Services.Intake.inbox_round import InboxReport
from Services.Intake.rules.rule import FilingRule

MINUTE = 60
MOST_REASONS = 5
"""Files of an inbox that are named in an alert, each with its reason."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know of."""

    name: str
    """As in a silence: ``silent-<inbox>``, ``old-<inbox>``, ``rule-<rule>``, ``disk-<inbox>``."""
    sentence: str


def inbox_alerts(inbox: Inbox, report: InboxReport, last_filed: int | None, since: int, now: int) -> Iterator[Alert]:
    """Yield the alerts about an inbox.

    Parameters
    ----------
    inbox, report
        Its settings, and what came of the last look into it.
    last_filed
        When a file of it was last filed; None for never.
    since, now
        When this Intake began to look, and the time; microseconds since the epoch, UTC.
    """
    if inbox.silent_minutes:
        silent = (now - (since if last_filed is None else last_filed)) / SECOND
        if report.quiet is not None:  # what stays there has come, too
            silent = min(silent, report.quiet)
        if silent >= inbox.silent_minutes * MINUTE:
            yield Alert(f"silent-{inbox.name}", f"Nothing was received in {inbox.path} for {_span(silent)}")
    old = [file for file in report.remaining if inbox.oldest_minutes and file.seconds >= inbox.oldest_minutes * MINUTE]
    if old:
        reasons = [f"{one_line(file.path)}: {file.reason}" for file in old[:MOST_REASONS]]
        more = f"; and {len(old) - MOST_REASONS} more" if len(old) > MOST_REASONS else ""
        files = counted(len(old), "file has", "files have")
        span = _span(inbox.oldest_minutes * MINUTE)
        yield Alert(f"old-{inbox.name}", f"{files} been in {inbox.path} for {span}: {'; '.join(reasons)}{more}")


def rule_alerts(
    inbox: Inbox, rules: Sequence[FilingRule], report: InboxReport, ever: Mapping[str, bool], present: bool
) -> Iterator[Alert]:
    """Yield the alerts about rules that take none of the files that are there, and never took one.

    Parameters
    ----------
    inbox, rules, report
        The inbox, its rules, and what came of the last look into it.
    ever
        Whether a rule has filed something from it before.
    present
        Whether there are files in it that no rule takes.
    """
    for rule in rules:
        if present and rule.name not in report.rules_used and not ever.get(rule.name, False):
            yield Alert(f"rule-{rule.name}", f"The rule '{rule.name}' takes none of the files in {inbox.path}")


def disk_alerts(inbox: Inbox, roots: Sequence[Path], least_percent: float) -> Iterator[Alert]:
    """Yield an alert for each disk that has fewer percent left than it should."""
    for root in roots:
        try:
            room = room_of(root)
        except OSError:
            continue
        if room.total and 100 * room.free < least_percent * room.total:
            left = f"{bytes_text(room.free)} of {bytes_text(room.total)} are free"
            yield Alert(f"disk-{inbox.name}", f"The disk of {root} is nearly full: {left}")


class Alerts:
    """Says each alert when it begins, again after a while, and when it is over.

    Parameters
    ----------
    log, clock
        Where to, and the time.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._said: dict[str, float] = {}
        """When each alert that holds was last said, by the monotonic clock."""

    def update(self, current: Sequence[Alert], silent_until: Mapping[str, int], remind_hours: float) -> list[str]:
        """Take over the alerts that hold now; return the names of those that are not silenced.

        Parameters
        ----------
        current
            The alerts.
        silent_until
            Until when alerts are silenced, by the beginning of their names; ``all`` stands for any.
        remind_hours
            Hours after which one that still holds is said again.
        """
        now, today = self._clock.monotonic(), self._clock.now()
        silenced = [name for name, until in silent_until.items() if today < until]
        loud = [alert for alert in current if not any(_covers(name, alert.name) for name in silenced)]
        for alert in loud:
            last = self._said.get(alert.name)
            if last is None or now - last >= remind_hours * 3600:
                self._log.warning("%s. To silence this: ConfigTool %s=<time>", alert.sentence, _silence(alert.name))
                self._said[alert.name] = now
        holding = {alert.name for alert in current}
        for name in [name for name in self._said if name not in holding]:
            del self._said[name]
            self._log.info("The alert %s is over", name)
        return [alert.name for alert in loud]


def _span(seconds: float) -> str:
    return counted(round(seconds), "second") if seconds < MINUTE else counted(round(seconds / MINUTE), "minute")


def _silence(name: str) -> str:
    return f"Services.Intake.silences.{name}"


def _covers(silence: str, alert: str) -> bool:
    return silence == "all" or alert == silence or alert.startswith(f"{silence}-")
