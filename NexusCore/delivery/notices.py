"""Problems of delivery that a person must see: one line on standard error, once per process.

The log record that reports such a problem cannot be delivered either.
"""

from __future__ import annotations

import logging
import sys

from NexusCore.resources import complain

_LOG = logging.getLogger("NexusCore.delivery")
# Without a handler, as in a program that only uses status, Python itself prints warnings on standard error.
logging.getLogger("NexusCore").addHandler(logging.NullHandler())
_given: set[str] = set()
"""Subjects already reported; also by the parent of this process."""


def report_once(subject: str, sentence: str) -> None:
    """Print a line on standard error, once per subject, unless the log's warnings appear there anyway.

    Parameters
    ----------
    subject
        The kind of problem.
    sentence
        What to print.
    """
    if subject in _given:
        return
    _given.add(subject)
    if not _is_visible(_LOG):
        complain(f"NexusCore: {sentence}")


def is_logged() -> bool:
    """Return whether the warnings of delivery are log records themselves."""
    return any(not isinstance(handler, logging.NullHandler) for handler in logging.getLogger("NexusCore").handlers)


def _is_visible(log: logging.Logger | None) -> bool:
    """Return whether the warnings of a logger reach standard error."""
    while log is not None:
        for handler in log.handlers:
            if handler.level > logging.WARNING:
                continue
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                return True
            onward = getattr(handler, "onward", None)  # to the root logger of the application
            if isinstance(onward, logging.Logger) and _is_visible(onward):
                return True
        log = log.parent if log.propagate else None
    return False
