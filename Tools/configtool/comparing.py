"""Commands that compare two states of the configuration, and check parameters against their types and limits."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping

from NexusCore.config.changes import NAMES_VERSION
from NexusCore.config.history import ConfigState, Difference, differences, ever_secret, state_of
from NexusCore.config.store import SET, Change, Edit
from NexusCore.config.values import (
    DATATYPES,
    FOLDER,
    MASK,
    NEED_A_VALUE,
    NO_LIMITS,
    STRING,
    Limits,
    cast,
    decode,
    encode,
)
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, ConfigException, ValueRefused
from NexusCore.text import one_line
from Tools.common import declared
from Tools.common.configuration import StoredConfiguration, is_below, open_configuration
from Tools.common.quantities import counted
from Tools.common.suggestions import near_name
from Tools.common.terminal import Screen, brief_value
from Tools.configtool.exchanging import edits_of

Problem = tuple[str, str]
"""A path, and what is wrong with it."""


# -- diff --------------------------------------------------------------------------------------------------------------


def diff(arguments: Namespace, screen: Screen) -> int:
    """Show the differences between two revisions or versions, or between one and the present state."""
    configuration = open_configuration(arguments.version)
    folder = (arguments.below or "").strip(".")
    (old_id, old), (new_id, new) = (_state(what, configuration, folder) for what in (arguments.old, arguments.new))
    changed = differences(old, new, ever_secret(configuration.store, {old_id, new_id}))
    for difference in changed:
        if arguments.json:
            screen.show_json(
                path=difference.path, old=difference.old, new=difference.new, old_datatype=difference.old_datatype,
                datatype=difference.new_datatype,
            )  # fmt: skip
        else:
            screen.show(_line(difference, screen))
    if not changed:
        screen.say("No differences.")
    return EXIT_OK


def _state(what: str | None, configuration: StoredConfiguration, folder: str) -> tuple[int, ConfigState]:
    """Return the id and state of a version named or numbered by `what`; the present state for None."""
    store = configuration.store
    which: int | str = configuration.version if what is None else what
    if what is not None and what.isdecimal() and what not in store.versions():
        which = int(what)
    return state_of(store, configuration.version_id, which, folder)


def _line(difference: Difference, screen: Screen) -> str:
    path = screen.paint(one_line(difference.path), "bold")
    old, new = (brief_value(str(value)) or "''" for value in (difference.old, difference.new))
    before, after = (one_line(kind or "") for kind in (difference.old_datatype, difference.new_datatype))
    if difference.old_datatype is None:
        value = "" if difference.new_datatype == FOLDER else f" = {new}"
        return f"{screen.paint('+', 'green')} {path}{value}  ({after})"
    if difference.new_datatype is None:
        value = "" if difference.old_datatype == FOLDER else f" = {old}"
        return f"{screen.paint('-', 'red')} {path}{value}  ({before})"
    kinds = "" if difference.old_datatype == difference.new_datatype else f"  ({before} -> {after})"
    if difference.old == difference.new and not kinds and not difference.secret:
        return f"{screen.paint('~', 'yellow')} {path} = {new}  (comment or limits)"
    return f"{screen.paint('~', 'yellow')} {path} = {old} -> {new}{kinds}"


# -- validate ----------------------------------------------------------------------------------------------------------


def validate(arguments: Namespace, screen: Screen) -> int:
    """Check every parameter against its type and limits, or a JSON file against the configuration."""
    configuration = open_configuration(arguments.version)
    everything = configuration.everything()
    if arguments.file is None:
        count = len(everything)
        problems = list(_problems(configuration, everything))
        what = f"of version '{configuration.version}'"
    else:
        edits = edits_of(arguments.file, arguments.root)
        count = len(edits)
        problems = [problem for edit in edits for problem in _objections(edit, everything)]
        what = f"in {arguments.file}"
    for path, text in problems:
        if arguments.json:
            screen.show_json(path=path, problem=text)
        else:
            screen.show(f"{screen.paint(one_line(path), 'bold')}: {one_line(text)}")
    if arguments.json:
        screen.show_json(version=configuration.version, checked=count, problems=len(problems))
    if problems:
        screen.say(f"{counted(len(problems), 'problem')} in {counted(count, 'parameter')} {what}.")
        return EXIT_FAILURE
    screen.say(f"No problems in {counted(count, 'parameter')} {what}.")
    return EXIT_OK


def _problems(configuration: StoredConfiguration, everything: Mapping[str, Change]) -> Iterator[Problem]:
    """Yield the problems of stored parameters."""
    for path, change in everything.items():
        reason = _fault(change)
        if reason:
            yield path, reason
        above = _parameter_above(path, everything)
        if above:
            yield path, f"it is below '{above}', which is a parameter"
    stored_badly = {path for path, change in everything.items() if _fault(change)}
    for path, reason in declared.problems(everything):
        if path not in stored_badly:
            yield path, reason
    named = everything.get(NAMES_VERSION)
    if named is not None and named.value not in configuration.store.versions():
        yield NAMES_VERSION, f"version '{named.value}' does not exist"


def _fault(change: Change) -> str | None:
    """Return what is wrong with a stored parameter, or None."""
    try:
        limits = Limits.from_json(change.limits)
    except (ValueError, TypeError, ConfigException):
        return "its limits cannot be read"
    if change.datatype not in DATATYPES:
        return f"unknown datatype '{change.datatype}'"
    if change.value is None and not change.withheld and change.datatype in NEED_A_VALUE:
        return f"it has no value, but its type {change.datatype} needs one"
    try:
        limits.check(change.path, decode(change.value, change.datatype))
    except ValueRefused as error:
        return f"{_hidden(change.value, limits.secret)}: {error.facts['reason']}"
    except ValueError:
        return f"{_hidden(change.value, limits.secret)} is not of the type {change.datatype}"
    return None


def _objections(edit: Edit, everything: Mapping[str, Change]) -> Iterator[Problem]:
    """Yield the problems of a parameter in a file, compared with the existing parameters and the declarations."""
    if edit.datatype != FOLDER and edit.value is not None:
        change = Change(0, 0, edit.path, SET, encode(edit.value), edit.datatype or STRING, None, None, 0)
        reason = declared.problem(change, declared.catalogue())
        if reason:
            yield edit.path, reason
            return
    existing = everything.get(edit.path)
    above = _parameter_above(edit.path, everything)
    if above:
        yield edit.path, f"it would be below '{above}', which is a parameter"
    elif existing is None:
        hint = near_name(edit.path, everything)
        if edit.datatype != FOLDER and any(is_below(path, edit.path) for path in everything):
            yield edit.path, "it is a folder, without a value"
        elif hint:
            yield edit.path, f"it would be new.{hint}"
    elif edit.datatype not in (None, existing.datatype):
        yield edit.path, f"its type is {edit.datatype} in the file, but {existing.datatype} in the configuration"
    if edit.value is None:
        datatype = edit.datatype or (existing.datatype if existing is not None else STRING)
        if datatype in NEED_A_VALUE and not edit.only_new:  # files leave the values of secrets out
            yield edit.path, f"it has no value, but its type {datatype} needs one"
        return
    own = edit.limits or NO_LIMITS
    for limits in (own, Limits.readable(existing.limits)) if existing is not None else (own,):
        try:
            limits.check(
                edit.path, cast(edit.path, edit.value, existing.datatype if existing else edit.datatype or STRING)
            )
        except ValueRefused as error:
            yield edit.path, f"{_hidden(encode(edit.value), limits.secret)}: {error.facts['reason']}"
            return


def _parameter_above(path: str, everything: Mapping[str, Change]) -> str | None:
    """Return the parameter that a path is below, if any; only folders may have something below them."""
    parts = path.split(".")
    folders = (".".join(parts[:end]) for end in range(1, len(parts)))
    return next((folder for folder in folders if folder in everything and everything[folder].datatype != FOLDER), None)


def _hidden(value: str | None, secret: bool) -> str:
    return MASK if secret else brief_value(value or "") or "''"
