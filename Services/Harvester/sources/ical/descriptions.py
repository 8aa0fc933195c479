"""The description of an event as a person wrote it: without markup, and without what meeting software appends.

The footers are those that Microsoft Teams, Zoom, Google Meet and Webex write, with how to join a call.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_MARKUP = re.compile(
    r"<(?:/?(?:p|br|div|span|b|i|u|em|strong|a|ul|ol|li|html|head|body|meta|table|tbody|tr|td|h[1-6]|font|pre|style)\b"
    r"[^<>]*|!doctype[^<>]*|!--.*?--)>",
    re.IGNORECASE | re.DOTALL,
)
"""Tags that calendars write; anything else in angle brackets may be a person's own."""
_BLOCKS = frozenset(
    ("p", "br", "div", "li", "tr", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr", "body")
)
_HIDDEN = frozenset(("style", "script", "head", "title"))
_RULE = re.compile(r"^\s*(?:_{10,}|[-\u2500\u2501=]{10,}|\.{10,}|-::[~:]+::-)\s*$")
"""Lines between what a person wrote and what was appended."""
_FOOTER = re.compile(
    r"""^\s*(?:
        Microsoft\ Teams(?:\ meeting|\ Need\ help\?|-m[øö]te|-Besprechung|\s*$)
      | Join\ (?:Microsoft\ Teams|the\ meeting\ now)
      | .{0,200}\bis\ inviting\ you\ to\ a\ (?:scheduled\ )?Zoom\ (?:meeting|webinar) | Join\ Zoom\ Meeting
      | Join\ with\ Google\ Meet | (?:Do\ not|Please\ do\ not)\ edit\ this\ section
      | --\ Do\ not\ delete\ or\ change\ any\ of\ the\ following\ text | Join\ (?:Webex|from\ the\ meeting\ link)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FOOTER_BEHIND_A_RULE = re.compile(r"^\s*Microsoft Teams\b", re.IGNORECASE)
"""In whatever language it goes on: only a footer has it behind a rule."""
_BLANKS = re.compile(r"\n{3,}")


def description_of(text: str | None) -> str | None:
    """Return what a person wrote of an event; None if there is nothing.

    Parameters
    ----------
    text
        The description as its calendar has it: plain, or HTML.
    """
    if not text:
        return None
    return _without_footers(plain_text(text)) or None


def plain_text(text: str) -> str:
    """Return HTML as text: blocks as lines, entities as characters. Text without markup stays as it is."""
    if not _MARKUP.search(text):
        return text
    reader = _TextReader()
    reader.feed(text)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return _BLANKS.sub("\n\n", "\n".join(lines)).strip()


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag not in _KNOWN:
            self.parts.append(self.get_starttag_text() or "")  # a person's own angle brackets

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS and tag not in ("br", "li", "hr"):
            self.parts.append("\n")
        elif tag == "td":
            self.parts.append(" ")

    def handle_data(self, text: str) -> None:
        if not self._hidden:
            self.parts.append(text)


_KNOWN = frozenset(
    ("span", "b", "i", "u", "em", "strong", "a", "html", "meta", "tbody", "thead", "td", "th", "font", "img", "link",
     "sub", "sup", "small", "s", "code", "blockquote", "center", "o:p")
)  # fmt: skip
"""Tags that leave no trace in a text."""


def _without_footers(text: str) -> str:
    """Return the lines before, between and after the footers.

    A footer that begins behind a rule ends at the last rule of its kind, one without ends with the text.
    """
    lines = text.splitlines()
    kept: list[str] = []
    place = 0
    while place < len(lines):
        begin = _footer_at(lines, place)
        if begin is None:
            kept.append(lines[place])
            place += 1
            continue
        rule = lines[place].strip() if _RULE.match(lines[place]) else None
        ends = (number for number in range(begin + 1, len(lines)) if rule and _same_rule(lines[number], rule))
        last = max(ends, default=None)
        if last is None:
            break
        place = last + 1
    return _BLANKS.sub("\n\n", "\n".join(kept)).strip()


def _footer_at(lines: list[str], place: int) -> int | None:
    """Return where a footer's first words stand if it begins at a line, with a rule or without."""
    if _FOOTER.match(lines[place]):
        return place
    if not _RULE.match(lines[place]):
        return None
    words = next((number for number in range(place + 1, len(lines)) if lines[number].strip()), None)
    if words is None or not (_FOOTER.match(lines[words]) or _FOOTER_BEHIND_A_RULE.match(lines[words])):
        return None
    return words


def _same_rule(line: str, rule: str) -> bool:
    return bool(_RULE.match(line)) and line.strip()[:1] == rule[:1]
