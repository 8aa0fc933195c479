"""Sessions that nobody ended: first shown, then ended with their last file.

Promises
--------
* A session is ended only if it shows no sign of life (event, report of its PC, file) for `forgotten_hours`, and none
  for another `forgotten_grace_hours` after that was said, in an event, in the log and as status.
* What was said is kept as an event: a Builder that starts later, or another one, goes on from there.
* A session whose files cannot be looked for is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from NexusCore.clock import SECOND, Clock
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Session, Sessions, forgotten, transitions
from NexusCore.facility.file_walk import SearchTimedOut
from NexusCore.facility.forgotten import NO_SIGN, SignsOfLife, moment
from NexusCore.facility.last_file import LastFile, last_file
from NexusCore.facility.session import Client
from NexusCore.facility.transfers import Transfers
from NexusCore.log import in_session
from NexusCore.resources import sentence_of
from NexusCore.storage import Database, Transaction
from NexusCore.text import shell_quote
from Services.Builder.settings import BuilderSettings, forgotten_hours_of

HOUR = 3600 * SECOND
LOOK_AGAIN = HOUR
"""Microseconds until an instrument's folder that could not be searched is searched again."""
PAUSE = 4 * HOUR
"""Microseconds without a search after one that took too long: records must not wait for a file server that hangs."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of an open session that has shown no sign of life in the database."""

    session: Session
    signs: SignsOfLife
    limit: int
    """Microseconds without a sign of life after which it counts as forgotten."""
    now: int

    def warned_ts(self, life_ts: int) -> int | None:
        """Return when it was said that it seems to be forgotten; None unless it was, given its last sign of life."""
        shown = self.signs.shown_ts
        return shown if shown is not None and shown >= life_ts + self.limit else None


class ForgottenSessions:
    """Looks after the open sessions.

    Parameters
    ----------
    database, clock, config
        The facility's own database, the source of times, and the configuration from its absolute root.
    client
        The Builder: who shows and ends them.
    log
        Logs what is done, and why something cannot be.
    """

    def __init__(
        self, database: Database, clock: Clock, config: ReadOnlyConfiguration, client: Client, log: logging.Logger
    ) -> None:
        self._database = database
        self._config = config
        self._client = client
        self._log = log
        self._events = Sessions(database, clock).events
        self._transfers = Transfers(database, clock)
        self._look_after: dict[int, int] = {}
        """When, at the earliest, a session's files are to be looked for again, by its id: that may take minutes."""
        self._paused_until = 0
        self._complaints: dict[int, str] = {}

    def care(self, settings: BuilderSettings, stop: Callable[[], bool]) -> list[Session]:
        """Show or end the sessions that are forgotten; return those that are shown and still open.

        Parameters
        ----------
        settings
            Their limits.
        stop
            Whether to give up.
        """
        with self._database.reading() as reading:
            now = reading.now()
            sessions = forgotten.open_sessions(reading)
        shown = []
        for session in sessions:
            if stop():
                break
            try:
                with in_session(session.identifier):
                    if self._care_for(session, settings, now):
                        shown.append(session)
            except DatabaseUnreachable:
                raise
            except NexusError as error:  # of this one, such as a setting of its instrument: the others go on
                self._complain(session, sentence_of(error))
        ids = {session.id for session in sessions}
        for memory in (self._look_after, self._complaints):
            for gone in memory.keys() - ids:
                del memory[gone]
        return shown

    def _care_for(self, session: Session, settings: BuilderSettings, now: int) -> bool:
        """Look after one; return whether it is shown as forgotten."""
        hours = forgotten_hours_of(self._config, session.instrument, settings)
        if session.odd or not hours or now - session.start_ts < hours * HOUR:
            return False
        signs = self._database.read(lambda reading: forgotten.signs_of_life(reading, session, self._client.user, now))
        seen = _Seen(session, signs, int(hours * HOUR), now)
        if now - signs.last_ts < seen.limit:
            return False
        warned = seen.warned_ts(signs.last_ts)
        grace = int(settings.forgotten_grace_hours * HOUR)
        if warned is not None and now < warned + grace:
            return True
        if now < max(self._paused_until, self._look_after.get(session.id, now)):
            return warned is not None and (now < self._paused_until or session.id in self._complaints)
        try:
            last = self._last_file(session, now)
        except DatabaseUnreachable:
            raise
        except NexusError as error:
            self._look_after[session.id] = now + LOOK_AGAIN
            if isinstance(error, SearchTimedOut):
                self._paused_until = now + PAUSE
            self._complain(session, sentence_of(error))
            return warned is not None
        self._complaints.pop(session.id, None)
        life = max(signs.last_ts, last.ts if last is not None else 0)
        if now - life < seen.limit:
            self._look_after[session.id] = life + seen.limit
            return False
        warned = seen.warned_ts(life)
        if warned is None:
            return self._show(seen, life, grace)
        if now < warned + grace:
            return True
        self._end(seen, life, last)
        return False

    def _last_file(self, session: Session, now: int) -> LastFile | None:
        following = self._database.read(
            lambda reading: transitions.first_after(reading, session.instrument, session.start_ts)
        )
        until = now if following is None else min(now, following.start_ts)
        self._log.info("Session %s shows no sign of life: looking for its last file", session.identifier)
        return last_file(self._config, session, self._events, self._transfers.all(session.id), until)

    def _show(self, seen: _Seen, life: int, grace: int) -> bool:
        session, due = seen.session, moment(seen.now + grace)
        sentence = f"{NO_SIGN}{moment(life)}; unless there is one, NexusCore ends the session after {due}"

        def show(transaction: Transaction) -> bool:
            return forgotten.show(transaction, session, self._client, seen.signs, sentence)

        if not self._database.write(show):
            return False
        self._log.warning(
            "Session %s of %s at %s shows %s; unless there is one, it is ended after %s. "
            "To see it: SessionTool show %s. To end it now: SessionTool close %s",
            *(session.identifier, session.user, session.instrument, f"{NO_SIGN}{moment(life)}", due),
            *(shell_quote(session.identifier),) * 2,
        )
        return True

    def _end(self, seen: _Seen, life: int, last: LastFile | None) -> None:
        session = seen.session
        ts = seen.signs.event_ts if last is None else last.ts
        known = "it has no files" if last is None else f"its last file is {last.name}"
        reason = f"{NO_SIGN}{moment(life)}; {known}"

        def end(transaction: Transaction) -> Session | None:
            return forgotten.end(transaction, session, self._client, seen.signs, ts, reason)

        ended = self._database.write(end)
        if ended is not None and ended.end_ts is not None:
            self._log.warning(
                "Session %s of %s at %s was forgotten and is ended now, with %s: %s",
                *(session.identifier, session.user, session.instrument, moment(ended.end_ts), reason),
            )

    def _complain(self, session: Session, reason: str) -> None:
        if self._complaints.get(session.id) != reason:
            self._complaints[session.id] = reason
            self._log.warning(
                "Whether session %s at %s was forgotten is not known; it stays open: %s",
                *(session.identifier, session.instrument, reason),
            )
