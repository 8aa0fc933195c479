"""The Builder: makes a record of each finished session from the files its instrument left."""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from NexusCore import identity
from NexusCore.API import App
from NexusCore.errors import EXIT_REFUSED, DatabaseUnreachable, NexusError
from NexusCore.facility import Records, Session, Sessions, State, transfer_end
from NexusCore.facility.record_booking import RecordBookings
from NexusCore.facility.sessions import ALL, Selection
from NexusCore.facility.transfers import Transfers
from NexusCore.liveness import Presence
from NexusCore.log import in_session
from NexusCore.resources import explained, sentence_of
from NexusCore.service import Example, Pass, RunOptions, Service
from NexusCore.status.element import fitting
from NexusCore.storage import Transaction
from Services.Builder.care.file_stores import FileStoreCheck
from Services.Builder.care.forgotten import ForgottenSessions
from Services.Builder.care.late_notes import LateNotes
from Services.Builder.care.transfers import AwaitedFiles
from Services.Builder.commands import cli_options
from Services.Builder.commands.cli_options import BuildOptions
from Services.Builder.extraction.cache import DAY, ExtractionCache
from Services.Builder.extraction.pools import Pools
from Services.Builder.finding.searching import Searches, times_by
from Services.Builder.finding.transferred import Damaged, TransferredFiles, open_for_reading
from Services.Builder.lease import Lease
from Services.Builder.progress import BarProgress, StatusProgress
from Services.Builder.record.build import store
from Services.Builder.record_maker import BUILDER, SOFTWARE, BuildStopped, BuiltRecord, Facility, NoRecord, RecordMaker
from Services.Builder.settings import BuilderSettings

CARE_SECONDS = 60.0
"""Between two looks at the sessions that nobody ends, and those whose files do not come."""
_TAKEN_OVER = "Another Builder has taken the session over and makes its record."


class SessionTaken(NexusError):
    """The session {identifier} cannot be built here: another Builder has just taken it."""

    exit_code: ClassVar[int] = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class _SessionResult:
    """Result of building a session, and its message."""

    state: State
    sentence: str
    retry_seconds: float | None = None
    failed: bool = False
    write: Callable[[Transaction], None] | None = None
    """Writes the record's row, in one transaction with the state."""


class Builder(Service):
    """Claims finished sessions, one after the other, and builds their records.

    Parameters
    ----------
    app
        Configuration, status and logs.
    pools
        Who reads the files.
    """

    name: ClassVar[str] = BUILDER
    examples: ClassVar[tuple[Example, ...]] = cli_options.BUILDER_EXAMPLES

    def __init__(self, app: App, pools: Pools | None = None) -> None:
        super().__init__(app)
        database = app.database()
        self._config = app.get_config()
        self._sessions = Sessions(database, self.clock)
        self._records = Records(database, self.clock)
        self._owner = f"{identity.host()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._presence = Presence(app.settings.home / "builders", self._owner)
        self._selection = ALL
        self._patient = False
        self._progress: StatusProgress | BarProgress = StatusProgress(self.status)
        self._pools = pools or Pools(self.log)
        times = times_by(self._config, self._sessions.events)
        self._searches = Searches(
            self._sessions.waiting,
            self.clock,
            self.log,
            times=times,
            before=self._sessions.before,
            after=self._sessions.after,
        )
        files = Transfers(database, self.clock).all
        self._transferred = TransferredFiles(files, self._config, open_for_reading, times, self.log, self._note_damage)
        home = app.settings.home
        self._cache = ExtractionCache(home / "cache" / "extractions", self.log, root=home)
        self._cache_tidied: int | None = None
        self._forgotten_sessions = ForgottenSessions(database, self.clock, self._config, self.client, self.log)
        self._awaited_files = AwaitedFiles(database, self._config, self.client, self.log)
        self._late_notes = LateNotes(database, self.clock, self.client, self.log)
        self._file_stores = FileStoreCheck(self._config, self._show_file_store, self.log)
        self._bookings = RecordBookings(database)
        self._cared: float | None = None
        self._built = self.status.new("records_built", 0)
        self._failures = self.status.new("sessions_failed", 0)
        self._last_error = self.status.new("last_error", "")
        self._forgotten = self.status.new("sessions_forgotten", 0)
        self._awaiting = self.status.new("sessions_awaiting_files", 0)
        self._forgotten_list = self.status.new("forgotten", "")

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the Builder's own."""
        cli_options.add_arguments(parser)

    @classmethod
    def options_of(cls, arguments: argparse.Namespace) -> BuildOptions:
        """Return what the command line said; naming sessions implies a single pass."""
        return cli_options.options_of(arguments)

    @classmethod
    def instead(cls, options: RunOptions) -> Callable[[], int] | None:
        """Return the dry run, if that is asked for."""
        if not options.dry_run:
            return None
        from Services.Builder.commands import dry_run

        return lambda: dry_run.main(cli_options.selection_of(options))

    def take_options(self, options: RunOptions) -> None:
        """Take over which sessions to build, and whether a person waits for one pass."""
        self._selection = cli_options.selection_of(options)
        self._patient = options.once
        if options.once and sys.stderr.isatty():
            self._progress = BarProgress(StatusProgress(self.status))

    def once(self) -> Pass:
        """Build the records of all sessions that wait."""
        self._tidy()
        self._care()
        self._requeue_abandoned()
        self._searches.forget()
        among = self._selection
        if among.identifier is not None and not self._queued(among.identifier, among):
            return Pass()
        if self._sessions.waiting(among):
            settings = self._settings()
            self._pools.start(settings.workers, settings)
        done = failed = 0
        while not self.stopping:
            settings = self._settings()
            session = self._sessions.claim(self.client, self._owner, settings.lease, among)
            if session is None:
                break
            with in_session(session.identifier), self.state(f"building {session.identifier}"):
                outcome = self._attempt(session, settings)
            done += not outcome.failed
            failed += outcome.failed
        if among.identifier is not None and not done + failed and not self.stopping:
            raise SessionTaken(identifier=among.identifier)
        return Pass(done, failed)

    def close(self) -> None:
        """End the reading processes."""
        self._progress.close()
        self._pools.close()
        self._transferred.release()
        self._presence.close()

    def _requeue_abandoned(self) -> None:
        for owner in self._presence.dead():
            if self._sessions.abandon(owner):
                self.log.warning("The Builder %s ended while building a session; rebuilding it", owner)

    def _care(self) -> None:
        """Look after sessions that wait for others; now and then, and not where a person asks for certain sessions."""
        now = self.clock.monotonic()
        if self._selection != ALL or (self._cared is not None and now - self._cared < CARE_SECONDS):
            return
        self._cared = now
        self._file_stores.care()
        self._awaiting.set_value(self._awaited_files.care(lambda: self.stopping))
        self._late_notes.care(lambda: self.stopping)
        shown = self._forgotten_sessions.care(self._settings(), lambda: self.stopping)
        self._forgotten.set_value(len(shown))
        self._forgotten_list.set_value(
            fitting("; ".join(f"{session.instrument}: {session.identifier} of {session.user}" for session in shown))
        )

    def _show_file_store(self, name: str, sentence: str) -> None:
        self.status[name] = fitting(sentence)

    def _note_damage(self, session: Session, damaged: Damaged) -> None:
        """Have the PC send again what the store has lost, and say so in the session's events."""

        def note(transaction: Transaction) -> int:
            return transfer_end.note_damage(transaction, session, damaged, self.client, transaction.now())

        self.app.database().write(note)

    def _queued(self, identifier: str, among: Selection) -> bool:
        """Queue the requested session unless it waits already; return whether it is in the requested time."""
        if not among.includes(self._sessions.get(identifier)):
            self.log.info("Session %s was not started in the requested time", identifier)
            return False
        if not self._sessions.waiting(among):
            self._sessions.requeue(identifier, self.client)
        return True

    # -- one session -------------------------------------------------------------------------------------------------

    def _attempt(self, session: Session, settings: BuilderSettings) -> _SessionResult:
        """Build one record; any error becomes the session's state and a sentence in the log."""
        self.log.info("Building the record of session %s on %s", session.identifier, session.instrument)
        try:
            outcome = self._build(session, settings)
        except BuildStopped:
            outcome = _SessionResult(State.TO_BE_BUILT, "The Builder was stopped; the session waits for the next one.")
        except NoRecord as answer:
            outcome = _SessionResult(answer.state, answer.sentence, answer.retry_seconds)
        except DatabaseUnreachable:
            raise  # the lease runs out, and the session is taken up again
        except NexusError as error:
            outcome = _failure(session, sentence_of(error), settings)
        except Exception as error:
            # The edge of a session: a fault of ours must not stop the others.
            shortage = explained(error)
            if shortage is None:
                self.log.exception("Building the record of session %s failed", session.identifier)
            outcome = _failure(session, str(shortage or f"{type(error).__name__}: {error}"), settings)
        finally:
            self._progress.close()
        if not self._conclude(session, outcome):
            self.log.warning("Session %s: %s", session.identifier, _TAKEN_OVER)
            return _SessionResult(session.state, _TAKEN_OVER)
        return outcome

    def _build(self, session: Session, settings: BuilderSettings) -> _SessionResult:
        def renew() -> bool:
            return self._sessions.renew(session, self._owner, settings.lease)

        with Lease(renew, settings.lease, self.clock) as lease:
            facility = Facility.of(self.app.database(), self._config, self.app.live.store.revision, self.clock)
            maker = RecordMaker(facility, self._searches, self._transferred, self._pools, self._progress, self.log)
            cache = self._cache.of_session(session.identifier)
            # With --once, this pass is the only one: it waits itself.
            wait = (lambda seconds: self.clock.wait(self.app.stop_event, seconds)) if self._patient else None
            record = maker.make(session, settings, cache, lambda: self.stopping or lease.lost, wait)
            if not renew():  # the new holder may have written its record already, which must not be replaced
                raise BuildStopped
            write = self._row(session, record, store(record.document, record.places))
            return _SessionResult(State.BUILT, f"{record.sentence}: {record.places.xml}", write=write)

    def _row(self, session: Session, record: BuiltRecord, sha256: str) -> Callable[[Transaction], None]:
        known = {event.detail for event in self._sessions.events(session)} if record.left_out else set()
        remarks = [self._sessions.remark(session, self.client, text) for text in record.left_out if text not in known]
        write_record = self._records.writer(
            session.id,
            path=str(record.places.xml),
            title=record.places.xml.stem,
            sha256=sha256,
            config_revision=record.config_revision,
            software=SOFTWARE,
            files=record.files,
            activities=record.activities,
        )
        write_booking = self._bookings.writer(record.booking)

        def write(transaction: Transaction) -> None:
            for function in (write_record, write_booking, *remarks):
                function(transaction)

        return write

    def _conclude(self, session: Session, outcome: _SessionResult) -> bool:
        """Give a session back and report what is new; return False if another Builder holds it now.

        Failing again for the same reason is not new, nor is waiting after a failure.
        """
        before, waits = session.last_error, outcome.state is State.TO_BE_BUILT
        remark = None
        if outcome.failed and outcome.sentence != before:
            remark = f"ERROR: {outcome.sentence}"
        elif before and not outcome.failed and not waits:
            remark = f"recovered, is {outcome.state}: {outcome.sentence}"
        last_error = outcome.sentence if outcome.failed else before if waits else None

        def also(transaction: Transaction) -> None:
            if outcome.write is not None:
                outcome.write(transaction)
            if remark is not None:
                self._sessions.remark(session, self.client, remark)(transaction)

        if not self._sessions.finish(session, self._owner, outcome.state, last_error, outcome.retry_seconds, also):
            return False
        self._report(session, outcome, news=remark is not None)
        return True

    def _report(self, session: Session, outcome: _SessionResult, *, news: bool) -> None:
        line = ("Session %s: %s", session.identifier, outcome.sentence)
        if outcome.failed:
            self._failures.inc()
            self._last_error.set_value(fitting(f"{session.identifier}: {outcome.sentence}"))
            (self.log.error if news else self.log.info)(*line)
            return
        unchanged = outcome.state is State.BUILT and outcome.write is None
        self._built.inc(int(outcome.state is State.BUILT and not unchanged))
        if outcome.state is not State.TO_BE_BUILT and str(self._last_error.get_value()).startswith(session.identifier):
            self._last_error.set_value("")
        if news:
            # A warning, so that those who were mailed the failure are mailed the recovery.
            self.log.warning("Session %s recovered: %s", session.identifier, outcome.sentence)
        else:
            (self.log.warning if unchanged else self.log.info)(*line)

    # -- settings ----------------------------------------------------------------------------------------------------

    def _settings(self) -> BuilderSettings:
        return BuilderSettings.read(self._config, self.app.settings.home)

    def _tidy(self) -> None:
        """Delete old caches; once a day."""
        now = self.clock.now()
        if self._cache_tidied is None or now - self._cache_tidied > DAY:
            self._cache.forget_before(now - int(self._settings().cache_days * DAY))
            self._cache_tidied = now


def _failure(session: Session, reason: str, settings: BuilderSettings) -> _SessionResult:
    return _SessionResult(State.ERROR, reason, settings.backoff(session.attempts), failed=True)
