"""The command that opens the page of a session's record."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from NexusCore.errors import EXIT_OK, EXIT_REFUSED, NexusError
from Tools.common.sessions import next_step
from Tools.common.terminal import Screen
from Tools.sessiontool.finding import Desk

_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
"""One of these is set where a browser can show something, but on Windows and macOS."""


class NoRecordYet(NexusError):
    """The session {identifier} has no record. {next}"""  # noqa: D400  the next step ends it

    exit_code = EXIT_REFUSED


class NoPage(NexusError):
    """The record of session {identifier} has no page at {page}.

    It may be on another machine, or the record is older than the pages. To make it: SessionTool requeue {identifier}
    """

    exit_code = EXIT_REFUSED


def open_(arguments: Namespace, screen: Screen) -> int:
    """Open the page of a record in the browser; print its path."""
    desk = Desk()
    session = desk.newest_or_named(arguments.which)
    record = desk.records.of_session(session.id)
    if record is None:
        raise NoRecordYet(identifier=session.identifier, next=next_step(session))
    from NexusCore.facility.record_page import page_of

    page = page_of(Path(record.path))
    if not page.is_file():
        raise NoPage(identifier=session.identifier, page=page)
    opened = not arguments.print and _has_browser() and _opened(page)
    if arguments.json:
        screen.show_json(session=session.identifier, page=str(page), opened=opened)
    else:
        screen.show(str(page))
    return EXIT_OK


def _has_browser() -> bool:
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in _SCREENS)


def _opened(page: Path) -> bool:
    import webbrowser  # which looks for browsers as it is imported

    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(page.as_uri())
    return False
