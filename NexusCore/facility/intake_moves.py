"""The history of filings, and the journal of those under way: the table `intake_move`.

Promises
--------
* Of several Intakes, one moves a file: its row is there before it is moved, and a unique key refuses a second one.
* What an Intake was moving when it died can be taken over when its lease has ended, by the database's clock, or at once
  by who knows that it is dead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from NexusCore.clock import SECOND, Clock
from NexusCore.facility.intake_move import (
    SELECT_MOVES,
    IntakeMove,
    Method,
    MoveState,
    NewMove,
    digest_of,
    move_of,
)
from NexusCore.storage import Database, Transaction
from NexusCore.storage.transaction import Row

MOST_ROWS = 1000
"""Most filings that are returned together."""
MOST_HOPS = 10
"""Filings of one file that are followed back."""
_ASKED_AT_ONCE = 500
"""Values in one statement."""
T = TypeVar("T")

_MINE = f"""
    -- what an Intake is moving
    {SELECT_MOVES}
     WHERE m.owner = :owner AND m.state = :state
     ORDER BY m.id
"""
_ABANDONED = f"""
    -- what Intakes were moving whose lease has ended
    {SELECT_MOVES}
     WHERE m.state IN ('claimed', 'undoing') AND m.lease_until < :now
     ORDER BY m.id
     LIMIT :count
"""
_OF_OWNER = f"""
    -- what the workers of one Intake are moving or moving back; their names begin with its own
    {SELECT_MOVES}
     WHERE m.state IN ('claimed', 'undoing') AND SUBSTR(m.owner, 1, :length) = :owner
     ORDER BY m.id
     LIMIT :count
"""
_HISTORY = f"""
    -- filings, the newest first
    {SELECT_MOVES}
     WHERE m.state IN ('filed', 'undone') AND m.filed_ts >= :since AND m.filed_ts < :until
       AND (:rule IS NULL OR m.rule = :rule) AND m.id < :before
     ORDER BY m.id DESC
     LIMIT :count
"""
_TO_UNDO = f"""
    -- filings that can be undone, the newest first; a note after the files beside it
    {SELECT_MOVES}
     WHERE m.state = 'filed' AND m.filed_ts >= :since AND m.filed_ts < :until
       AND (:rule IS NULL OR m.rule = :rule) AND m.id < :before AND (m.method = 'note') = :notes
     ORDER BY m.id DESC
     LIMIT :count
"""
_UNDONE = """
    -- files that were put back, or are just now, and are to stay as long as they and their rule are what they were
    SELECT source_sha256, size, modified_ts, rule_sha256 FROM intake_move
     WHERE inbox = :inbox AND state IN ('undoing', 'undone')
"""
_FILED_AT = """
    -- which of these targets were filed, and how
    SELECT target_sha256, size, modified_ts FROM intake_move WHERE state = 'filed' AND target_sha256 IN ({})
"""
_CAME_FROM = """
    -- where what was filed to these targets was before, and by which rule; one that has just been moved is claimed yet
    SELECT target_sha256, source, rule, size, modified_ts FROM intake_move
     WHERE state IN ('claimed', 'filed') AND method <> 'note' AND target_sha256 IN ({})
"""
_LAST = "SELECT MAX(filed_ts) FROM intake_move WHERE inbox = :inbox AND state IN ('filed', 'undone')"
_LAST_OF_RULE = """
    SELECT MAX(filed_ts) FROM intake_move WHERE inbox = :inbox AND rule = :rule AND state IN ('filed', 'undone')
"""
_UNDER_WAY = "SELECT COUNT(*) FROM intake_move WHERE instrument = :instrument AND state = 'claimed'"
_COLUMNS = (
    "id", "inbox", "rule", "rule_sha256", "instrument", "source", "source_sha256", "target", "target_sha256", "size",
    "modified_ts", "inode", "copy_inode", "sha256", "method", "state", "claim", "owner", "lease_until", "claimed_ts",
    "filed_ts", "undone_ts",
)  # fmt: skip

_NEW_COLUMNS = (
    "inbox", "rule", "rule_sha256", "instrument", "source", "source_sha256", "target", "target_sha256", "size",
    "modified_ts", "inode", "method", "state", "claim", "owner", "lease_until", "claimed_ts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that was moved."""

    move: IntakeMove
    sha256: str
    method: Method


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and time of a file, by which a change is noticed."""

    size: int
    modified_ts: int


class IntakeMoves:
    """The table `intake_move`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock gives the times of filing.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # -- under way -----------------------------------------------------------------------------------------------------

    def claim(self, owner: str, lease: float, moves: Sequence[NewMove]) -> list[IntakeMove]:
        """Claim files, in one transaction; return the claims that were free.

        Parameters
        ----------
        owner
            Name of this Intake's worker, which has no other claims.
        lease
            Seconds for which they are held.
        moves
            The files.
        """

        def claim(transaction: Transaction) -> list[IntakeMove]:
            until, now = transaction.now() + int(lease * SECOND), self._clock.now()
            rows = [_new_row(move, owner, until, now) for move in moves]
            transaction.insert_new("intake_move", _NEW_COLUMNS, rows)
            return [move_of(row) for row in transaction.all(_MINE, owner=owner, state=MoveState.CLAIMED.value)]

        return self._database.write(claim)

    def renew(self, owner: str, lease: float) -> int:
        """Hold all claims of an owner for so many seconds more; return how many it has."""
        sql = "UPDATE intake_move SET lease_until = :until WHERE owner = :owner AND state IN ('claimed', 'undoing')"

        def renew(transaction: Transaction) -> int:
            return transaction.run(sql, until=transaction.now() + int(lease * SECOND), owner=owner)

        return self._database.write(renew)

    def publishing(self, move: IntakeMove, owner: str, lease: float, copy_inode: str, sha256: str | None) -> bool:
        """Note which file is about to get the target's name; return False if another Intake has taken over."""
        sql = """UPDATE intake_move SET copy_inode = :inode, sha256 = COALESCE(:sha256, sha256), lease_until = :until
                  WHERE id = :id AND owner = :owner"""

        def note(transaction: Transaction) -> int:
            until = transaction.now() + int(lease * SECOND)
            return transaction.run(sql, inode=copy_inode, sha256=sha256, until=until, id=move.id, owner=owner)

        return bool(self._database.write(note))

    def filed(self, results: Sequence[Filed]) -> None:
        """Note that files have been moved.

        A row is written whole: another Intake that believed this one dead may have removed the claim.
        """
        now = self._clock.now()
        rows = [_row(done.move, now, done.sha256, done.method, MoveState.FILED) for done in results]
        self._database.write(lambda transaction: transaction.upsert("intake_move", _COLUMNS, ("id",), rows))

    def release(self, moves: Collection[IntakeMove]) -> None:
        """Give up claims on files that were not moved."""
        sql = "DELETE FROM intake_move WHERE state = 'claimed' AND id IN ({})"

        def release(transaction: Transaction) -> None:
            for some in _portions([move.id for move in moves]):
                names = {f"p{number}": identifier for number, identifier in enumerate(some)}
                transaction.run(sql.format(", ".join(f":{name}" for name in names)), **names)

        if moves:
            self._database.write(release)

    def abandoned(self, dead: Collection[str] = ()) -> list[IntakeMove]:
        """Return what Intakes were moving whose lease has ended, or that are known to be dead."""

        def find(reading: Transaction) -> list[IntakeMove]:
            rows = reading.all(_ABANDONED, now=reading.now(), count=MOST_ROWS)
            for owner in dead:
                rows += reading.all(_OF_OWNER, owner=owner, length=len(owner), count=MOST_ROWS)
            return [move_of(row) for row in dict.fromkeys(rows)]

        return self._database.read(find)

    def take_over(self, move: IntakeMove, owner: str, lease: float) -> bool:
        """Take an abandoned claim over; return False if another Intake was faster, or its owner is alive after all."""
        sql = """UPDATE intake_move SET owner = :new, lease_until = :until
                  WHERE id = :id AND owner = :old AND lease_until = :then AND state IN ('claimed', 'undoing')"""

        def take(transaction: Transaction) -> int:
            until = transaction.now() + int(lease * SECOND)
            return transaction.run(sql, new=owner, until=until, id=move.id, old=move.owner, then=move.lease_until)

        return bool(self._database.write(take))

    # -- undoing -------------------------------------------------------------------------------------------------------

    def to_undo(
        self, since: int, until: int, rule: str | None = None, *, before: int = 1 << 62, notes: bool = False
    ) -> list[IntakeMove]:
        """Return filings that can be undone, the newest first, at most `MOST_ROWS`.

        Parameters
        ----------
        since, until
            When they were filed: from, and before this time.
        rule
            Only those of this rule.
        before
            Only those with a lower id.
        notes
            The notes that rules wrote; without, the files.
        """
        with self._database.reading() as reading:
            rows = reading.all(
                _TO_UNDO, since=since, until=until, rule=rule, before=before, notes=int(notes), count=MOST_ROWS
            )
        return [move_of(row) for row in rows]

    def undoing(self, moves: Sequence[IntakeMove], owner: str, lease: float) -> list[IntakeMove]:
        """Claim filings to undo them, in one transaction; return those that can still be undone."""
        sql = """UPDATE intake_move SET state = 'undoing', owner = :owner, lease_until = :until, copy_inode = NULL
                  WHERE id = :id AND state = 'filed'"""

        def claim(transaction: Transaction) -> list[IntakeMove]:
            until = transaction.now() + int(lease * SECOND)
            return [move for move in moves if transaction.run(sql, owner=owner, until=until, id=move.id)]

        return self._database.write(claim)

    def undone(self, moves: Collection[IntakeMove]) -> None:
        """Note that files have been moved back."""
        sql = """UPDATE intake_move SET state = 'undone', claim = NULL, owner = NULL, lease_until = NULL,
                        undone_ts = :now
                  WHERE id = :id AND state = 'undoing'"""
        copies = "UPDATE file_copy SET state = 'left', next_try_ts = NULL WHERE move_id = :id"
        now = self._clock.now()

        def note(transaction: Transaction) -> None:
            for move in moves:
                transaction.run(sql, now=now, id=move.id)
                transaction.run(copies, id=move.id)

        if moves:
            self._database.write(note)

    def not_undone(self, moves: Collection[IntakeMove]) -> None:
        """Note that filings stay."""
        sql = """UPDATE intake_move SET state = 'filed', claim = NULL, owner = NULL, lease_until = NULL
                  WHERE id = :id AND state = 'undoing'"""

        def note(transaction: Transaction) -> None:
            for move in moves:
                transaction.run(sql, id=move.id)

        if moves:
            self._database.write(note)

    # -- what was filed ------------------------------------------------------------------------------------------------

    def history(
        self, since: int = 0, until: int = 1 << 62, rule: str | None = None, *, before: int = 1 << 62, count: int = 100
    ) -> list[IntakeMove]:
        """Return filings, undone ones too, the newest first; the parameters are those of `to_undo`."""
        with self._database.reading() as reading:
            rows = reading.all(_HISTORY, since=since, until=until, rule=rule, before=before, count=count)
        return [move_of(row) for row in rows]

    def put_back(self, inbox: str) -> set[tuple[str, Stamp, str]]:
        """Return the files of an inbox that were put back: digest of the path, size and time, digest of the rule."""
        with self._database.reading() as reading:
            rows = reading.all(_UNDONE, inbox=inbox)
        return {(str(path), Stamp(size, modified), str(rule)) for path, size, modified, rule in rows}

    def filed_at(self, targets: Sequence[str]) -> dict[str, set[Stamp]]:
        """Return which of these paths are files that were filed there, with their sizes and times."""
        found: dict[str, set[Stamp]] = {}
        with self._database.reading() as reading:
            for some in _portions(targets):
                digests = {digest_of(path): path for path in some}
                names = {f"p{number}": digest for number, digest in enumerate(digests)}
                rows = reading.all(_FILED_AT.format(", ".join(f":{name}" for name in names)), **names)
                for digest, size, modified in rows:
                    found.setdefault(digests[digest], set()).add(Stamp(size, modified))
        return found

    def rules_before(self, files: Mapping[str, Stamp]) -> dict[str, set[str]]:
        """Return the names of the rules that have filed files, from folder to folder, to where they are."""
        rules: dict[str, set[str]] = {path: set() for path in files}
        places = {path: path for path in files}
        for _ in range(MOST_HOPS):
            came = self._came_from(set(places.values()))
            places_before = {}
            for path, place in places.items():
                for source, rule, stamp in came.get(place, ()):
                    if stamp == files[path]:
                        rules[path].add(rule)
                        places_before[path] = source
            places = places_before
            if not places:
                break
        return rules

    def _came_from(self, targets: Collection[str]) -> dict[str, list[tuple[str, str, Stamp]]]:
        found: dict[str, list[tuple[str, str, Stamp]]] = {}
        with self._database.reading() as reading:
            for some in _portions(sorted(targets)):
                digests = {digest_of(path): path for path in some}
                names = {f"p{number}": digest for number, digest in enumerate(digests)}
                rows = reading.all(_CAME_FROM.format(", ".join(f":{name}" for name in names)), **names)
                for digest, source, rule, size, modified in rows:
                    found.setdefault(digests[digest], []).append((str(source), str(rule), Stamp(size, modified)))
        return found

    def last_filed(self, inbox: str, rule: str | None = None) -> int | None:
        """Return when a file of an inbox was last filed, by a rule if one is named; None for never."""
        with self._database.reading() as reading:
            if rule is None:
                row = reading.one(_LAST, inbox=inbox)
            else:
                row = reading.one(_LAST_OF_RULE, inbox=inbox, rule=rule)
        return row[0] if row is not None and isinstance(row[0], int) else None

    def under_way(self, instrument: str) -> int:
        """Return how many files of an instrument are being moved now."""
        with self._database.reading() as reading:
            row = reading.one(_UNDER_WAY, instrument=instrument)
        return int(row[0]) if row is not None else 0


def _new_row(move: NewMove, owner: str, until: int, now: int) -> Row:
    source = digest_of(move.source or move.target)
    return (
        move.inbox, move.rule, move.rule_sha256, move.instrument, move.source, source, move.target,
        digest_of(move.target), move.size, move.modified_ts, move.inode, move.method.value, MoveState.CLAIMED.value,
        source, owner, until, now,
    )  # fmt: skip


def _row(move: IntakeMove, now: int, sha256: str, method: Method, state: MoveState) -> Row:
    return (
        move.id, move.inbox, move.rule, move.rule_sha256, move.instrument, move.source,
        digest_of(move.source or move.target), move.target, digest_of(move.target), move.size, move.modified_ts,
        move.inode, None, sha256, method.value, state.value, None, None, None, move.claimed_ts, now, None,
    )  # fmt: skip


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(values), _ASKED_AT_ONCE):
        yield values[first : first + _ASKED_AT_ONCE]
