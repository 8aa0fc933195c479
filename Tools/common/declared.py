"""Changes of the configuration checked against what programs declare: types, limits, names, defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from NexusCore.config.store import REMOVE, SET, Change, Edit
from NexusCore.config.values import FOLDER, MASK, Limits, Value, cast, decode, discreet, encode
from NexusCore.errors import EXIT_REFUSED, NexusError, NoSuchParameterException, ValueRefused
from NexusCore.text import shell_quote
from Tools.common.configuration import StoredConfiguration, is_below

if TYPE_CHECKING:
    from NexusCore.config.catalogue import Catalogue, DeclaredParameter
    from NexusCore.config.parameter import ConfigParameter


_DECLARED_ROOTS = ("Facility", "Instruments", "Log", "Logger", "Services")


class NothingReads(NexusError):
    """'{path}' is not set, since no program reads it: {reason} To add it all the same: ConfigTool add {word} VALUE"""  # noqa: D400

    exit_code: ClassVar[int] = EXIT_REFUSED


def catalogue() -> Catalogue:
    """Return what the programs of this installation declare; imported only when it is needed."""
    from NexusCore.config import catalogue

    return catalogue.catalogue()


def completed(edits: Sequence[Edit], before: Mapping[str, Change], *, known_names: bool = False) -> list[Edit]:
    """Return edits that respect the declarations.

    A declared parameter keeps its type, and its limits hold. One that would be removed gets its default instead.

    Parameters
    ----------
    edits
        What to change.
    before
        The parameters that exist around them.
    known_names
        Refuse a new parameter whose name is probably mistyped.

    Raises
    ------
    ValueRefused
        If a value does not fit the declaration.
    NothingReads
        If a new parameter belongs to a program that does not read it.
    """
    if all(edit.path in before and edit.action == SET and edit.datatype is None for edit in edits):
        return list(edits)  # the stored limits are enough
    known = catalogue()
    return [_completed(edit, before, known, known_names) for edit in edits]


def _completed(edit: Edit, before: Mapping[str, Change], known: Catalogue, known_names: bool) -> Edit:
    item = known.find(edit.path)
    if item is None:
        mistake = known.mistake(edit.path) if known_names and edit.path not in before else None
        if mistake is not None:
            reason = mistake if mistake.endswith("?") else f"{mistake}."
            raise NothingReads(path=edit.path, reason=reason, word=shell_quote(edit.path))
        return edit
    if edit.action == REMOVE:
        return replace(item.edit(item.default), if_revision=edit.if_revision, reveal=True) if item.stored else edit
    if edit.action != SET or edit.datatype == FOLDER or edit.keep_value:
        return edit
    limits = item.limits if edit.limits is None else replace(item.limits, secret=edit.limits.secret)
    with discreet(limits):
        try:
            value = cast(edit.path, edit.value, item.datatype)
            limits.check(edit.path, value)
        except ValueRefused:
            if not edit.check:  # an earlier state, which somebody asks for: validate tells what is wrong with it
                return edit
            raise
    return replace(
        edit, value=value, datatype=item.datatype, limits=limits, comment=edit.comment or item.comment,
    )  # fmt: skip


def resets(path: str, configuration: StoredConfiguration) -> list[Edit]:
    """Return the edits that give a parameter, or all below a folder, what is declared.

    Raises
    ------
    NoSuchParameterException
        If nothing is declared there.
    """
    known = catalogue()
    there = {change.path: change for change in configuration.below(path)}
    edits = []
    for change in there.values():
        item = known.find(change.path)
        if item is not None:
            edits.append(item.edit(item.default) if item.stored else Edit(item.path, REMOVE))
    edits += [item.edit(item.default) for item in known.stored if is_below(item.path, path) and item.path not in there]
    if not edits:
        if not there:
            raise configuration.missing(path)
        raise NoSuchParameterException(
            path=path, version=configuration.version, hint=" No program declares it, so it has no default."
        )
    return edits


def problem(change: Change, known: Catalogue) -> str | None:
    """Return what is wrong with a stored parameter by the declarations; None if nothing is."""
    item = known.find(change.path)
    if item is None:
        return None if change.datatype == FOLDER else known.mistake(change.path)
    if change.withheld or change.value is None:
        return None
    secret = item.limits.secret or Limits.readable(change.limits).secret
    try:
        value = cast(change.path, change.value, item.datatype)
        item.limits.check(change.path, value)
    except ValueRefused as refused:
        shown = MASK if secret else f"'{change.value}'"
        return f"{shown}: {refused.facts['reason']} ({item.comment})"
    if change.datatype != item.datatype:
        return (
            f"its type is {change.datatype}, but {item.datatype} is declared; to correct it: {_again(change, secret)}"
        )
    return None


def problem_of(parameter: ConfigParameter, known: Catalogue) -> str | None:
    """Return the same of a parameter in memory."""
    text = None if parameter.withheld else encode(parameter.value)
    limits = parameter.limits.to_json()
    change = Change(parameter.revision, 0, parameter.path, SET, text, parameter.datatype, parameter.comment, limits, 0)
    return problem(change, known)


def _again(change: Change, secret: bool) -> str:
    value = "VALUE" if secret else change.value or ""
    return f"ConfigTool set {shell_quote(change.path)} {shell_quote(value)}"


def problems(everything: Mapping[str, Change]) -> Iterator[tuple[str, str]]:
    """Yield path and problem of each stored parameter that the declarations do not allow, or that is misspelt."""
    known = catalogue()
    for path, change in everything.items():
        reason = problem(change, known)
        if reason is not None:
            yield path, reason


def may_be_declared(path: str) -> bool:
    """Return whether programs may declare anything below a path, without reading what they declare."""
    return not path or path.partition(".")[0] in _DECLARED_ROOTS


def not_set(below: str, everything: Mapping[str, Change]) -> list[Change]:
    """Return what can be set below a folder but is not stored, as changes of revision 0 with the default.

    Without a folder, only what belongs to stored ones, such as the fields of each instrument.
    """
    # So that a folder without parameters, such as that of a new instrument, counts as one.
    possible = catalogue().possible([*everything, f"{below}.*"] if below else everything)
    return [_as_change(item) for item in possible if is_below(item.path, below) and (below or not item.stored)]


def _as_change(item: DeclaredParameter) -> Change:
    return Change(
        0, 0, item.path, SET, encode(item.default), item.datatype, item.comment, item.limits.to_json(), 0
    )  # fmt: skip


def is_default(change: Change, known: Catalogue) -> bool:
    """Return whether a stored parameter has its declared default; one that nobody declares has none."""
    item = known.find(change.path)
    if item is None or not item.stored:
        return False
    return _decoded(change) == item.default


def _decoded(change: Change) -> Value:
    try:
        return decode(change.value, change.datatype)
    except ValueError:
        return change.value
