"""The forms of a known secret: quoted, escaped, encoded, or in pieces over several lines or texts."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SHORT_SECRET = 4
"""Characters below which a secret is masked only as a whole word: otherwise little of a text would be left."""
ENCODED = 6
"""Fewest characters of an encoded form that is searched for: shorter ones occur in many texts by chance."""
IN_PIECES = 8
"""Fewest characters of a form that is searched for in pieces."""
SECRET_LINE_LENGTH = 16
"""Fewest characters of a line that is a secret by itself, in a secret of several lines such as a key."""

_BETWEEN_PIECES = re.compile(r"""(?:\\+[nrt]?|[\s"'`,+;|&])+""")
"""Separators of pieces: blanks, line ends (escaped or not), quotes, and characters that join texts."""
_PERCENT_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def plain(secret: str) -> set[str]:
    """Return the forms of a secret in a sentence, in an address, in JSON, in Python and in hexadecimal digits."""
    if not secret.strip():
        return set()
    forms = {secret, secret.strip(), html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    forms |= {json.dumps(secret, ensure_ascii=False)[1:-1], *_lines(secret)}
    data = secret.encode("utf-8", "surrogatepass")
    forms.add(repr(data)[2:-1])
    addresses = {quote(data, safe=""), quote(data), quote_plus(data), "".join(f"%{byte:02X}" for byte in data)}
    addresses |= {quote(address, safe="") for address in addresses}
    forms |= addresses | {_PERCENT_ESCAPE.sub(lambda match: match[0].lower(), address) for address in addresses}
    if len(secret) >= SHORT_SECRET:
        for digits in (data.hex(), data.hex(":"), "".join(f"\\x{byte:02x}" for byte in data)):
            forms |= {digits, digits.upper().replace("\\X", "\\x")}
    return forms


def base64(secret: str) -> set[str]:
    """Return the base64 forms of a secret, in both alphabets, at each of the three possible offsets."""
    forms = set()
    for text in {secret, secret.strip(), *_lines(secret)}:
        data = text.encode("utf-8", "surrogatepass")
        for before, start in enumerate((0, 2, 3)):
            # Characters that depend on neighbouring bytes are left out.
            encoded = b64encode(b"\0" * before + data).decode()[start : (before + len(data)) * 8 // 6]
            if len(encoded) >= ENCODED:
                forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return forms


def _lines(secret: str) -> set[str]:
    return {
        line.strip()
        for line in secret.splitlines()
        if len(line.strip()) >= SECRET_LINE_LENGTH and not line.startswith("-----")
    }


def any_of(forms: Iterable[str], text: str) -> re.Pattern[str] | None:
    """Return a pattern of the forms that occur in a text, the longest first; None if none occurs.

    There may be thousands of forms, and a text rarely has one: testing each is much faster than a pattern of all of
    them, which is tried at every character.
    """
    present = [form for form in forms if form in text]
    return re.compile("|".join(map(_pattern, sorted(present, key=len, reverse=True)))) if present else None


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if "://" in form:
        escaped += r"(?:\?[^\s'\"<>]*)?"  # the query of an address is as secret as the address
    return escaped if len(form) >= SHORT_SECRET else rf"(?<!\w){escaped}(?!\w)"


def bare(text: str) -> str:
    """Return a text without the separators of pieces."""
    return _BETWEEN_PIECES.sub("", text)


def pieces(text: str) -> list[tuple[int, int]]:
    """Return begin and end of each part of a text that `bare` leaves."""
    parts = []
    end = 0
    for gap in _BETWEEN_PIECES.finditer(text):
        if gap.start() > end:
            parts.append((end, gap.start()))
        end = gap.end()
    return [*parts, (end, len(text))] if end < len(text) else parts


def in_pieces(forms: Iterable[str]) -> set[str]:
    """Return the forms without separators, if they are long enough."""
    return {left for left in map(bare, forms) if len(left) >= IN_PIECES}
