"""A record as the reader wants to see it: as a line, as a list of its fields, as JSON, or as a few fields of it."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Sequence

from NexusCore.errors import EXIT_OK
from NexusCore.log.record import LogRecord, printable, short_line
from Tools.moments import rfc3339
from Tools.terminal import Screen, one_line

INDENT = "    "
WARNING, ERROR, CRITICAL = 30, 40, 50

Field = Callable[[LogRecord], object]
FIELDS: dict[str, tuple[Field, str]] = {
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


def shower(arguments: Namespace, screen: Screen) -> Callable[[LogRecord], None]:
    """Return what shows a record in the way that the arguments ask for."""
    if arguments.output == "json":
        names = arguments.fields or tuple(FIELDS)
        return lambda one: screen.show_json(**{name: FIELDS[name][0](one) for name in names})
    form = _picked(arguments.fields) if arguments.fields else _FORMS[arguments.output]
    return lambda one: screen.show(screen.paint(form(one), *_style(one.level)))


def show_fields(arguments: Namespace, screen: Screen) -> int:
    """List the fields of a record."""
    if arguments.output == "json":
        screen.show_json(**{name: meaning for name, (_, meaning) in FIELDS.items()})
        return EXIT_OK
    width = max(map(len, FIELDS))
    for name, (_, meaning) in FIELDS.items():
        screen.show(f"{name:<{width}}  {meaning}")
    return EXIT_OK


def _style(level: int) -> tuple[str, ...]:
    if level >= WARNING:
        return ("yellow",) if level < ERROR else ("red",) if level < CRITICAL else ("bold", "red")
    return ("dim",) if level <= logging.DEBUG else ()


def _short(one: LogRecord) -> str:
    return _below(short_line(one), one)


def _iso(one: LogRecord) -> str:
    # The same line, with a time that sorts as text and says its zone.
    rest = short_line(one)[len("Tue Aug  2 11:42:16 2016") :]
    return _below(f"{rfc3339(one.ts)}{rest}", one)


def _below(line: str, one: LogRecord) -> str:
    """Return a line with the traceback; only its own beginning is at the margin, so that no message can forge one."""
    text = f"{line}\n{printable(one.traceback)}" if one.traceback else line
    return text.replace("\n", f"\n{INDENT}")


def _verbose(one: LogRecord) -> str:
    width = max(map(len, FIELDS))
    lines = [str(rfc3339(one.ts))]
    for name, (value, _) in FIELDS.items():
        found = value(one)
        if name != "time" and found is not None and found != "":
            text = printable(str(found)).replace("\n", f"\n{INDENT}{' ' * (width + 2)}")
            lines.append(f"{INDENT}{name:>{width}}  {text}")
    return "\n".join(lines)


def _cat(one: LogRecord) -> str:
    return printable(one.message)


def _picked(names: Sequence[str]) -> Callable[[LogRecord], str]:
    def text(one: LogRecord, name: str) -> str:
        value = FIELDS[name][0](one)
        return "" if value is None else one_line(str(value))

    return lambda one: "\t".join(text(one, name) for name in names)


_FORMS: dict[str, Callable[[LogRecord], str]] = {"short": _short, "iso": _iso, "verbose": _verbose, "cat": _cat}
