"""Changes of the configuration: requested (`Edit`), made (`Change`), in the history (`HistoryEntry`); their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from NexusCore import sizes
from NexusCore.config.values import MASK, Limits, Value, decode
from NexusCore.errors import ConfigException, SecretWithheld
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, optional
from NexusCore.text import kind_of, odd_character, one_line, shortened

SET, REMOVE, CLEAR = "set", "remove", "clear"
"""What an edit does: set a parameter, remove it, or remove everything below a path."""
DEFAULT = "default"
NAMES_VERSION = "default_version"
"""Parameter of the version "default" that names the version used where none is named."""
PATH_LENGTH = sizes.PATH
NAME_LENGTH = sizes.NAME

CONFIG_VERSION = Columns("config_version", {"id": WHOLE, "name": TEXT, "created_ts": TIME})
CONFIG_PARAMETER = Columns(
    "config_parameter",
    {
        "id": WHOLE,
        "version_id": WHOLE,
        "path": TEXT,
        "name": TEXT,
        "datatype": TEXT,
        "value": optional(TEXT),
        "comment": optional(TEXT),
        "limits": optional(TEXT),
        "last_modified": TIME,
        "revision": WHOLE,
    },
)
CONFIG_CHANGE = Columns(
    "config_change",
    {
        "revision": WHOLE,
        "version_id": WHOLE,
        "version": TEXT,
        "path": TEXT,
        "action": TEXT,
        "old_value": optional(TEXT),
        "new_value": optional(TEXT),
        "old_datatype": optional(TEXT),
        "datatype": optional(TEXT),
        "comment": optional(TEXT),
        "limits": optional(TEXT),
        "who": TEXT,
        "host": TEXT,
        "tool": TEXT,
        "why": optional(TEXT),
        "ts": TIME,
    },
)
CONFIG_SECRET = Columns("config_secret", {"revision": WHOLE, "version_id": WHOLE, "path": TEXT, "value": TEXT})
CONFIG_REVISION = Columns("config_revision", {"id": WHOLE, "revision": WHOLE})

_CHANGE_ROW = Columns(
    "config_change",
    {
        **CONFIG_CHANGE.only("revision", "version_id", "path", "action", "new_value").columns,
        "datatype": TEXT,
        **CONFIG_CHANGE.only("comment", "limits", "ts").columns,
    },
)
CHANGE_CONTENTS = CONFIG_PARAMETER.only("path", "value", "datatype", "comment", "limits", "revision", "last_modified")
_ENTRY = CONFIG_CHANGE.only(
    "revision", "version", "path", "action", "old_value", "new_value", "datatype", "comment", "who", "host", "tool",
    "why", "ts",
)  # fmt: skip


class Change(NamedTuple):
    """One change as stored; a tuple, since a configuration may have tens of thousands."""

    revision: int
    version_id: int
    path: str
    action: str
    """``set`` or ``remove``."""
    value: str | None
    datatype: str
    comment: str | None
    limits: str | None
    ts: int
    withheld: bool = False
    """It is a secret that this program's database account may not read; `value` is None."""

    def again(self) -> Edit:
        """Return the edit that gives a parameter of any version this content.

        Raises
        ------
        ConfigException
            If it cannot be read.
        SecretWithheld
            If `withheld`.
        """
        if self.withheld:
            raise SecretWithheld(path=self.path)
        try:
            value = decode(self.value, self.datatype)
            limits = Limits.from_json(self.limits)
        except (ValueError, ConfigException):
            reason = f"'{self.path}' cannot be read as it is stored; Doctor --rows says why, and can put it right"
            raise ConfigException(reason=reason) from None
        return Edit(self.path, SET, value, self.datatype, self.comment or "", limits, check=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """A requested change of one parameter; it is checked inside the transaction."""

    path: str
    action: str = SET
    value: Value = None
    datatype: str | None = None
    """None keeps the current type; a new parameter gets the value's own."""
    comment: str | None = None
    """None keeps the current comment; an empty text removes it."""
    limits: Limits | None = None
    keep_value: bool = False
    """Change comment and limits only; the parameter must exist."""
    only_there: bool = False
    """Raise for a missing parameter instead of creating it."""
    only_new: bool = False
    """Do nothing if the parameter exists."""
    check: bool = True
    if_revision: int | None = None
    """Only if the parameter was last changed at this revision (0: does not exist)."""
    reveal: bool = False
    """The parameter may stop being a secret; otherwise a secret stays one."""
    if_there: bool = False
    """Do nothing for a missing parameter; otherwise that is an error."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes something, where, with what and why."""

    who: str
    host: str
    tool: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the configuration's history; a secret's values are masked."""

    revision: int
    version: str
    path: str
    action: str
    old_value: str | None
    new_value: str | None
    datatype: str
    comment: str | None
    who: str
    host: str
    tool: str
    why: str | None
    ts: int


def change_of(row: Sequence[object]) -> Change:
    """Return the change of a row: revision, version, path, action, value, datatype, comment, limits, time."""
    values, _ = _CHANGE_ROW.typed(row)
    return Change._make((*values, False))


def entry_of(row: Sequence[object], *, secret: bool) -> HistoryEntry:
    """Return the history entry of a row, masked if `secret`; the row ends with the limits before and after."""
    values, _ = _ENTRY.read(row[:-2])
    entry = HistoryEntry(*values)
    if not secret:
        return entry
    return replace(entry, old_value=entry.old_value and MASK, new_value=entry.new_value and MASK)


def is_secret(row: Sequence[object]) -> bool:
    """Return whether a row of the history concerns a secret, before or after the change."""
    return any(Limits.readable(limits).secret for limits in row[-2:])


def not_a_name(value: object) -> ConfigException:
    """Return the error for a name of a parameter or folder that is not text."""
    reason = f"{one_line(repr(value))[:40]} is not the name of a parameter; a name is text such as Module.parameter"
    if value == "":
        reason = "the name of a parameter is empty; a name is text such as Module.parameter"
    return ConfigException(reason=reason)


def check_text(what: str, value: object) -> None:
    """Raise `ConfigException` if a value is not text; `what` names it in the message."""
    if not isinstance(value, str):
        raise ConfigException(reason=f"{what} must be text, but is of the type {type(value).__name__}")


def check_comment(path: str, comment: object) -> None:
    """Raise `ConfigException` if the comment of a parameter is neither None nor text."""
    if comment is not None:
        check_text(f"the comment of '{path}'", comment)


def check_path(path: str) -> str:
    """Return `path` if it is valid for a new parameter.

    Raises
    ------
    ConfigException
        If a part is empty, it is too long, or it contains a character that is not shown as it is.
    """
    check_form(path)
    odd = odd_character(path)
    if odd is not None:
        raise ConfigException(reason=f"the path '{one_line(path)}' contains {odd}, which no name may contain")
    return path


def check_form(path: object) -> str:
    """Return `path` if its form is valid; its characters are not checked, so that any stored path can be removed."""
    if not isinstance(path, str):
        shown = shortened(one_line(repr(path)), 40)
        reason = f"{shown} is not a valid path: a path is text such as Module.parameter, not {kind_of(path)}"
        raise ConfigException(reason=reason)
    if not path or any(not part or part != part.strip() for part in path.split(".")):
        raise ConfigException(reason=f"'{path}' is not a valid path of a parameter; use for example Module.parameter")
    if len(path) > PATH_LENGTH or max(map(len, path.split("."))) > NAME_LENGTH:
        reason = f"the path of {len(path)} characters that begins with '{path[:40]}' is too long"
        raise ConfigException(reason=f"{reason} (a path has at most {PATH_LENGTH}, a name {NAME_LENGTH})")
    return path


def checked(edit: Edit) -> str:
    """Return the path of an edit after checking it and the comment."""
    if edit.action == CLEAR:
        return edit.path and check_form(edit.path)  # an empty path clears the whole version
    check_comment(edit.path, edit.comment)
    return check_form(edit.path) if edit.action == REMOVE else check_path(edit.path)
