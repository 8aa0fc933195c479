"""How a known secret may be written: quoted, escaped, encoded, or in pieces over several lines or texts."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SHORT_SECRET = 4
"""Letters below which a secret is masked only where it stands alone: others would not leave much of the text."""
ENCODED = 6
"""Characters that must be left of an encoded form to be looked for: fewer stand in many texts by chance."""
IN_PIECES = 8
"""Characters that a form must have to be looked for in pieces."""
SECRET_LINE_LENGTH = 16
"""Characters of a line of a secret of several lines, such as a key, that is a secret by itself."""

_BETWEEN_PIECES = re.compile(r"""(?:\\+[nrt]?|[\s"'`,+;|&])+""")
"""What may stand between the pieces: blanks, line ends as they are and escaped, quotes, and what joins texts."""
_PERCENT_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def plain(secret: str) -> set[str]:
    """Return how a secret may be written in a sentence, in an address, in JSON, in Python and in hexadecimal digits."""
    if not secret.strip():
        return set()
    found = {secret, secret.strip(), html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    found |= {json.dumps(secret, ensure_ascii=False)[1:-1], *_lines(secret)}
    data = secret.encode("utf-8", "surrogatepass")
    found.add(repr(data)[2:-1])
    addresses = {quote(data, safe=""), quote(data), quote_plus(data), "".join(f"%{byte:02X}" for byte in data)}
    addresses |= {quote(address, safe="") for address in addresses}
    found |= addresses | {_PERCENT_ESCAPE.sub(lambda match: match[0].lower(), address) for address in addresses}
    if len(secret) >= SHORT_SECRET:
        for digits in (data.hex(), data.hex(":"), "".join(f"\\x{byte:02x}" for byte in data)):
            found |= {digits, digits.upper().replace("\\X", "\\x")}
    return found


def base64(secret: str) -> set[str]:
    """Return what stands in base64, of both alphabets, wherever in the encoded text the secret begins."""
    found = set()
    for text in {secret, secret.strip(), *_lines(secret)}:
        data = text.encode("utf-8", "surrogatepass")
        for before, start in enumerate((0, 2, 3)):
            # What depends on the bytes beside it is left out.
            encoded = b64encode(b"\0" * before + data).decode()[start : (before + len(data)) * 8 // 6]
            if len(encoded) >= ENCODED:
                found |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return found


def _lines(secret: str) -> set[str]:
    return {
        line.strip()
        for line in secret.splitlines()
        if len(line.strip()) >= SECRET_LINE_LENGTH and not line.startswith("-----")
    }


def any_of(forms: Iterable[str], text: str) -> re.Pattern[str] | None:
    """Return what finds those forms that stand in a text, the longest where one begins like another; None without any.

    There may be thousands of forms, and hardly ever one in a text: to ask for each is far quicker than an expression
    with all of them, which is tried at every letter.
    """
    found = [form for form in forms if form in text]
    return re.compile("|".join(map(_pattern, sorted(found, key=len, reverse=True)))) if found else None


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if "://" in form:
        escaped += r"(?:\?[^\s'\"<>]*)?"  # the query of an address is as secret as the address
    return escaped if len(form) >= SHORT_SECRET else rf"(?<!\w){escaped}(?!\w)"


def bare(text: str) -> str:
    """Return a text without what may stand between pieces of a secret."""
    return _BETWEEN_PIECES.sub("", text)


def pieces(text: str) -> list[tuple[int, int]]:
    """Return where the parts begin and end that `bare` leaves of a text."""
    found = []
    end = 0
    for gap in _BETWEEN_PIECES.finditer(text):
        if gap.start() > end:
            found.append((end, gap.start()))
        end = gap.end()
    return [*found, (end, len(text))] if end < len(text) else found


def in_pieces(forms: Iterable[str]) -> set[str]:
    """Return the forms as `bare` leaves them, if enough is left."""
    return {left for left in map(bare, forms) if len(left) >= IN_PIECES}
