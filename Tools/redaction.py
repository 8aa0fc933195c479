"""Taking secrets out of text that other people will read.

What is known to be a secret is masked wherever it stands and however it is written; what looks like one, too: passwords
in URLs, values of ``password=`` and the like and of options such as ``curl -u``, what "the password is", headers that
let somebody in, the query of a web address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, unquote

from NexusCore.config.parameter import MASK

SHORT = 4
"""Letters below which a secret is masked only where it stands alone: others would not leave much of the text."""

SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?($|_)|(^|_)pwd|token|secret|credential|(api|access|private|auth)_?key|cookie|authorization",
    re.I,
)
"""Names of variables and parameters whose values are secrets, whether they say so or not."""

_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|(?:api|access|private|auth)[_-]?key)"
_NO_SECRETS = (
    "a|accepted|already|always|an|and|as|at|being|checked|correct|different|empty|expired|expiring|for|from|given|good|"
    "in|incorrect|invalid|known|masked|missing|needed|never|new|no|none|not|now|null|of|ok|old|on|only|optional|read|"
    "refused|rejected|required|right|set|stored|still|taken|that|the|there|to|too|unknown|unset|used|valid|what|wrong"
)
"""Words that a sentence about a password goes on with; others behind "the password is" are taken for it."""
# No scheme is longer; without an end, a long word would be gone through again from each of its letters.
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"<>]*:)(?P<password>[^\s'\"<>]+)@", re.I)
_SHAPES = (
    (_URL_PASSWORD, rf"\g<before>{MASK}@"),
    # A token in the place of the user.
    (re.compile(r"(https?://)[^\s/:@'\"<>]+@", re.I), rf"\1{MASK}@"),
    (re.compile(r"(https?://[^\s?#'\"<>]+)\?[^\s'\"<>]+", re.I), rf"\1?{MASK}"),
    # Headers: whatever stands behind the scheme, and every cookie.
    (re.compile(r"\b(digest)\s+\w+=.*", re.I), rf"\1 {MASK}"),
    (re.compile(r"(\bauthorization[\"']?\s*[=:]\s*[\"']?(?:[a-z][a-z-]*\s+)?)[^\s\"',;]+", re.I), rf"\1{MASK}"),
    (re.compile(r"(\bcookies?[\"']?\s*[=:]\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'][^\"'\n]*)", re.I), rf"\1{MASK}"),
    (re.compile(r"(\b(?:[a-z]{0,20}sess(?:ion)?id|sid|(?:csrf|xsrf)[a-z_-]*)=)[^\s\"',;&]+", re.I), rf"\1{MASK}"),
    (re.compile(r"\b(bearer)\s+[A-Za-z0-9+/=._~-]{5,}", re.I), rf"\1 {MASK}"),
    (re.compile(r"\b(basic|token|digest|negotiate|ntlm)\s+[A-Za-z0-9+/=._~-]{8,}", re.I), rf"\1 {MASK}"),
    # Options of programs: curl -u jane:password, --password x.
    (re.compile(r"((?:^|\s)(?:-u|--user|-U|--proxy-user)[\s=]*[\"']?[^\s:\"'-][^\s:\"']*:)[^\s\"']+"), rf"\1{MASK}"),
    (re.compile(rf"((?:^|\s)--?{_NAME}\s+)(?:\"[^\"]*\"|'[^']*'|(?!-)\S+)", re.I), rf"\1{MASK}"),
    (
        re.compile(rf"((?:\b|_){_NAME}[\"']?\s*[=:]\s*)(?![\"']?\s)(?:\"[^\"]*\"|'[^']*'|[^\s\"',;&]+)", re.I),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(\b(?:pass(?:word|wd|phrase)|pwd)(?:\s+(?:for|of)\s+\S+)?\s+(?:is|was|will be)\s+)"
            rf"(?!(?:{_NO_SECRETS})[.,;:!?)]*(?:\s|$))"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s\"',;]+)",
            re.I,
        ),
        rf"\1{MASK}",
    ),
)


class Redactor:
    """Masks secrets.

    Parameters
    ----------
    secrets
        What is known to be secret.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: one secret may be the beginning of another.
        patterns = [_pattern(form) for form in sorted(forms, key=len, reverse=True)]
        self._known = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, instead in _SHAPES:
            text = pattern.sub(instead, text)
        return text

    def value(self, value: object) -> object:
        """Return what can be written as JSON without secrets: each text in it is redacted before it is escaped."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._named(str(key), one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(one) for one in value]
        return value

    def _named(self, name: str, value: object) -> object:
        """Return the value of a name; what is called a password is masked, whatever it is."""
        if SECRET_NAME.search(name):
            if isinstance(value, str) and value:
                return MASK
            if isinstance(value, Mapping) and "datatype" in value and "value" in value:  # a parameter
                value = {**value, "value": MASK}
        return self.value(value)


def passwords_in(text: str) -> set[str]:
    """Return the passwords of the URLs in a text, as they stand and decoded."""
    found = {match["password"] for match in _URL_PASSWORD.finditer(text)}
    return found | {unquote(one) for one in found}


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written."""
    if not secret.strip():
        return set()
    forms = {secret, secret.strip(), quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
    return forms | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if "://" in form:
        escaped += r"(?:\?[^\s'\"<>]*)?"  # the query of an address is as secret as the address
    return escaped if len(form) >= SHORT else rf"(?<!\w){escaped}(?!\w)"
