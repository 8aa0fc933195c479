"""The journals of this machine: records that wait for delivery, and those that need a repair."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore.clock import SECOND
from NexusCore.delivery.inspection import cursors_of
from NexusCore.delivery.segments import mapping_refused
from NexusCore.errors import NexusError
from NexusCore.settings import DatabaseURL, Settings
from Tools.common.quantities import bytes_text, counted
from Tools.common.time_parser import local
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.journals import Cursors, JournalSummary, entries, seen_at

JOURNALS_SHOWN = 5
"""Results about single journals that are listed."""
LATE_DELIVERY = 60 * SECOND
"""Microseconds after which a running program should have delivered a record."""
NEARLY_FULL = 0.8
"""Share of its size limit above which a journal is about to drop records."""
SERVICES_USER = "nexuscore"
"""Account of the system's services; `install.sh service` creates it."""


def journals(case: Case) -> Iterator[CheckResult]:
    """Check the journals of this user."""
    settings = case.settings
    folder = settings.home / "journal"
    try:
        summaries = entries(settings, cursors(case), identities(case))
    except OSError as error:
        yield problem(f"The journals in {folder} cannot be read: {error.strerror}.", "Check their owner: ls -la")
        return
    results = [outcome for summary in summaries for outcome in _journal(case, summary, settings.journal_size)]
    yield from results[:JOURNALS_SHOWN]
    if len(results) > JOURNALS_SHOWN:
        yield problem(
            f"{counted(len(results) - JOURNALS_SHOWN, 'more problem')} with journals.", "To list all: Doctor --journals"
        )
    yield _summary(summaries, str(folder))
    yield _write_method(settings)
    yield from _others(settings.home)


def _write_method(settings: Settings) -> CheckResult:
    """Report how records are written to a journal, and what a power failure may lose."""
    refused = mapping_refused(settings.home / "journal")
    method = f"Journals are written record by record: {refused}" if refused else "Journals are mapped into memory"
    if settings.journal_sync:
        return ok(f"{method}, and synced to the disk before they are delivered (NEXUSCORE_JOURNAL_SYNC).")
    return ok(f"{method}; a crash of a program loses nothing, a power failure what the system had not yet written.")


def cursors(case: Case) -> Cursors:
    """Return how far journals are delivered, for the databases that answer."""
    positions = {}
    for url in dict.fromkeys((case.settings.log, case.settings.status)):
        try:
            positions[url] = cursors_of(case.database(url))
        except NexusError:  # the check of the databases reports it
            continue
    return positions


def identities(case: Case) -> dict[DatabaseURL, str]:
    """Return the identities of the databases that answer."""
    identity_by_url = {}
    for url in dict.fromkeys((case.settings.log, case.settings.status)):
        with suppress(NexusError):
            if identity := case.database(url).identity():
                identity_by_url[url] = identity
    return identity_by_url


def _journal(case: Case, summary: JournalSummary, limit: int) -> Iterator[CheckResult]:
    name, contents = summary.journal.name, summary.contents
    end = f" and {summary.state} has ended" if summary.journal.held else ""
    if contents.fault:
        yield problem(f"The journal {name} cannot be read: {contents.fault}.", f"ls -la {summary.journal.folder}")
    if contents.refused:
        yield problem(
            f"The database refused {counted(contents.refused, f'{summary.journal.role} record')} of journal {name}.",
            f"To see them: Doctor --journals {name} --show. To retry when the cause is fixed{end}: --repair",
        )
    if contents.damaged:
        yield problem(
            f"{counted(contents.damaged, 'byte')} of journal {name} are damaged; all other records in it can be read.",
            f"To move them to a side file{end}: Doctor --journals {name} --repair",
        )
    if contents.size > NEARLY_FULL * limit:
        yield problem(
            f"The journal {name} has {bytes_text(contents.size)} of at most {bytes_text(limit)}; when it is full, its "
            "oldest records are dropped.",
            "Get its database running again, or raise NEXUSCORE_JOURNAL_SIZE (MiB).",
        )
    if contents.records:
        yield from _waiting(case, summary)


def _waiting(case: Case, summary: JournalSummary) -> Iterator[CheckResult]:
    journal, contents = summary.journal, summary.contents
    age = case.clock.now() - contents.oldest if contents.oldest is not None else 0
    kind = journal.role if contents.counted else f"or more {journal.role}"
    wait = counted(contents.records, f"{kind} record waits", f"{kind} records wait")
    since = f" since {local(contents.oldest)}" if contents.oldest is not None else ""
    if journal.held:
        if summary.exact and age > LATE_DELIVERY:
            yield problem(
                f"{wait}{since}, although {summary.state} is running and the database answers.",
                "Does it accept records? TailLog --logger NexusCore.delivery -n 5",
            )
    elif summary.url is None:
        yield note(
            f"{wait}{since} in {journal.folder.name} for a database that the settings do not name"
            f"{seen_at(journal, case.settings)}.",
            "A program started with the settings of that database delivers them.",
        )
    else:
        yield note(
            f"{wait}{since} in journal {journal.name}, whose program has ended.",
            "The next program of this user delivers them within 30 s; otherwise: Doctor --journals --repair",
        )


def _summary(summaries: Sequence[JournalSummary], folder: str) -> CheckResult:
    living = [summary for summary in summaries if summary.journal.held]
    damaged = [summary for summary in summaries if summary.contents.kept_damage]
    waiting = sum(summary.contents.records for summary in living)
    aside = f" Damaged bytes of {counted(len(damaged), 'journal')} are in side files." if damaged else ""
    if not living:
        return ok(f"No running program has a journal in {folder}.{aside}")
    times = [summary.contents.oldest for summary in living if summary.contents.oldest is not None]
    upto = "" if all(summary.exact for summary in living) else "at most "
    since = f", the oldest of {local(min(times))}" if times and waiting else ""
    return ok(
        f"{counted(len(living), 'journal')} of running programs in {folder}; {upto}{counted(waiting, 'record')} "
        f"waiting for delivery{since}.{aside}"
    )


def _others(home: Path) -> Iterator[CheckResult]:
    """Point to the journals of the system's services, which belong to another user."""
    if not hasattr(os, "geteuid"):
        return
    import pwd

    try:
        account = pwd.getpwnam(SERVICES_USER)
    except KeyError:
        return
    if account.pw_uid != os.geteuid() and not home.is_relative_to(account.pw_dir):
        yield note(
            f"The system's services keep their journals below {account.pw_dir}, as the user {SERVICES_USER}; these are "
            "not checked here.",
            f"To check them: sudo -u {SERVICES_USER} -H Doctor",
        )
