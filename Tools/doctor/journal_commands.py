"""``Doctor --journals``: listing, showing and repairing the journals of this machine."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery import Folders, Sink, inspection
from NexusCore.delivery.frames import Frame
from NexusCore.delivery.inspection import cursors_of, journals, look, refusals, waiting
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, EXIT_UNREACHABLE, NexusError
from NexusCore.log.record import LogRecord
from NexusCore.log.record import short_line as log_line
from NexusCore.log.store import LogSink
from NexusCore.settings import Settings
from NexusCore.status.store import StatusSample, StatusSink
from NexusCore.status.store import short_line as status_line
from NexusCore.text import escape, one_line, suggest
from Tools.common.quantities import bytes_text, counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.journals import cursors, identities
from Tools.doctor.journals import LEFT, JournalSummary, entries, record_of, seen_at
from Tools.doctor.repair import deliver, repair

CURSORS_SECONDS = 2.0
"""Seconds in which a database may report how much of the journals it has."""
DELIVERY_SECONDS = 30.0
"""Seconds that a repair spends on delivering."""
INDENT = "    "
SINKS: dict[str, type[Sink]] = {"log": LogSink, "status": StatusSink}


class RepairedJournal(NamedTuple):
    """A repaired journal."""

    entry: JournalSummary
    names: set[str]
    """Names of the journals that its records are in now."""
    records: int
    """Number of records to deliver."""


class NoSuchJournal(NexusError):
    """Journal '{name}' not found in {folder}.{hint}"""  # noqa: D400  the hint ends it

    exit_code = EXIT_FAILURE


class JournalsClosed(NexusError):
    """The journals in {folder} cannot be read: {reason}."""

    exit_code = EXIT_REFUSED


def run(arguments: Namespace, screen: Screen) -> int:
    """List, show or repair journals, as the arguments say."""
    with Case(limit=DELIVERY_SECONDS if arguments.repair else CURSORS_SECONDS) as case:
        folder = case.settings.home / "journal"
        try:
            summaries = entries(case.settings, cursors(case), identities(case))
        except OSError as error:
            raise JournalsClosed(folder=folder, reason=error.strerror or error) from error
        chosen = _chosen(summaries, arguments.journals, folder)
        if arguments.repair:
            return _repair(case, chosen, screen, named=bool(arguments.journals))
        if arguments.show:
            return _show(chosen[0], arguments.lines, screen, as_json=arguments.json)
        if not chosen:
            screen.say(f"No journals in {folder}: no records wait for delivery.")
        _list(chosen, case.settings, screen, as_json=arguments.json)
        return EXIT_FAILURE if any(summary.needs_repair or summary.contents.fault for summary in chosen) else EXIT_OK


def _chosen(summaries: Sequence[JournalSummary], name: str, folder: Path) -> list[JournalSummary]:
    """Return the journal whose name is, or alone begins with, `name`; all for an empty name."""
    if not name:
        return list(summaries)
    matches = [summary for summary in summaries if summary.journal.name == name] or [
        summary for summary in summaries if summary.journal.name.startswith(name)
    ]
    if len(matches) != 1:
        hint = suggest(name, (summary.journal.name for summary in summaries))
        ambiguous = f" {len(matches)} journals begin with that; type more of the name."
        raise NoSuchJournal(name=name, folder=folder, hint=ambiguous if matches else hint)
    return matches


# -- listing -----------------------------------------------------------------------------------------------------------


def _list(summaries: Sequence[JournalSummary], settings: Settings, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        for summary in summaries:
            screen.show_json(**described(summary))
        return
    for folder, group in groupby(summaries, lambda summary: summary.journal.folder):
        members = list(group)
        first = members[0]
        if first is not summaries[0]:
            screen.show()
        unknown = f"a database that the settings do not name{seen_at(first.journal, settings)}"
        place = str(first.url) if first.url is not None else unknown
        screen.show(screen.paint(f"{first.journal.role} for {place} ({folder.name})", "bold"))
        headers = ("journal", "program", "waiting", "from", "to", "size", "")
        screen.table(headers, [_row(summary) for summary in members], {LEFT: "yellow"})
    unknown_cursors = {summary.url for summary in summaries if summary.url is not None and not summary.exact}
    for url in sorted(unknown_cursors, key=str):
        if url.kind == "sqlite" and not Path(url.name).exists():
            screen.say(f"The database {url} does not exist yet: none of the records counted as waiting were delivered.")
            continue
        screen.say(f"{url} does not answer: some of the records counted as waiting may have been delivered already.")


def _row(summary: JournalSummary) -> tuple[str, ...]:
    contents = summary.contents
    number = f"{'' if summary.exact else '≤ '}{contents.records:,}{'' if contents.counted else '+'}"
    times = tuple(local(ts) if ts is not None else "" for ts in (contents.oldest, contents.newest))
    return summary.journal.name, summary.state, number, *times, bytes_text(contents.size), ", ".join(_remarks(summary))


def _remarks(summary: JournalSummary) -> Iterator[str]:
    contents = summary.contents
    if contents.fault:
        yield f"unreadable: {contents.fault}"
    if contents.damaged:
        yield f"{bytes_text(contents.damaged)} damaged"
    if contents.kept_damage:
        yield f"{bytes_text(contents.kept_damage)} of damage in a side file"
    if contents.refused:
        yield f"{contents.refused:,} refused"


def described(summary: JournalSummary) -> dict[str, object]:
    """Return a journal as the fields of a JSON object."""
    contents, origin = summary.contents, summary.journal.origin
    return {
        "journal": summary.journal.name,
        "role": summary.journal.role,
        "folder": str(summary.journal.folder),
        "database": None if summary.url is None else str(summary.url),
        "process": None if origin is None else origin.pid,
        "host": None if origin is None else origin.host,
        "begun": None if origin is None else rfc3339(origin.began),
        "in_use": summary.journal.held,
        "program": summary.state,
        "waiting": contents.records,
        "waiting_is_exact": summary.exact and contents.counted,
        "oldest": rfc3339(contents.oldest),
        "newest": rfc3339(contents.newest),
        "bytes": contents.size,
        "damaged_bytes": contents.damaged,
        "damaged_bytes_kept_aside": contents.kept_damage,
        "refused": contents.refused,
        "fault": contents.fault,
    }


# -- showing -----------------------------------------------------------------------------------------------------------


def _show(summary: JournalSummary, count: int, screen: Screen, *, as_json: bool) -> int:
    newest: deque[Frame] = deque(maxlen=count)
    total = 0
    for frame in waiting(summary.journal, summary.delivered):
        newest.append(frame)
        total += 1
    refused = refusals(summary.journal)
    if total > len(newest):
        screen.say(f"The newest {len(newest):,} of {counted(total, 'record')}; use -n to show more.")
    _show_all(newest, summary.journal.role, screen, as_json=as_json, refused=False)
    if refused:
        screen.say(f"{counted(len(refused), 'record')} refused by the database:")
        _show_all(refused, summary.journal.role, screen, as_json=as_json, refused=True)
    if not total and not refused:
        screen.say(f"No records wait in journal {summary.journal.name}.")
        return EXIT_FAILURE
    return EXIT_OK


def _show_all(frames: Iterable[Frame], role: str, screen: Screen, *, as_json: bool, refused: bool) -> None:
    for frame in frames:
        record = record_of(role, frame.payload)
        if as_json:
            screen.show_json(sequence=frame.sequence, refused=refused, **_fields(record, frame))
        else:
            screen.show(screen.paint(_line(record, frame), *(("red",) if refused else ())))


def _line(record: LogRecord | StatusSample | None, frame: Frame) -> str:
    if record is None:
        return f"(record {frame.sequence} cannot be read: {bytes_text(len(frame.payload))})"
    if isinstance(record, StatusSample):
        return one_line(status_line(record))
    text = log_line(record) + (f"\n{escape(record.traceback)}" if record.traceback else "")
    return text.replace("\n", f"\n{INDENT}")


def _fields(record: LogRecord | StatusSample | None, frame: Frame) -> dict[str, object]:
    if record is None:
        return {"bytes": len(frame.payload)}
    if isinstance(record, StatusSample):
        return {
            "time": rfc3339(record.ts), "channel": record.channel, "name": record.name, "value": record.value,
            "expires": rfc3339(record.expires),
        }  # fmt: skip
    return {
        "time": rfc3339(record.ts), "level": logging.getLevelName(record.level), "logger": record.logger,
        "module": record.module, "line": record.line, "host": record.host, "pid": record.pid,
        "message": record.message, "traceback": record.traceback, "session": record.session,
    }  # fmt: skip


# -- repairing ---------------------------------------------------------------------------------------------------------


def _repair(case: Case, chosen: Sequence[JournalSummary], screen: Screen, *, named: bool) -> int:
    """Repair journals and deliver them; skip those in use, with a message where it matters."""
    codes = {EXIT_OK}
    repaired: list[RepairedJournal] = []
    for summary in chosen:
        if summary.journal.held and not named and not summary.needs_repair:
            continue
        try:
            repaired.append(_repair_journal(case, summary, screen))
        except NexusError as error:
            screen.fail(error)
            codes.add(error.exit_code)
        except OSError as error:
            screen.fail(f"The journal {summary.journal.name} cannot be repaired: {error.strerror or error}.")
            codes.add(EXIT_FAILURE)
    if codes == {EXIT_OK} and not any(result.records or result.entry.needs_repair for result in repaired):
        screen.show("No journal needs a repair, and no records wait in journals whose program has ended.")
    for folder, members in groupby(repaired, lambda result: result.entry.journal.folder):
        codes.add(_deliver(case, folder, list(members), screen))
    return max(codes, key=(EXIT_OK, EXIT_FAILURE, EXIT_UNREACHABLE, EXIT_REFUSED).index)


def _repair_journal(case: Case, summary: JournalSummary, screen: Screen) -> RepairedJournal:
    """Repair a journal; report what was done."""
    name = summary.journal.name

    def cursor() -> int | None:
        """Return how far the journal is delivered, once no other process delivers it."""
        try:
            cursors = cursors_of(case.database(summary.url)) if summary.url is not None else None
        except NexusError:
            return None
        return None if cursors is None else inspection.behind(summary.journal, cursors.get(name, 0))

    done = repair(summary.journal, SYSTEM_CLOCK, cursor)
    if done.damaged:
        side = summary.journal.beside("damaged")
        screen.show(f"{name}: {counted(done.damaged, 'damaged byte')} moved to {side}.")
    if done.queued:
        screen.show(f"{name}: {counted(done.queued, 'refused record')} queued for another attempt.")
    if done.unknown:
        records = counted(done.unknown, "refused record")
        screen.say(f"{name}: {records} kept until the database answers: they may have been delivered since.")
    names = {name, done.queue or name} if summary.contents.records else {done.queue} if done.queue else set()
    return RepairedJournal(summary, names, summary.contents.records + done.queued)


def _deliver(case: Case, folder: Path, repaired: Sequence[RepairedJournal], screen: Screen) -> int:
    """Deliver the journals of a folder; report the result."""
    count = sum(result.records for result in repaired)
    if not count:
        return EXIT_OK
    url, role = repaired[0].entry.url, repaired[0].entry.journal.role
    if url is None:
        records = counted(count, "record waits", "records wait")
        screen.say(f"{records} in {folder.name}: the settings do not name their database.")
        return EXIT_FAILURE
    try:
        database = case.database(url)
    except NexusError as error:
        screen.say(f"{counted(count, f'{role} record waits', f'{role} records wait')}. {error}")
        return EXIT_UNREACHABLE
    names = {name for result in repaired for name in result.names}
    folders = Folders(case.settings.home, role, url)
    complaints = deliver(folder, names, folders, database, SINKS[role](), SYSTEM_CLOCK, DELIVERY_SECONDS)
    after = [look(journal) for journal in journals(case.settings.home) if journal.folder == folder and not journal.held]
    refused, waits = sum(contents.refused for contents in after), sum(contents.records for contents in after)
    screen.show(f"{counted(max(0, count - refused - waits), f'{role} record')} delivered to {url}.")
    if refused:
        screen.say(f"{counted(refused, 'record was', 'records were')} refused again and kept.")
    if waits:
        screen.say(f"{counted(waits, 'record still waits', 'records still wait')} for the next program to deliver.")
    for complaint in complaints:
        screen.say(complaint)
    return EXIT_FAILURE if refused or waits else EXIT_OK
