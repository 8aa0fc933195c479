"""Sets names and titles from files: nothing is cut off at an edge, nothing is taken for a formula or a command.

A text is shortened, wrapped or set smaller until it fits. Characters that the typeface lacks (DejaVu has no Chinese and
no emoji) become boxes, those that only steer the writing direction go.
"""

from __future__ import annotations

import re
from functools import cache

from Services.Builder.preview.text import Font, font

_STEERING = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]|[\u0000-\u001f\u007f-\u009f]")
_BOX = "□"
_LATIN = 255
"""Last of the characters that every typeface has."""
_SAMPLE = 16
_BOXES = re.compile(f"{_BOX}{{4,}}")
_UNIT = re.compile(r" \([^()]{1,20}\)$")
ELLIPSIS = "…"


def legible(text: str) -> str:
    """Return a text as one line that the typeface can show."""
    plain = _STEERING.sub("", " ".join(text.split()))
    shown = "".join(_BOX if ord(letter) > _LATIN and _is_missing(letter) else letter for letter in plain)
    return _BOXES.sub(_BOX * 3 + ELLIPSIS, shown)


def shortened(text: str, letters: Font, room: float, middle: bool = False) -> str:
    """Return a text that is at most `room` pixels wide, with an ellipsis for what is left out.

    Parameters
    ----------
    text
        One line.
    letters
        The typeface.
    room
        Pixels.
    middle
        Leave out the middle, as of a file's name, whose end tells more; otherwise the end.
    """
    if letters.getlength(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        if letters.getlength(_cut(text, kept, middle)) <= room:
            low = kept
        else:
            high = kept - 1
    return _cut(text, low, middle)


def wrapped(text: str, letters: Font, room: float, most: int) -> list[str]:
    """Return a text as at most `most` lines, none of which is wider than `room` pixels."""
    lines: list[str] = []
    words = text.split(" ")
    while words and len(lines) < most - 1:
        taken = 1
        while taken < len(words) and letters.getlength(" ".join(words[: taken + 1])) <= room:
            taken += 1
        line = " ".join(words[:taken])
        if letters.getlength(line) > room:  # one long word, which is broken
            kept = next(
                (end for end in range(len(line) - 1, 0, -1) if letters.getlength(line[:end]) <= room), len(line)
            )
            words[0], line = line[kept:], line[:kept]
        else:
            del words[:taken]
        lines.append(line)
    return [*lines, shortened(" ".join(words), letters, room)] if words else lines


def fitted_label(text: str, room: float, sizes: tuple[int, ...], most: int = 2) -> tuple[str, int]:
    """Return a label's text, wrapped where it has to be, and the largest of the sizes in pixels at which it fits.

    Parameters
    ----------
    text
        As the file has it.
    room
        Pixels that a line may take.
    sizes
        Heights of the letters in pixels, the preferred one first.
    most
        Lines.
    """
    shown = legible(text)
    for size in sizes:
        if font(size).getlength(shown) <= room:
            return shown, size
    size = sizes[-1]
    letters = font(size)
    name, unit = (shown[: (at := shown.rindex(" ("))], shown[at:]) if _UNIT.search(shown) else (shown, "")
    lines = wrapped(shown, letters, room, most)
    while unit and name and lines[-1].endswith(ELLIPSIS):  # the unit stays, whatever has to go
        name = name[:-2].rstrip()
        lines = wrapped(f"{name}{ELLIPSIS}{unit}", letters, room, most)
    return "\n".join(lines), size


def _cut(text: str, kept: int, middle: bool) -> str:
    if not middle:
        return text[:kept].rstrip() + ELLIPSIS
    end = kept // 2
    return text[: kept - end] + ELLIPSIS + (text[-end:] if end else "")


@cache
def _is_missing(letter: str) -> bool:
    """Return whether the typeface has no such character: what it draws then is what it draws for one that is none."""
    letters = font(_SAMPLE)
    return bytes(letters.getmask(letter)) == bytes(letters.getmask("\U0010ffff"))
