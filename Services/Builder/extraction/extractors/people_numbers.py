"""Reads numbers as people and their PCs write them: 1,5 or 1.234,5 or 1,234.5 or 1'234.5.

A comma before three digits (1,234) divides thousands in one language and is the decimal mark in another; which of the
two the file uses, its other numbers may tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

Mark = Literal[".", ","]
"""What stands before the decimals."""
LONGEST = 60
"""Characters of a text that may be a number with its unit; a longer one is not looked at."""
_MOST_TEXTS = 20_000
"""Entries of a file that are looked through for its decimal mark."""
_NUMERAL = re.compile(
    r"(?P<sign>[-+\u2212]?)\s?(?P<digits>\d[\d.,'\u2019\u00a0\u202f\u2009]*\d|\d)(?P<exponent>[eE][-+]?\d{1,3})?"
)
_BLANKS = re.compile(r"['\u2019\u00a0\u202f\u2009]")
_GROUPED = re.compile(r"\d{1,3}(?:['\u2019\u00a0\u202f\u2009]\d{3})+(?:[.,]\d+)?")


def decimal_point(text: str, mark: Mark | None = None) -> tuple[str, str]:
    """Return a text that begins with a number with that as a program writes it, and why it is doubtful.

    Parameters
    ----------
    text
        A number, perhaps with a unit behind it. What does not begin with one is returned as it is.
    mark
        The file's decimal mark, where it is known.

    Returns
    -------
    tuple
        The text, and "" or the sentence that says what else it may mean; it is as it was, then.
    """
    found = _NUMERAL.match(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        return text, ""
    rest = text.strip()[found.end() :]
    if rest[:1] in (",", "'") or re.match(r"\s*[,;]?\s*[-+]?\d", rest):  # a list, or a time of day
        return text, ""
    digits = _point(found["digits"], mark)
    if digits is None:
        return text, ""
    if digits == "":
        whole = found["digits"].replace(",", "")
        return text, f"'{text.strip()}' may be {found['digits'].replace(',', '.')} or {whole}: its comma is unclear."
    sign = "-" if found["sign"] in ("-", "\u2212") else ""
    return f"{sign}{digits}{found['exponent'] or ''}{rest}", ""


def decimal_mark(tree: object) -> Mark | None:
    """Return the decimal mark of a file's texts; None where none is clear or two contradict each other."""
    marks: set[Mark] = set()
    for at, text in enumerate(_texts(tree)):
        if at >= _MOST_TEXTS or len(marks) > 1:
            break
        found = _NUMERAL.match(text.strip()) if len(text) <= LONGEST else None
        rest = text.strip()[found.end() :] if found else ""
        if found is not None and re.fullmatch(r"\s?[^\d\s,;:]*", rest) and (mark := _clear_mark(found["digits"])):
            marks.add(mark)
    return marks.pop() if len(marks) == 1 else None


def _point(digits: str, mark: Mark | None) -> str | None:
    """Return digits with a decimal point; "" where they may mean two numbers, None where they are none."""
    if _BLANKS.search(digits):
        return _BLANKS.sub("", digits).replace(",", ".") if _GROUPED.fullmatch(digits) else None
    if "," not in digits:
        if digits.count(".") < 2:
            return digits
        return digits.replace(".", "") if _thousands(digits, ".") else None
    if "." in digits:
        decimal: Mark = "," if digits.rindex(",") > digits.rindex(".") else "."
        whole, _mark, decimals = digits.rpartition(decimal)
        groups = "." if decimal == "," else ","
        return f"{whole.replace(groups, '')}.{decimals}" if _thousands(whole, groups) else None
    if digits.count(",") > 1:
        return digits.replace(",", "") if _thousands(digits, ",") else None
    if not _thousands(digits, ",") or mark == ",":
        return digits.replace(",", ".")
    return digits.replace(",", "") if mark == "." else ""


def _thousands(digits: str, mark: str) -> bool:
    """Return whether a mark divides thousands only: 1,234,567 but not 0,123 or 1,23."""
    return re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+", digits) is not None


def _clear_mark(digits: str) -> Mark | None:
    if "," in digits and "." in digits:
        return None if _point(digits, None) is None else "," if digits.rindex(",") > digits.rindex(".") else "."
    if digits.count(",") + digits.count(".") != 1:
        return None
    mark: Mark = "," if "," in digits else "."
    return None if _thousands(digits, mark) else mark


def _texts(tree: object, depth: int = 0) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif depth > 12:
        return
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _texts(value, depth + 1)
    elif isinstance(tree, list | tuple) and len(tree) < 100:
        for value in tree:
            yield from _texts(value, depth + 1)
