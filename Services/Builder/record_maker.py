"""Makes the record of one session: finds its files, groups them, reads them, writes the document and checks it.

Nothing here changes the database or the record on disk; the caller decides what becomes of the document.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import NexusCore
from NexusCore.clock import SECOND, Clock
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import DiskFull, NexusError
from NexusCore.facility import (
    Event,
    Instrument,
    Instruments,
    Records,
    Reservation,
    Reservations,
    Session,
    Sessions,
    State,
)
from NexusCore.facility.calendar_reads import CalendarRead, CalendarReads
from NexusCore.facility.inboxes import files_under_way
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.facility.record_booking import RecordBooking, about_building
from NexusCore.facility.reservations import agreed
from NexusCore.resources import place_text
from NexusCore.storage import Database
from NexusCore.text import counted, one_line
from Services.Builder.extraction.cache import SessionCache, stamps
from Services.Builder.extraction.context import ReadingContext, context_of
from Services.Builder.extraction.extractors.profile import Profile
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.profiles import profile_of
from Services.Builder.finding.searching import Searches, SessionFiles
from Services.Builder.finding.transferred import TransferredFiles
from Services.Builder.model import Extraction, FoundFile
from Services.Builder.record.booking_remarks import booking_remarks, known_booking
from Services.Builder.record.build import Facts, RecordPaths, experiment, samples_of
from Services.Builder.record.document import to_xml
from Services.Builder.record.left_out import left_out, not_read_sentence
from Services.Builder.record.sheets import draw_sheets
from Services.Builder.record.validation import validate
from Services.Builder.settings import BuilderSettings, strategy_of

BUILDER = "Builder"
"""The user in the events that a Builder writes."""
SOFTWARE = f"NexusCore {NexusCore.__version__}"
INTAKE_RETRY_SECONDS = 10.0
"""Seconds after which a session is looked at again whose files are still being filed."""
LONGEST_SETTLE_WAIT = timedelta(seconds=10)
"""`settle` up to which a caller that can wait does so until a young file has settled."""


class RecordNotValid(NexusError):
    """The record of session {identifier} is not valid under {schema}: {reason}"""  # noqa: D400  the reason ends it


class SessionUnreadable(NexusError):
    """The session {identifier} cannot be built, since {odd}. Put it right with: Doctor --rows --repair"""  # noqa: D400


class ReservationUnreadable(NexusError):
    """The reservation of session {identifier} cannot be read, nor whether its user agrees to a record: {odd}."""


class BuildStopped(Exception):
    """The caller does not want the record any more."""


class NoRecord(Exception):
    """Files to make a record of are missing, or not there yet.

    Parameters
    ----------
    state
        What the session becomes.
    sentence
        Why.
    retry_seconds
        Seconds after which to try again; None for never.
    """

    def __init__(self, state: State, sentence: str, retry_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.state = state
        self.sentence = sentence
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class BuiltRecord:
    """A valid record, and what there is to say of it."""

    document: bytes
    places: RecordPaths
    config_revision: int
    files: int
    doubtful: int
    """Of these, those with warnings."""
    activities: int
    booking: RecordBooking
    """What was known of the session's reservation."""
    left_out: tuple[str, ...] = ()
    """Sentences about files of the session that are not in it, or that there was no time to read."""

    @property
    def sentence(self) -> str:
        """What the log says of it."""
        remark = f", {self.doubtful} of them with warnings" if self.doubtful else ""
        files, activities = counted(self.files, "file"), counted(self.activities, "activity", "activities")
        return f"{files}{remark} in {activities}"


class Readers(Protocol):
    """What reads files: processes here, or a cluster."""

    def extract_all(
        self, jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        """Yield what the files yield, in any order; fewer than there are jobs when `stop` returned true."""
        ...


class ProgressDisplay(Protocol):
    """Shows how many of a session's files have been read."""

    def show(self, done: int, total: int) -> None:
        """Show that so many of all files are done."""
        ...


@dataclass(frozen=True, slots=True)
class Facility:
    """What is known about the facility, as functions."""

    config: ReadOnlyConfiguration
    """From its absolute root."""
    revision: Callable[[], int]
    """Newest revision of the configuration."""
    now: Callable[[], int]
    """Microseconds since the epoch, UTC, by the database's clock."""
    booking: Callable[[Session], Reservation | None]
    events: Callable[[Session], Sequence[Event]]
    recorded: Callable[[Session], Path | None]
    """Where the record lies that was made of a session before; None where there is none any more."""
    being_filed: Callable[[Session], int] = lambda session: 0
    """How many files of a session are still being filed from drop folders."""
    calendar: Callable[[Session], CalendarRead | None] = lambda session: None
    """When the calendar of a session's instrument was read."""
    besides: Callable[[Session, Reservation], Sequence[Reservation]] = lambda session, booking: ()
    """What else was booked at the time of a session's reservation."""

    @classmethod
    def of(
        cls, database: Database, config: ReadOnlyConfiguration, revision: Callable[[], int], clock: Clock
    ) -> Facility:
        """Return what the tables of a database answer."""
        reservations, sessions, records = (
            Reservations(database, clock), Sessions(database, clock), Records(database, clock)
        )  # fmt: skip

        def now() -> int:
            with database.reading() as reading:
                return reading.now()

        def booking(session: Session) -> Reservation | None:
            end = session.end_ts if session.end_ts is not None else session.start_ts
            return reservations.for_session(session.instrument, session.start_ts, end, session.user)

        def events(session: Session) -> list[Event]:
            # Remarks on the building do not concern the experiment, and a record built again is to be the same.
            return [event for event in sessions.events(session) if not about_building(event, BUILDER)]

        def recorded(session: Session) -> Path | None:
            record = records.of_session(session.id)
            return Path(record.path) if record is not None and Path(record.path).is_file() else None

        moves = IntakeMoves(database, clock)

        def being_filed(session: Session) -> int:
            end = session.end_ts if session.end_ts is not None else session.start_ts
            return files_under_way(config, moves, session.instrument, session.start_ts, end)

        reads = CalendarReads(database)

        def calendar(session: Session) -> CalendarRead | None:
            return reads.of(session.instrument)

        def besides(session: Session, booking: Reservation) -> list[Reservation]:
            end = session.end_ts if session.end_ts is not None else session.start_ts
            return reservations.besides(booking, session.start_ts, end)

        return cls(config, revision, now, booking, events, recorded, being_filed, calendar, besides)


class RecordMaker:
    """Makes records.

    Parameters
    ----------
    facility
        Answers what is known about sessions besides their files.
    searches, transferred
        Find the files: those modified during a session, and those that its PC has transferred.
    readers
        Reads them.
    progress
        Shows how far the reading has come.
    log
        Logs what is doubtful.
    """

    def __init__(
        self,
        facility: Facility,
        searches: Searches,
        transferred: TransferredFiles,
        readers: Readers,
        progress: ProgressDisplay,
        log: logging.Logger,
    ) -> None:
        self._facility = facility
        self._instruments = Instruments(facility.config)
        self._searches = searches
        self._transferred = transferred
        self._readers = readers
        self._progress = progress
        self._log = log

    def make(
        self,
        session: Session,
        settings: BuilderSettings,
        cache: SessionCache | None = None,
        stop: Callable[[], bool] = lambda: False,
        wait: Callable[[float], object] | None = None,
    ) -> BuiltRecord:
        """Make a session's record.

        Parameters
        ----------
        session
            It has ended.
        settings
            As they are now.
        cache
            What was read of it before; None to read everything.
        stop
            Whether to give up.
        wait
            Lets so many seconds pass: files that were changed only just now are then waited for once, up to
            `LONGEST_SETTLE_WAIT`, where otherwise the session waits. None not to.

        Raises
        ------
        NoRecord
            Files are missing or not all there yet, or their user does not agree; a record made before stays.
        BuildStopped
            `stop` returned true.
        NexusError
            With a sentence for the operators.
        """
        try:
            return self._make(session, settings, cache, stop, wait)
        finally:
            self._transferred.release()

    def _make(
        self,
        session: Session,
        settings: BuilderSettings,
        cache: SessionCache | None,
        stop: Callable[[], bool],
        wait: Callable[[float], object] | None,
    ) -> BuiltRecord:
        if session.odd:
            raise SessionUnreadable(identifier=session.identifier, odd="; ".join(session.odd))
        revision = self._facility.revision()
        instrument = self._instruments.get(session.instrument)
        places = RecordPaths.of(settings.records, session, instrument.zone)
        booking = self._facility.booking(session)
        if booking is not None and booking.odd:
            raise ReservationUnreadable(identifier=session.identifier, odd="; ".join(booking.odd))
        if not agreed(booking, required=settings.require_consent):
            raise NoRecord(State.NO_CONSENT, "Its user did not agree to have a record made.")
        self._wait_for_intake(session, settings)
        session_files = self._session_files(session, instrument, settings, stop, wait)
        not_in_it = self._left_out(session, session_files, settings)
        files = self._files(session, session_files, settings, not_in_it)
        places.prepare()
        profile = profile_of(self._facility.config, instrument, settings)
        context = context_of(samples_of(booking), instrument.column)
        jobs = [_job(file, places, profile, settings.hash_seconds, context) for file in _longest_first(files)]
        from Services.Builder.grouping.activities import group_files  # with NumPy, while the readers still get ready

        activities = group_files(files, settings.sensitivity)
        extracted = self._extract(jobs, settings, cache, stop)
        if late := not_read_sentence(extracted.values(), settings.session_time):
            self._log.warning("Session %s: %s", session.identifier, late)
            not_in_it += (late,)
        events = self._facility.events(session)
        known = known_booking(
            session,
            booking,
            events,
            self._facility.calendar(session) if instrument.harvester else None,
            self._facility.config["Services.Harvester.interval"],
            has_calendar=bool(instrument.harvester),
        )
        others = self._facility.besides(session, booking) if booking is not None else ()
        if known.remark is not None:
            self._log.warning("Session %s: its record is %s", session.identifier, known.remark)
        facts = Facts(
            session,
            instrument,
            instrument.zone,
            booking,
            events,
            revision,
            SOFTWARE,
            remarks=(
                *session_files.remarks,
                *(f"Warning: {sentence}" for sentence in not_in_it),
                *booking_remarks(known, others),
            ),
            files_url=settings.files_url,
        )
        drawing = partial(self._readers.extract_all, settings=settings, stop=stop)
        sheets = draw_sheets(drawing, activities, extracted, places, instrument.zone)
        if stop():
            raise BuildStopped
        document = self._document(facts, activities, extracted, places, settings, sheets)
        doubtful = sum(bool(extraction.warnings) for extraction in extracted.values())
        return BuiltRecord(document, places, revision, len(files), doubtful, len(activities), known, not_in_it)

    def _session_files(
        self,
        session: Session,
        instrument: Instrument,
        settings: BuilderSettings,
        stop: Callable[[], bool],
        wait: Callable[[float], object] | None,
    ) -> SessionFiles:
        """Return the files that were transferred, else those that were modified during the session."""

        def check() -> None:
            if stop():
                raise BuildStopped

        strategy = strategy_of(self._facility.config, instrument.pid, settings)
        transferred = self._transferred.files_of(session, instrument, strategy, settings, check)
        if transferred is not None:
            return transferred
        root = self._instruments.folder(instrument).absolute()
        found = self._searches.files_of(session, root, strategy, settings)
        if (found.unsettled or found.growing) and wait is not None and settings.settle <= LONGEST_SETTLE_WAIT:
            wait(settings.settle.total_seconds())
            found = self._searches.files_of(session, root, strategy, settings)
        return found

    def _wait_for_intake(self, session: Session, settings: BuilderSettings) -> None:
        """Raise `NoRecord` while files of the session are still being filed, for a time.

        This comes before the search: what has been filed by then is found.
        """
        ended = session.end_ts if session.end_ts is not None else session.start_ts
        left = settings.intake_wait - (self._facility.now() - ended) / SECOND
        if left <= 0 or not (count := self._facility.being_filed(session)):
            return
        files = counted(count, "file is", "files are")
        sentence = f"{files} still being filed from a drop folder; the session waits."
        raise NoRecord(State.TO_BE_BUILT, sentence, min(left, INTAKE_RETRY_SECONDS))

    def _left_out(self, session: Session, session_files: SessionFiles, settings: BuilderSettings) -> tuple[str, ...]:
        """Return sentences about files that do not become quiet; raise `NoRecord` while they still may.

        A file that is being written when the session ends belongs to it, as long as no other session has started.
        """
        ended = session.end_ts if session.end_ts is not None else session.start_ts
        left = settings.growing_wait - (self._facility.now() - ended) / SECOND
        if session_files.growing and left > 0:
            files = counted(len(session_files.growing), "file")
            sentence = f"{files} begun in it are still being written; the session waits."
            if len(session_files.growing) == 1:
                sentence = f"{one_line(session_files.growing[0].path.name)} is still being written; the session waits."
            raise NoRecord(State.TO_BE_BUILT, sentence, max(1.0, min(left, settings.settle.total_seconds())))
        sentences = tuple(left_out(session_files))
        for sentence in sentences:
            self._log.warning("Session %s: %s", session.identifier, sentence)
        return sentences

    def _files(
        self, session: Session, session_files: SessionFiles, settings: BuilderSettings, left_out: Sequence[str]
    ) -> Sequence[FoundFile]:
        if session_files.unsettled:
            files = counted(len(session_files.unsettled), "file was", "files were")
            sentence = f"{files} changed only just now; the session waits."
            raise NoRecord(State.TO_BE_BUILT, sentence, max(1.0, settings.settle.total_seconds()))
        if not session_files.settled:
            ended = session.end_ts if session.end_ts is not None else session.start_ts
            left = settings.file_delay - (self._facility.now() - ended) / SECOND
            nothing = session_files.nothing
            if left > 0 and not session_files.complete:
                sentence = f"{nothing} so far; it waits for them."
                raise NoRecord(State.TO_BE_BUILT, sentence, min(left, settings.backoff(session.attempts)))
            earlier = self._facility.recorded(session)
            if earlier is not None:
                sentence = (
                    f"{session_files.place} does not contain the session's files any more; its record {earlier} stays."
                )
                raise NoRecord(State.BUILT, sentence)
            raise NoRecord(State.NO_FILES_FOUND, " ".join((f"{nothing}.", *left_out)))
        return session_files.settled

    def _extract(
        self, jobs: Sequence[Job], settings: BuilderSettings, cache: SessionCache | None, stop: Callable[[], bool]
    ) -> dict[Path, Extraction]:
        """Read all files, but those that have not changed since they were read."""
        done = {job.path: cached for job in jobs if cache is not None and (cached := cache.get(job)) is not None}
        if done:
            self._log.info("%d of %s taken from the cache", len(done), counted(len(jobs), "file"))
        self._progress.show(len(done), len(jobs))
        left = {job.path: (job, stamps(job)) for job in jobs if job.path not in done}
        with closing(self._readers.extract_all([job for job, _ in left.values()], settings, stop)) as news:
            for extraction in news:
                done[extraction.path] = extraction
                if cache is not None:
                    cache.put(*left[extraction.path], extraction)
                self._progress.show(len(done), len(jobs))
        if len(done) < len(jobs):
            raise BuildStopped
        if without := sum(extraction.disk_full for extraction in done.values()):
            what = f"What was read of {counted(without, 'file')} could not be written to {settings.records}. "
            raise DiskFull(place=place_text(settings.records), what=what)
        for extraction in (done[job.path] for job in jobs if done[job.path].in_time):
            for warning in extraction.warnings:
                self._log.warning("%s: %s", extraction.path.name, warning)
        return done

    def _document(
        self,
        facts: Facts,
        activities: Sequence[Sequence[FoundFile]],
        extracted: dict[Path, Extraction],
        places: RecordPaths,
        settings: BuilderSettings,
        sheets: Mapping[int, Path],
    ) -> bytes:
        document = to_xml(experiment(facts, activities, extracted, self._instruments.data_root(), places, sheets))
        faults = validate(document, settings.schema)
        if faults:
            more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
            schema = settings.schema or "the built-in schema"
            raise RecordNotValid(identifier=facts.session.identifier, schema=schema, reason=faults[0] + more)
        return document


def _job(file: FoundFile, places: RecordPaths, profile: Profile, hash_seconds: float, context: ReadingContext) -> Job:
    preview, metadata = (places.beside(file.path, file.root, suffix) for suffix in (".png", ".json"))
    return Job(
        file.path,
        preview,
        metadata,
        file.companions,
        profile,
        places.xml.parent,
        file.root,
        file.identities,
        hash_seconds,
        context,
    )


def _longest_first(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Order files so that the last one to be read is not a large one."""
    return sorted(files, key=lambda file: (-file.size, file.path))
