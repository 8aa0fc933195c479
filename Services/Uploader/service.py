"""The Uploader: sends finished records to every destination configured.

Promises
--------
* A record counts as sent when the destination gives back what was sent, bit by bit.
* A destination that is down holds up no other one; each record is tried again at it, at growing intervals.
* A record that was built anew while it was on its way is sent anew.
* Settings are read at each pass.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import ClassVar, TypeVar

from NexusCore.API import App
from NexusCore.errors import ConfigException, NexusError
from NexusCore.facility import Record, Records
from NexusCore.facility.records import Upload, UploadState
from NexusCore.log import in_session
from NexusCore.service import Pass, Service
from Services.Uploader.destinations import Destination, NotTaken, Receipt, kinds, make_of

OK = "ok"
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""
_SENTENCE = 250
"""Characters of a sentence that a status element shows: four bytes each at the most."""

T = TypeVar("T")


class RecordUnusable(NexusError):
    """The record '{title}' cannot be sent: {reason}."""


class _Stopped(Exception):
    """The service was told to end while a destination was at work."""


class Uploader(Service):
    """Sends each record that was built to each destination, one after the other.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Uploader"
    watched: ClassVar[tuple[str, ...]] = ()

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._records = Records(app.database(), self.clock)
        self._dry_run = False
        self._said: dict[str, str] = {}
        """What was last said of each destination."""
        self._set_defaults()
        self._sent = self.status.new("records_sent", 0)
        self._failures = self.status.new("attempts_failed", 0)
        self._completed = self.status.new("sessions_completed", 0)

    def _set_defaults(self) -> None:
        default = self.config.set_default
        default("destinations", "directory", comment="Where records go, with commas; each has a folder of settings.")
        default(
            "strategy", "all", comment="Whether all destinations must have a record, or any one.", choices=("all", "any")
        )
        default("retry_first", 60.0, comment="Seconds before a failed upload is tried again.", minimum=0.1)
        default("retry_longest", 3600.0, comment="Seconds that this wait, doubled each time, grows to.", minimum=0.1)
        default("time_limit", 600.0, comment="Seconds that a destination may take for one record.", minimum=1.0)
        for kind in kinds():
            self._make(kind)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``."""
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that sends nothing; say what it would send"
        )

    def take_arguments(self, arguments: argparse.Namespace) -> None:
        """Take over ``--dry-run``, which means one pass."""
        self._dry_run = arguments.dry_run
        arguments.once = arguments.once or arguments.dry_run

    def once(self) -> Pass:
        """Send what is due."""
        destinations, misnamed = self._destinations()
        records = self._records.to_upload()
        outbox = _Outbox(destinations, misnamed)
        done = failed = 0
        try:
            for number, record in enumerate(records, 1):
                with in_session(record.session), self.state(f"sending record {number} of {len(records)}"):
                    sent, not_sent = self._deliver(record, outbox)
                done += sent
                failed += not_sent
                if self.stopping:
                    break
        except _Stopped:
            self.log.info("Told to end while a record was on its way; the next Uploader sends it")
        for name, problem in outbox.problems.items():
            self._show(name, problem)
        if not self._dry_run:
            self.status["records_waiting"] = len(self._records.to_upload())
        return Pass(done, failed + len(outbox.blocked))

    # -- destinations --------------------------------------------------------------------------------------------------

    def _destinations(self) -> tuple[list[Destination], dict[str, str]]:
        """Return the destinations as they are configured now, and what is wrong with names that are none."""
        names = [name.strip() for name in str(self.config["destinations"] or "").split(",") if name.strip()]
        if not names:
            raise ConfigException(reason="Services.Uploader.destinations names no destination")
        found, misnamed = [], {}
        for name in dict.fromkeys(names):
            try:
                found.append(self._make(name))
            except NexusError as error:
                misnamed[name] = str(error)
        return found, misnamed

    def _make(self, name: str) -> Destination:
        return make_of(name)(self.app.get_config(f"Services.{self.name}.{name}"), self.app.settings.home)
