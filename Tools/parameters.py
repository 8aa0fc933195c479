"""How parameters of the configuration look, on a screen and as JSON; a secret's value is masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from NexusCore.config.parameter import FOLDER, MASK, Limits, Value, decode
from NexusCore.config.store import Change
from Tools.moments import rfc3339
from Tools.terminal import Screen, cut, one_line

WIDEST_PATH, WIDEST_VALUE = 60, 32
"""Columns up to which the parts of a listing are aligned; one long text is not to push all others away."""
LEAST_VALUE = 8
"""Columns that a value has in any case."""
LEAST_COMMENT = 12
"""Columns below which a comment is left out rather than cut."""


def is_secret(change: Change) -> bool:
    """Tell whether a parameter's value is to be shown to nobody."""
    return change.limits is not None and Limits.from_json(change.limits).secret


def shown(change: Change | None) -> str:
    """Return a parameter's value as text."""
    if change is None or change.value is None:
        return ""
    return MASK if is_secret(change) else change.value


def plain_value(change: Change | None) -> Value:
    """Return a parameter's value as it is by its type; None where there is none."""
    return None if change is None else by_type(shown(change) if change.value is not None else None, change.datatype)


def by_type(text: str | None, datatype: str) -> Value:
    """Return a stored value as it is by its type; the text of one that is masked, or that is none of that type."""
    if text == MASK:
        return text
    try:
        return decode(text, datatype)
    except ValueError:  # written into the tables by hand
        return text


def on_a_line(change: Change | None) -> str:
    """Return a parameter's value as text that stays on its line; ``''`` for an empty text."""
    if change is None or change.value is None:
        return ""
    return one_line(shown(change)) or "''"


def described(change: Change, version: str) -> dict[str, object]:
    """Return a parameter as the fields of a JSON object."""
    return {
        "path": change.path,
        "value": plain_value(change),
        "datatype": change.datatype,
        "comment": change.comment,
        "version": version,
        "revision": change.revision,
        "last_modified": rfc3339(change.ts),
    }


def lines(changes: Sequence[Change], screen: Screen) -> Iterator[str]:
    """Yield parameters as aligned lines: ``path = value  (type)  # comment``.

    On a terminal each of several is cut to its width; of one alone, all is shown.
    """
    whole = [on_a_line(one) for one in changes]
    path_width = _width([one.path for one in changes], WIDEST_PATH)
    value_width = _width(whole, WIDEST_VALUE)
    type_width = _width([one.datatype for one in changes], WIDEST_VALUE)
    values = whole
    if screen.columns is not None and len(changes) > 1:
        room = screen.columns - type_width - len(" =   ()")
        values = [
            cut(value, max(room - max(path_width, len(one.path)), LEAST_VALUE))
            for one, value in zip(changes, whole, strict=True)
        ]
    for one, value in zip(changes, values, strict=True):
        folder, dot, name = one.path.rpartition(".")
        path = screen.paint(folder + dot, "dim") + screen.paint(name, "bold") + " " * (path_width - len(one.path))
        kind = screen.paint(f"({one.datatype})", "dim") + " " * (type_width - len(one.datatype))
        middle = " " * (value_width + 3)
        if one.datatype != FOLDER:
            middle = f" = {screen.paint(value, 'cyan')}{' ' * (value_width - len(value))}"
        before = max(path_width, len(one.path)) + max(value_width, len(value)) + type_width + len(" =   ()")
        yield f"{path}{middle}  {kind}{remark(one, before, screen, whole=len(changes) == 1)}".rstrip()


def remark(one: Change, before: int, screen: Screen, *, whole: bool = False) -> str:
    """Return a parameter's comment to stand at the end of a line.

    Parameters
    ----------
    one
        The parameter.
    before
        Columns of what stands before it.
    screen
        Where it is shown; on a terminal, what does not fit is cut off, or left out where hardly anything fits.
    whole
        Whether all of it is wanted nevertheless.
    """
    comment = one_line(one.comment or "")
    if screen.columns is not None and not whole:
        room = screen.columns - before - len("  # ")
        comment = cut(comment, room) if room >= LEAST_COMMENT else ""
    return screen.paint(f"  # {comment}", "green") if comment else ""


def _width(texts: Sequence[str], widest: int) -> int:
    return max((len(text) for text in texts if len(text) <= widest), default=0)
