"""Masking secrets in text that other people will read.

Known secrets are masked everywhere and in every notation, encoded or in pieces. So is text that looks like a secret:
private keys, passwords in URLs, values of ``password=`` and the like and of options such as ``curl -u``, words after
"the password is", ``name / password`` pairs, headers with credentials, and the query of a web address.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache

from NexusCore.config.values import MASK
from NexusCore.text import readable
from Tools.doctor import secret_forms
from Tools.doctor.secret_shapes import SECRET_NAME, SHAPES

WORD, WORDS = 64, 4096
"""Longest text whose redaction is cached, and the number of cached texts."""
_SEPARATORS = frozenset("\"'\\,\r\n")
"""Characters that stay between two masked pieces: otherwise lines would be joined, and JSON would become invalid."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]*")


class Redactor:
    """Masks secrets.

    Parameters
    ----------
    secrets
        The known secrets.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = [secret for secret in secrets if secret.strip()]
        self._plain = {form for secret in known for form in secret_forms.plain(secret)}
        self._encoded = {form for secret in known for form in secret_forms.base64(secret)}
        self._pieces = secret_forms.in_pieces(self._plain | self._encoded)

        self._word = lru_cache(maxsize=WORDS)(self._redacted)

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        # Names of fields, loggers and machines repeat.
        return self._word(text) if len(text) <= WORD else self._redacted(text)

    def _redacted(self, text: str) -> str:
        plain = secret_forms.any_of(self._plain, text)
        if plain is not None:
            text = plain.sub(MASK, text)
        encoded = secret_forms.any_of(self._encoded, text)
        if encoded is not None:
            text = _without_encoded(text, encoded)
        for pattern, instead in SHAPES:
            text = pattern.sub(instead, text)
        return self.joined(text)

    def joined(self, text: str) -> str:
        """Return `text` without secrets in pieces: over several lines, or items of a JSON list."""
        bare = secret_forms.bare(text)
        forms = secret_forms.any_of(self._pieces, bare)
        if forms is None:
            return text
        return _without(text, secret_forms.pieces(text), [match.span() for match in forms.finditer(bare)])

    def value(self, value: object) -> object:
        """Return a JSON value without secrets: each text in it is redacted before it is escaped."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (bytes, bytearray)):
            return self.text(readable(value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._named(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _named(self, name: str, value: object) -> object:
        """Return the redacted value of a name; any value that is named like a secret is masked."""
        if SECRET_NAME.search(name):
            if isinstance(value, str) and value:
                return MASK
            if isinstance(value, Mapping) and "datatype" in value and "value" in value:  # a parameter
                value = {**value, "value": MASK}
        return self.value(value)


def _without_encoded(text: str, forms: re.Pattern[str]) -> str:
    """Return `text` without the encoded words that contain a form of a secret."""
    parts, end = [], 0
    for match in forms.finditer(text):
        if match.start() < end:  # in the same word as the last match
            continue
        start = match.start()
        while start > end and _is_base64(text[start - 1]):
            start -= 1
        parts += [text[end:start], MASK]
        after = _BASE64.match(text, match.end())
        end = after.end() if after else match.end()
    return "".join([*parts, text[end:]])


def _is_base64(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "+/_-")


def _without(text: str, pieces: list[tuple[int, int]], matches: list[tuple[int, int]]) -> str:
    """Return `text` with the parts of its pieces masked that matched; matches are places in the joined pieces."""
    starts, length = [], 0
    for start, stop in pieces:
        starts.append(length)
        length += stop - start
    parts, end = [], 0
    for first, last in matches:
        number = first_piece = bisect_right(starts, first) - 1
        while number < len(pieces) and starts[number] < last:
            begin, stop = pieces[number]
            begin, stop = begin + max(first - starts[number], 0), min(begin + last - starts[number], stop)
            while begin > end and text[begin - 1] == "\\":  # a single backslash would escape the mask
                begin -= 1
            if number == first_piece or not _SEPARATORS.isdisjoint(text[end:begin]):
                parts += [text[end:begin], MASK]
            end = stop
            number += 1
    return "".join([*parts, text[end:]])
