"""The output forms of a record: a line, all fields, JSON, or selected fields."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import lru_cache

from NexusCore.clock import EARLIEST, LATEST, SECOND
from NexusCore.errors import EXIT_OK
from NexusCore.log.record import LogRecord, second_text, untimed
from NexusCore.sizes import KIB, fits, truncate
from NexusCore.text import escape, json_text, one_line
from Tools.common.csv_lines import csv_line
from Tools.common.terminal import Screen
from Tools.common.time_parser import Stamps, local, rfc3339

INDENT = "    "
LONGEST_MESSAGE = 16 * KIB
"""Bytes of a message, and of a traceback, in the outputs short and iso; verbose, cat and json show all."""
CERTAINLY_SHORT = LONGEST_MESSAGE // 4
"""Characters that never take more bytes than that."""
WARNING, ERROR, CRITICAL = 30, 40, 50

Form = Callable[[LogRecord], str]
Field = Callable[[LogRecord], object]
RECORD_FIELDS: dict[str, tuple[Field, str]] = {
    "time": (lambda record: rfc3339(record.ts), "when it was logged, by the clock of its machine"),
    "level": (lambda record: logging.getLevelName(record.level), "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    "logger": (lambda record: record.logger, "the name given to get_log"),
    "module": (lambda record: record.module, "the file of the log statement"),
    "line": (lambda record: record.line, "the line in that file"),
    "function": (lambda record: record.function, "the function of the log statement"),
    "host": (lambda record: record.host, "the machine"),
    "pid": (lambda record: record.pid, "the process"),
    "thread": (lambda record: record.thread, "the thread"),
    "message": (lambda record: record.message, "the message"),
    "traceback": (lambda record: record.traceback, "the stack trace, if there is one"),
    "session": (lambda record: record.session, "the session it is about, if any"),
    "id": (lambda record: record.id, "the number in the database"),
}
"""The fields of a record by name, also in JSON: how each is read, and its meaning."""


def form_of(arguments: Namespace, screen: Screen) -> Form:
    """Return the function that formats a record as the arguments say, with control characters escaped."""
    if arguments.output == "json":
        return _json(arguments.fields or tuple(RECORD_FIELDS))
    if arguments.output == "csv":
        return _csv(arguments.fields or tuple(RECORD_FIELDS), screen)
    if arguments.fields:
        form = _selected(arguments.fields)
    else:
        form = _FORMS[arguments.output]() if not arguments.extra else _with_fields(arguments.output, arguments.extra)
    return (lambda record: screen.paint(form(record), *_style(record.level))) if screen.colour else form


def show_fields(arguments: Namespace, screen: Screen) -> int:
    """List the fields of a record."""
    if arguments.output == "json":
        screen.show_json(**{name: meaning for name, (_, meaning) in RECORD_FIELDS.items()})
        return EXIT_OK
    width = max(map(len, RECORD_FIELDS))
    for name, (_, meaning) in RECORD_FIELDS.items():
        screen.show(f"{name:<{width}}  {meaning}")
    return EXIT_OK


def _style(level: int) -> tuple[str, ...]:
    if level >= WARNING:
        return ("yellow",) if level < ERROR else ("red",) if level < CRITICAL else ("bold", "red")
    return ("dim",) if level <= logging.DEBUG else ()


def _short() -> Form:
    second = lru_cache(maxsize=1024)(second_text)
    return lambda record: _line(second(record.ts // SECOND), record)


def _iso() -> Form:
    # The same line, with a sortable time and its zone.
    stamp = Stamps()
    return lambda record: _line(stamp(record.ts) or local(record.ts), record)


def _line(when: str, record: LogRecord) -> str:
    """Return a record as a line with its traceback; all but the first line is indented."""
    if record.traceback or record.odd or len(record.message) > CERTAINLY_SHORT:
        record = _shortened(record)
        return _with_traceback(f"{when} {untimed(record)}", record)
    return f"{when} {untimed(record)}".replace("\n", f"\n{INDENT}")


def _with_fields(output: str, names: Sequence[str]) -> Form:
    """Return the function that formats a record as a line that has some more fields before the message."""
    stamp = Stamps()

    def text(record: LogRecord) -> str:
        record = _shortened(record)
        when = second_text(record.ts // SECOND) if output == "short" else stamp(record.ts) or local(record.ts)
        values = (RECORD_FIELDS[name][0](record) for name in names)
        more = "".join(f"[{one_line(str('-' if value in (None, '') else value))}]" for value in values)
        return _with_traceback(f"{when} {untimed(record._replace(message=''))}{more}{escape(record.message)}", record)

    return text


def _csv(names: Sequence[str], screen: Screen) -> Form:
    """Write the header; return the function that formats a record as comma-separated values."""
    screen.show(csv_line(names))
    return lambda record: csv_line(RECORD_FIELDS[name][0](record) for name in names)


def _json(names: Sequence[str]) -> Form:
    """Return the function that formats a record as a line of JSON."""
    if tuple(names) == tuple(RECORD_FIELDS):
        return _all_json()
    return lambda record: _with_odd(json_text({name: RECORD_FIELDS[name][0](record) for name in names}), record)


def _all_json() -> Form:
    """Return the function that formats all `RECORD_FIELDS` as JSON, as `json_text` does, in a fifth of the time."""
    known, stamp = lru_cache(maxsize=1024)(json_text), Stamps()

    @lru_cache(maxsize=1024)
    def place(where: tuple[int, str, str, int, str, str, int, str]) -> str:
        level, logger, module, line, function, host, pid, thread = where
        return (
            f'"level": {known(logging.getLevelName(level))}, "logger": {known(logger)}, "module": {known(module)}, '
            f'"line": {line}, "function": {known(function)}, "host": {known(host)}, "pid": {pid}, '
            f'"thread": {known(thread)}'
        )

    def text(record: LogRecord) -> str:
        below = json_text(record.traceback) if record.traceback else known(record.traceback)
        rest = f'"message": {json_text(record.message)}, "traceback": {below}, "session": {known(record.session)}'
        stamped = stamp(record.ts)
        # A million lines come from few log statements of few processes: the fields of these are cached.
        if stamped and not record.odd:
            return f'{{"time": "{stamped}", {place(record[1:9])}, {rest}, "id": {record.id}}}'
        return _with_odd(f'{{"time": {json_text(stamped)}, {place(record[1:9])}, {rest}, "id": {record.id}}}', record)

    return text


def _with_odd(text: str, record: LogRecord) -> str:
    """Return the JSON of a record, with a field for unreadable values if there are any."""
    odd = odd_of(record)
    return f'{text[:-1]}, "unreadable": {json_text(odd)}}}' if odd else text


def odd_of(record: LogRecord) -> list[str]:
    """Return the unreadable values of a record; the time is checked only here, to save time for millions of records."""
    if record.odd:
        return list(record.odd)
    return [] if EARLIEST <= record.ts < LATEST else [f"ts is {record.ts}, which is not a time on the calendar"]


def _shortened(record: LogRecord) -> LogRecord:
    """Return a record with a long message or traceback cut, and the missing length noted."""
    if fits(record.message, LONGEST_MESSAGE) and (record.traceback is None or fits(record.traceback, LONGEST_MESSAGE)):
        return record
    traceback = record.traceback and truncate(record.traceback, LONGEST_MESSAGE)
    return record._replace(message=truncate(record.message, LONGEST_MESSAGE), traceback=traceback)


def _with_traceback(line: str, record: LogRecord) -> str:
    """Return a line with the traceback, indented so that a message cannot imitate another line."""
    if record.odd:
        line = escape(f"{line} (unreadable: {'; '.join(record.odd)})")
    text = f"{line}\n{escape(record.traceback)}" if record.traceback else line
    return text.replace("\n", f"\n{INDENT}")


def _verbose(record: LogRecord) -> str:
    width = max(map(len, RECORD_FIELDS))
    lines = [rfc3339(record.ts) or local(record.ts)]
    for name, (value, _) in RECORD_FIELDS.items():
        content = value(record)
        if name != "time" and content is not None and content != "":
            text = escape(str(content)).replace("\n", f"\n{INDENT}{' ' * (width + 2)}")
            lines.append(f"{INDENT}{name:>{width}}  {text}")
    lines += [f"{INDENT}{'unreadable':>{width}}  {sentence}" for sentence in odd_of(record)]
    return "\n".join(lines)


def _cat(record: LogRecord) -> str:
    return escape(record.message)


def _selected(names: Sequence[str]) -> Form:
    def text(record: LogRecord, name: str) -> str:
        value = RECORD_FIELDS[name][0](record)
        return "" if value is None else one_line(str(value))

    return lambda record: "\t".join(text(record, name) for name in names)


_FORMS: dict[str, Callable[[], Form]] = {
    "short": _short, "iso": _iso, "verbose": lambda: _verbose, "cat": lambda: _cat,
}  # fmt: skip
