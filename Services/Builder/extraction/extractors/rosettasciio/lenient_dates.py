"""Lets a reader go on where it would give a file up for a date that it cannot parse.

Several of RosettaSciIO's readers parse the date of acquisition on the way and let its errors pass: a date in an unknown
form, or one that does not exist, costs the data. Here such a date is `NEVER`, which is taken for that of a clock that
was never set; what the file says of it is read from its original metadata (`acquisition`).
"""

from __future__ import annotations

import datetime as datetimes
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

_WRONG = (ValueError, OverflowError, OSError, TypeError)
_SHARED = "rsciio.utils._date_time"
"""Where the readers share functions for dates."""
_GENERAL = "_map_general_md"
"""Method of some readers that collects title, date and the like, and divides a date at its blanks."""
_EVERYTHING = "map_metadata"
"""Method of HORIBA's reader that does so and maps everything else, too."""


class _Datetime(datetimes.datetime):
    """A datetime whose constructors never fail."""

    def __new__(cls, *arguments: Any, **named: Any) -> _Datetime:
        try:
            return super().__new__(cls, *arguments, **named)
        except _WRONG:
            return super().__new__(cls, 1, 1, 1)

    @classmethod
    def strptime(cls, *arguments: Any) -> Any:
        return _or_never(super().strptime, *arguments)

    @classmethod
    def fromisoformat(cls, *arguments: Any) -> Any:
        return _or_never(super().fromisoformat, *arguments)

    @classmethod
    def fromtimestamp(cls, *arguments: Any, **named: Any) -> Any:
        return _or_never(super().fromtimestamp, *arguments, **named)

    def __add__(self, other: datetimes.timedelta) -> Any:
        return _or_never(super().__add__, other)


class _Timedelta(datetimes.timedelta):
    """A duration that is none where it would be too long, or not a number."""

    def __new__(cls, *arguments: Any, **named: Any) -> _Timedelta:
        try:
            return super().__new__(cls, *arguments, **named)
        except _WRONG:
            return super().__new__(cls, days=-1_000_000_000 + 1)


NEVER = _Datetime(1, 1, 1)
"""Stands for a date that could not be parsed."""


def _or_never(parse: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return parse(*arguments, **named)
    except _WRONG:
        return NEVER


@contextmanager
def lenient_dates(api: str) -> Iterator[None]:
    """Replace, until the block is left, what a reader parses dates with.

    Parameters
    ----------
    api
        Name of the reader's module; those beside it are its own, too.
    """
    package = api.rpartition(".")[0]
    changed: list[tuple[Any, str, Any]] = []
    try:
        for name, module in list(sys.modules.items()):
            if isinstance(module, ModuleType) and (name == _SHARED or f"{name}.".startswith(f"{package}.")):
                for holder, attribute, value in list(_replacements(module, package)):
                    changed.append((holder, attribute, getattr(holder, attribute)))
                    setattr(holder, attribute, value)
        yield
    finally:
        for holder, attribute, value in reversed(changed):
            setattr(holder, attribute, value)


def _replacements(module: ModuleType, package: str) -> Iterator[tuple[Any, str, Any]]:
    from dateutil import parser

    for name, value in vars(module).items():
        if value is datetimes.datetime:
            yield module, name, _Datetime
        elif value is datetimes.timedelta:
            yield module, name, _Timedelta
        elif value is datetimes:
            yield module, name, SimpleNamespace(**{**vars(datetimes), "datetime": _Datetime, "timedelta": _Timedelta})
        elif value is parser.parse:
            yield module, name, functools.partial(_or_never, parser.parse)
        elif value is parser:
            yield module, name, SimpleNamespace(parse=functools.partial(_or_never, parser.parse))
        elif value is sys.modules.get("dateutil"):
            lenient = SimpleNamespace(parse=functools.partial(_or_never, parser.parse))
            yield module, name, SimpleNamespace(**{**vars(value), "parser": lenient})
        elif isinstance(value, type) and value.__module__.startswith(package):
            for method, lenient_method in ((_GENERAL, _without_general), (_EVERYTHING, _without_dates)):
                if method in vars(value):
                    yield value, method, lenient_method(vars(value)[method])


def _without_general(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def collected(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except (ValueError, IndexError, KeyError, AttributeError, TypeError):
            return {}

    return collected


def _without_dates(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def mapped(reader: Any, *arguments: Any) -> Any:
        try:
            return method(reader, *arguments)
        except ValueError:
            dates, reader.original_metadata["date"] = reader.original_metadata.get("date"), {}
            try:
                return method(reader, *arguments)
            finally:
                reader.original_metadata["date"] = dates

    return mapped
