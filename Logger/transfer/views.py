"""What can be shown of a transfer: frozen, and complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Protocol, Sequence

from Logger.transfer.names import shown
from Logger.transfer.tracked import SETTLED, Blame, FileKey, FileStage, TrackedFile

MOST_FILES = 500
"""Files that a view names; what is not verified comes first."""
TROUBLED = frozenset({FileStage.GROWING, FileStage.LOCKED, FileStage.FAILED, FileStage.HELD})
"""Stages in which a file needs time, or someone who looks after it."""
_ORDER = {
    stage: number
    for number, stage in enumerate(
        (FileStage.HELD, FileStage.FAILED, FileStage.LOCKED, FileStage.GROWING, FileStage.GONE, FileStage.SENDING,
         FileStage.CHECKING, FileStage.WAITING, FileStage.VERIFIED)
    )
}  # fmt: skip


@dataclass(frozen=True)
class FileView:
    """A file of a session, as it is shown."""

    key: FileKey
    name: str
    """Folder and path, for a person."""
    stage: FileStage
    size: int
    percent: int
    """How much has arrived."""
    reason: str = ""
    next_try: int = 0
    """In microseconds since the epoch, by this computer's clock; 0: as soon as possible."""
    away: bool = False
    """Whether it waits for server or store, however long that takes."""


@dataclass(frozen=True)
class TransferView:
    """The transfer of a session."""

    session: str
    total: int = 0
    """Files of the session."""
    verified: int = 0
    held: int = 0
    troubled: int = 0
    """Files that grow, are locked, or have failed; those that are held back do not count."""
    gone: int = 0
    """Files that were renamed or removed before they were sent."""
    bytes: int = 0
    sent: int = 0
    """Bytes that have arrived."""
    files: tuple[FileView, ...] = ()
    """At most `MOST_FILES`, those that are not verified first."""
    unread: tuple[str, ...] = ()
    """Sentences about folders that cannot be read."""
    ended: bool = False
    """Whether the session has ended."""
    finished: bool = False
    """Whether the facility knows that all is done."""
    problem: str = ""
    """Why it does not come to an end, as a sentence."""
    obstacle: str = ""
    """Why files wait for server or store, as a sentence."""

    @property
    def waiting(self) -> int:
        """Files that are on their way without trouble."""
        return self.total - self.verified - self.held - self.troubled - self.gone

    @property
    def missing(self) -> int:
        """Files of the PC that are not in the store."""
        return self.total - self.verified - self.gone

    @property
    def can_finish(self) -> bool:
        """Whether nothing comes forward of what is left, so that a user may end it without that."""
        stuck = self.waiting == 0 or bool(self.obstacle)
        return self.ended and not self.finished and stuck and self.missing > 0

    def missing_files(self) -> tuple[FileView, ...]:
        """Return the files that are not in the store, as far as they are named."""
        return tuple(file for file in self.files if file.stage not in SETTLED)


class TransferDesk(Protocol):
    """What the controller of the session logger asks of the transfer. No method but `stop` waits."""

    changed: Callable[[], None]
    """Called when there is something new to show, on a thread of the transfer."""

    def wake(self) -> None:
        """Look at the sessions: one was begun, ended, or is known better."""
        ...

    def watch_repairs(self, pid: str, folders: Sequence[tuple[str, str]]) -> None:
        """Repair stored copies of an instrument, from folders by name; without folders, do not."""
        ...

    def release(self, key: FileKey) -> None:
        """Send a file that is held back."""
        ...

    def finish_without(self, session: str) -> None:
        """End the transfer of a session without the files that have trouble."""
        ...

    def view(self, session: str) -> TransferView | None:
        """Return what can be shown of a session; None if its files are not transferred."""
        ...

    def earlier(self, besides: str) -> int:
        """Return how many files of other sessions are still to be sent."""
        ...

    def stop(self) -> None:
        """End all threads; what is not finished is taken up by the next logger."""
        ...


class NoTransfers:
    """A logger that transfers nothing."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Do nothing."""

    def watch_repairs(self, pid: str, folders: Sequence[tuple[str, str]]) -> None:
        """Do nothing."""

    def release(self, key: FileKey) -> None:
        """Do nothing."""

    def finish_without(self, session: str) -> None:
        """Do nothing."""

    def view(self, session: str) -> TransferView | None:
        """Return None."""
        return None

    def earlier(self, besides: str) -> int:
        """Return 0."""
        return 0

    def stop(self) -> None:
        """Do nothing."""


def view_of(
    session: str,
    files: Iterable[TrackedFile],
    *,
    unread: tuple[str, ...] = (),
    ended: bool = False,
    finished: bool = False,
    problem: str = "",
    obstacle: str = "",
) -> TransferView:
    """Return the view of a session's files.

    Parameters
    ----------
    session, files
        The session and its files.
    unread, ended, finished, problem, obstacle
        See `TransferView`.
    """
    everything = sorted(files, key=lambda file: (_ORDER[file.stage], file.key))
    number = dict.fromkeys(FileStage, 0)
    for file in everything:
        number[file.stage] += 1
    on_the_way = any(file.stage not in SETTLED for file in everything)
    named = tuple(_file_view(file) for file in everything[:MOST_FILES])
    return TransferView(
        session,
        total=len(everything),
        verified=number[FileStage.VERIFIED],
        held=number[FileStage.HELD],
        troubled=sum(number[stage] for stage in TROUBLED - {FileStage.HELD}),
        gone=number[FileStage.GONE],
        bytes=sum(file.signature.size for file in everything),
        sent=sum(_arrived(file) for file in everything),
        files=named,
        unread=unread,
        ended=ended,
        finished=finished,
        problem=problem,
        obstacle=obstacle if on_the_way else "",
    )


def _file_view(file: TrackedFile) -> FileView:
    size = file.signature.size
    percent = 100 if file.stage in SETTLED or not size else min(100, _arrived(file) * 100 // size)
    name = shown(file.key.folder, file.key.path)
    away = file.blame is Blame.AWAY
    return FileView(file.key, name, file.stage, size, percent, file.reason, file.next_try, away)


def _arrived(file: TrackedFile) -> int:
    return file.signature.size if file.stage is FileStage.VERIFIED else min(file.sent, file.signature.size)
