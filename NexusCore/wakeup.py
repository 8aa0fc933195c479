"""Wake-ups between the processes of one home: when one commits, the others on this machine look at once.

A follower of a table binds a datagram socket in ``<home>/run/wake``, named after the table; a process that has
committed rows of it sends one small datagram to each. A wake-up makes the follower ask the database now instead of at
its next poll, so a lost one costs only the time until then. Without sockets (on Windows, in a home that is read-only or
has a long path, across homes and machines) followers only poll.

Promises
--------
* `Wakeups.notify` never waits and never raises. Without followers it only reads the modification time of the folder.
* Sockets of dead processes are removed, by the next process that sends or follows. At most `MOST_SOCKETS` followers of
  a table are woken; the others poll.
* Sockets are bound, used and removed only in a folder that belongs to this user and that no other user may enter.
* A datagram has no other effect than an early poll, at most once every `REST_SECONDS`.
* A forked child has no part in its parent's sockets.
"""

from __future__ import annotations

import itertools
import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.forks import renew_in_children

MOST_SOCKETS = 64
"""Followers of one table that are woken."""
REST_SECONDS = 0.02
"""Pause of a socket after a wake-up; those that arrive meanwhile count as one. So a follower of a busy table asks only
slightly more often than it polls."""
LIST_SECONDS = 1.0
"""How long a listing of the folder is used while the folder's time, which may be coarse, does not change."""

_QUEUED = 1024
"""Datagrams read from a socket at once; systems queue fewer."""
_MESSAGE = b"."
_numbers = itertools.count(1)


class Wakeups:
    """The wake-ups of one home.

    Parameters
    ----------
    home
        The folder `NEXUSCORE_HOME`.
    clock
        Measures the age of a listing.
    """

    def __init__(self, home: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = home / "run" / "wake"
        self._clock = clock
        self._listing: tuple[int, float, dict[str, list[Path]]] = (-1, 0.0, {})

    def notify(self, table: str) -> None:
        """Wake the followers of a table, after rows of it were committed."""
        if not hasattr(socket, "AF_UNIX"):
            return
        with suppress(OSError):
            paths = self._listed(table)
            if paths:
                with _datagram_socket() as sender:
                    for path in paths[:MOST_SOCKETS]:
                        _reach(path, lambda address: sender.sendto(_MESSAGE, address))

    def subscribe(self, table: str, wake: Callable[[], object]) -> Subscription | None:
        """Call `wake`, on a thread of its own, when rows of a table were committed.

        Returns
        -------
        Subscription or None
            To be closed; None if wake-ups are not possible.
        """
        if not hasattr(socket, "AF_UNIX"):
            return None
        receiver = None
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with _datagram_socket() as probe:
                others = [path for path in _sockets(self._folder).get(table, []) if _reach(path, probe.connect)]
            if len(others) >= MOST_SOCKETS:
                return None
            path = self._folder / f"{table}.{os.getpid()}.{next(_numbers)}"
            receiver = _datagram_socket()
            receiver.bind(str(path))
            return Subscription(receiver, path, wake)
        except (OSError, RuntimeError):  # no thread can be started any more
            if receiver is not None:
                receiver.close()
            return None

    def _listed(self, table: str) -> list[Path]:
        changed, now = self._folder.stat().st_mtime_ns, self._clock.monotonic()
        before, at, sockets = self._listing
        if changed != before or now - at >= LIST_SECONDS:
            sockets = _sockets(self._folder)
            self._listing = (changed, now, sockets)
        return sockets.get(table, [])


class Subscription:
    """A socket on which wake-ups arrive, and the thread that waits for them.

    Parameters
    ----------
    receiver, path
        The socket, and where it is bound.
    wake
        Called with each wake-up.
    """

    def __init__(self, receiver: socket.socket, path: Path, wake: Callable[[], object]) -> None:
        self._receiver = receiver
        self._path = path
        self._wake = wake
        self._closed = threading.Event()
        renew_in_children(self)
        self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
        self._thread.start()

    def forked(self) -> None:
        """Leave the socket to the parent: a child that held it would make a dead parent seem alive."""
        self._closed = threading.Event()  # the thread may have held the lock of the old one
        self._closed.set()
        self._receiver.close()

    def close(self) -> None:
        """Remove the socket and end the thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._receiver.shutdown(socket.SHUT_RD)  # ends the thread's waiting

    def _run(self) -> None:
        with self._receiver, suppress(OSError):
            self._receiver.setblocking(True)
            while True:
                self._receiver.recv(1)
                if self._closed.is_set():
                    return
                self._drain()
                self._wake()
                self._closed.wait(REST_SECONDS)

    def _drain(self) -> None:
        """Read all queued datagrams: together they are one wake-up."""
        with suppress(BlockingIOError):
            for _ in range(_QUEUED):
                self._receiver.recv(1, socket.MSG_DONTWAIT)


def _datagram_socket() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def _reach(path: Path, how: Callable[[str], object]) -> bool:
    """Return whether a socket is that of a living process; remove it if it is not."""
    try:
        how(str(path))
    except ConnectionRefusedError:
        with suppress(OSError):
            path.unlink()
        return False
    except OSError:  # its queue is full, or it is being closed
        pass
    return True


def _sockets(folder: Path) -> dict[str, list[Path]]:
    """Return the sockets of each table.

    Raises
    ------
    OSError
        If the folder is not there, or if others may have put them into it.
    """
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(folder)
    sockets: dict[str, list[Path]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                sockets.setdefault(entry.name.partition(".")[0], []).append(Path(entry.path))
    return sockets
