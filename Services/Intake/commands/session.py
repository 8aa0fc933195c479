"""What the commands share: the databases, the settings and a log on standard error."""

from __future__ import annotations

import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TextIO

from NexusCore import identity, signals
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.config.loaded import load_configuration
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.config.store import ConfigStore
from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.log.record import LineFormatter
from NexusCore.settings import load
from NexusCore.storage import Database
from NexusCore.text import suggest
from Services.Intake.moving import FilingInterrupted
from Services.Intake.rules.rule import RULES
from Services.Intake.settings import IntakeSettings, read


class NoSuchRule(NexusError):
    """There is no rule '{rule}', and none of that name has filed anything.{hint}"""  # noqa: D400

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command works with."""

    database: Database
    config: ReadOnlyConfiguration
    settings: IntakeSettings
    moves: IntakeMoves
    clock: Clock
    owner: str
    """Name of this process among Intakes."""
    stop: threading.Event
    out: TextIO
    log: logging.Logger

    def check_rule(self, name: str | None) -> None:
        """Raise `NoSuchRule` unless a rule is in the configuration, or in the history."""
        settings = self.settings
        broken = [path.removeprefix(f"{RULES}.") for path in settings.faults if path.startswith(f"{RULES}.")]
        known = [*settings.rules, *broken]
        if name is not None and name not in known and not self.moves.history(rule=name, count=1):
            raise NoSuchRule(rule=name, hint=suggest(name, known))

    def go_on(self) -> None:
        """Raise `FilingInterrupted` if it is to end."""
        if self.stop.is_set():
            raise FilingInterrupted

    @property
    def stopped(self) -> Callable[[], bool]:
        """Whether it is to end."""
        return self.stop.is_set


@contextmanager
def command(clock: Clock = SYSTEM_CLOCK) -> Iterator[CommandContext]:
    """Yield what a command works with, and close it; Ctrl-C ends it between two files."""
    settings = load()
    log = logging.Logger("Intake", logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    log.addHandler(handler)
    stop = signals.HandlerEvent()
    owner = f"{identity.host()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with signals.taken(signals.ENDING, lambda *_: stop.set()), closing(Database(settings.main)) as database:
        with closing(Database(settings.config)) as configured:
            config = load_configuration(ConfigStore(configured, clock))
        moves = IntakeMoves(database, clock)
        yield CommandContext(database, config, read(config), moves, clock, owner, stop, sys.stdout, log)
