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
    "time": (lambda one: rfc3339(one.ts), "when it was logged, by the clock of the machine that did"),
    "level": (lambda one: logging.getLevelName(one.level), "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    "logger": (lambda one: one.logger, "the name given to get_log"),
    "module": (lambda one: one.module, "the file of the statement that logged"),
    "line": (lambda one: one.line, "the line in that file"),
    "function": (lambda one: one.function, "the function around it"),
    "host": (lambda one: one.host, "the machine"),
    "pid": (lambda one: one.pid, "the process"),
    "thread": (lambda one: one.thread, "the thread"),
    "message": (lambda one: one.message, "what was said"),
    "traceback": (lambda one: one.traceback, "the stack trace, if there is one"),
    "session": (lambda one: one.session, "the session that was being worked on, if any"),
    "id": (lambda one: one.id, "its number in the database"),
}
"""What a record consists of: how it is read, and what it means. JSON objects have these names."""


def form_of(arguments: Namespace, screen: Screen) -> Form:
    """Return what makes of a record the text, in which all odd characters are escaped, that the arguments ask for."""
    if arguments.output == "json":
        return _json(arguments.fields or tuple(RECORD_FIELDS))
    form = _picked(arguments.fields) if arguments.fields else _FORMS[arguments.output]()
    return (lambda one: screen.paint(form(one), *_style(one.level))) if screen.colour else form


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
    return lambda one: _line(second(one.ts // SECOND), one)


def _iso() -> Form:
    # The same line, with a time that sorts as text and says its zone.
    stamp = Stamps()
    return lambda one: _line(stamp(one.ts) or local(one.ts), one)


def _line(when: str, one: LogRecord) -> str:
    """Return a record as a line, with what stands below it; only its beginning is at the margin."""
    if one.traceback or one.odd or len(one.message) > CERTAINLY_SHORT:
        one = _shortened(one)
        return _below(f"{when} {untimed(one)}", one)
    return f"{when} {untimed(one)}".replace("\n", f"\n{INDENT}")


def _json(names: Sequence[str]) -> Form:
    """Return what makes a line of JSON of a record."""
    if tuple(names) == tuple(RECORD_FIELDS):
        return _all_json()
    return lambda one: _with_odd(json_text({name: RECORD_FIELDS[name][0](one) for name in names}), one)


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

    def text(one: LogRecord) -> str:
        below = json_text(one.traceback) if one.traceback else known(one.traceback)
        rest = f'"message": {json_text(one.message)}, "traceback": {below}, "session": {known(one.session)}'
        stamped = stamp(one.ts)
        # A few statements of a few processes make a million lines: what is between the time and the message is known.
        if stamped and not one.odd:
            return f'{{"time": "{stamped}", {place(one[1:9])}, {rest}, "id": {one.id}}}'
        return _with_odd(f'{{"time": {json_text(stamped)}, {place(one[1:9])}, {rest}, "id": {one.id}}}', one)

    return text


def _with_odd(made: str, one: LogRecord) -> str:
    """Return the JSON of a record with a field that says what of it cannot be read, if there is anything."""
    odd = odd_of(one)
    return f'{made[:-1]}, "unreadable": {json_text(odd)}}}' if odd else made


def odd_of(one: LogRecord) -> list[str]:
    """Return what of a record cannot be read: the time is looked at only here, since most of a million are fine."""
    if one.odd:
        return list(one.odd)
    return [] if EARLIEST <= one.ts < LATEST else [f"ts is {one.ts}, which is not a time on the calendar"]


def _shortened(one: LogRecord) -> LogRecord:
    """Return a record that fits on a screen: of a long message or traceback, the beginning and how much is missing."""
    if fits(one.message, LONGEST_MESSAGE) and (one.traceback is None or fits(one.traceback, LONGEST_MESSAGE)):
        return one
    below = one.traceback and truncate(one.traceback, LONGEST_MESSAGE)
    return one._replace(message=truncate(one.message, LONGEST_MESSAGE), traceback=below)


def _below(line: str, one: LogRecord) -> str:
    """Return a line with the traceback; only its own beginning is at the margin, so that no message can forge one."""
    if one.odd:
        line = escape(f"{line} (unreadable: {'; '.join(one.odd)})")
    text = f"{line}\n{escape(one.traceback)}" if one.traceback else line
    return text.replace("\n", f"\n{INDENT}")


def _verbose(one: LogRecord) -> str:
    width = max(map(len, RECORD_FIELDS))
    lines = [rfc3339(one.ts) or local(one.ts)]
    for name, (value, _) in RECORD_FIELDS.items():
        found = value(one)
        if name != "time" and found is not None and found != "":
            text = escape(str(found)).replace("\n", f"\n{INDENT}{' ' * (width + 2)}")
            lines.append(f"{INDENT}{name:>{width}}  {text}")
    lines += [f"{INDENT}{'unreadable':>{width}}  {sentence}" for sentence in odd_of(one)]
    return "\n".join(lines)


def _cat(one: LogRecord) -> str:
    return escape(one.message)


def _picked(names: Sequence[str]) -> Form:
    def text(one: LogRecord, name: str) -> str:
        value = RECORD_FIELDS[name][0](one)
        return "" if value is None else one_line(str(value))

    return lambda one: "\t".join(text(one, name) for name in names)


_FORMS: dict[str, Callable[[], Form]] = {
    "short": _short, "iso": _iso, "verbose": lambda: _verbose, "cat": lambda: _cat,
}  # fmt: skip
