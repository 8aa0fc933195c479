"""One walk through an instrument's folder for all its sessions that wait, even if a pass builds many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from NexusCore.clock import EARLIEST, LATEST, SECOND, Clock, readable_time, to_datetime, to_ts
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.facility.file_times import RIGHT, FileTimes, file_times
from NexusCore.facility.session import Event, Session
from Services.Builder.finding.files import FileSearch, LateFiles, TimeRange, WindowRefused, find_files
from Services.Builder.model import FoundFile
from Services.Builder.settings import EXCLUSIVE, BuilderSettings

WALK_VALID_SECONDS = 300.0
"""Seconds for which a walk answers: a session built later may have got files since, and is searched for again."""
COARSE = 20_000
"""Microseconds: file systems stamp files with a clock that ticks every few milliseconds, and so lags behind others."""


HORIZON = 86_400 * SECOND
"""Microseconds after its end up to which files that were begun in a session are looked for, unless it waits longer."""


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """The files of one session."""

    settled: tuple[FoundFile, ...]
    unsettled: tuple[FoundFile, ...]
    """What may still be growing."""
    remarks: tuple[str, ...] = ()
    """Sentences about them, for the record."""
    place: str = ""
    """Where they are, or should be."""
    nothing: str = ""
    """What to say if there are none, without a full stop."""
    complete: bool = False
    """No more can come."""
    growing: tuple[FoundFile, ...] = ()
    """What was begun in the session and is still being written."""
    overrun: tuple[FoundFile, ...] = ()
    """What was begun in the session and still written when the next one had started."""
    unfollowed: tuple[tuple[Path, str], ...] = ()
    """Links, pipes and devices that were made in the session, and what each is: they are never files of it."""


@dataclass(frozen=True, slots=True)
class _SharedWalk:
    search: FileSearch
    time: float
    """By the monotonic clock."""
    criteria: tuple[object, ...]
    """How it was made: another folder or other settings need another walk."""


class Searches:
    """Answers for the sessions of a pass.

    Parameters
    ----------
    waiting
        Returns the sessions that wait, of all instruments.
    clock
        Gives the age of an answer, and the time when a file has settled.
    log
        Logs what could not be looked at, and that file times are corrected.
    walk
        Makes the walk, as `find_files`.
    times
        Returns how the times of a session's files are to be read; by default, as they are.
    before
        Returns the session before another one on its instrument.
    after
        Returns the session after another one on its instrument.
    """

    def __init__(
        self,
        waiting: Callable[[], Sequence[Session]],
        clock: Clock,
        log: logging.Logger,
        walk: Callable[..., FileSearch] = find_files,
        times: Callable[[Session], FileTimes] = lambda session: RIGHT,
        before: Callable[[Session], Session | None] = lambda session: None,
        after: Callable[[Session], Session | None] = lambda session: None,
    ) -> None:
        self._waiting = waiting
        self._clock = clock
        self._log = log
        self._find = walk
        self._times = times
        self._before = before
        self._after = after
        self._seen: dict[int, frozenset[Path]] = {}
        """By session, what was seen to be growing: where the file system does not say when a file was made, only this
        tells, after `late_margin`, that it was begun in the session."""
        self._walks: dict[str, _SharedWalk] = {}
        self._given: set[tuple[str, str]] = set()

    def forget(self) -> None:
        """Begin a new pass."""
        self._walks.clear()
        self._given.clear()

    def files_of(self, session: Session, root: Path, strategy: str, settings: BuilderSettings) -> SessionFiles:
        """Return a session's files; a walk that an earlier one of the pass needed answers for this one, too.

        Parameters
        ----------
        session
            It has ended.
        root
            The instrument's folder in the file store.
        strategy
            One of `STRATEGIES`.
        settings
            Those of the Builder.
        """
        times = self._times(session)
        criteria = (root, strategy, settings.ignore, settings.settle, settings.late_margin, times is RIGHT)
        walk = self._walks.get(session.instrument)
        if (
            walk is None
            or walk.criteria != criteria
            or session.identifier not in walk.search.files
            or (session.instrument, session.identifier) in self._given  # built a second time: for new files, perhaps
            or self._clock.monotonic() - walk.time > WALK_VALID_SECONDS
        ):
            search = self._search(session, times, root, strategy, settings)
            walk = _SharedWalk(search, self._clock.monotonic(), criteria)
            self._walks[session.instrument] = walk
            self._given = {key for key in self._given if key[0] != session.instrument}
        self._given.add((session.instrument, session.identifier))
        log_times(self._log, times)
        settled, unsettled = walk.search.files[session.identifier], walk.search.unsettled[session.identifier]
        late = walk.search.growing.get(session.identifier, ())
        if late:
            self._seen[session.id] = self._seen.get(session.id, frozenset()) | {file.path for file in late}
        until = self._late(session, times, settings).until
        growing = tuple(file for file in late if until is None or file.modified <= until)
        return SessionFiles(
            corrected(settled, times),
            corrected(unsettled, times),
            times.sentences,
            place=str(root),
            nothing=f"No files in {root} were modified during the session",
            growing=growing,
            overrun=tuple(file for file in late if file not in growing),
            unfollowed=walk.search.unfollowed.get(session.identifier, ()),
        )

    def _search(
        self, session: Session, times: FileTimes, root: Path, strategy: str, settings: BuilderSettings
    ) -> FileSearch:
        waiting = self._waiting()
        others = [other for other in waiting if other.instrument == session.instrument and other.id != session.id]
        windows = [self._window(session, times, settings)]
        for other in others:
            with suppress(WindowRefused):  # raised when it is its turn
                windows.append(self._window(other, self._times(other), settings))
        search = self._find(
            root,
            windows,
            ignore=settings.ignore,
            known=known_extensions() if strategy == EXCLUSIVE else None,
            settle=settings.settle,
            now=to_datetime(times.now(self._clock.now())),
            limit=settings.search_limit,
        )
        if search.fallback:
            self._log.info("The files were searched without GNU find: %s", search.fallback)
        for sentence in search.unreadable:
            self._log.warning("%s", sentence)
        return search

    def _window(self, session: Session, times: FileTimes, settings: BuilderSettings) -> TimeRange:
        if session.end_ts is None or readable_time(session.start_ts) is None or readable_time(session.end_ts) is None:
            raise WindowRefused(identifier=session.identifier, reason="its start or its end cannot be read")
        if session.end_ts < session.start_ts:
            raise WindowRefused(identifier=session.identifier, reason="it ends before it starts")
        first, last = times.window(session.start_ts, session.end_ts)
        first -= self._early(session, first)
        # The clock may have been set back by less than a step in a session of seconds.
        late = self._late(session, times, settings)
        return TimeRange(session.identifier, to_datetime(first), to_datetime(max(first, last)), late)

    def _late(self, session: Session, times: FileTimes, settings: BuilderSettings) -> LateFiles:
        """Return which files that were modified after a session were begun in it."""
        end_ts = session.start_ts if session.end_ts is None else session.end_ts
        _, last = times.window(session.start_ts, end_ts)
        # A file's time of birth is by the clock of its server, even where that of its modification is by the PC's.
        return LateFiles(
            born=(_moment(session.start_ts - COARSE), _moment(end_ts + COARSE)),
            margin_end=_moment(last + int(settings.late_margin * SECOND)),
            horizon=_moment(last + int(max(settings.growing_wait * SECOND, HORIZON))),
            until=self._until(session),
            seen=self._seen.get(session.id, frozenset()),
        )

    def _until(self, session: Session) -> datetime | None:
        """Return the last time that a file may have before those of the next session begin."""
        after = self._after(session)
        if after is None or after.odd:
            return None
        first, _ = self._times(after).window(after.start_ts, after.end_ts or after.start_ts)
        return _moment(first - self._early(after, first) - 1)

    def _early(self, session: Session, first: int) -> int:
        """Return how much older than its start a file may seem: what the session before has is not this one's, too."""
        before = self._before(session)
        if before is None or before.odd or before.end_ts is None:
            return COARSE
        _, last = self._times(before).window(before.start_ts, before.end_ts)
        return COARSE if last < first - COARSE else max(0, first - last) - 1


def _moment(ts: int) -> datetime:
    return to_datetime(min(max(ts, EARLIEST), LATEST - 1))


def times_by(
    config: ReadOnlyConfiguration, events: Callable[[Session], Sequence[Event]]
) -> Callable[[Session], FileTimes]:
    """Return a function that says how the times of the files of a session that has ended are to be read.

    Parameters
    ----------
    config
        Says whose clock they are by.
    events
        Returns a session's events.
    """

    def times(session: Session) -> FileTimes:
        return file_times(config, session, events, session.start_ts if session.end_ts is None else session.end_ts)

    return times


def log_times(log: logging.Logger, times: FileTimes) -> None:
    """Log how the times of a session's files are read, if not as they are."""
    level = logging.WARNING if times.was_set_back or not times.measured else logging.INFO
    for sentence in times.sentences:
        log.log(level, "%s", sentence)


def corrected(files: tuple[FoundFile, ...], times: FileTimes) -> tuple[FoundFile, ...]:
    """Return files with their times by the facility's clock, in order of these."""
    if not times.corrects:
        return files
    corrected = [replace(file, modified=to_datetime(times.corrected(to_ts(file.modified)))) for file in files]
    return tuple(sorted(corrected, key=lambda file: (file.modified, file.path)))


def known_extensions() -> frozenset[str]:
    """Return the extensions of known formats."""
    from Services.Builder.extraction.extractors import extensions  # imports the readers' list of formats

    return extensions()
