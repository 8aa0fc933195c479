"""Searching for text with LIKE, without wildcards in what a person typed."""

from __future__ import annotations

from collections.abc import Iterable

LIKE_ESCAPE = "ESCAPE '!'"
"""Clause after a LIKE with a pattern of `escape_like`."""


def escape_like(text: str) -> str:
    """Return `text` so that LIKE ... ESCAPE '!' finds it literally."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def marks(prefix: str, values: Iterable[object]) -> tuple[str, dict[str, object]]:
    """Return placeholders for values, separated by commas, and the values by placeholder."""
    named = {f"{prefix}_{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named), named
