"""The journals of this machine, compared with the databases: how many records really wait, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from NexusCore.delivery import Folders, inspection
from NexusCore.delivery.inspection import Contents, LocalJournal
from NexusCore.log.record import LogRecord
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.status.store import StatusSample
from NexusCore.storage.places import Places

Cursors = Mapping[DatabaseURL, Mapping[str, int]]
"""Number of the last delivered record of each journal, for the databases that answered."""

LEFT = "left behind"
"""State of a journal whose program has ended."""

_decode_log = msgspec.msgpack.Decoder(
    tuple[int, int, str, str, int, str | None, str, int | None, str | None, str, str | None, str | None]
).decode
_decode_status = msgspec.msgpack.Decoder(tuple[int, str, str, str | None, int | None]).decode


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What is known about a journal."""

    journal: LocalJournal
    contents: Contents
    url: DatabaseURL | None
    """Its database; None if the settings do not name it any more."""
    exact: bool
    """Whether the database answered; if not, some of the counted records may be delivered already."""
    delivered: int
    """Number of the last record known to be in the database."""

    @property
    def needs_repair(self) -> bool:
        """Whether it has damage or refused records, which only a repair handles."""
        return bool(self.contents.damaged or self.contents.refused)

    @property
    def state(self) -> str:
        """Its program, or state: ``Services.Builder, process 12``, ``left behind``."""
        origin = self.journal.origin
        if not self.journal.held:
            # Of a delivered journal, only side files are left.
            return LEFT if self.contents.size or self.journal.beside("lock").exists() else "delivered"
        running = inspection.program(origin.pid) if origin is not None else None
        if origin is None or running is None:
            return "being delivered"
        return f"{running}, process {origin.pid}"


def entries(settings: Settings, cursors: Cursors, identities: Mapping[DatabaseURL, str]) -> list[JournalSummary]:
    """Return all journals of this user on this machine.

    Parameters
    ----------
    settings
        The folder of the journals, and the databases they may belong to.
    cursors, identities
        Delivery positions and identities of the databases that answered.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    owners = {
        folder: url
        for role, url in _urls(settings).items()
        for folder in Folders(settings.home, role, url).adoptable(identities.get(url))
    }
    return [_entry(journal, owners.get(journal.folder), cursors) for journal in inspection.journals(settings.home)]


def seen_at(journal: LocalJournal, settings: Settings) -> str:
    """Return the last known address of a journal's database, as the end of a sentence; empty if not known."""
    places = Places(settings.home).all()
    address = next((place.text for place in places if place.identities[:1] == (journal.place,)), None)
    return f", last seen at {address}" if address else ""


def _urls(settings: Settings) -> dict[str, DatabaseURL]:
    return {"log": settings.log, "status": settings.status}


def _entry(journal: LocalJournal, url: DatabaseURL | None, cursors: Cursors) -> JournalSummary:
    known = cursors.get(url) if url is not None else None
    delivered = inspection.behind(journal, known.get(journal.name, 0)) if known is not None else 0
    return JournalSummary(journal, inspection.look(journal, delivered), url, known is not None, delivered)


def record_of(role: str, payload: bytes) -> LogRecord | StatusSample | None:
    """Return the decoded record of a journal; None if it cannot be decoded."""
    try:
        if role == "log":
            ts, level, logger, module, line, function, host, pid, thread, message, traceback, session = _decode_log(
                payload
            )
            return LogRecord(
                ts,
                level,
                logger,
                module,
                line,
                function or "",
                host,
                pid or 0,
                thread or "",
                message,
                traceback,
                session,
            )
        ts, channel, name, value, expires = _decode_status(payload)
    except ValueError:
        return None
    return StatusSample(channel, name, value, ts, expires)
