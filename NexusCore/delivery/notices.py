"""What a person must see although nobody reads the log: one sentence on standard error, once per process.

That records cannot be delivered is a log record itself, and shares their fate.
"""

from __future__ import annotations

import logging
import sys

from NexusCore.resources import complain

_LOG = logging.getLogger("NexusCore.delivery")
# Without any handler, as in a program that only has a status, Python itself prints warnings on standard error.
logging.getLogger("NexusCore").addHandler(logging.NullHandler())
_given: set[str] = set()
"""Subjects that were spoken of; children of this process do not do it again."""


def tell_once(subject: str, sentence: str) -> None:
    """Print a sentence on standard error, unless one on this subject was, or the log's warnings can be seen there.

    Parameters
    ----------
    subject
        What it is about.
    sentence
        What to print.
    """
    if subject in _given:
        return
    _given.add(subject)
    if not _is_seen(_LOG):
        complain(f"NexusCore: {sentence}")


def is_logged() -> bool:
    """Return whether the warnings of delivery are records of the log themselves."""
    return any(not isinstance(handler, logging.NullHandler) for handler in logging.getLogger("NexusCore").handlers)


def _is_seen(log: logging.Logger | None) -> bool:
    """Return whether the warnings of a logger get to standard error."""
    while log is not None:
        for handler in log.handlers:
            if handler.level > logging.WARNING:
                continue
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                return True
            onward = getattr(handler, "onward", None)  # to the logger of the application above all others
            if isinstance(onward, logging.Logger) and _is_seen(onward):
                return True
        log = log.parent if log.propagate else None
    return False
