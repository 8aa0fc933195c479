"""The bytes of an iCalendar as text.

Lines are folded by bytes, which may cut a character in two: they are joined before they are decoded. Feeds that are
put together from several sources mix encodings, so each line that is not UTF-8 is decoded by itself.
"""

from __future__ import annotations

import codecs
import re

from NexusCore.text import counted
from Services.Harvester.sources import NO_BOOKING, complain
from Services.Harvester.sources.text import line

_FOLD = re.compile(rb"\r?\n[ \t]")
_FOLD_OF_TEXT = re.compile(r"\r?\n[ \t]")
_WIDE_BEGINNINGS = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"B\x00E\x00": "utf-16-le",
    b"\x00B\x00E": "utf-16-be",
}
"""How texts in UTF-16 begin: with a mark, or with the first letters of BEGIN."""
_OTHER_ENCODING = "cp1252"
"""What a line is taken for that is not UTF-8: the encoding that Windows has in western countries."""
_SHOWN = 60
"""Characters of a line that a complaint shows."""


def text_of(content: bytes) -> str:
    """Return the text of an iCalendar, its folded lines joined.

    Complains of lines that are not UTF-8, that were encoded twice, or whose characters were lost at their source.

    Parameters
    ----------
    content
        As it came from the file or the server.
    """
    for beginning, encoding in _WIDE_BEGINNINGS.items():
        if content.startswith(beginning):
            wide = content.decode(encoding, errors="replace").removeprefix("\ufeff")
            return _FOLD_OF_TEXT.sub("", wide if "\n" in wide else wide.replace("\r", "\n"))
    if b"\n" not in content:  # lines end as those of old Macs
        content = content.replace(b"\r", b"\n")
    unfolded = _FOLD.sub(b"", content.removeprefix(codecs.BOM_UTF8))
    if unfolded.isascii():
        return unfolded.decode()
    return _told(unfolded)


def _told(unfolded: bytes) -> str:
    """Decode line by line, and complain of what was not as it should be."""
    lines, other, twice, lost = [], [], [], []
    for raw in unfolded.split(b"\n"):
        try:
            decoded = raw.decode()
        except UnicodeDecodeError:
            decoded = raw.decode(_OTHER_ENCODING, errors="replace")
            other.append(decoded)
        else:
            once = _decoded_again(decoded)
            if once is not None:
                twice.append(decoded)
                decoded = once
            elif "\ufffd" in decoded:
                lost.append(decoded)
        lines.append(decoded)
    _complain(other, "not UTF-8", "read as Windows-1252")
    _complain(twice, "encoded twice as UTF-8", "decoded twice")
    _complain(lost, "without characters that were lost at their source", "left as they are")
    return "\n".join(lines)


def _decoded_again(decoded: str) -> str | None:
    """Return what a line was before it was encoded a second time; None if it was not."""
    if decoded.isascii():
        return None
    try:
        return decoded.encode(_OTHER_ENCODING).decode()
    except UnicodeError:
        return None


def _complain(lines: list[str], what: str, done: str) -> None:
    if lines:
        many = counted(len(lines), "line is", "lines are")
        complain(
            f"{many} {what} ('{line(lines[0].strip(), _SHOWN)}') and {'was' if len(lines) == 1 else 'were'} {done}",
            NO_BOOKING,
        )
