"""Parameters of the configuration on a screen and as JSON; the values of secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from NexusCore.config.store import Change
from NexusCore.config.values import FOLDER, MASK, Limits, Value, decode, readable_value
from NexusCore.errors import ConfigException
from NexusCore.text import one_line
from Tools.common.cells import cut
from Tools.common.terminal import Screen, brief_value
from Tools.common.time_parser import rfc3339

WIDEST_PATH, WIDEST_VALUE = 60, 32
"""Columns up to which a listing is aligned; a longer text does not push all others away."""
LEAST_VALUE = 8
"""Least columns of a value."""
LEAST_COMMENT = 12
"""Columns below which a comment is omitted rather than cut."""


def is_secret(change: Change) -> bool:
    """Return whether a parameter is a secret."""
    return Limits.readable(change.limits).secret


def shown(change: Change | None) -> str:
    """Return a parameter's value as text."""
    if change is not None and change.withheld:
        return MASK
    if change is None or change.value is None:
        return ""
    return MASK if is_secret(change) else change.value


def plain_value(change: Change | None) -> Value:
    """Return a parameter's value in its own type, or None."""
    return (
        None
        if change is None
        else by_type(shown(change) if change.value is not None or change.withheld else None, change.datatype)
    )


def by_type(text: str | None, datatype: str | None) -> Value:
    """Return a stored value in its own type; its text if it is masked, or not of that type."""
    return text if text == MASK else readable_value(text, datatype)


def is_readable(change: Change) -> bool:
    """Return whether a parameter's value and limits can be decoded; programs skip parameters that cannot."""
    try:
        decode(change.value, change.datatype)
        Limits.from_json(change.limits)
    except (ValueError, ConfigException):
        return False
    return True


def on_a_line(change: Change | None) -> str:
    """Return a parameter's value as text of a single line; ``''`` for an empty text."""
    if change is None or (change.value is None and not change.withheld):
        return ""
    return brief_value(shown(change)) or "''"


def described(change: Change, version: str) -> dict[str, object]:
    """Return a parameter as the fields of a JSON object."""
    fields: dict[str, object] = {
        "path": change.path,
        "value": plain_value(change),
        "datatype": change.datatype,
        "comment": change.comment,
        "version": version,
        "revision": change.revision,
        "last_modified": rfc3339(change.ts),
    }
    return fields if is_readable(change) else {**fields, "unreadable": True}


def lines(changes: Sequence[Change], screen: Screen) -> Iterator[str]:
    """Yield parameters as aligned lines: ``path = value  (type)  # comment``.

    On a terminal, lines are cut to its width if there are several. Very long values are always cut.
    """
    whole = [on_a_line(change) for change in changes]
    paths = [one_line(change.path) for change in changes]
    kinds = [one_line(change.datatype) + ("" if is_readable(change) else ", unreadable") for change in changes]
    path_width = _width(paths, WIDEST_PATH)
    value_width = _width(whole, WIDEST_VALUE)
    type_width = _width(kinds, WIDEST_VALUE)
    values = whole
    if screen.columns is not None and len(changes) > 1:
        room = screen.columns - type_width - len(" =   ()")
        values = [
            cut(value, max(room - max(path_width, len(path)), LEAST_VALUE))
            for path, value in zip(paths, whole, strict=True)
        ]
    for change, path, kind, value in zip(changes, paths, kinds, values, strict=True):
        folder, dot, name = path.rpartition(".")
        shown_path = screen.paint(folder + dot, "dim") + screen.paint(name, "bold") + " " * (path_width - len(path))
        shown_kind = screen.paint(f"({kind})", "dim") + " " * (type_width - len(kind))
        middle = " " * (value_width + 3)
        if change.datatype != FOLDER:
            middle = f" = {screen.paint(value, 'cyan')}{' ' * (value_width - len(value))}"
        before = max(path_width, len(path)) + max(value_width, len(value)) + type_width + len(" =   ()")
        yield f"{shown_path}{middle}  {shown_kind}{remark(change, before, screen, whole=len(changes) == 1)}".rstrip()


def remark(change: Change, before: int, screen: Screen, *, whole: bool = False) -> str:
    """Return a parameter's comment for the end of a line.

    Parameters
    ----------
    change
        The parameter.
    before
        Columns before it.
    screen
        On a terminal, a comment is cut to fit, or omitted where too little would fit.
    whole
        Whether not to cut it.
    """
    comment = one_line(change.comment or "")
    if screen.columns is not None and not whole:
        room = screen.columns - before - len("  # ")
        comment = cut(comment, room) if room >= LEAST_COMMENT else ""
    return screen.paint(f"  # {comment}", "green") if comment else ""


def _width(texts: Sequence[str], widest: int) -> int:
    return max((len(text) for text in texts if len(text) <= widest), default=0)
