"""Start the session logger; what the shortcut on the desktop of a microscope's PC does."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    import tkinter

    from Logger.session_backend import SessionBook

EXIT_FAILURE = 1
EXIT_REFUSED = 4
REPORT = "NEXUSCORE_LOGGER_GEOMETRY"
"""Variable naming a file that the window writes the places of its buttons into."""

_LOGGER_EXAMPLES = """\
examples:
  SessionLogger                                  start a session on this computer's instrument
  SessionLogger --support microscopy@example.org the same, and say where the debug log is to be sent
  SessionLogger --host TITAN-PC                  the same for the instrument of another computer
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; no argument is needed."""
    found = argparse.ArgumentParser(
        prog="SessionLogger",
        description="Record when a session at the microscope begins and ends.",
        epilog=_LOGGER_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--host", metavar="NAME", help="look up the instrument of this computer instead of one's own")
    found.add_argument(
        "--support",
        metavar="ADDRESS",
        default="",
        help="where to send the debug log while the configuration, which names an address too, cannot be read",
    )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the session logger; return the exit code."""
    arguments = parser().parse_args(argv)
    host = arguments.host or socket.gethostname()
    try:
        import tkinter

        from Logger.theme import sharp_on_windows

        sharp_on_windows()
        root = tkinter.Tk(className="SessionLogger")
    except ImportError as error:
        return _refuse(f"Tk, which draws the window, is not installed for this Python ({error}).")
    except tkinter.TclError as error:
        return _refuse(f"It needs a screen to show its window on, and can open none ({error}).")
    try:
        return _run(root, host, arguments.support)
    finally:
        root.destroy()


def _run(root: tkinter.Tk, host: str, support: str) -> int:
    from Logger.controller import Logic
    from Logger.debuglog import collect
    from Logger.notice import tell
    from Logger.single import only_copy
    from Logger.window import MainWindow

    try:
        alone = only_copy(host)
    except OSError as error:
        return _refuse(f"It cannot tell whether it is open already ({error}).")
    if not alone:
        tell(root, "The session logger is already open on this computer. Look for its window in the task bar.")
        return EXIT_REFUSED
    log = collect()
    report = os.environ.get(REPORT)
    window = MainWindow(root, Logic(_book(host)), log, support, Path(report) if report else None)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda _number, _frame: window.leave())
    return window.run()


def _book(host: str) -> SessionBook:
    from Logger.database_backend import DirectBook

    return DirectBook(host)


def _refuse(reason: str) -> int:
    print(f"The session logger cannot start. {reason}", file=sys.stderr)  # noqa: T201  there is nowhere else to say it
    return EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
