"""Text that looks like a secret: shapes of secrets, and names for them."""

from __future__ import annotations

import re
from urllib.parse import unquote

from NexusCore.config.values import MASK

SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?($|_)|(^|_)pwd|token|secret|credential|(api|access|private|auth)_?key|cookie|authorization",
    re.I,
)
"""Names of variables and parameters whose values count as secrets."""

_SENSITIVE_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|(?:api|access|private|auth)[_-]?key)"
_NO_SECRETS = (
    "a|accepted|already|always|an|and|as|at|being|checked|correct|different|empty|expired|expiring|for|from|given|good|"
    "in|incorrect|invalid|known|masked|missing|needed|never|new|no|none|not|now|null|of|ok|old|on|only|optional|read|"
    "refused|rejected|required|right|set|stored|still|taken|that|the|there|to|too|unknown|unset|used|valid|what|wrong"
)
"""Words after "the password is" that are not the password; any other word is taken for it."""
_PAIRED = rf"[\"']?[\w.@+-]{{1,64}}[\"']?\s*/\s*(?!(?:{_NO_SECRETS})(?:\s|$))[\"']?"
"""A name, and the slash before its password."""
_KEY_SHAPES = (
    # Private keys: PEM, OpenSSH, PGP and PuTTY; a truncated key ends with the text.
    (
        re.compile(
            r"-----BEGIN (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----.*?(?:-----END (?P=kind)-----|\Z)", re.S
        ),
        MASK,
    ),
    (re.compile(r"(\bPrivate-Lines:\s*\d+).*?(?:Private-(?:MAC|Hash):\s*[0-9a-f]+|\Z)", re.S | re.I), rf"\1 {MASK}"),
    # A single line of such a block, as programs log them; a word in only one case may be a checksum.
    (
        re.compile(
            r"(?<![^\s\"'\\])(?!/)(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[0-9])"
            r"[A-Za-z0-9+/]{60,76}={0,2}(?![^\s\"'\\])"
        ),
        MASK,
    ),
    # Tokens with a known prefix: JSON web tokens, GitHub, GitLab, Slack, Amazon, Google.
    (
        re.compile(
            r"\b(?:eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|"
            r"xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{10,})"
        ),
        MASK,
    ),
)
_PAIRS = (
    # Pairs: user / password: jane / x, and: logged in with jane / x.
    (
        re.compile(
            r"(\b(?:user(?:[ _-]?name)?|name|login|account|id)\s*(?:/|&|,|and|\+)\s*(?:pass(?:word|wd|phrase)?|pwd?)\b"
            rf"[\"']?\s*(?:is|are|was|were|[=:])*\s*{_PAIRED})[^\s\"',;]+",
            re.I,
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(\b(?:log(?:ged|ging)?[ -]?(?:in|on)|sign(?:ed|ing)?[ -]?in|credentials?|authenticat(?:e|ed|es|ing|ion))"
            rf"(?:\s+(?:with|as|by|using|is|are|were|for|of))*\s*[=:]?\s*{_PAIRED})[^\s\"',;]+",
            re.I,
        ),
        rf"\1{MASK}",
    ),
)
# No scheme is longer; without a limit, a long word would be searched again from each of its letters.
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"<>]*:)(?P<password>[^\s'\"<>]+)@", re.I)
SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    *_KEY_SHAPES,
    *_PAIRS,  # before the shape that masks only the first word after "password:"
    (_URL_PASSWORD, rf"\g<before>{MASK}@"),
    # A token as the user.
    (re.compile(r"(https?://)[^\s/:@'\"<>]+@", re.I), rf"\1{MASK}@"),
    (re.compile(r"(https?://[^\s?#'\"<>]+)\?[^\s'\"<>]+", re.I), rf"\1?{MASK}"),
    # Headers: all after the scheme, and every cookie.
    (re.compile(r"\b(digest)\s+\w+=.*", re.I), rf"\1 {MASK}"),
    (re.compile(r"(\bauthorization[\"']?\s*[=:]\s*[\"']?(?:[a-z][a-z-]*\s+)?)[^\s\"',;]+", re.I), rf"\1{MASK}"),
    (re.compile(r"(\bcookies?[\"']?\s*[=:]\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'][^\"'\n]*)", re.I), rf"\1{MASK}"),
    (re.compile(r"(\b(?:[a-z]{0,20}sess(?:ion)?id|sid|(?:csrf|xsrf)[a-z_-]*)=)[^\s\"',;&]+", re.I), rf"\1{MASK}"),
    (re.compile(r"\b(bearer)\s+[A-Za-z0-9+/=._~-]{5,}", re.I), rf"\1 {MASK}"),
    (re.compile(r"\b(basic|token|digest|negotiate|ntlm)\s+[A-Za-z0-9+/=._~-]{8,}", re.I), rf"\1 {MASK}"),
    # Options of programs: curl -u jane:password, --password x.
    (re.compile(r"((?:^|\s)(?:-u|--user|-U|--proxy-user)[\s=]*[\"']?[^\s:\"'-][^\s:\"']*:)[^\s\"']+"), rf"\1{MASK}"),
    (re.compile(rf"((?:^|\s)--?{_SENSITIVE_NAME}\s+)(?:\"[^\"]*\"|'[^']*'|(?!-)\S+)", re.I), rf"\1{MASK}"),
    (
        re.compile(
            rf"((?:\b|_){_SENSITIVE_NAME}[\"']?\s*[=:]\s*)(?![\"']?\s)(?:\"[^\"]*\"|'[^']*'|[^\s\"',;&]+)", re.I
        ),
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
    # Commands of databases and shells: IDENTIFIED BY 'x', mysql -px, sshpass -p x; the line of a netrc file.
    (re.compile(r"(\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+)(?:\"[^\"]*\"|'[^']*'|\S+)", re.I), rf"\1{MASK}"),
    (re.compile(r"((?:mysql|mariadb)[a-z-]*\s(?:[^\n|;&]{0,200}?\s)?-p)(?!\s)[^\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"(\bsshpass\s+-p\s*)(?:\"[^\"]*\"|'[^']*'|\S+)"), rf"\1{MASK}"),
    (re.compile(r"(\blogin\s+\S{1,100}\s+password\s+)\S+", re.I), rf"\1{MASK}"),
)


def passwords_in(text: str) -> set[str]:
    """Return the passwords of the URLs in a text, encoded and decoded."""
    passwords = {match["password"] for match in _URL_PASSWORD.finditer(text)}
    return passwords | {unquote(password) for password in passwords}
