"""Looking for text with LIKE: what a person typed stands for itself."""

from __future__ import annotations

from collections.abc import Iterable

LIKE_ESCAPE = "ESCAPE '!'"
"""What follows a LIKE whose pattern was made here."""


def escape_like(text: str) -> str:
    """Return `text` so that LIKE ... ESCAPE '!' finds it as it stands."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def marks(prefix: str, values: Iterable[object]) -> tuple[str, dict[str, object]]:
    """Return placeholders for values, separated by commas, and the values by placeholder."""
    named = {f"{prefix}_{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named), named
