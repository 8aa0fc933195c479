r"""Text from any source, made safe to show: it cannot control a terminal.

What is escaped: all that Unicode counts among control characters (Cc), formatting characters (Cf: marks of direction,
joiners, tags), line and paragraph separators (Zl, Zp), surrogates (Cs), private use (Co) and characters that are not
assigned (Cn), and those of `INVISIBLE`. They are written as a programmer would: ``\x1b``, ``\u202e``, ``\U000e0041``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

INVISIBLE = (
    "\u034f"  # combining grapheme joiner
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul
    "\u17b4\u17b5"  # inherent vowels of Khmer
    "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\u2800"  # the empty pattern of Braille
)
"""Characters, as ranges of a regular expression, that are invisible although their categories are printable."""

_INVISIBLE = re.compile(f"[{INVISIBLE}]")


@lru_cache(maxsize=4096)
def is_odd(character: str) -> bool:
    """Return whether a character is shown escaped."""
    if character.isprintable():
        return _INVISIBLE.match(character) is not None
    return unicodedata.category(character) != "Zs"  # blanks of other widths are harmless


def escape(text: str) -> str:
    """Return `text` with every odd character escaped; line ends and tabs stay."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    plain = text.replace("\n", "").replace("\t", "")  # most of what is not printable is only of several lines
    if plain.isprintable() and (plain.isascii() or not _INVISIBLE.search(plain)):
        return text
    return text.translate(_ESCAPES)


def one_line(text: str) -> str:
    r"""Return `text` with every odd character escaped, line ends (``\n``) and tabs (``\t``) too."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    return text.translate(_ESCAPES).replace("\n", "\\n").replace("\t", "\\t")


def json_text(value: object, *, indent: int | None = None) -> str:
    r"""Return a value as JSON in which every odd character is escaped the way of JSON (``\u202e``).

    Types that JSON lacks, such as bytes, are written as text; numbers that are not finite are null.
    """
    if isinstance(value, str) and value.isascii() and value.isprintable() and not ('"' in value or "\\" in value):
        return f'"{value}"'  # as are most lines of log, of which there may be thousands a second
    encode = _encoder(indent)
    try:
        text = encode(value)
    except ValueError:
        text = encode(_finite(value))
    # Outside of texts JSON is printable ASCII, and line ends where it is indented.
    plain = text if indent is None else text.replace("\n", "")
    if plain.isprintable() and (plain.isascii() or not _INVISIBLE.search(plain)):
        return text
    return text.translate(_JSON_ESCAPES)


def readable(value: object) -> str:
    """Return any value as text; bytes that are not valid UTF-8 are escaped."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "backslashreplace")
    return str(value)


def kind_of(value: object) -> str:
    """Return what a value is, for a message that refuses it: ``None``, or ``of the type int``."""
    return "None" if value is None else f"of the type {type(value).__name__}"


def odd_character(text: str) -> str | None:
    """Return which character of `text` no name may have, and where: ``U+202E at position 3``; None if there is none."""
    if text.isascii() and text.isprintable():
        return None
    for place, character in enumerate(text, 1):
        if is_odd(character):
            return f"U+{ord(character):04X} at position {place}"
    return None


def shell_quote(text: str) -> str:
    r"""Return `text` as one word of a bash command line that can be read and copied: ``$'a\x1bb'`` if need be."""
    import shlex

    if one_line(text) == text:
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    inner = "".join(_bytes_shown(character) if is_odd(character) else character for character in quoted)
    return f"$'{inner}'"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun: ``1 record``, ``1,200 records``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters; the end of a longer one is replaced by an ellipsis."""
    return text if len(text) <= most else f"{text[: max(0, most - 1)].rstrip()}…"


def suggest(text: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return " Did you mean ...?" for what is known and most like `text`, or an empty text.

    Parameters
    ----------
    text
        What was typed.
    known
        What could have been.
    alike
        Share of letters that both must have in common.
    """
    import difflib  # imported only after a mistake

    close = difflib.get_close_matches(text, list(known), n=1, cutoff=alike)
    return f" Did you mean '{close[0]}'?" if close else ""


def _bytes_shown(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


@lru_cache
def _encoder(indent: int | None) -> Callable[[object], str]:
    import json  # imported only to write JSON

    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent, default=readable).encode


@lru_cache(maxsize=4096)
def _shown(code: int) -> str:
    character = chr(code)
    if character in "\n\t" or not is_odd(character):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=4096)
def _shown_in_json(code: int) -> str:
    character = chr(code)
    if character == "\n" or not is_odd(character):  # a line end that is in a text has been escaped already
        return character
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


class _Escapes:
    """What `str.translate` asks for each character; not a dict, which hostile text would fill."""

    def __getitem__(self, code: int) -> str:
        return _shown(code)


class _JsonEscapes:
    """The same for JSON."""

    def __getitem__(self, code: int) -> str:
        return _shown_in_json(code)


_ESCAPES = _Escapes()
_JSON_ESCAPES = _JsonEscapes()


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
