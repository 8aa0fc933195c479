"""What is told of a parameter in words."""

from __future__ import annotations

from collections.abc import Sequence

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import BOOLEAN, MASK, Limits, Value, cast, encode
from NexusCore.errors import NexusError, ValueRefused
from Tools.common.cells import plain
from Tools.common.terminal import brief
from Tools.common.time_parser import local


def shown(node: ConfigParameter) -> str:
    """Return a parameter's value as it stands on a line: a secret masked, an empty text in quotes."""
    if node.value is None and not node.withheld:
        return ""
    return plain(brief(node.shown)) or "''"


def kind(node: ConfigParameter) -> str:
    """Return a parameter's type and limits: ``integer, 1 to 3600``."""
    return ", ".join([node.datatype, *_limits(node.limits)])


def age(node: ConfigParameter) -> str:
    """Return when a parameter was last changed; an empty text for a folder that only its contents make."""
    return f" · revision {node.revision}, {local(node.modified_ts)}" if node.revision else ""


def choices(node: ConfigParameter) -> Sequence[str]:
    """Return the texts that a parameter can be set to, where these are few."""
    if node.limits.choices:
        return [encode(choice) or "" for choice in node.limits.choices]
    return ("True", "False") if node.datatype == BOOLEAN else ()


def checked(node: ConfigParameter, text: str) -> Value:
    """Return the value that a text stands for.

    Raises
    ------
    ValueRefused
        If the parameter cannot have it, by the rules that hold whoever sets it.
    """
    value = cast(node.path, text, node.datatype)
    node.limits.check(node.path, value)
    return value


def sentence(error: NexusError, node: ConfigParameter) -> str:
    """Return what an error says, without what was typed if that is a secret."""
    if isinstance(error, ValueRefused) and node.limits.secret:
        error = ValueRefused(**{**error.facts, "value": MASK})
    return str(error)


def _limits(limits: Limits) -> list[str]:
    found = []
    if limits.minimum is not None and limits.maximum is not None:
        found.append(f"{limits.minimum:g} to {limits.maximum:g}")
    elif limits.minimum is not None:
        found.append(f"at least {limits.minimum:g}")
    elif limits.maximum is not None:
        found.append(f"at most {limits.maximum:g}")
    if limits.choices:
        found.append(f"one of {', '.join(map(str, limits.choices))}")
    if limits.pattern is not None:
        found.append(f"of the pattern {limits.pattern}")
    if limits.path_exists:
        found.append("a file or folder that is there")
    if limits.secret:
        found.append("secret")
    return found
