"""Size limits of stored texts, also listed in `docs/limits.md`.

A longer text from a person is refused with a message; one that a program logs is cut, with a mark that says how much is
missing.
Sizes are bytes of UTF-8, lengths are characters.
"""

from __future__ import annotations

from NexusCore.errors import TooLong

KIB = 1024
MIB = 1024 * KIB

CONFIG_VALUE = 64 * KIB
"""Size of a configuration value."""
CONFIG_COMMENT = 4 * KIB
"""Size of a parameter's comment."""
CONFIG_WHY = 4 * KIB
"""Size of the reason that is given for a change."""
STATUS_VALUE = 1024
"""Size of a status value."""
EVENT_DETAIL = 64 * KIB
"""Size of the text of a session's event, such as a note."""
LAST_ERROR = 64 * KIB
"""Size of the sentence that says why a session or an upload failed."""
LOG_TEXT = MIB
"""Size of a log message, and of a traceback."""
NAME = 128
"""Length of a name: of a parameter, channel, logger, host or user."""
PATH = 512
"""Length of a parameter's path."""
IDENTIFIER = 255
"""Length of a session's identifier."""
PASSWORD = KIB
"""Size of the password of a user of the web pages: a longer one would only be work for the program that checks it."""

CUT_MARK_SIZE = 40
"""Bytes that the mark of a cut text takes at the most."""


def size(text: str) -> int:
    """Return the bytes that a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def fits(text: str, most: int) -> bool:
    """Return whether a text has at most `most` bytes."""
    return len(text) * 4 <= most or (len(text) <= most and size(text) <= most)


def truncate(text: str, most: int) -> str:
    """Return a text, cut to a number of bytes if it is longer.

    Parameters
    ----------
    text
        The text.
    most
        Bytes of UTF-8, including the mark at the end of a cut text that says how many bytes are missing.
    """
    if fits(text, most):
        return text
    data = text.encode("utf-8", "surrogatepass")
    end = max(0, most - CUT_MARK_SIZE)
    while end and data[end] & 0xC0 == 0x80:  # in the middle of a character
        end -= 1
    return f"{data[:end].decode('utf-8', 'surrogatepass')}… [{len(data) - end:,} bytes cut]"


def check_size(what: str, text: str | None, most: int) -> None:
    """Raise `TooLong` if a text has more bytes than can be stored."""
    if text is not None and not fits(text, most):
        raise TooLong(what=what, size=f"{size(text):,} bytes", most=f"{most:,}")


def check_length(what: str, text: str | None, most: int) -> None:
    """Raise `TooLong` if a text has more characters than can be stored."""
    if text is not None and len(text) > most:
        raise TooLong(what=what, size=f"{len(text):,} characters", most=f"{most:,}")
