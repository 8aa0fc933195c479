"""Templates of paths: ``Run{run}/{system}/{system}hists.{time}.root``.

A field in braces is replaced by a value: a named group of the rule's expression, or one of `FIELDS`. ``{mode:upper}``
and ``{mode:lower}`` change its case. Slashes stand in the template alone: a value never adds a folder, but for
``{folder}``, which stands for the folders between the inbox and the file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from string import Formatter

FIELDS = ("name", "stem", "suffix", "folder", "instrument", "user", "date", "year", "month", "day", "inbox")
"""Fields that every template may use, besides the groups of the rule's expression."""
_CASES: Mapping[str, Callable[[str], str]] = {"": str, "upper": str.upper, "lower": str.lower}
Piece = tuple[str, str, str]
"""Literal text, and the field behind it with its case; both empty at the end."""


class BadTemplate(Exception):
    """A template cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """A path with fields."""

    text: str
    parts: tuple[tuple[Piece, ...], ...]
    """Of each name in the path."""

    @property
    def fields(self) -> set[str]:
        """Names of the fields that it uses."""
        return {field for part in self.parts for _, field, _ in part if field}

    @property
    def may_end_at_top(self) -> bool:
        """Whether a path may be in the root itself."""
        return sum(part[0][:2] != ("", "folder") for part in self.parts) == 1

    def path(self, values: Mapping[str, str], folder: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the path.

        Parameters
        ----------
        values
            Of the fields.
        folder
            What ``{folder}`` stands for.
        """
        names: list[str] = []
        for part in self.parts:
            if part[0][:2] == ("", "folder"):
                names += folder
            else:
                names.append(_filled(part, values))
        return tuple(names)


def path_template(text: str, groups: Collection[str]) -> Template:
    """Return the template of a path.

    Parameters
    ----------
    text
        As the configuration has it.
    groups
        Names of the groups of the rule's expression.

    Raises
    ------
    BadTemplate
        If it cannot be used.
    """
    if not text.strip("/ "):
        raise BadTemplate("it is empty")
    if text.startswith("/"):
        raise BadTemplate("it begins with a slash; a path is below the rule's target")
    parts = tuple(_pieces(part, groups) for part in text.split("/"))
    for part in parts:
        if not part or (any(field == "folder" for _, field, _ in part) and (len(part) > 1 or part[0][0])):
            raise BadTemplate("it has an empty name" if not part else "{folder} has to stand alone between slashes")
        if len(part) == 1 and part[0][0] in (".", "..") and not part[0][1]:
            raise BadTemplate(f"'{part[0][0]}' is not the name of a folder")
    if parts[-1][0][:2] == ("", "folder"):
        raise BadTemplate("it ends with {folder}, so the file would have no name")
    return Template(text, parts)


def text_of(text: str, values: Mapping[str, str], groups: Collection[str]) -> str:
    """Return a text with its fields filled in, which may have slashes; raises `BadTemplate`."""
    return _filled(_pieces(text, groups), values)


def _pieces(text: str, groups: Collection[str]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise BadTemplate(f"its braces cannot be read ({error})") from None
    for literal, field, case, conversion in parsed:
        if field is not None and field not in (*FIELDS, *groups):
            known = ", ".join(sorted({*groups, *FIELDS}))
            raise BadTemplate(f"there is no field '{{{field}}}'; there are {known}")
        if conversion or (case or "") not in _CASES:
            raise BadTemplate(f"'{{{field}}}' can be followed by :upper or :lower, not by '{conversion or case}'")
        pieces.append((literal, field or "", case or ""))
    return tuple(pieces)


def _filled(pieces: tuple[Piece, ...], values: Mapping[str, str]) -> str:
    return "".join(literal + (_CASES[case](values[field]) if field else "") for literal, field, case in pieces)
