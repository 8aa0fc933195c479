"""Values of the configuration: their datatypes, how they are stored, and the limits that a parameter sets them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from NexusCore.config import forms
from NexusCore.errors import ConfigException, ValueRefused
from NexusCore.text import readable

Value = str | int | float | bool | None

STRING, INTEGER, DOUBLE, BOOLEAN, FOLDER = "string", "integer", "double", "boolean", "folder"
MASK = "*****"
"""What is shown instead of a secret."""
DATATYPES = (STRING, INTEGER, DOUBLE, BOOLEAN, FOLDER)
NEED_A_VALUE = frozenset({INTEGER, DOUBLE, BOOLEAN})
"""Datatypes that require a value; a text may be missing, and a folder has none."""

LONGEST_NUMBER = 4300
"""Digits of a whole number; Python reads no longer ones from text (see `sys.set_int_max_str_digits`)."""

_INTEGER = re.compile(r"[+-]?\d+")
_CANONICAL_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_CANONICAL_DOUBLE = re.compile(r"-?(0|[1-9]\d*)(\.\d+([eE][+-]?\d+)?|[eE][+-]?\d+)")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_OF_PYTHON: dict[type, str] = {bool: BOOLEAN, int: INTEGER, float: DOUBLE, str: STRING, type(None): STRING}


def datatype_of(path: str, value: object) -> str:
    """Return the datatype of a Python value.

    Raises
    ------
    ValueRefused
        If no parameter can hold a value of that type.
    """
    try:
        return _OF_PYTHON[type(value)]
    except KeyError:
        kind = type(value).__name__
        reason = f"a parameter holds text, whole and real numbers or true and false, not one of the type {kind}"
        raise ValueRefused(path=path, value=repr(value), reason=reason) from None


def guess(text: str) -> Value:
    """Return the value that a text typed in a shell means for a parameter without a type.

    Only text in the form in which a number is stored becomes one: ``-5`` is an integer, but ``0123`` stays text.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _CANONICAL_INTEGER.fullmatch(text) and len(text) <= LONGEST_NUMBER:
        return int(text)
    if _CANONICAL_DOUBLE.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def cast(path: str, value: Value, datatype: str) -> Value:
    """Return a value converted to a datatype, if that loses nothing.

    Parameters
    ----------
    path
        Path of the parameter, for the message.
    value
        A Python value, or text as typed by a person (``yes`` and ``on`` are true).
    datatype
        One of `DATATYPES`.

    Raises
    ------
    ValueRefused
        With the reason: ``'a.b' cannot be set to True: it is an integer``.
    """
    result: Value = None
    if value is None:
        return None
    _check_length(path, value, datatype)
    checked: object = value
    if not isinstance(checked, (str, int, float)):
        datatype_of(path, checked)
    if datatype == STRING:
        result = value if isinstance(value, str) else encode(value)
    elif datatype == BOOLEAN:
        result = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    elif isinstance(value, bool):
        result = None
    elif datatype == INTEGER:
        if isinstance(value, str):
            result = int(value) if _INTEGER.fullmatch(value.strip()) else None
        else:
            result = int(value) if isinstance(value, int) or value.is_integer() else None
    elif datatype == DOUBLE:
        result = _finite(value)
    if result is None:
        kinds = {
            INTEGER: "an integer",
            DOUBLE: "a number",
            BOOLEAN: "true or false",
            FOLDER: "a folder, without a value",
        }
        reason = f"it is {kinds.get(datatype, datatype)}"
        if datatype not in DATATYPES:
            reason = f"the datatype '{datatype}' does not exist; there are {', '.join(DATATYPES)}"
        if datatype == DOUBLE and isinstance(value, float):
            reason = "a number must be finite"
        raise ValueRefused(path=path, value=repr(value), reason=reason)
    return result


def _check_length(path: str, value: object, datatype: str) -> None:
    """Raise `ValueRefused` for a whole number so long that it cannot be written, or read, as text."""
    digits = 0
    if isinstance(value, int):
        digits = int(value.bit_length() * math.log10(2))
    elif isinstance(value, str) and datatype == INTEGER and _INTEGER.fullmatch(value.strip()):
        digits = len(value.strip())
    if digits > LONGEST_NUMBER - 1:
        reason = f"a whole number has at most {LONGEST_NUMBER:,} digits"
        raise ValueRefused(path=path, value=f"a number of {digits:,} digits", reason=reason)


def _finite(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    exact = number == value if isinstance(value, int) else "_" not in str(value)
    return number if exact and math.isfinite(number) else None


def encode(value: Value) -> str | None:
    """Return the text under which a value is stored."""
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else str(value)


def decode(text: str | None, datatype: str) -> Value:
    """Return the value of a stored text.

    Raises
    ------
    ValueError
        If the text or the datatype is invalid; `readable_value` returns the text then.
    """
    if datatype not in DATATYPES:
        raise ValueError(f"the datatype '{datatype}' is unknown")
    if text is None or datatype == STRING:
        return text
    if datatype == INTEGER:
        return int(text)
    if datatype == DOUBLE:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"'{text}' is not a finite number")
        return number
    if datatype == BOOLEAN:
        if text not in ("True", "False"):
            raise ValueError(f"'{text}' is neither True nor False")
        return text == "True"
    return None


def readable_value(text: str | None, datatype: str | None) -> Value:
    """Return the value of a stored text; the text itself if it cannot be read."""
    try:
        return decode(text, datatype or STRING)
    except ValueError:  # written into the tables by hand
        return text


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a parameter's value; a value outside them is refused with a reason."""

    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str | int | float | bool, ...] = ()
    many: bool = False
    """The value is a list of choices, with commas."""
    form: str | None = None
    """What the text must look like: a key of `NexusCore.config.forms.FORMS`."""
    pattern: str | None = None
    """Regular expression that the whole text must match."""
    path_exists: bool = False
    """The value names a file or folder that must be there, on the machine that sets it."""
    secret: bool = False
    """The value is never shown: not by tools, in history, in files or in logs."""

    def check(self, path: str, value: Value) -> None:
        """Raise `ValueRefused` if `value` breaks a limit."""
        reason = self._violation(value)
        if reason:
            raise ValueRefused(path=path, value=MASK if self.secret else repr(value), reason=reason)

    def _violation(self, value: Value) -> str | None:
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return f"it must be at least {_shown(self.minimum)}"
            if self.maximum is not None and value > self.maximum:
                return f"it must be at most {_shown(self.maximum)}"
        if self.choices and (wrong := self._not_chosen(value)) is not None:
            known = ", ".join(str(choice) or "an empty text" for choice in self.choices)
            shown = f"'{wrong}' is not one of" if self.many else "it must be one of"
            return f"{shown} {known}{forms.nearest(str(wrong), self.choices)}"
        if self.form is not None and (fault := forms.violation(self.form, str(value))):
            return fault
        if self.pattern is not None:
            try:
                if not re.fullmatch(self.pattern, str(value)):
                    return f"it must match the pattern {self.pattern}"
            except re.error as error:
                return f"its pattern {self.pattern} is not a regular expression: {error}"
        if self.path_exists and not _exists(str(value)):
            return "this file or folder does not exist on this machine"
        return None

    def _not_chosen(self, value: Value) -> Value:
        """Return what of a value is none of the choices; None if nothing is."""
        if not self.many:
            return None if value in self.choices else value
        parts = filter(None, (part.strip() for part in str(value).split(",")))
        return next((part for part in parts if part not in self.choices), None)

    def described(self) -> str:
        """Return the smallest and the largest value in words; empty if there is neither."""
        if self.minimum is not None and self.maximum is not None:
            return f"{_shown(self.minimum)} to {_shown(self.maximum)}"
        if self.minimum is not None:
            return f"at least {_shown(self.minimum)}"
        return "" if self.maximum is None else f"at most {_shown(self.maximum)}"

    def to_json(self) -> str | None:
        """Return the limits as stored; None when there are none."""
        limits = self.given()
        return json.dumps(limits, sort_keys=True) if limits else None

    def given(self) -> dict[str, Any]:
        """Return the limits that are set; a minimum of 0 is one."""
        return {
            key: value for key, value in asdict(self).items() if not (value is None or value is False or value == ())
        }

    @classmethod
    def from_json(cls, text: str | None) -> Limits:
        """Return the limits from their stored form.

        Raises
        ------
        ConfigException
            If they cannot be read.
        """
        if not text:
            return NO_LIMITS
        try:
            values = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ConfigException(reason="the limits of a parameter cannot be read, since they are not a JSON object")
        return cls.of(values)

    @classmethod
    def readable(cls, text: object) -> Limits:
        """Return the limits from their stored form; if they cannot be read, the value counts as a secret."""
        try:
            return cls.from_json(text if text is None or isinstance(text, str) else readable(text))
        except ConfigException:
            return cls(secret=True)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Limits:
        """Return the limits from their fields.

        Raises
        ------
        ConfigException
            If a name or the type of a value is invalid.
        """
        for key, value in values.items():
            known = isinstance(value, _LIMIT_TYPES.get(key, ())) and (key != "form" or value in forms.FORMS)
            if value is not None and not known:
                raise ConfigException(reason=f"a parameter cannot have the limit {key}={value!r}")
        choices = values.get("choices")
        if choices is not None and not choices:
            raise ConfigException(reason="a parameter cannot have the limit choices, and none to choose from")
        limits = {key: value for key, value in values.items() if value is not None}
        return cls(**{**limits, "choices": tuple(choices or ())})


_LIMIT_TYPES: dict[str, tuple[type, ...]] = {
    "minimum": (int, float),
    "maximum": (int, float),
    "choices": (list, tuple),
    "many": (bool,),
    "form": (str,),
    "pattern": (str,),
    "path_exists": (bool,),
    "secret": (bool,),
}
NO_LIMITS = Limits()


@contextmanager
def discreet(limits: Limits) -> Iterator[None]:
    """Mask a secret in the message that refuses it."""
    try:
        yield
    except ValueRefused as refused:
        if limits.secret:
            raise ValueRefused(**{**refused.facts, "value": MASK}) from None
        raise


def _shown(limit: float) -> str:
    """Return a limit as people write it: large numbers have no exponent."""
    return f"{limit:.15g}"


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()  # an empty path would be the current folder
    except OSError:  # a name that is too long, or a folder that this user may not read
        return False
