"""A dry run: the records as they would be written, on standard output, and nothing changed anywhere.

No session is claimed, nothing is logged to the database, no status posted; previews and metadata go to a temporary
folder that is removed at the end. Remarks go to standard error.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO

from NexusCore import settings as nexus_settings
from NexusCore import signals
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.config.loaded import load_configuration
from NexusCore.config.store import ConfigStore
from NexusCore.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, NexusError
from NexusCore.facility.sessions import NotToBeBuilt, Selection, Session, Sessions
from NexusCore.facility.transfers import Transfers
from NexusCore.log.record import LineFormatter
from NexusCore.resources import sentence_of
from NexusCore.storage import Database
from NexusCore.text import is_odd, one_line
from Services.Builder.extraction.pools import Pools
from Services.Builder.finding.searching import Searches, times_by
from Services.Builder.finding.transferred import TransferredFiles, open_for_reading
from Services.Builder.progress import BarProgress
from Services.Builder.record_maker import BuildStopped, Facility, NoRecord, RecordMaker
from Services.Builder.settings import BuilderSettings


class _Quiet:
    """Shows no progress."""

    def show(self, done: int, total: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


def print_records(selection: Selection, out: BinaryIO, err: TextIO, clock: Clock = SYSTEM_CLOCK) -> int:
    """Print the records of sessions; return the exit code.

    Parameters
    ----------
    selection
        Which of the waiting sessions; a session named by identifier need not wait, but must have ended.
    out
        Receives the documents, one after the other.
    err
        Receives the remarks.
    clock
        Gives the time.
    """
    settings = nexus_settings.load()
    log = logging.Logger("Builder", logging.INFO)
    handler = logging.StreamHandler(err)
    handler.setFormatter(LineFormatter())
    log.addHandler(handler)
    stop = signals.HandlerEvent()
    database = Database(settings.main)
    sessions = Sessions(database, clock)
    pools, progress = Pools(log), BarProgress() if err.isatty() else _Quiet()
    with signals.taken(signals.ENDING, lambda *_: stop.set()), closing(database), closing(pools), closing(progress):
        with closing(Database(settings.config)) as configured:
            config = load_configuration(ConfigStore(configured, clock))
        chosen = _chosen(sessions, selection)
        if not chosen:
            log.info("No session is waiting to be built.")
        current = BuilderSettings.read(config, settings.home)
        facility = Facility.of(database, config, lambda: config.revision, clock)
        times = times_by(config, sessions.events)
        searches = Searches(lambda: chosen, clock, log, times=times, before=sessions.before, after=sessions.after)
        transferred = TransferredFiles(Transfers(database, clock).all, config, open_for_reading, times, log)
        maker = RecordMaker(facility, searches, transferred, pools, progress, log)
        codes = [_show(session, maker, current, out, log, stop, clock) for session in chosen if not stop.is_set()]
    return EXIT_INTERRUPTED if stop.is_set() else max(codes, default=EXIT_OK)


def _show(
    session: Session, maker: RecordMaker, settings: BuilderSettings, out: BinaryIO, log: logging.Logger,
    stop: threading.Event, clock: Clock,
) -> int:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="nexuscore-") as folder:
        try:
            elsewhere = replace(settings, records=Path(folder))
            record = maker.make(session, elsewhere, stop=stop.is_set, wait=lambda seconds: clock.wait(stop, seconds))
        except NoRecord as answer:
            log.info("Session %s would become %s: %s", session.identifier, answer.state, answer.sentence)
            return EXIT_OK
        except BuildStopped:
            return EXIT_INTERRUPTED
        except NexusError as error:
            log.error("Session %s: %s", session.identifier, sentence_of(error))
            return EXIT_FAILURE
    out.write(_for_a_terminal(record.document) if out.isatty() else record.document)
    out.flush()
    name = settings.records / record.places.xml.name
    log.info("Session %s: %s, for %s", session.identifier, record.sentence, name)
    return EXIT_OK


def _for_a_terminal(document: bytes) -> bytes:
    """Return a record with odd characters as references, which say the same in XML and command nothing."""
    text = document.decode("utf-8")
    return "".join(
        f"&#x{ord(character):x};" if character not in "\n\t" and is_odd(character) else character for character in text
    ).encode()


def _chosen(sessions: Sessions, selection: Selection) -> list[Session]:
    if selection.identifier is None:
        return sessions.waiting(selection)
    session = sessions.get(selection.identifier)
    if session.end is None:
        raise NotToBeBuilt(identifier=session.identifier, reason="it has not ended yet")
    return [session] if selection.includes(session) else []


def main(selection: Selection) -> int:
    """Run from the command line; return the exit code."""
    try:
        return print_records(selection, sys.stdout.buffer, sys.stderr)
    except NexusError as error:
        sys.stderr.write(f"Builder: {one_line(sentence_of(error))}\n")
        return error.exit_code
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the interpreter flushes it at the end
        return EXIT_OK
