"""Start the session logger, as the desktop shortcut of a microscope's PC does."""

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

    from Logger.facility import FacilityLink
    from Logger.outbox import Outbox
    from Logger.pc_settings import PCSettings
    from Logger.transfer.views import TransferDesk
    from Logger.uptime import Uptime

EXIT_FAILURE = 1
EXIT_REFUSED = 4
REPORT = "NEXUSCORE_LOGGER_GEOMETRY"
"""Variable with the name of a file to which the window writes the places of its buttons."""

_LOGGER_EXAMPLES = """\
examples:
  SessionLogger                                  start a session on this computer's instrument
  SessionLogger --support microscopy@example.org the same, with the address for the debug log
  SessionLogger --host TITAN-PC                  the same for the instrument of another computer
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; all arguments are optional."""
    parser = argparse.ArgumentParser(
        prog="SessionLogger",
        description="Record the start and end of a session at the microscope.",
        epilog=_LOGGER_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host", metavar="NAME", help="use the instrument of the computer NAME instead of this computer"
    )
    parser.add_argument(
        "--support",
        metavar="ADDRESS",
        default="",
        help="address for the debug log until the one in the configuration can be read",
    )
    return parser


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
        return _refuse(f"It needs a screen for its window, but cannot open it ({error}).")
    try:
        return _run(root, host, arguments.support, named=arguments.host is not None)
    finally:
        root.destroy()


def _run(root: tkinter.Tk, host: str, support: str, *, named: bool) -> int:
    from Logger.controller import Controller
    from Logger.debuglog import collect
    from Logger.notice import show_notice
    from Logger.outbox import Outbox
    from Logger.pc_settings import WrongSettings, check_complete, load
    from Logger.share import FileShare, ShareError
    from Logger.single import Only, raise_other
    from Logger.uptime import Uptime
    from Logger.window import MainWindow

    try:
        only = Only.claim(host)
    except OSError as error:
        return _refuse(f"Cannot check whether it is already open ({error}).")
    if only is None:
        raise_other(host)
        sentence = "The session logger is already open on this computer. Its window comes forward now."
        show_notice(root, sentence, at_top=True)
        return EXIT_REFUSED
    try:
        settings = load()
        check_complete(settings)
        share = FileShare(settings.share) if settings.share else None
    except (WrongSettings, ShareError) as error:
        show_notice(root, str(error))
        return EXIT_FAILURE
    log, uptime = collect(), Uptime()
    outbox = Outbox(settings.home / f"{_file_name(host)}.outbox", uptime)
    desk = transfers(settings, outbox, settings.home / f"{_file_name(host)}.transfers", uptime)
    controller = Controller(outbox, lambda: facility(settings, host, uptime, named=named), transfers=desk, share=share)
    report = os.environ.get(REPORT)
    window = MainWindow(root, controller, log, support, only.raised, Path(report) if report else None)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda _number, _frame: window.leave())
    try:
        return window.run()
    finally:
        controller.stop_transfers()


def facility(settings: PCSettings, host: str, uptime: Uptime, *, named: bool = False) -> FacilityLink:
    """Return the facility that this computer's settings name: its Gateway, or on a trusted machine its database."""
    if settings.url:
        from Logger.gateway_facility import GatewayFacility
        from Logger.pc_settings import PresentToken

        return GatewayFacility(settings.url, PresentToken(settings), settings.certificates, host, uptime, named=named)
    from Logger.database_facility import DatabaseFacility

    return DatabaseFacility(host)


def transfers(settings: PCSettings, outbox: Outbox, path: Path, uptime: Uptime) -> TransferDesk | None:
    """Return what transfers files; None on a machine with the database: where it runs, the files are there already."""
    if not settings.url:
        return None
    from Logger.pc_settings import PresentToken
    from Logger.transfer.engine import EngineClocks, TransferEngine
    from Logger.transfer.link import GatewayTransfers
    from Logger.transfer.pending import PendingTransfers
    from Logger.transfer.state import TransferState

    def make_link() -> GatewayTransfers:
        return GatewayTransfers(settings.url, PresentToken(settings), settings.certificates)

    return TransferEngine(PendingTransfers(outbox), TransferState(path), make_link, EngineClocks(uptime))


def _file_name(host: str) -> str:
    """Return the name of a computer as part of a file name."""
    return "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in host.partition(".")[0].lower())


def _refuse(reason: str) -> int:
    print(f"The session logger cannot start. {reason}", file=sys.stderr)  # noqa: T201  there is no window for it
    return EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
