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
from NexusCore.delivery.inspection import journals, look, refusals, waiting
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
from Tools.doctor.journals import LEFT, JournalSummary, cursors_of, entries, record_of, seen_at
from Tools.doctor.repair import deliver, repair

CURSORS_SECONDS = 2.0
"""Seconds in which a database may say how much of the journals it has."""
DELIVERY_SECONDS = 30.0
"""Seconds that a repair spends on delivering."""
INDENT = "    "
SINKS: dict[str, type[Sink]] = {"log": LogSink, "status": StatusSink}


class Mended(NamedTuple):
    """A journal that was put in order."""

    entry: JournalSummary
    names: set[str]
    """What its records are in now."""
    records: int
    """How many are to be delivered."""


class NoSuchJournal(NexusError):
    """There is no journal '{name}' in {folder}.{hint}"""  # noqa: D400  the hint ends it

    exit_code = EXIT_FAILURE


class JournalsClosed(NexusError):
    """The journals in {folder} cannot be read: {reason}."""

    exit_code = EXIT_REFUSED


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    with Case(limit=DELIVERY_SECONDS if arguments.repair else CURSORS_SECONDS) as case:
        folder = case.settings.home / "journal"
        try:
            found = entries(case.settings, cursors(case), identities(case))
        except OSError as error:
            raise JournalsClosed(folder=folder, reason=error.strerror or error) from error
        chosen = _chosen(found, arguments.journals, folder)
        if arguments.repair:
            return _repair(case, chosen, screen, named=bool(arguments.journals))
        if arguments.show:
            return _show(chosen[0], arguments.lines, screen, as_json=arguments.json)
        if not chosen:
            screen.say(f"There are no journals in {folder}: nothing waits to be delivered.")
        _list(chosen, case.settings, screen, as_json=arguments.json)
        return EXIT_FAILURE if any(summary.needs_repair or summary.contents.fault for summary in chosen) else EXIT_OK


def _chosen(found: Sequence[JournalSummary], name: str, folder: Path) -> list[JournalSummary]:
    """Return the journal of a name, or of the beginning of one if only one begins so; all for an empty name."""
    if not name:
        return list(found)
    alike = [summary for summary in found if summary.journal.name == name] or [
        summary for summary in found if summary.journal.name.startswith(name)
    ]
    if len(alike) != 1:
        hint = suggest(name, (summary.journal.name for summary in found))
        raise NoSuchJournal(name=name, folder=folder, hint=f" {len(alike)} begin like that." if alike else hint)
    return alike


# -- listing -----------------------------------------------------------------------------------------------------------


def _list(found: Sequence[JournalSummary], settings: Settings, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        for summary in found:
            screen.show_json(**described(summary))
        return
    for folder, group in groupby(found, lambda summary: summary.journal.folder):
        members = list(group)
        first = members[0]
        if first is not found[0]:
            screen.show()
        unknown = f"a database that the settings do not name{seen_at(first.journal, settings)}"
        place = str(first.url) if first.url is not None else unknown
        screen.show(screen.paint(f"{first.journal.role} for {place} ({folder.name})", "bold"))
        headers = ("journal", "program", "waiting", "from", "to", "size", "")
        screen.table(headers, [_row(summary) for summary in members], {LEFT: "yellow"})
    away = {str(summary.url) for summary in found if summary.url is not None and not summary.exact}
    for where in sorted(away):
        screen.say(f"{where} does not say how much of it has arrived: what is counted as waiting may be there already.")


def _row(summary: JournalSummary) -> tuple[str, ...]:
    found = summary.contents
    number = f"{'' if summary.exact else '≤ '}{found.records:,}{'' if found.counted else '+'}"
    times = tuple(local(ts) if ts is not None else "" for ts in (found.oldest, found.newest))
    return summary.journal.name, summary.state, number, *times, bytes_text(found.size), ", ".join(_remarks(summary))


def _remarks(summary: JournalSummary) -> Iterator[str]:
    found = summary.contents
    if found.fault:
        yield f"unreadable: {found.fault}"
    if found.damaged:
        yield f"{bytes_text(found.damaged)} damaged"
    if found.kept_damage:
        yield f"{bytes_text(found.kept_damage)} of damage kept aside"
    if found.refused:
        yield f"{found.refused:,} refused"


def described(summary: JournalSummary) -> dict[str, object]:
    """Return a journal as the fields of a JSON object."""
    found, origin = summary.contents, summary.journal.origin
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
        "waiting": found.records,
        "waiting_is_exact": summary.exact and found.counted,
        "oldest": rfc3339(found.oldest),
        "newest": rfc3339(found.newest),
        "bytes": found.size,
        "damaged_bytes": found.damaged,
        "damaged_bytes_kept_aside": found.kept_damage,
        "refused": found.refused,
        "fault": found.fault,
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
        screen.say(f"The newest {len(newest):,} of {counted(total, 'record')}; -n shows more.")
    _show_all(newest, summary.journal.role, screen, as_json=as_json, refused=False)
    if refused:
        screen.say(f"{counted(len(refused), 'record')} that the database refused:")
        _show_all(refused, summary.journal.role, screen, as_json=as_json, refused=True)
    if not total and not refused:
        screen.say(f"No record waits in journal {summary.journal.name}.")
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
    """Put journals in order and deliver them; those in use are left alone, which is told where it matters."""
    codes = {EXIT_OK}
    mended: list[Mended] = []
    for summary in chosen:
        if summary.journal.held and not named and not summary.needs_repair:
            continue
        try:
            mended.append(_put_in_order(case, summary, screen))
        except NexusError as error:
            screen.fail(error)
            codes.add(error.exit_code)
        except OSError as error:
            screen.fail(f"The journal {summary.journal.name} cannot be repaired: {error.strerror or error}.")
            codes.add(EXIT_FAILURE)
    if codes == {EXIT_OK} and not any(result.records or result.entry.needs_repair for result in mended):
        screen.show("Nothing that was left behind waits, and nothing needs repair.")
    for folder, members in groupby(mended, lambda result: result.entry.journal.folder):
        codes.add(_deliver(case, folder, list(members), screen))
    return max(codes, key=(EXIT_OK, EXIT_FAILURE, EXIT_UNREACHABLE, EXIT_REFUSED).index)


def _put_in_order(case: Case, summary: JournalSummary, screen: Screen) -> Mended:
    """Repair one journal; say what was done."""
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
        screen.show(f"{name}: {counted(done.damaged, 'damaged byte')} taken out, and kept in {side}.")
    if done.queued:
        screen.show(f"{name}: {counted(done.queued, 'refused record')} to be delivered once more.")
    if done.unknown:
        kept = counted(done.unknown, "refused record")
        screen.say(f"{name}: {kept} kept aside until the database says whether it has delivered them since.")
    names = {name, done.queue or name} if summary.contents.records else {done.queue} if done.queue else set()
    return Mended(summary, names, summary.contents.records + done.queued)


def _deliver(case: Case, folder: Path, mended: Sequence[Mended], screen: Screen) -> int:
    """Deliver the journals of a folder; say what became of their records."""
    count = sum(result.records for result in mended)
    if not count:
        return EXIT_OK
    url, role = mended[0].entry.url, mended[0].entry.journal.role
    if url is None:
        kept = counted(count, "record waits", "records wait")
        screen.say(f"{kept} in {folder.name}: the settings do not name their database.")
        return EXIT_FAILURE
    try:
        database = case.database(url)
    except NexusError as error:
        screen.say(f"{counted(count, f'{role} record waits', f'{role} records wait')}. {error}")
        return EXIT_UNREACHABLE
    names = {name for result in mended for name in result.names}
    folders = Folders(case.settings.home, role, url)
    complaints = deliver(folder, names, folders, database, SINKS[role](), SYSTEM_CLOCK, DELIVERY_SECONDS)
    after = [look(journal) for journal in journals(case.settings.home) if journal.folder == folder and not journal.held]
    refused, waits = sum(contents.refused for contents in after), sum(contents.records for contents in after)
    screen.show(f"{counted(max(0, count - refused - waits), f'{role} record')} delivered to {url}.")
    if refused:
        screen.say(f"{counted(refused, 'record was', 'records were')} refused again, and kept.")
    if waits:
        screen.say(f"{counted(waits, 'record still waits', 'records still wait')} for the next program to deliver.")
    for complaint in complaints:
        screen.say(complaint)
    return EXIT_FAILURE if refused or waits else EXIT_OK
