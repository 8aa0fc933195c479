"""The Builder: makes a record of each finished session from the files its instrument left."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import NexusCore
from NexusCore import identity
from NexusCore.API import App
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Instruments, Records, Reservation, Reservations, Session, Sessions, State
from NexusCore.log import in_session
from NexusCore.service import Pass, Service
from Services.Builder.activities import group_files
from Services.Builder.build import Facts, Places, experiment, store
from Services.Builder.files import DEFAULT_IGNORE, FileSearch, Window, find_files
from Services.Builder.model import Extraction, FoundFile
from Services.Builder.record import to_xml
from Services.Builder.validation import validate
from Services.Builder.workers import Job, Workers

SOFTWARE = f"NexusCore {NexusCore.__version__}"
_COARSE = timedelta(milliseconds=20)
"""File systems stamp files with a clock that ticks every few milliseconds, and so lags behind the session's."""


class RecordNotValid(NexusError):
    """The record of session {identifier} is not valid under {schema}: {reason}"""  # noqa: D400  the reason ends it


class _Stopped(Exception):
    """The service was told to end in the middle of a session."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a session, and what to say of it."""

    state: State
    sentence: str
    retry_seconds: float | None = None
    failed: bool = False


class Builder(Service):
    """Claims finished sessions, one after the other, and builds their records.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Builder"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        database = app.database()
        self._sessions = Sessions(database, self.clock)
        self._reservations = Reservations(database, self.clock)
        self._records = Records(database, self.clock)
        self._instruments = Instruments(app.get_config())
        self._owner = f"{identity.host()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._workers: Workers | None = None
        self._set_defaults()
        self._built = self.status.new("records_built", 0)
        self._failures = self.status.new("sessions_failed", 0)

    def _set_defaults(self) -> None:
        default = self.config.set_default
        default("records_path", "", comment="Folder for records; empty for 'records' in the service's NEXUSCORE_HOME.")
        default("schema_path", "", comment="The facility's own XML schema for records; empty for the built-in one.")
        default("workers", 2, comment="Processes that read files at the same time.", minimum=1, maximum=64)
        default("seconds_per_file", 60.0, comment="Seconds after which reading one file is given up.", minimum=1.0)
        default("memory_per_worker", 4096, comment="MiB of memory that reading one file may take.", minimum=256)
        default("settle", 0.0, comment="Seconds that a file must have been left alone before it is read.", minimum=0.0)
        default("search_limit", 600.0, comment="Seconds that searching an instrument's files may take.", minimum=1.0)
        default("ignore", ", ".join(DEFAULT_IGNORE), comment="Patterns of file names to leave out, with commas.")
        default(
            "sensitivity", 1.0, comment="Above 1: more, shorter activities; below: fewer, longer ones.", minimum=0.01
        )
        default("require_consent", False, comment="Make records only of sessions whose user agreed to it.")
        default(
            "lease", 300.0, comment="Seconds after which a Builder that fell silent loses its session.", minimum=10.0
        )
        default("retry_first", 60.0, comment="Seconds before a session that failed is tried again.", minimum=1.0)
        default("retry_longest", 3600.0, comment="Seconds that this wait, doubled each time, grows to.", minimum=1.0)

    def once(self) -> Pass:
        """Build the records of all sessions that wait."""
        done = failed = 0
        while not self.stopping:
            session = self._sessions.claim(self.client, self._owner, self._number("lease"))
            if session is None:
                break
            with in_session(session.identifier), self.state(f"building {session.identifier}"):
                outcome = self._attempt(session)
            done += not outcome.failed
            failed += outcome.failed
        return Pass(done, failed)

    def close(self) -> None:
        """End the reading processes."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    # -- one session -------------------------------------------------------------------------------------------------

    def _attempt(self, session: Session) -> _Outcome:
        """Build one record; whatever goes wrong becomes the session's state and a sentence in the log."""
        self.log.info("Building the record of session %s on %s", session.identifier, session.instrument)
        try:
            outcome = self._build(session)
        except _Stopped:
            outcome = _Outcome(State.TO_BE_BUILT, "The Builder was told to end; the session waits for the next one.")
        except DatabaseUnreachable:
            raise  # the lease runs out, and the session is taken up again
        except NexusError as error:
            outcome = self._failure(session, str(error))
        except Exception as error:
            # The edge of a session: a fault of ours must not stop the others.
            self.log.exception("Building the record of session %s failed", session.identifier)
            outcome = self._failure(session, f"{type(error).__name__}: {error}")
        if outcome.state is not State.BUILT:
            error_text = outcome.sentence if outcome.failed else None
            if not self._sessions.finish(session, self._owner, outcome.state, error_text, outcome.retry_seconds):
                self.log.warning("Another Builder has taken over session %s", session.identifier)
        if outcome.failed:
            self._failures.inc()
            self.log.error("Session %s: %s", session.identifier, outcome.sentence)
        else:
            self.log.info("Session %s: %s", session.identifier, outcome.sentence)
        return outcome

    def _failure(self, session: Session, reason: str) -> _Outcome:
        wait = min(self._number("retry_first") * 2.0 ** (session.attempts - 1), self._number("retry_longest"))
        return _Outcome(State.ERROR, reason, wait, failed=True)

    def _build(self, session: Session) -> _Outcome:
        config_revision = self.app.live.store.revision()
        instrument = self._instruments.get(session.instrument)
        places = Places.of(self._records_folder(), session, instrument.zone)
        booking = self._booking(session)
        if not self._agreed(booking):
            return _Outcome(State.NO_CONSENT, "Its user did not agree to have a record made.")
        root = self._instruments.folder(instrument).absolute()
        search = self._search(session, root)
        files, unsettled = search.files[session.identifier], search.unsettled[session.identifier]
        if unsettled:
            sentence = f"{len(unsettled)} files were changed only just now; the session waits for them."
            return _Outcome(State.TO_BE_BUILT, sentence, max(1.0, self._number("settle")))
        if not files:
            return _Outcome(State.NO_FILES_FOUND, f"No files in {root} were modified during the session.")
        activities = group_files(files, self._number("sensitivity"))
        extractions = self._extract(session, files, root, places)
        facts = Facts(
            session, instrument, instrument.zone, booking, self._sessions.events(session), config_revision, SOFTWARE
        )
        data_root = self._instruments.data_root()
        document = to_xml(experiment(facts, activities, extractions, data_root, places))
        self._validate(session, document)
        write = self._records.writer(
            session.id,
            path=str(places.xml),
            title=places.xml.stem,
            sha256=store(document, places),
            config_revision=config_revision,
            software=SOFTWARE,
            files=len(files),
            activities=len(activities),
        )
        if not self._sessions.finish(session, self._owner, State.BUILT, also=write):
            return _Outcome(State.BUILT, "Another Builder has taken the session over and makes its record.")
        self._built.inc()
        doubtful = sum(bool(one.warnings) for one in extractions.values())
        remark = f", {doubtful} of them with warnings" if doubtful else ""
        sentence = f"{len(files)} files{remark} in {len(activities)} activities: {places.xml}"
        return _Outcome(State.BUILT, sentence)

    def _booking(self, session: Session) -> Reservation | None:
        end = session.end_ts if session.end_ts is not None else session.start_ts
        return self._reservations.for_session(session.instrument, session.start_ts, end, session.user)

    def _agreed(self, booking: Reservation | None) -> bool:
        consent = booking.consent if booking is not None else None
        return consent is not False and (consent is True or not self.config["require_consent"])

    def _search(self, session: Session, root: Path) -> FileSearch:
        assert session.end is not None, "only sessions that have ended can be claimed"  # noqa: S101
        search = find_files(
            root,
            [Window(session.identifier, session.start - _COARSE, session.end)],
            ignore=[pattern.strip() for pattern in str(self.config["ignore"] or "").split(",") if pattern.strip()],
            settle=timedelta(seconds=self._number("settle")),
            limit=timedelta(seconds=self._number("search_limit")),
        )
        if search.fallback:
            self.log.info("The files were searched without GNU find: %s", search.fallback)
        for sentence in search.unreadable:
            self.log.warning("%s", sentence)
        return search

    def _extract(
        self, session: Session, files: Sequence[FoundFile], root: Path, places: Places
    ) -> dict[Path, Extraction]:
        """Read all files in other processes, holding the lease meanwhile."""
        jobs = [
            Job(
                file.path,
                places.beside(file.path, root, ".png"),
                places.beside(file.path, root, ".json"),
                file.companions,
            )
            for file in files
        ]
        done: dict[Path, Extraction] = {}
        progress = self.status.new("progress", f"0 of {len(jobs)} files")
        held_until = self.clock.monotonic() + self._number("lease") / 2
        with contextlib.closing(self._running(jobs)) as results:
            for extraction in results:
                done[extraction.path] = extraction
                progress.set_value(f"{len(done)} of {len(jobs)} files")
                for warning in extraction.warnings:
                    self.log.warning("%s: %s", extraction.path.name, warning)
                if self.clock.monotonic() > held_until:
                    self._sessions.renew(session, self._owner, self._number("lease"))
                    held_until = self.clock.monotonic() + self._number("lease") / 2
        if len(done) < len(jobs):
            raise _Stopped
        return done

    def _running(self, jobs: Sequence[Job]) -> Generator[Extraction, None, None]:
        count, seconds = int(self._number("workers")), self._number("seconds_per_file")
        memory = int(self._number("memory_per_worker"))
        if self._workers is None:
            self._workers = Workers(count=count, seconds_per_file=seconds, memory_mb=memory)
        yield from self._workers.extract_all(jobs, lambda: self.stopping)

    def _validate(self, session: Session, document: bytes) -> None:
        own = str(self.config["schema_path"] or "")
        faults = validate(document, Path(own).expanduser() if own else None)
        if faults:
            more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
            schema = own or "the built-in schema"
            raise RecordNotValid(identifier=session.identifier, schema=schema, reason=faults[0] + more)

    def _records_folder(self) -> Path:
        own = str(self.config["records_path"] or "")
        return Path(own).expanduser().absolute() if own else self.app.settings.home / "records"

    def _number(self, name: str) -> float:
        value = self.config[name]
        assert isinstance(value, (int, float)), f"{name} was given a default that is a number"  # noqa: S101
        return value
