"""The command that shows what became of a session's files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from itertools import chain, islice

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.facility.session import Session
from NexusCore.facility.transfer_end import why
from NexusCore.facility.transfer_file import FileState, TransferFile
from NexusCore.facility.transfers import Transfers
from NexusCore.text import shell_quote
from Tools.common.quantities import bytes_text, counted
from Tools.common.sessions import next_step
from Tools.common.terminal import Screen, brief
from Tools.common.time_parser import local, rfc3339, span
from Tools.sessiontool.finding import Desk

_STYLES = {FileState.VERIFIED: "green"} | dict.fromkeys(
    (FileState.FAILED, FileState.DAMAGED, FileState.UNKNOWN), "bold red"
)
_NO_TRY = (FileState.SENDING, FileState.CHECKING, FileState.VERIFIED, FileState.GONE)
"""States in which nothing is to be tried again."""
LONGEST_FILE = 80
"""Most characters of a file's name: one long one must not widen the whole table."""
_PLAIN = {
    FileState.WAITING: "waiting",
    FileState.GROWING: "still growing",
    FileState.CHECKING: "sent, the stored copy is being checked",
    FileState.VERIFIED: "verified",
}


def transfer(arguments: Namespace, screen: Screen) -> int:
    """Show the files of a session: how many are in each state, and each of them."""
    desk = Desk()
    session = desk.newest_or_named(arguments.which)
    transfers = Transfers(desk.database, SYSTEM_CLOCK)
    counts = transfers.counts(session.id)
    wanted = FileState(arguments.state) if arguments.state else None
    number = sum(counts.values()) if wanted is None else counts.get(wanted, 0)
    found = _files(transfers, session, wanted)
    if arguments.json:
        screen.show_json(
            session=session.identifier,
            instrument=session.instrument,
            state=session.state,
            transfer="open" if session.is_open else "on its way" if session.awaits_files else "ended",
            counts={state.value.lower(): count for state, count in counts.items()},
        )
        for file in found:
            screen.show_json(**_described(file))
        return EXIT_OK if number else EXIT_FAILURE
    if not number:
        screen.fail(_nothing(session, wanted))
        return EXIT_FAILURE
    screen.show(f"Session {session.identifier} at {session.instrument}: {_when(session)}.")
    screen.show(f"{counted(sum(counts.values()), 'file')}: {_in_words(counts)}.")
    screen.show()
    now = SYSTEM_CLOCK.now()
    shown = list(islice(found, arguments.lines))
    screen.table(("file", "size", "state"), (_row(file, now) for file in shown), _marks(shown, now))
    if number > len(shown):
        screen.say(f"{counted(number - len(shown), 'more file')}; to see them: -n {number}")
    if session.awaits_files:
        screen.say(next_step(session))
    return EXIT_OK


def words_of(file: TransferFile, now: int) -> str:
    """Return the state of a file in words, such as "sending 42 %"."""
    if file.state is FileState.SENDING:
        words = f"sending {100 * file.sent // file.size if file.size else 0} %"
    elif file.state is FileState.HELD:
        words = f"held back: {why(file)}"
    elif file.state is FileState.FAILED:
        words = f"failed: {why(file)}"
    elif file.state is FileState.DAMAGED:
        words = f"damaged: {why(file)}; sent again by its PC"
    elif file.state is FileState.WAITING and file.reason:
        words = f"waiting: {why(file)}"
    else:
        words = _PLAIN.get(file.state) or why(file)
    if file.next_try_ts is not None and file.state not in _NO_TRY:
        words = words.removesuffix(".")  # of a sentence
        words += f", next try in {span(file.next_try_ts - now)}" if file.next_try_ts > now else ", next try now"
    return words


def _files(transfers: Transfers, session: Session, wanted: FileState | None) -> Iterator[TransferFile]:
    """Return the files in a state; without one all of them, and first those that are not in the store."""
    if wanted is not None:
        return transfers.all(session.id, [wanted])
    others = frozenset(FileState) - {FileState.VERIFIED}
    return chain(transfers.all(session.id, others), transfers.all(session.id, [FileState.VERIFIED]))


def _row(file: TransferFile, now: int) -> tuple[str, ...]:
    return brief(file.name, LONGEST_FILE), bytes_text(file.size), brief(words_of(file, now))


def _marks(files: list[TransferFile], now: int) -> dict[str, str]:
    return {brief(words_of(file, now)): _STYLES[file.state] for file in files if file.state in _STYLES}


def _when(session: Session) -> str:
    if session.is_open:
        return f"it is open since {local(session.start_ts)}"
    ended = f"it ended {local(session.end_ts)}"
    return f"{ended}, its files are on their way" if session.awaits_files else f"{ended}, and so has its transfer"


def _in_words(counts: dict[FileState, int]) -> str:
    order = list(FileState)
    return ", ".join(f"{counts[state]:,} {state.value.lower()}" for state in sorted(counts, key=order.index))


def _nothing(session: Session, wanted: FileState | None) -> str:
    if wanted is not None:
        return f"The session has no files in the state {wanted.value.lower()}."
    place = f"Instruments.{session.instrument}.transfer.on"
    return f"The session has no files that were transferred. Whether they are: ConfigTool {shell_quote(place)}"


def _described(file: TransferFile) -> dict[str, object]:
    """Return a file as the fields of a JSON object."""
    return {
        "folder": file.folder,
        "path": file.path,
        "size": file.size,
        "modified": rfc3339(file.modified_ts),
        "md5": file.md5,
        "state": file.state.value.lower(),
        "sent": file.sent,
        "reason": file.reason,
        "next_try": rfc3339(file.next_try_ts),
        "attempts": file.attempts,
        "store": file.store,
        "object": file.object,
        "verified": rfc3339(file.verified_ts),
        "changed": rfc3339(file.changed_ts),
        **({"unreadable": list(file.odd)} if file.odd else {}),
    }
