"""Texts about a parameter."""

from __future__ import annotations

from collections.abc import Sequence

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import BOOLEAN, MASK, Limits, Value, cast, encode
from NexusCore.errors import NexusError, ValueRefused
from Tools.common.cells import plain
from Tools.common.terminal import brief
from Tools.common.time_parser import local


def shown(node: ConfigParameter) -> str:
    """Return a parameter's value for a line: a secret is masked, an empty text is in quotes."""
    if node.value is None and not node.withheld:
        return ""
    return plain(brief(node.shown)) or "''"


def kind(node: ConfigParameter) -> str:
    """Return a parameter's type and limits: ``integer, 1 to 3600``."""
    return ", ".join([node.datatype, *_limits(node.limits)])


def age(node: ConfigParameter) -> str:
    """Return the last change of a parameter; an empty text for an implicit folder."""
    return f" · revision {node.revision}, {local(node.modified_ts)}" if node.revision else ""


def choices(node: ConfigParameter) -> Sequence[str]:
    """Return the allowed values of a parameter as text, if these are few."""
    if node.limits.choices:
        return [encode(choice) or "" for choice in node.limits.choices]
    return ("True", "False") if node.datatype == BOOLEAN else ()


def checked(node: ConfigParameter, text: str) -> Value:
    """Return the value of a text.

    Raises
    ------
    ValueRefused
        If the type or the limits of the parameter do not allow it.
    """
    value = cast(node.path, text, node.datatype)
    node.limits.check(node.path, value)
    return value


def sentence(error: NexusError, node: ConfigParameter) -> str:
    """Return the message of an error, without the typed value if that is a secret."""
    if isinstance(error, ValueRefused) and node.limits.secret:
        error = ValueRefused(**{**error.facts, "value": MASK})
    return str(error)


def _limits(limits: Limits) -> list[str]:
    texts = [limits.described()] if limits.described() else []
    if limits.choices:
        texts.append(f"one of {', '.join(map(str, limits.choices))}")
    if limits.pattern is not None:
        texts.append(f"of the pattern {limits.pattern}")
    if limits.path_exists:
        texts.append("an existing file or folder")
    if limits.secret:
        texts.append("secret")
    return texts
