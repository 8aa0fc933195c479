"""The frame that every service runs in: loop, signals, heartbeat and exit codes.

Promises
--------
* SIGTERM, SIGINT and SIGHUP end it within two seconds, its last log lines delivered (or in the journal, when the
  database is away). A second Ctrl-C ends the pass that is under way, a third one the process.
* SIGHUP has a service that writes a log file (``Log.file``) open it again instead; under ``nohup`` it does nothing.
* A change of its settings begins the next pass at once; one that is removed is put back (`NexusCore.own_settings`).
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
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import ClassVar

from NexusCore import completion, identity, signals
from NexusCore.API import App
from NexusCore.clock import Clock
from NexusCore.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DatabaseFull,
    DatabaseUnreachable,
    NexusError,
)
from NexusCore.facility.sessions import Client
from NexusCore.log.record import LineFormatter
from NexusCore.own_settings import OwnSettings
from NexusCore.readiness import report_ready
from NexusCore.resources import complain, exit_code_of, explained, reported, sentence_of
from NexusCore.retention import Retention
from NexusCore.status.element import fitting
from NexusCore.status.process import FAILED, PROCESS, STOPPED, ServiceProcess

INTERVAL = 10.0
"""Seconds between two passes, where the configuration says nothing else."""
HEARTBEAT_SECONDS = 10.0
EXPIRE_SECONDS = 30.0
"""After this long without a heartbeat a service's state counts as stale."""
LAST_DELIVERY_SECONDS = 1.2
"""How long the end of a service may spend on delivery."""


Example = tuple[str, str]
"""Arguments of a service, and what they do."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Result of one pass of a service."""

    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a service runs: what its command line said."""

    once: bool = False
    """Make one pass and end."""
    dry_run: bool = False
    """Report what a pass would do, and change nothing; implies `once`."""


class Service(ABC):
    """A service: subclasses define what one pass does.

    Its settings are read from `Services.<name>.*` at each pass; its status channel and its logger have its name.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str]
    watched: ClassVar[tuple[str, ...]] = ("Facility", "Instruments")
    """Folders of the configuration whose changes the service logs, besides its own."""
    cleans_up: ClassVar[bool] = True
    """Whether its account may delete old log records and status values."""
    examples: ClassVar[tuple[Example, ...]] = (("", "run until stopped"), ("--once", "make one pass and end"))
    """What the help begins with."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.config = app.get_config(f"Services.{self.name}")
        self.log = app.get_log(self.name)
        self.status = app.get_status(self.name)
        self._own_settings = OwnSettings(app, self.name, self.watched, self.log)
        self.client = Client(user=self.name, host=identity.host())
        self._state = self.status.new("state", expire_time=EXPIRE_SECONDS)
        self._process = ServiceProcess(os.getpid(), self.client.host, app.clock.now(), str(app.settings.home))
        self._shown_process = self.status.new(PROCESS, expire_time=EXPIRE_SECONDS)
        self._passes_failed = self.status.new("passes_failed", 0)
        self._trouble = ""
        self._interval = INTERVAL
        self.changed = False
        """Whether a change of the settings began this pass."""
        self.tidying: threading.Event = signals.HandlerEvent()
        """Set while the service cleans up before it ends: a second Ctrl-C must not interrupt that."""

    @abstractmethod
    def once(self) -> Pass:
        """Make one pass; check `stopping` between steps."""

    @classmethod  # noqa: B027  most have none
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this service's own."""

    @classmethod
    def options_of(cls, arguments: argparse.Namespace) -> RunOptions:
        """Return what the command line said."""
        dry_run: bool = getattr(arguments, "dry_run", False)
        return RunOptions(arguments.once or dry_run, dry_run)

    @classmethod
    def instead(cls, options: RunOptions) -> Callable[[], int] | None:
        """Return what to run instead of the service, such as a dry run; None to run the service."""
        return None

    def take_options(self, options: RunOptions) -> None:  # noqa: B027  most have none
        """Take over the options of this service's own; called once, before the first pass."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Release resources, quickly."""

    @property
    def stopping(self) -> bool:
        """Whether the service has been asked to stop."""
        return self.app.stop_event.is_set()

    @property
    def settings_changed(self) -> bool:
        """Whether a setting has changed since the last `heed_settings`; also while the service is stopping."""
        return self._own_settings.changed.is_set()

    def heed_settings(self) -> bool:
        """Begin to read the settings as they are now; return whether any had changed."""
        changed = self.settings_changed
        self._own_settings.changed.clear()
        return changed

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
        """Run until stopped (exit code 0), or make one pass; return the exit code."""
        self.log.info("%s starts, process %d, on %s", self.name, os.getpid(), self.app.settings.main)
        self._own_settings.watch()
        self._state.set_value("idle")
        self._shown_process.set_value(str(self._process))
        self._report_source()
        report_ready()
        beat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beat.start()
        if self.cleans_up and not once:
            Retention(self.app, self.log).start()
        code = EXIT_OK
        try:
            while not self.stopping:
                code = self._pass(once)
                if once:
                    break
                self.clock.wait(self._own_settings.changed, self._interval)
        finally:
            self.tidying.set()
            with contextlib.suppress(NexusError):
                self.close()
            self.status.new("state", STOPPED)  # this one does not go stale
            self.status.new(PROCESS, str(replace(self._process, ended=True)))
            self.log.info("%s ends", self.name)
        return code if once else EXIT_OK  # it was asked to stop

    def _pass(self, once: bool) -> int:
        self.changed = self.heed_settings()
        if self.stopping:  # asked to just before the line above
            return EXIT_OK
        self._own_settings.put_back()
        try:
            self._interval = INTERVAL if self.config["interval"] is None else self.config.number("interval")
            result = self.once()
        except NexusError as error:
            if once:
                raise
            # An unreachable database is not a fault of the pass; anything else is for the operators.
            away = isinstance(error, DatabaseUnreachable) and not isinstance(error, DatabaseFull)
            self._pass_failed(sentence_of(error), logging.WARNING if away else logging.ERROR)
            return error.exit_code
        except Exception as error:
            # The edge of the service: a bug must not end it.
            if (shortage := explained(error, [self.app.settings.home])) is not None:
                if once:
                    raise shortage from error
                self._pass_failed(str(shortage), logging.ERROR)
                return shortage.exit_code
            self._pass_failed(f"A pass of {self.name} failed: {error!r}", logging.ERROR, fault=True)
            return EXIT_FAILURE
        if self._trouble:
            self.log.info("%s goes on.", self.name)
            self._state.set_value("idle")
        self._trouble = ""
        return EXIT_FAILURE if result.failed else EXIT_OK

    def _pass_failed(self, trouble: str, level: int, *, fault: bool = False) -> None:
        """Count a failed pass and show why; log the same reason only once."""
        self._passes_failed.inc()
        self._state.set_value(fitting(f"{FAILED}{trouble}"))
        if trouble != self._trouble:
            self.log.log(level, "%s", trouble, exc_info=fault)
        self._trouble = trouble

    def _beat(self) -> None:
        while not self.clock.wait(self.app.stop_event, HEARTBEAT_SECONDS):
            self._state.set_value(self._state.get_value(), force_update=True)
            self._shown_process.set_value(str(self._process), force_update=True)
            self._report_source()

    def _report_source(self) -> None:
        """Show whether the configuration is from the database or from the snapshot."""
        self.status["configuration"] = self.app.live.source


def main(service: type[Service], argv: Sequence[str] | None = None) -> int:
    """Run a service from the command line; return its exit code."""
    parser = _parser(service)
    completion.offer(parser)
    options = service.options_of(parser.parse_args(argv))
    other = service.instead(options)
    if other is not None:
        return reported(other, f"{service.name}: ")
    app: App | None = None
    interruptions = _Interruptions()
    console = _console()
    try:
        try:
            app = App(tool=f"Services.{service.name}")
            _on_signals(app, interruptions, once=options.once)
            app.logs.root.addHandler(console)
            running = service(app)
            running.tidying = interruptions.tidying
            running.take_options(options)
            app.get_config()  # nothing runs without a configuration
            console.open()
            code = running.run(once=options.once)
        except (NexusError, OSError, MemoryError) as error:
            interruptions.tidying.set()
            sentence = sentence_of(error, [] if app is None else [app.settings.home])
            if app is not None:
                with contextlib.suppress(NexusError):
                    app.logs.root.removeHandler(console)  # the terminal gets the plain message, once
                    app.get_log(service.name).error("%s", sentence)
            complain(f"{service.name}: {sentence}")
            code = exit_code_of(error)
        finally:
            interruptions.tidying.set()
    except KeyboardInterrupt:  # the second Ctrl-C: the third ends the process
        code = EXIT_INTERRUPTED
    finally:
        if app is not None:
            app.shutdown(LAST_DELIVERY_SECONDS)
    if interruptions.repeated.is_set() or (interruptions.interrupted.is_set() and options.once):
        return EXIT_INTERRUPTED
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose help begins with examples."""

    examples: Sequence[Example] = ()

    def format_help(self) -> str:
        """Return the help, the examples first."""
        commands = [f"{self.prog} {arguments}".rstrip() for arguments, _ in self.examples]
        width = max(map(len, commands), default=0)
        purposes = [purpose for _, purpose in self.examples]
        lines = [f"  {line.ljust(width)}   {purpose}" for line, purpose in zip(commands, purposes, strict=True)]
        return "\n".join(["Examples:", *lines, "", super().format_help()])


def _parser(service: type[Service]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=service.name if Path(sys.argv[0]).stem == service.name else f"python -m Services.{service.name}",
        description=(sys.modules[service.__module__].__doc__ or "").split("\n\n")[0],
        allow_abbrev=False,
    )
    parser.examples = service.examples
    parser.add_argument("--once", action="store_true", help="make one pass and end")
    service.add_arguments(parser)
    return parser


class _Interruptions:
    """How often Ctrl-C was pressed, and whether it may still raise an exception."""

    def __init__(self) -> None:
        self.interrupted, self.repeated, self.tidying = (signals.HandlerEvent() for _ in range(3))


def _on_signals(app: App, interruptions: _Interruptions, *, once: bool) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        app.stop_event.set()
        if number != signal.SIGINT:
            return
        if interruptions.repeated.is_set():
            os._exit(EXIT_INTERRUPTED)  # accepted records are in the journals
        if interruptions.interrupted.is_set():
            interruptions.repeated.set()
            if not interruptions.tidying.is_set() and signals.may_raise(frame):
                raise KeyboardInterrupt
        interruptions.interrupted.set()

    def hang_up(number: int, frame: FrameType | None) -> None:
        if once or not app.reopen_log_file():
            end(number, frame)

    signals.take(("SIGTERM", "SIGINT"), end)
    signals.take(("SIGHUP",), hang_up)


class _Terminal(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the checker only
    """Writes to the current standard error, which a progress bar may have replaced.

    Messages of delivery are held back until `open`: a service that cannot start reports the same in its own message.
    """

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._held: list[logging.LogRecord] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if self._held is not None and record.name == "NexusCore.delivery":
            self._held.append(record)
            return
        self.stream = sys.stderr
        super().emit(record)

    def open(self) -> None:
        """Write what was held back; from now on write everything at once."""
        with self.lock or contextlib.nullcontext():
            held, self._held = self._held, None
        for record in held or ():
            self.handle(record)


def _console() -> _Terminal:
    """Return a handler for the terminal, or for the system's journal."""
    handler = _Terminal()
    handler.setLevel(logging.INFO)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler
