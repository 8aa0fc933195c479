"""The end of a session's transfer: what is missing is named, and its record can be built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.facility import transfer_changes, transfers, transitions
from NexusCore.facility.session import Client, EventType, Session, State
from NexusCore.facility.transfer_file import MOST_ROWS, FileState, TransferFile
from NexusCore.storage import Transaction
from NexusCore.text import counted, one_line, shortened

LINES_PER_EVENT = 40
"""Missing files that one event names."""
MOST_EVENTS = 25
"""Events that name missing files; a further one says how many there are besides."""
NOT_TRANSFERRED, HELD_BACK, DAMAGED = "not transferred", "held back", "damaged in the store"
"""How each line of an event about missing files begins."""
_NAME_LENGTH = 400
# A file that was renamed or removed before it was sent is not missing: its user did that. The list of files has it.
_MISSING = frozenset(FileState) - {FileState.VERIFIED, FileState.GONE, FileState.UNKNOWN}
_WHY = {
    FileState.WAITING: "it was not sent yet",
    FileState.GROWING: "it was still growing",
    FileState.LOCKED: "locked by another program",
    FileState.SENDING: "it was being sent",
    FileState.CHECKING: "its stored copy was not checked yet",
    FileState.HELD: "it appeared after the end",
    FileState.FAILED: "it could not be sent",
    FileState.GONE: "it was removed before it was sent",
    FileState.DAMAGED: "its stored copy is damaged or missing",
}


class NotAllReported(NexusError):
    """The PC has {stated} of the session {identifier}, but has reported {known}."""

    exit_code = EXIT_REFUSED


class TransferBeforeEnd(NexusError):
    """The session {identifier} has not ended yet, so its transfer cannot end."""

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class TransferEnd:
    """How a session's transfer ended."""

    session: Session
    verified: int
    """Files in the store."""
    missing: int
    """Files that are not, or not as they are on the PC; without those that were removed before they were sent."""
    released: bool
    """Whether this ended it; else it had ended before."""


def why(file: TransferFile) -> str:
    """Return why a file is not in the store, in a few words."""
    return (
        shortened(one_line(file.reason), _NAME_LENGTH) if file.reason else _WHY.get(file.state, "its state is unknown")
    )


def missing_files(transaction: Transaction, session_id: int, most: int) -> list[TransferFile]:
    """Return files of a session that are on its PC but not verified, `most` at most."""
    found: list[TransferFile] = []
    after = 0
    while len(found) < most:
        portion = transfers.files(transaction, session_id, _MISSING, after, min(MOST_ROWS, most - len(found)))
        if not portion:
            break
        found += portion
        after = portion[-1].id
    return found


def finish(transaction: Transaction, identifier: str, client: Client, ts: int, files: int | None = None) -> TransferEnd:
    """End the transfer of a session: PROBLEM events name what is missing, and its state becomes TO_BE_BUILT.

    One whose transfer has ended already stays unchanged.

    Parameters
    ----------
    transaction
        The transaction.
    identifier, client, ts
        The session, who ends its transfer, and when.
    files
        How many files the PC knows of; None if that is not asked.

    Raises
    ------
    NoSuchSession
        If it does not exist.
    TransferBeforeEnd
        If it has not ended.
    NotAllReported
        If the PC knows of more or fewer files than it has reported.
    """
    session = transitions.find(transaction, identifier, lock=True)
    if session.is_open:
        raise TransferBeforeEnd(identifier=identifier)
    numbers = transfers.counts(transaction, session.id)
    known, verified = sum(numbers.values()), numbers.get(FileState.VERIFIED, 0)
    missing = known - verified - numbers.get(FileState.GONE, 0)
    if session.state is not State.WAITING_FOR_END:
        return TransferEnd(session, verified, missing, released=False)
    if files is not None and files != known:
        raise NotAllReported(stated=counted(files, "file"), identifier=identifier, known=known)
    named = missing_files(transaction, session.id, LINES_PER_EVENT * MOST_EVENTS) if missing else []
    lines = [_line(HELD_BACK if file.state is FileState.HELD else NOT_TRANSFERRED, file, why(file)) for file in named]
    problems = list(_texts(lines, missing, NOT_TRANSFERRED))
    session = transitions.transferred(transaction, session, client, ts, problems)
    return TransferEnd(session, verified, missing, released=True)


def is_about_files(detail: str) -> bool:
    """Return whether the text of a PROBLEM event names missing files."""
    return detail.startswith((f"{NOT_TRANSFERRED}: ", f"{HELD_BACK}: ", f"{DAMAGED}: "))


def note_damage(
    transaction: Transaction, session: Session, found: Iterable[tuple[TransferFile, str]], client: Client, ts: int
) -> int:
    """Note that stored copies are missing or wrong: their PC sends them again, and PROBLEM events name them.

    Parameters
    ----------
    transaction
        The transaction.
    session, found
        The session, and its files with what is wrong with each. Those that have changed meanwhile are left out.
    client, ts
        Who has found it, and when.

    Returns
    -------
    int
        How many files are noted.
    """
    damaged = [(file, what) for file, what in found if transfer_changes.set_damaged(transaction, file, what, ts)]
    lines = [_line(DAMAGED, file, what) for file, what in damaged[: LINES_PER_EVENT * MOST_EVENTS]]
    for text in _texts(lines, len(damaged), DAMAGED):
        transitions.add_event(transaction, session.id, EventType.PROBLEM, client, ts, text)
    return len(damaged)


def _line(what: str, file: TransferFile, reason: str) -> str:
    return f"{what}: {shortened(one_line(file.name), _NAME_LENGTH)} ({reason})"


def _texts(lines: Sequence[str], missing: int, what: str) -> Iterator[str]:
    """Yield the texts of the events that name missing files, of which there may be more than lines."""
    for first in range(0, len(lines), LINES_PER_EVENT):
        yield "\n".join(lines[first : first + LINES_PER_EVENT])
    if missing > len(lines):
        yield f"{what}: {counted(missing - len(lines), 'more file')}"
