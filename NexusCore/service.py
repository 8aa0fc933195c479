"""The frame every service runs in: its loop, signals, heartbeat and exit codes.

Promises
--------
* SIGTERM and SIGINT end it within two seconds, its last log lines delivered (or in the journal, when the database is
  away).
* A pass that fails is logged, and the next one comes: only a mistake in the settings ends a service.
* ``--once`` makes one pass and returns 0 if all went well or there was nothing to do, else what the error says.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar

from NexusCore import identity
from NexusCore.API import App
from NexusCore.clock import Clock
from NexusCore.config.parameter import ConfigParameter
from NexusCore.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, DatabaseUnreachable, NexusError
from NexusCore.facility.sessions import Client
from NexusCore.status.element import fitting

INTERVAL = 10.0
"""Seconds between two passes, where the configuration says nothing else."""
HEARTBEAT_SECONDS = 10.0
EXPIRE_SECONDS = 30.0
"""After this long without a heartbeat a service's state counts as stale."""
FAILED = "failed: "
"""What the state of a service begins with whose last pass did not come to its end."""
STOP_SECONDS = 1.2
"""How long the end of a service may spend on delivery."""


Example = tuple[str, str]
"""Arguments of a service, and what they do."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one round of a service came to."""

    done: int = 0
    failed: int = 0


class Service(ABC):
    """A service: subclasses say what one pass does.

    Its settings are read from `Services.<name>.*` at each pass, its state is on the status channel of its name, and it
    logs under it.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str]
    watched: ClassVar[tuple[str, ...]] = ("Facility", "Instruments")
    """Folders of the configuration whose changes the service logs, besides its own."""
    examples: ClassVar[tuple[Example, ...]] = (("", "run until told to end"), ("--once", "make one pass and end"))
    """What the help begins with."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.config = app.get_config(f"Services.{self.name}")
        self.log = app.get_log(self.name)
        self.status = app.get_status(self.name)
        self.config.set_default(
            "interval", INTERVAL, comment="Seconds between two passes.", minimum=0.1, maximum=86_400
        )
        self.client = Client(user=self.name, host=identity.host())
        self._state = self.status.new("state", expire_time=EXPIRE_SECONDS)
        self._passes_failed = self.status.new("passes_failed", 0)
        self._trouble = ""
        self._interval = INTERVAL

    @abstractmethod
    def once(self) -> Pass:
        """Do what there is to do now; look at `stopping` between steps."""

    @classmethod  # noqa: B027  most have none
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this service's own."""

    @classmethod
    def instead(cls, arguments: argparse.Namespace) -> Callable[[], int] | None:
        """Return what the arguments ask for in the place of the service, such as a rehearsal; None for the service."""
        return None

    def take_arguments(self, arguments: argparse.Namespace) -> None:  # noqa: B027  most have none
        """Take over the arguments of this service's own."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Release what the service holds, quickly."""

    @property
    def stopping(self) -> bool:
        """Whether the service has been told to end."""
        return self.app.stop_event.is_set()

    @property
    def clock(self) -> Clock:
        """The clock of the application."""
        return self.app.clock

    @contextlib.contextmanager
    def state(self, text: str) -> Iterator[None]:
        """Show `text` as the service's state while the block runs."""
        before = self._state.get_value()
        self._state.set_value(text)
        try:
            yield
        finally:
            self._state.set_value(before)

    def run(self, *, once: bool) -> int:
        """Run until told to end, which is 0, or one pass; return the exit code."""
        self.log.info("%s starts, process %d, on %s", self.name, os.getpid(), self.app.settings.main)
        self.app.get_config().add_callback([f"Services.{self.name}", *self.watched], self._saw)
        self._state.set_value("idle")
        self._tell_source()
        beat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beat.start()
        code = EXIT_OK
        try:
            while not self.stopping:
                code = self._pass(once)
                if once:
                    break
                self.clock.wait(self.app.stop_event, self._interval)
        finally:
            with contextlib.suppress(NexusError):
                self.close()
            self.status.new("state", "stopped")  # this one does not go stale
            self.log.info("%s ends", self.name)
        return code if once else EXIT_OK  # it ends because it was told to

    def _pass(self, once: bool) -> int:
        try:
            self._interval = self.config.number("interval") if "interval" in self.config else INTERVAL
            result = self.once()
        except NexusError as error:
            if once:
                raise
            # The database being away is no fault of the pass; anything else is for the operators.
            self._pass_failed(str(error), logging.WARNING if isinstance(error, DatabaseUnreachable) else logging.ERROR)
            return error.exit_code
        except Exception as error:  # noqa: BLE001  logged with its traceback
            # The edge of the service: a fault of ours must not end what keeps a facility's records.
            self._pass_failed(f"A pass of {self.name} failed: {error!r}", logging.ERROR, fault=True)
            return EXIT_FAILURE
        if self._trouble:
            self.log.info("%s goes on.", self.name)
            self._state.set_value("idle")
        self._trouble = ""
        return EXIT_FAILURE if result.failed else EXIT_OK

    def _pass_failed(self, trouble: str, level: int, *, fault: bool = False) -> None:
        """Count a pass that failed, show why, and log it once, not at every pass for as long as it lasts."""
        self._passes_failed.inc()
        self._state.set_value(fitting(f"{FAILED}{trouble}"))
        if trouble != self._trouble:
            self.log.log(level, "%s", trouble, exc_info=fault)
        self._trouble = trouble

    def _saw(self, parameter: ConfigParameter) -> None:
        """Log a change of the configuration: it holds from the next step on."""
        if parameter.revision:
            self.log.info("The configuration changed: %s is now '%s'", parameter.path, parameter.shown)
        else:
            self.log.info("The configuration changed: %s was removed", parameter.path)

    def _beat(self) -> None:
        while not self.clock.wait(self.app.stop_event, HEARTBEAT_SECONDS):
            self._state.set_value(self._state.get_value(), force_update=True)
            self._tell_source()

    def _tell_source(self) -> None:
        """Show where the configuration is from: the database, or what was last seen of it."""
        self.status["configuration"] = self.app.live.source


def main(service: type[Service], argv: Sequence[str] | None = None) -> int:
    """Run a service from the command line; return its exit code."""
    arguments = _parser(service).parse_args(argv)
    other = service.instead(arguments)
    if other is not None:
        return other()
    app: App | None = None
    interrupted = threading.Event()
    console = _console()
    try:
        app = App(tool=f"Services.{service.name}")
        _on_signals(app, interrupted)
        app.logs.root.addHandler(console)
        running = service(app)
        running.take_arguments(arguments)
        code = running.run(once=arguments.once)
    except NexusError as error:
        if app is not None:
            with contextlib.suppress(NexusError):
                app.logs.root.removeHandler(console)  # the terminal gets the bare sentence, once
                app.get_log(service.name).error("%s", error)
        print(f"{service.name}: {error}", file=sys.stderr)  # noqa: T201  the operator's terminal
        code = error.exit_code
    finally:
        if app is not None:
            app.shutdown(STOP_SECONDS)
    return EXIT_INTERRUPTED if interrupted.is_set() and arguments.once else code


class _Parser(argparse.ArgumentParser):
    """A parser whose help begins with examples."""

    examples: Sequence[Example] = ()

    def format_help(self) -> str:
        """Return the help, the examples first."""
        commands = [f"{self.prog} {arguments}".rstrip() for arguments, _ in self.examples]
        width = max(map(len, commands), default=0)
        lines = [f"  {one.ljust(width)}   {what}" for one, (_, what) in zip(commands, self.examples, strict=True)]
        return "\n".join(["Examples:", *lines, "", super().format_help()])


def _parser(service: type[Service]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m Services.{service.name}",
        description=(sys.modules[service.__module__].__doc__ or "").split("\n\n")[0],
        allow_abbrev=False,
    )
    parser.examples = service.examples
    parser.add_argument("--once", action="store_true", help="make one pass and end")
    service.add_arguments(parser)
    return parser


def _on_signals(app: App, interrupted: threading.Event) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            interrupted.set()
        app.stop_event.set()

    handler: Callable[[int, FrameType | None], None] = end
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


class _Terminal(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the checker only
    """Writes to whatever standard error is at the moment: a progress bar puts itself before it, and lines above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.stream = sys.stderr
        super().emit(record)


def _console() -> logging.Handler:
    """Return a handler for the terminal, or for the system's journal of whoever started the service."""
    handler = _Terminal(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler
