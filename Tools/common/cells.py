"""Text measured in the cells of a terminal: a Chinese character takes two, a combining accent none."""

from __future__ import annotations

from functools import lru_cache

from NexusCore.text import is_odd, one_line

ELLIPSIS = "…"
_PICTURES = 0x2400
"""First of the Unicode pictures of control characters, such as ␊ for a line end."""


def plain(text: str) -> str:
    """Return `text` on one line, with invisible and control characters escaped."""
    shown = one_line(text)
    return (
        shown if shown.isprintable() else "".join(character if character.isprintable() else " " for character in shown)
    )


def in_place(text: str) -> str:
    """Return `text` with invisible and control characters replaced one by one, so that positions stay the same."""
    return text if plain(text) == text else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if not is_odd(character):
        return character if character.isprintable() else " "
    if ord(character) < 0x20:
        return chr(_PICTURES + ord(character))
    return "␡" if character == "\x7f" else "�"


@lru_cache(maxsize=4096)
def _size(character: str) -> int:
    from rich.cells import get_character_cell_size  # only text that is not ASCII needs it

    return get_character_cell_size(character)


def width(text: str) -> int:
    """Return the width of a plain text in cells."""
    return len(text) if text.isascii() else sum(map(_size, text))


def fitting(text: str, columns: int) -> int:
    """Return how many characters of a plain text fit into `columns` cells."""
    if text.isascii():
        return min(len(text), max(0, columns))
    for number, character in enumerate(text):
        columns -= _size(character)
        if columns < 0:
            return number
    return len(text)


def cut(text: str, columns: int) -> str:
    """Return a plain text, cut to `columns` cells."""
    if columns <= 0:
        return ""
    end = fitting(text, columns)
    return text if end == len(text) else text[: fitting(text, columns - 1)] + ELLIPSIS


def wrapped(text: str, columns: int, most: int) -> list[str]:
    """Return a plain text as at most `most` lines of `columns` cells; the rest is cut off."""
    lines: list[str] = []
    while text and len(lines) < most - 1:
        end = fitting(text, columns)
        if end == len(text):
            break
        blank = text.rfind(" ", 1, end + 1)
        end = blank if blank > 0 else max(1, end)
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    if text and most > 0:
        lines.append(cut(text, columns))
    return lines
