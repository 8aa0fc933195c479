"""Choice of the host to connect to: one that answers and accepts writes, and the same one as long as it works.

Promises
--------
* A process stays on its host while that works; when it dies, the next one is used.
* A process whose transactions repeatedly conflict with those on another host moves there: on one host they wait for
  each other in turn, between two the busier one wins.
* A failed host is not used for a while, so that its time-out is waited for once and not by each transaction. It is used
  again later, when needed; earlier only if no other works.
* One attempt to connect takes at most one time-out longer than with a single host.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import DatabaseNotSecure, DatabaseRefused, DatabaseUnreachable, DatabaseUnusable, NexusError
from NexusCore.settings import DatabaseURL
from NexusCore.storage.dialect import CONNECT_SECONDS, STATEMENT_SECONDS, Dialect

KEPT_OUT_SECONDS = 30.0
"""How long a failed host is not tried while others work."""
FIRST_ANSWER_SECONDS = 3
"""Time limit for opening a connection if there are other hosts."""
ANSWER_SECONDS = 8
"""Time limit for the answer to one statement if there are other hosts. A cluster stops for 5 to 7 seconds when one of
its nodes does (Galera's ``evs.suspect_timeout``): its hosts must not be given up meanwhile."""


class Hosts:
    """The hosts of one URL and their states.

    Parameters
    ----------
    url
        The database.
    dialect
        Opens connections.
    clock
        Measures how long a host is kept out.
    """

    def __init__(self, url: DatabaseURL, dialect: Dialect, clock: Clock = SYSTEM_CLOCK) -> None:
        self.url = url
        self._dialect = dialect
        self._clock = clock
        self._each = url.each if url.kind == "mysql" else (url,)
        self._out: dict[DatabaseURL, float] = {}
        """Failed hosts, with the time until which they are not used."""
        self._insecure: dict[DatabaseURL, NexusError] = {}
        """TLS errors of hosts. A server counts aborted attempts and finally blocks this machine, so these hosts are not
        tried before their time, even without another host."""
        self.current: DatabaseURL | None = None
        """The host that new connections go to first; None before the first, and after it has failed."""

    @property
    def several(self) -> bool:
        """Whether there is another host to go to."""
        return len(self._each) > 1

    def connect(self, *, patient: bool = False) -> tuple[Any, DatabaseURL, bool]:
        """Open a connection; return it, its host, and whether that is part of a cluster.

        Parameters
        ----------
        patient
            For statements that may take long, although there are other hosts.

        Raises
        ------
        DatabaseUnreachable, DatabaseUnusable, DatabaseNotSecure, DatabaseDenied, NoSuchDatabase
            If none of the hosts lets us work.
        """
        begin = self._clock.monotonic()
        errors: list[tuple[DatabaseURL, NexusError]] = []
        for host in self._in_order():
            if errors and self._clock.monotonic() - begin >= CONNECT_SECONDS:
                break
            try:
                raw, cluster = self._open(host, patient)
            except NexusError as error:
                errors.append((host, error))
                self.failed(host)
                if isinstance(error, DatabaseNotSecure):
                    self._insecure[host] = error
                continue
            self.current = host
            self._out.pop(host, None)
            self._insecure.pop(host, None)
            return raw, host, cluster
        raise self._in_one(errors)

    def failed(self, host: DatabaseURL) -> None:
        """Do not use a host for a while."""
        self._out[host] = self._clock.monotonic() + KEPT_OUT_SECONDS
        if self.current == host:
            self.current = None

    def move_on(self) -> None:
        """Send new connections to the next host, although this one works."""
        now = self._clock.monotonic()
        usable = [host for host in self._each if self._out.get(host, now) <= now]
        if self.current in usable:
            self.current = usable[(usable.index(self.current) + 1) % len(usable)]

    def _in_order(self) -> list[DatabaseURL]:
        """Return the hosts in the order to try them: failed ones last, the earliest failure first."""
        now = self._clock.monotonic()

        def rank(host: DatabaseURL) -> tuple[bool, float]:
            until = self._out.get(host, now)
            return host != self.current, until if until > now else float("-inf")

        return sorted(self._each, key=rank)

    def _open(self, host: DatabaseURL, patient: bool) -> tuple[Any, bool]:
        if host in self._insecure and self._clock.monotonic() < self._out.get(host, 0.0):
            known = self._insecure[host]
            raise type(known)(**known.facts)
        where = str(self.url)
        limits: dict[str, float] = {}
        if self.several:
            limits["connect_seconds"] = FIRST_ANSWER_SECONDS
            limits["statement_seconds"] = STATEMENT_SECONDS if patient else ANSWER_SECONDS
        raw = None
        try:
            raw = self._dialect.connect(host, **limits)
            return raw, self._dialect.synchronize(raw, writable=self.several)
        except BaseException as error:
            if raw is not None:
                with suppress(*self._dialect.errors):
                    raw.close()
            if isinstance(error, OSError):
                raise DatabaseUnreachable(where=where, reason=error) from error
            if not isinstance(error, self._dialect.errors):
                raise
            ours = self._dialect.translate(error, where)
            if isinstance(ours, DatabaseRefused):  # no statement was sent yet, so none was refused
                raise DatabaseUnreachable(where=where, reason=ours.facts["reason"]) from error
            raise ours from error

    def _in_one(self, errors: Sequence[tuple[DatabaseURL, NexusError]]) -> NexusError:
        """Return one error for the errors of the hosts: of the kind that a person can best act on."""
        if not self.several:
            return errors[0][1]
        kinds = (DatabaseUnusable, DatabaseNotSecure, DatabaseUnreachable)
        others = [error for _, error in errors if not isinstance(error, kinds)]
        if others:  # a wrong password, a missing database: waiting does not help
            return others[0]
        kind = next(kind for kind in kinds if any(isinstance(error, kind) for _, error in errors))
        reasons = "; ".join(f"{host.addresses[0]}: {error.facts.get('reason', error)}" for host, error in errors)
        return kind(where=self.url, reason=reasons)
