"""Reports inboxes on Intake's status channel and in its log: each reason once, as long as it holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from NexusCore.clock import Clock
from NexusCore.log import Log
from NexusCore.status import StatusHolder
from NexusCore.status.element import fitting
from NexusCore.text import counted, one_line
from Services.Intake.inbox_round import InboxReport, Remaining
from Services.Intake.planning import Outcome

OK = "ok"
_SIZE = re.compile(r"\d[\d.,]* (?:bytes?|[KMGTP]iB)")
UNUSED = "not in use"
SLOW_SECONDS = 10.0
"""Steps in which it is shown how long a look into an inbox takes."""
WARN_SECONDS = 3600.0
"""The files of an inbox are a warning, which may be mailed, at most this often: mails are for alerts first."""
MOST_NAMED = 5
"""Files in such a warning, each with its reason."""
MOST_LINES = 20
"""Lines of log about the files of one look into an inbox; a last one says how many more there are."""


class InboxReporter:
    """Reports on inboxes, and remembers what it said.

    Parameters
    ----------
    status, log
        Where to.
    clock
        Measures how long ago the last warning was.
    """

    def __init__(self, status: StatusHolder, log: Log, clock: Clock) -> None:
        self._status = status
        self._log = log
        self._clock = clock
        self._warned: dict[str, float] = {}
        """By inbox: when files of it were last a warning."""
        self._said: dict[str, dict[str, str]] = {}
        """By inbox: the reason that was logged last for each file."""
        self._sentences: dict[str, set[str]] = {}
        self._filed = status.new("files_filed", 0)
        self._inboxes: set[str] = set()

    def report(self, report: InboxReport) -> None:
        """Report what came of a look into an inbox."""
        self._inboxes.add(report.inbox)
        self._log_filed(report)
        stuck = [file for file in report.remaining if file.outcome in (Outcome.REFUSED, Outcome.UNMATCHED)]
        self._log_stuck(report.inbox, stuck, report.unreadable)
        sentences = {*report.notes, *((report.trouble,) if report.trouble else ())}
        before = self._sentences.get(report.inbox, set())
        for sentence in sorted(sentences - before):
            self._log.warning("%s: %s", report.inbox, sentence)
        if before and not sentences:
            self._log.info("%s: it can be used again", report.inbox)
        self._sentences[report.inbox] = sentences
        waiting, refused = report.count(Outcome.WAITS), report.count(Outcome.REFUSED, Outcome.UNMATCHED)
        self._status[f"waiting {report.inbox}"] = waiting
        self._status[f"refused {report.inbox}"] = refused
        self._status[f"inbox {report.inbox}"] = fitting(self._sentence(report, stuck))
        if report.filed:
            self._filed.inc(len(report.filed))

    def slow(self, inbox: str, seconds: float) -> None:
        """Show that a look into an inbox takes long; large files are read whole, so that nothing need be wrong."""
        if seconds >= SLOW_SECONDS:
            shown = int(seconds // SLOW_SECONDS * SLOW_SECONDS)
            self._status[f"inbox {inbox}"] = f"has been at work for more than {shown} s"

    def failed(self, inbox: str, sentence: str) -> None:
        """Show that a look into an inbox failed."""
        report = InboxReport(inbox, trouble=sentence)
        self.report(report)

    def only(self, inboxes: Collection[str]) -> None:
        """Show inboxes that are no longer in use as such."""
        for name in self._inboxes - set(inboxes):
            self._status[f"inbox {name}"] = UNUSED
            self._status[f"waiting {name}"] = self._status[f"refused {name}"] = 0
            self._said.pop(name, None)
            self._sentences.pop(name, None)
        self._inboxes &= set(inboxes)

    def settings(self, faults: Collection[str]) -> None:
        """Report settings that cannot be used."""
        before = self._sentences.get("", set())
        for sentence in sorted(set(faults) - before):
            self._log.warning("%s", sentence)
        self._sentences[""] = set(faults)
        self._status["settings"] = fitting("; ".join(sorted(faults))) if faults else OK

    def _log_filed(self, report: InboxReport) -> None:
        if len(report.filed) > MOST_LINES:
            self._log.info("%s: %s filed", report.inbox, counted(len(report.filed), "file"))
            return
        for done in report.filed:
            self._log.info("%s: moved %s to %s", report.inbox, one_line(done.move.source), one_line(done.move.target))

    def _log_stuck(self, inbox: str, stuck: list[Remaining], unreadable: Sequence[str]) -> None:
        """Name what is new among what stays: others may leave any number of such files and folders."""
        before, now = self._said.get(inbox, {}), {file.path: same_reason(file.reason) for file in stuck}
        news = [
            f"{one_line(file.path)} is not filed: {one_line(file.reason)}"
            for file in stuck
            if before.get(file.path) != now[file.path]
        ]
        now |= dict.fromkeys(unreadable, "")
        news += [one_line(sentence) for sentence in unreadable if sentence not in before]
        time, warned = self._clock.monotonic(), self._warned.get(inbox)
        if news and (warned is None or time - warned >= WARN_SECONDS):
            self._warned[inbox] = time
            more = f"; and {len(news) - MOST_NAMED} more" if len(news) > MOST_NAMED else ""
            self._log.warning("%s: %s%s", inbox, "; ".join(news[:MOST_NAMED]), more)
            news = news[MOST_NAMED:]
        for sentence in news[:MOST_LINES]:
            self._log.info("%s: %s", inbox, sentence)
        if len(news) > MOST_LINES:
            self._log.info("%s: %d more files are not filed", inbox, len(news) - MOST_LINES)
        self._said[inbox] = now

    def _sentence(self, report: InboxReport, stuck: list[Remaining]) -> str:
        if report.trouble:
            return report.trouble
        if report.notes:
            return report.notes[0]
        if report.unreadable:
            return one_line(report.unreadable[0])
        if stuck:
            first = stuck[0]
            files = counted(len(stuck), "file is", "files are")
            return f"{files} not filed, such as {one_line(first.path)}: {one_line(first.reason)}"
        return OK


def same_reason(reason: str) -> str:
    """Return a reason for comparison: how much room a full disk has left is no news."""
    return _SIZE.sub("", reason)
