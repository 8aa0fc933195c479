"""Requests that were answered: one that is sent again changes nothing and gets the same answer.

Promises
--------
* What a request changes and its answer are stored in one transaction: there is never one without the other.
* The same request, sent twice at the same time, takes effect once; both get the same answer.
* A request that was refused has changed nothing and is not stored: sent again, it is judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from NexusCore.clock import Clock
from NexusCore.errors import EXIT_REFUSED, DatabaseRefused, NexusError
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, optional

GATEWAY_REQUEST = Columns(
    "gateway_request",
    {
        "id": WHOLE,
        "token_id": WHOLE,
        "request_id": TEXT,
        "sha256": TEXT,
        "status": WHOLE,
        "answer": TEXT,
        "nonce": optional(TEXT),
        "ts": TIME,
    },
)

_STORED = """
    -- the answer that a request got
    SELECT sha256, status, answer, nonce FROM gateway_request WHERE token_id = :token AND request_id = :request
"""
REPEAT_SECONDS = 10.0
"""How long a transaction is repeated after conflicts: a client waits for the answer."""
DELETED_TOGETHER = 1000
"""Rows that are deleted in one transaction, which delays others."""
_OLDEST = "SELECT id FROM gateway_request WHERE ts < :before ORDER BY ts LIMIT :count"


class RequestReused(NexusError):
    """The id {request} belongs to another request; each request needs an id of its own."""

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What a request is answered with."""

    status: int
    """HTTP status."""
    answer: str
    """JSON."""
    nonce: str | None = None
    """From this and the PC's token, its session's token can be made again; see `Services.Gateway.security`."""
    again: bool = False
    """Whether it was given before."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Which request it is."""

    token_id: int
    """Of the PC's token: ids of different PCs do not meet."""
    request: str
    """Chosen by the client."""
    sha256: str
    """Of what is requested."""


class AnsweredRequests:
    """The table `gateway_request`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock says how old an answer is.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def once(self, key: RequestKey, work: Callable[[Transaction], GivenAnswer]) -> GivenAnswer:
        """Do what is requested and return the answer; only return the answer if that has been done before.

        Parameters
        ----------
        key
            Which request it is.
        work
            Makes the changes in the transaction. It may be called several times, and may raise: nothing is stored then.

        Raises
        ------
        RequestReused
            If another request had the same id.
        """

        def attempt(transaction: Transaction) -> GivenAnswer:
            row = transaction.one(_STORED, token=key.token_id, request=key.request)
            if row is not None:
                if row[0] != key.sha256:
                    raise RequestReused(request=key.request)
                return GivenAnswer(int(row[1]), str(row[2]), row[3], again=True)
            given = work(transaction)
            transaction.insert(
                "gateway_request",
                token_id=key.token_id,
                request_id=key.request,
                sha256=key.sha256,
                status=given.status,
                answer=given.answer,
                nonce=given.nonce,
                ts=self._clock.now(),
            )
            return given

        try:
            return self._database.write(attempt, seconds=REPEAT_SECONDS)
        except DatabaseRefused:
            # A unique key refused it: the same request, or another START, was first. Now it can be seen.
            return self._database.write(attempt, seconds=REPEAT_SECONDS)

    def forget(self, before_ts: int) -> int:
        """Delete answers that were given before a time; return how many, at most `DELETED_TOGETHER`."""

        def forget(transaction: Transaction) -> int:
            rows = transaction.all(_OLDEST, before=before_ts, count=DELETED_TOGETHER)
            if not rows:
                return 0
            # One by one by their key: a range would lock what others are about to insert.
            return sum(transaction.run("DELETE FROM gateway_request WHERE id = :id", id=number) for (number,) in rows)

        return self._database.write(forget)
