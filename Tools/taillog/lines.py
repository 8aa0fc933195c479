"""A record as the reader wants to see it: as a line, as a list of its fields, as JSON, or as a few fields of it."""

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
from Tools.common.terminal import Screen
from Tools.common.time_parser import Stamps, local, rfc3339

INDENT = "    "
LONGEST_MESSAGE = 16 * KIB
"""Bytes of a message, and of a traceback, that the outputs short and iso show; verbose, cat and json show all."""
CERTAINLY_SHORT = LONGEST_MESSAGE // 4
"""Characters that have no more bytes than that, whichever they are."""
WARNING, ERROR, CRITICAL = 30, 40, 50

Form = Callable[[LogRecord], str]
Field = Callable[[LogRecord], object]
RECORD_FIELDS: dict[str, tuple[Field, str]] = {
    "time": (lambda record: rfc3339(record.ts), "when it was logged, by the clock of the machine that did"),
    "level": (lambda record: logging.getLevelName(record.level), "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    "logger": (lambda record: record.logger, "the name given to get_log"),
    "module": (lambda record: record.module, "the file of the statement that logged"),
    "line": (lambda record: record.line, "the line in that file"),
    "function": (lambda record: record.function, "the function around it"),
    "host": (lambda record: record.host, "the machine"),
    "pid": (lambda record: record.pid, "the process"),
    "thread": (lambda record: record.thread, "the thread"),
    "message": (lambda record: record.message, "what was said"),
    "traceback": (lambda record: record.traceback, "the stack trace, if there is one"),
    "session": (lambda record: record.session, "the session that was being worked on, if any"),
    "id": (lambda record: record.id, "its number in the database"),
}
"""What a record consists of: how it is read, and what it means. JSON objects have these names."""


def form_of(arguments: Namespace, screen: Screen) -> Form:
    """Return what makes of a record the text, in which all odd characters are escaped, that the arguments ask for."""
    if arguments.output == "json":
        return _json(arguments.fields or tuple(RECORD_FIELDS))
    form = _picked(arguments.fields) if arguments.fields else _FORMS[arguments.output]()
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
    # The same line, with a time that sorts as text and says its zone.
    stamp = Stamps()
    return lambda record: _line(stamp(record.ts) or local(record.ts), record)


def _line(when: str, record: LogRecord) -> str:
    """Return a record as a line, with what stands below it; only its beginning is at the margin."""
    if record.traceback or record.odd or len(record.message) > CERTAINLY_SHORT:
        record = _shortened(record)
        return _below(f"{when} {untimed(record)}", record)
    return f"{when} {untimed(record)}".replace("\n", f"\n{INDENT}")


def _json(names: Sequence[str]) -> Form:
    """Return what makes a line of JSON of a record."""
    if tuple(names) == tuple(RECORD_FIELDS):
        return _all_json()
    return lambda record: _with_odd(json_text({name: RECORD_FIELDS[name][0](record) for name in names}), record)


def _all_json() -> Form:
    """Return what makes JSON of all `RECORD_FIELDS` of a record, as `json_text` would, at a fifth of the cost."""
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
        # A few statements of a few processes make a million lines: what is between the time and the message is known.
        if stamped and not record.odd:
            return f'{{"time": "{stamped}", {place(record[1:9])}, {rest}, "id": {record.id}}}'
        return _with_odd(f'{{"time": {json_text(stamped)}, {place(record[1:9])}, {rest}, "id": {record.id}}}', record)

    return text


def _with_odd(made: str, record: LogRecord) -> str:
    """Return the JSON of a record with a field that says what of it cannot be read, if there is anything."""
    odd = odd_of(record)
    return f'{made[:-1]}, "unreadable": {json_text(odd)}}}' if odd else made


def odd_of(record: LogRecord) -> list[str]:
    """Return what of a record cannot be read: the time is looked at only here, since most of a million are fine."""
    if record.odd:
        return list(record.odd)
    return [] if EARLIEST <= record.ts < LATEST else [f"ts is {record.ts}, which is not a time on the calendar"]


def _shortened(record: LogRecord) -> LogRecord:
    """Return a record that fits on a screen: of a long message or traceback, the beginning and how much is missing."""
    if fits(record.message, LONGEST_MESSAGE) and (record.traceback is None or fits(record.traceback, LONGEST_MESSAGE)):
        return record
    below = record.traceback and truncate(record.traceback, LONGEST_MESSAGE)
    return record._replace(message=truncate(record.message, LONGEST_MESSAGE), traceback=below)


def _below(line: str, record: LogRecord) -> str:
    """Return a line with the traceback; only its own beginning is at the margin, so that no message can forge one."""
    if record.odd:
        line = escape(f"{line} (unreadable: {'; '.join(record.odd)})")
    text = f"{line}\n{escape(record.traceback)}" if record.traceback else line
    return text.replace("\n", f"\n{INDENT}")


def _verbose(record: LogRecord) -> str:
    width = max(map(len, RECORD_FIELDS))
    lines = [rfc3339(record.ts) or local(record.ts)]
    for name, (value, _) in RECORD_FIELDS.items():
        found = value(record)
        if name != "time" and found is not None and found != "":
            text = escape(str(found)).replace("\n", f"\n{INDENT}{' ' * (width + 2)}")
            lines.append(f"{INDENT}{name:>{width}}  {text}")
    lines += [f"{INDENT}{'unreadable':>{width}}  {sentence}" for sentence in odd_of(record)]
    return "\n".join(lines)


def _cat(record: LogRecord) -> str:
    return escape(record.message)


def _picked(names: Sequence[str]) -> Form:
    def text(record: LogRecord, name: str) -> str:
        value = RECORD_FIELDS[name][0](record)
        return "" if value is None else one_line(str(value))

    return lambda record: "\t".join(text(record, name) for name in names)


_FORMS: dict[str, Callable[[], Form]] = {
    "short": _short, "iso": _iso, "verbose": lambda: _verbose, "cat": lambda: _cat,
}  # fmt: skip
