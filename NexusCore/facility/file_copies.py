"""Copies of filed files: what is to be made, what was found right, and what is damaged; the table `file_copy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from NexusCore.clock import SECOND, Clock
from NexusCore.facility.file_copy import SELECT_COPIES, CopyState, FileCopy, copy_of
from NexusCore.facility.intake_move import SELECT_MOVES, IntakeMove, move_of
from NexusCore.storage import Database

MOST_ROWS = 500
"""Most copies that are returned together."""
_WITHOUT = f"""
    -- filed files of which a mirror has no copy, in order of filing; notes and duplicates have none
    {SELECT_MOVES}
      LEFT JOIN file_copy c ON c.move_id = m.id AND c.mirror = :mirror
     WHERE m.state = 'filed' AND m.method IN ('rename', 'copy') AND c.id IS NULL AND m.id > :after
     ORDER BY m.id
     LIMIT :count
"""
_DUE = f"""
    -- copies that are to be made, the oldest first
    {SELECT_COPIES}
     WHERE c.mirror = :mirror AND c.state IN ('waiting', 'damaged') AND (c.next_try_ts IS NULL OR c.next_try_ts <= :now)
     ORDER BY c.id
     LIMIT :count
"""
_TO_CHECK = f"""
    -- copies that have not been looked at for long, the longest first
    {SELECT_COPIES}
     WHERE c.mirror = :mirror AND c.state IN ('good', 'lost') AND c.checked_ts < :before
     ORDER BY c.checked_ts, c.id
     LIMIT :count
"""
_GOOD_ELSEWHERE = f"""
    -- good copies of the same file in other mirrors
    {SELECT_COPIES}
     WHERE c.move_id = :move AND c.mirror <> :mirror AND c.state = 'good'
     ORDER BY c.verified_ts DESC
"""
_UNSETTLED = "SELECT MIN(id) FROM intake_move WHERE state IN ('claimed', 'undoing')"
_OUTSTANDING = """
    -- copies that are to be made, by mirror
    SELECT mirror, COUNT(*), MIN(created_ts), MAX(reason) FROM file_copy
     WHERE state IN ('waiting', 'damaged', 'lost')
     GROUP BY mirror
"""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Copies of a mirror that are still to be made."""

    copies: int
    oldest_ts: int
    """When the oldest of them was asked for; microseconds since the epoch, UTC."""
    reason: str | None = None
    """Why one of them could not be made, if it could not."""


class FileCopies:
    """The table `file_copy`.

    Parameters
    ----------
    database, clock
        The facility's own database, and the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def without(self, mirror: str, after: int) -> list[IntakeMove]:
        """Return filed files of which a mirror has no copy, at most `MOST_ROWS`, with an id above `after`."""
        with self._database.reading() as reading:
            rows = reading.all(_WITHOUT, mirror=mirror, after=after, count=MOST_ROWS)
        return [move_of(row) for row in rows]

    def first_unsettled(self) -> int | None:
        """Return the lowest id of a filing that is under way, and may count as filed later; None if there is none."""
        with self._database.reading() as reading:
            row = reading.one(_UNSETTLED)
        return row[0] if row is not None and isinstance(row[0], int) else None

    def expect(self, mirror: str, files: Sequence[tuple[IntakeMove, str]]) -> None:
        """Have copies made of files, under these paths below the mirror; those that are known stay as they are."""
        now = self._clock.now()
        columns = ("move_id", "mirror", "path", "size", "sha256", "state", "attempts", "created_ts")
        rows = [(move.id, mirror, path, move.size, move.sha256, "waiting", 0, now) for move, path in files]
        self._database.write(lambda transaction: transaction.insert_new("file_copy", columns, rows))

    def due(self, mirror: str) -> list[FileCopy]:
        """Return the copies of a mirror that are to be made now, at most `MOST_ROWS`."""
        with self._database.reading() as reading:
            rows = reading.all(_DUE, mirror=mirror, now=self._clock.now(), count=MOST_ROWS)
        return [copy_of(row) for row in rows]

    def to_check(self, mirror: str, before: int) -> list[FileCopy]:
        """Return the copies that were last looked at before a time, at most `MOST_ROWS`."""
        with self._database.reading() as reading:
            rows = reading.all(_TO_CHECK, mirror=mirror, before=before, count=MOST_ROWS)
        return [copy_of(row) for row in rows]

    def good_elsewhere(self, copy: FileCopy) -> list[FileCopy]:
        """Return the good copies of the same file in other mirrors."""
        with self._database.reading() as reading:
            rows = reading.all(_GOOD_ELSEWHERE, move=copy.move_id, mirror=copy.mirror)
        return [copy_of(row) for row in rows]

    def outstanding(self) -> dict[str, Outstanding]:
        """Return what is still to be copied, by mirror."""
        with self._database.reading() as reading:
            rows = reading.all(_OUTSTANDING)
        return {
            str(mirror): Outstanding(int(count), int(oldest), None if reason is None else str(reason))
            for mirror, count, oldest, reason in rows
        }

    def begin_again(self, mirror: str) -> int:
        """Have all copies of a mirror made again, since it is in another place now; return how many."""
        sql = """UPDATE file_copy SET state = 'waiting', reason = NULL, attempts = 0, next_try_ts = NULL
                  WHERE mirror = :mirror AND state <> 'left'"""
        return self._database.write(lambda transaction: transaction.run(sql, mirror=mirror))

    def good(self, copy: FileCopy) -> None:
        """Note that a copy was read, and is right."""
        self._change(copy, CopyState.GOOD, attempts=0, verified=True)

    def damaged(self, copy: FileCopy, reason: str) -> None:
        """Note that a copy is missing or wrong; it is due at once."""
        self._change(copy, CopyState.DAMAGED, reason=reason)

    def lost(self, copy: FileCopy, reason: str) -> None:
        """Note that there is nothing to make a copy from."""
        self._change(copy, CopyState.LOST, reason=reason)

    def failed(self, copy: FileCopy, reason: str, seconds: float) -> None:
        """Note that a copy could not be made, and when to try again."""
        next_try = self._clock.now() + int(seconds * SECOND)
        self._change(copy, copy.state, reason=reason, attempts=copy.attempts + 1, next_try=next_try, checked=False)

    def _change(
        self,
        copy: FileCopy,
        state: CopyState,
        *,
        reason: str | None = None,
        attempts: int | None = None,
        next_try: int | None = None,
        verified: bool = False,
        checked: bool = True,
    ) -> None:
        now = self._clock.now()
        # One whose filing was undone meanwhile is not looked at any more.
        self._database.write(
            lambda transaction: transaction.run(
                """UPDATE file_copy
                      SET state = :state, reason = :reason, attempts = :attempts, next_try_ts = :next_try,
                          verified_ts = CASE WHEN :verified = 1 THEN :now ELSE verified_ts END,
                          checked_ts = CASE WHEN :checked = 1 THEN :now ELSE checked_ts END
                    WHERE id = :id AND state <> 'left'""",
                state=state.value,
                reason=reason,
                attempts=copy.attempts if attempts is None else attempts,
                next_try=next_try,
                verified=int(verified),
                checked=int(checked),
                now=now,
                id=copy.id,
            )
        )
