"""The journals of this machine: what waits there to be delivered, and what never will by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore.clock import SECOND
from NexusCore.delivery.segments import mapping_refused
from NexusCore.errors import NexusError
from NexusCore.settings import DatabaseURL, Settings
from Tools.common.quantities import bytes_text, counted
from Tools.common.time_parser import local
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.journals import Cursors, JournalSummary, cursors_of, entries, seen_at

JOURNALS_SHOWN = 5
"""How many of a kind are told one by one."""
LATE_DELIVERY = 60 * SECOND
"""Microseconds after which a record of a living program should have been delivered."""
NEARLY = 0.8
"""Share of its size from which on a journal is about to drop records."""
SERVICES_USER = "nexuscore"
"""Account of the system's services, as `install.sh service` makes it."""


def journals(case: Case) -> Iterator[CheckResult]:
    """Look at the journals of this user."""
    settings = case.settings
    folder = settings.home / "journal"
    try:
        found = entries(settings, cursors(case), identities(case))
    except OSError as error:
        yield problem(f"The journals in {folder} cannot be read: {error.strerror}.", "Whose are they? See: ls -la")
        return
    results = [outcome for summary in found for outcome in _journal(case, summary, settings.journal_size)]
    yield from results[:JOURNALS_SHOWN]
    if len(results) > JOURNALS_SHOWN:
        yield problem(
            f"The same is true of {counted(len(results) - JOURNALS_SHOWN, 'more journal')}.",
            "Doctor --journals lists all",
        )
    yield _summary(found, str(folder))
    yield _way(settings)
    yield from _others(settings.home)


def _way(settings: Settings) -> CheckResult:
    """Tell how records get into a journal, and what a power failure may cost."""
    refused = mapping_refused(settings.home / "journal")
    way = f"Journals are written to record by record: {refused}" if refused else "Journals are mapped into memory"
    if settings.journal_sync:
        return ok(f"{way}, and synced to the disk before they are delivered (NEXUSCORE_JOURNAL_SYNC).")
    return ok(f"{way}; the end of a program costs nothing, a power failure what the system had not yet written.")


def cursors(case: Case) -> Cursors:
    """Return how far journals are delivered, as far as the databases answer."""
    found = {}
    for url in dict.fromkeys((case.settings.log, case.settings.status)):
        try:
            found[url] = cursors_of(case.database(url))
        except NexusError:  # told by the check of the databases
            continue
    return found


def identities(case: Case) -> dict[DatabaseURL, str]:
    """Return which databases those are that answer."""
    found = {}
    for url in dict.fromkeys((case.settings.log, case.settings.status)):
        with suppress(NexusError):
            if identity := case.database(url).identity():
                found[url] = identity
    return found


def _journal(case: Case, summary: JournalSummary, limit: int) -> Iterator[CheckResult]:
    name, contents = summary.journal.name, summary.contents
    end = f" and {summary.state} has ended" if summary.journal.held else ""
    if contents.fault:
        yield problem(f"The journal {name} cannot be read: {contents.fault}.", f"ls -la {summary.journal.folder}")
    if contents.refused:
        yield problem(
            f"The database refused {counted(contents.refused, f'{summary.journal.role} record')} of journal {name}.",
            f"To see them: Doctor --journals {name} --show. To try again when the cause is gone{end}: --repair",
        )
    if contents.damaged:
        yield problem(
            f"{counted(contents.damaged, 'byte')} of journal {name} are damaged; all other records in it can be read.",
            f"To take them out, and keep them aside{end}: Doctor --journals {name} --repair",
        )
    if contents.size > NEARLY * limit:
        yield problem(
            f"The journal {name} has {bytes_text(contents.size)} of the {bytes_text(limit)} that it may take; then its "
            "oldest records go first.",
            "Bring its database back, or raise NEXUSCORE_JOURNAL_SIZE (MiB).",
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
                f"{wait}{since}, though {summary.state} lives and the database answers.",
                "Does it take anything? TailLog --logger NexusCore.delivery -n 5",
            )
    elif summary.url is None:
        yield note(
            f"{wait}{since} in {journal.folder.name} for a database that the settings do not name"
            f"{seen_at(journal, case.settings)}.",
            "A program that is started with the settings of that database delivers them.",
        )
    else:
        yield note(
            f"{wait}{since}: the program that left them in journal {journal.name} is gone.",
            "The next program of this user delivers them within half a minute; else: Doctor --journals --repair",
        )


def _summary(found: Sequence[JournalSummary], folder: str) -> CheckResult:
    living = [summary for summary in found if summary.journal.held]
    kept = [summary for summary in found if summary.contents.kept_damage]
    waiting = sum(summary.contents.records for summary in living)
    aside = f" Damaged bytes of {counted(len(kept), 'journal')} are kept beside them." if kept else ""
    if not living:
        return ok(f"No program that runs now keeps a journal in {folder}.{aside}")
    age = [summary.contents.oldest for summary in living if summary.contents.oldest is not None]
    upto = "" if all(summary.exact for summary in living) else "at most "
    since = f", the oldest of {local(min(age))}" if age and waiting else ""
    return ok(
        f"{counted(len(living), 'journal')} of running programs in {folder}; {upto}{counted(waiting, 'record')} to be "
        f"delivered{since}.{aside}"
    )


def _others(home: Path) -> Iterator[CheckResult]:
    """Point to the journals of the system's services, which are another user's."""
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
            "not looked at here.",
            f"To look at them: sudo -u {SERVICES_USER} -H Doctor",
        )
