"""The last file of a session, which shows when it ended if nobody ended it.

It is found by the walk that the Builder's search for a session's files makes, with the settings of that search; if the
PC transfers the session's files, among what it has reported of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.facility.file_times import FileTimes, file_times
from NexusCore.facility.file_walk import DEFAULT_IGNORE, absolute, walk
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.session import Event, Session
from NexusCore.facility.transfer_file import FileState, TransferFile

SEARCH_LIMIT = 600.0
"""Seconds that the search may take, unless `Services.Builder.search_limit` says otherwise."""
_NEVER_THERE = frozenset((FileState.HELD, FileState.UNKNOWN))
"""States of files that do not show when a session ended: those held back appeared after it."""


@dataclass(frozen=True, slots=True)
class LastFile:
    """A file and when it was modified."""

    name: str
    """Its path, from the name of the instrument's folder on, or of the watched folder on its PC."""
    ts: int
    """By the facility's clock; microseconds since the epoch, rounded up, so that the file is within the session."""


def last_file(
    config: ReadOnlyConfiguration,
    session: Session,
    events: Callable[[Session], Sequence[Event]],
    transferred: Iterable[TransferFile],
    until_ts: int,
) -> LastFile | None:
    """Return the file of a session that was modified last; None if it has none.

    Parameters
    ----------
    config
        From its absolute root.
    session, events
        The session, and what returns its events.
    transferred
        What its PC has reported of its files.
    until_ts
        Later files do not count: their clock is wrong, or they are the next session's. Microseconds since the epoch.

    Raises
    ------
    FileStoreUnreadable, SearchTimedOut
        If the instrument's folder cannot be searched.
    NoSuchInstrument, ConfigException
        If it is not known.
    """
    times = file_times(config, session, events, until_ts)
    reported = [(file.modified_ts, file.name) for file in transferred if file.state not in _NEVER_THERE]
    if reported:
        found = [(ts, name) for ts, name in reported if _within(times, session.start_ts, until_ts, ts)]
        return _last(found, times)
    instruments = Instruments(config)
    folder = instruments.folder(instruments.get(session.instrument)).absolute()
    first, last = (ts * 1000 for ts in times.window(session.start_ts, until_ts))
    ignored, limit = config["Services.Builder.ignore"], config["Services.Builder.search_limit"]
    seen = walk(
        folder,
        (first, last),
        ignore=DEFAULT_IGNORE if ignored is None else [one.strip() for one in str(ignored).split(",") if one.strip()],
        limit=float(limit) if isinstance(limit, (int, float)) else SEARCH_LIMIT,
    ).seen
    inside = [(-(-file.mtime // 1000), file.path) for file in seen if first <= file.mtime <= last]
    found = [(ts, _shown(absolute(folder, path), folder)) for ts, path in sorted(inside)[-1:]]
    return _last(found, times)


def _within(times: FileTimes, start_ts: int, until_ts: int, shown: int) -> bool:
    first, last = times.window(start_ts, until_ts)
    return first <= shown <= last


def _last(found: Sequence[tuple[int, str]], times: FileTimes) -> LastFile | None:
    if not found:
        return None
    ts, name = max(found)
    return LastFile(name, times.corrected(ts))


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder.parent) if path.is_relative_to(folder.parent) else path)
