#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Browse, search and change the configuration on the full terminal."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    # Run as ./Tools/ConfigUI.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_OK, EXIT_USAGE, DatabaseUnreachable, NexusError, NoSuchVersionException
from Tools.common import completion
from Tools.common.arguments import Arguments
from Tools.common.terminal import Screen, run_tool

if TYPE_CHECKING:
    from NexusCore.API import App
    from NexusCore.config.view import NamedConfiguration
    from Tools.configui.canvas import Canvas

NAME = "ConfigUI"
CONNECT_NOTICE_SECONDS = 1.0
"""Seconds after which a notice says that the database has not answered."""
SCREEN_SHUTDOWN_SECONDS = 1.0


class NoTerminal(NexusError):
    """ConfigUI needs a terminal, but its input or output is a pipe or a file. Use ConfigTool instead."""

    exit_code = EXIT_USAGE


class NoVersion(NoSuchVersionException):
    """Version '{version}' of the configuration not found. Versions: {known}."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = Arguments(
        prog=NAME,
        description=__doc__,
        examples=(
            (NAME, "the tree of the configuration"),
            (f"{NAME} Services.Builder", "start at a folder or parameter"),
            (f"{NAME} -v night", "another version of the configuration"),
        ),
        epilog="Arrows move, Enter opens a folder or edits a parameter, / searches, h shows a history, ? shows help, "
        "a adds, x removes, u undoes, c shows what differs from the defaults, q quits.",
    )
    path = parser.add_argument("path", nargs="?", metavar="PATH", help="folder or parameter to start at")
    completion.attach(path, completion.parameters)
    version = parser.add_argument("-v", "--version", metavar="VERSION", help="version of the configuration")
    completion.attach(version, completion.versions)
    return parser


def run(arguments: Namespace, screen: Screen) -> int:
    """Show the configuration until the user quits."""
    if not (screen.terminal and sys.stdin is not None and sys.stdin.isatty()):
        raise NoTerminal
    from Tools.configui.canvas import full_screen

    with ExitStack() as at_the_end, full_screen(screen.colour) as canvas:
        app, config = _read(canvas, arguments.version)
        at_the_end.callback(app.shutdown, SCREEN_SHUTDOWN_SECONDS)  # after the terminal is restored
        _show(canvas, app, config, (arguments.path or "").rstrip("."))
    return EXIT_OK


def open_version(version: str | None) -> tuple[App, NamedConfiguration]:
    """Return an application, and the root of a version of the configuration.

    Raises
    ------
    NoVersion
        If the version does not exist.
    """
    import logging

    from NexusCore.API import App
    from NexusCore.config.view import NamedConfiguration

    # The screen shows messages about the database; without a handler, logging would write across it.
    logging.getLogger("NexusCore").addHandler(logging.NullHandler())
    app = App(tool=NAME)
    if version is not None:
        try:
            known = app.live.store.versions()
        except DatabaseUnreachable:
            pass  # the saved values may be of this version
        else:
            if version not in known:
                raise NoVersion(version=version, known=", ".join(known))
    # Not `app.get_config`: it sends the log to the configured place, which may be this terminal.
    return app, NamedConfiguration(app.live, version=version)


def _read(canvas: Canvas, version: str | None) -> tuple[App, NamedConfiguration]:
    """Read the configuration on a thread: the screen shows something at once, and Ctrl-C always works."""
    from concurrent.futures import wait

    from NexusCore.threads import start_thread

    canvas.sentence("Reading the configuration ...")
    reading = start_thread(lambda: open_version(version))
    if not wait([reading], CONNECT_NOTICE_SECONDS).done:
        canvas.sentence("Reading the configuration ... The database has not answered yet; Ctrl-C gives up.")
    return reading.result()


def _show(canvas: Canvas, app: App, config: NamedConfiguration, path: str) -> None:
    from Tools.configui.recent_changes import RecentChanges
    from Tools.configui.tree_menu import TreeMenu

    def warning() -> str:
        trouble = app.live.trouble
        if isinstance(trouble, DatabaseUnreachable):
            return "The database does not answer; these are the last known values."
        return str(trouble or "")

    TreeMenu(config, canvas, RecentChanges(config, app.clock), warning, config.get(path)).show()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
