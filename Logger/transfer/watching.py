"""From scans to files of sessions: what is new, has changed or is gone, and whom it belongs to."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable, Mapping, Sequence

from Logger.transfer.belonging import Belonging, Finding, ScannedSession, place_of
from Logger.transfer.book import FileBook
from Logger.transfer.names import shown
from Logger.transfer.pending import PendingTransfer
from Logger.transfer.scanning import FolderScan, Scanner, Signature, is_below, look, same
from Logger.transfer.sending import REMOVED
from Logger.transfer.stability import Watches
from Logger.transfer.state import ScanRecord
from Logger.transfer.tracked import SETTLED, FileKey, FileStage, TrackedFile

STILL_CHANGING = "it is still changing"
OTHER_DISK = "another disk is there than before"
ITSELF = ""
"""In the place of a path: the watched folder, whose identity is its disk."""


@dataclass(frozen=True)
class PassResult:
    """What a pass has found."""

    unread: tuple[str, ...] = ()
    """Sentences about folders that could not be read."""
    changed: bool = False
    """Whether anything has changed since the last pass."""


class FolderWatch:
    """Scans the folders of all sessions.

    Parameters
    ----------
    book, watches
        The files, and what was observed of them.
    now
        Returns the time by this computer's clock, in microseconds since the epoch.
    monotonic
        Returns seconds that only go forward.
    """

    def __init__(
        self, book: FileBook, watches: Watches, now: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self._book = book
        self._watches = watches
        self._now = now
        self._monotonic = monotonic
        self._scanners: dict[tuple[str, str, tuple[str, ...]], Scanner] = {}
        self._roots: dict[str, str] = {}
        self._others: dict[str, set[str]] = {}
        """Folders that are on another disk than before, and what was found there since."""

    def root(self, folder: str) -> str:
        """Return the path of a watched folder; empty if there is none of that name."""
        return self._roots.get(folder, "")

    def disk(self, folder: str) -> str:
        """Return which disk a watched folder was on when its files were seen; empty if that is not known."""
        itself = self._book.seen(folder).get(ITSELF)
        return "" if itself is None else itself.identity

    def set_roots(self, sessions: Sequence[PendingTransfer]) -> None:
        """Take the folders from the settings of sessions; of two with the same name, that of the newer session."""
        self._roots = {name: path for session in sessions for name, path in session.settings.folders}

    def look_at_all(self, sessions: Sequence[PendingTransfer]) -> PassResult:
        """Scan all folders once.

        Parameters
        ----------
        sessions
            Those whose files are transferred, oldest first.
        """
        self.set_roots(sessions)
        before = self._book.version
        scanned = [ScannedSession(pending, self._book.record(pending.session)) for pending in sessions]
        results: dict[str, FolderScan] = {}
        for scanner, name in self._wanted(sessions):
            results[name] = scanner.scan()
            with self._book.lock:
                self._note_disk(name, results[name], scanned)
                self._compare(name, scanner.root, results[name], scanned)
                if name in self._others and self._has_unsettled(name, scanned):
                    results[name].unread[""] = OTHER_DISK
        for session in scanned:
            self._book.note(_record_after(session, results))
        unread = tuple(
            f"The folder {shown(name, place) if place else self._roots[name]} cannot be read: {reason}."
            for name, result in sorted(results.items())
            for place, reason in sorted(result.unread.items())
        )
        return PassResult(unread, self._book.version != before)

    # -- private -------------------------------------------------------------------------------------------------------

    def _wanted(self, sessions: Sequence[PendingTransfer]) -> list[tuple[Scanner, str]]:
        ignore = {name: session.settings.ignore for session in sessions for name, _ in session.settings.folders}
        found = []
        for name, path in self._roots.items():
            key = (name, path, ignore[name])
            if key not in self._scanners:
                self._scanners[key] = Scanner(path, ignore[name])
            found.append((self._scanners[key], name))
        return found

    def _compare(self, name: str, root: str, result: FolderScan, sessions: Sequence[ScannedSession]) -> None:
        seen = self._book.seen(name)
        gone = self._gone(name, sessions)
        others = self._others.get(name)
        for path, signature in result.files.items():
            former = seen.get(path)
            if former == signature or (former is not None and same(former, signature)):
                if path in gone:
                    self._return(gone[path], signature)
                continue
            finding = Finding(name, path, result.newest[path] // 1000, former is None)
            place = place_of(finding, sessions, partial(self._known, name, path), self._now())
            self._book.see(name, path, signature)
            if others is not None:
                others.add(path)
            if place is not None:
                self._register(FileKey(place.session, name, path), place, signature)
        if len(seen) != len(result.files) + 1:
            for path in seen.keys() - result.files.keys() - {ITSELF}:
                if result.covers(path) and (others is None or path in others):
                    self._book.see(name, path, None)
                    self._vanished(name, path, sessions)
        if os.name == "nt":
            self._look_at_open_files(name, root, sessions)

    def _note_disk(self, name: str, result: FolderScan, sessions: Sequence[ScannedSession]) -> None:
        """Note whether a folder is on another disk than its files were, such as the empty one of a share that is away.

        Such a scan says nothing about them. It is the same share, mounted again, if one of them is there. A new session
        takes another disk for its own, unless files of the former one are still to be sent.
        """
        former = self.disk(name)
        if former == result.disk:
            self._others.pop(name, None)
        if result.disk in ("", former):
            return
        others = self._others.get(name, set())
        seen = self._book.seen(name)
        again = any(
            path in seen and path not in others and seen[path][:2] == signature[:2]
            for path, signature in result.files.items()
        )
        begins = not all(session.record.looked for session in sessions)
        if again or not former or (begins and not self._has_unsettled(name, sessions)):
            self._others.pop(name, None)
            self._book.see(name, ITSELF, Signature(0, 0, result.disk))
        else:
            self._others[name] = others

    def _has_unsettled(self, name: str, sessions: Sequence[ScannedSession]) -> bool:
        """Return whether files are still to be sent that were seen before another disk took their folder's place."""
        others = self._others.get(name, set())
        return any(
            file.key.folder == name and file.stage not in SETTLED and file.key.path not in others
            for session in sessions
            for file in self._book.of(session.pending.session)
        )

    def _gone(self, name: str, sessions: Sequence[ScannedSession]) -> dict[str, TrackedFile]:
        return {
            file.key.path: file
            for session in sessions
            for file in self._book.of(session.pending.session)
            if file.stage is FileStage.GONE and file.key.folder == name
        }

    def _return(self, file: TrackedFile, signature: Signature) -> None:
        """Take up a file that was missed when it was to be sent, while no scan has missed it."""
        if same(file.signature, signature):
            self._book.put(TrackedFile(file.key, signature, released=file.released))
            self._watches.observe(file.key, signature, self._monotonic())

    def _known(self, name: str, path: str, session: str) -> TrackedFile | None:
        return self._book.get(FileKey(session, name, path))

    def _register(self, key: FileKey, place: Belonging, signature: Signature) -> None:
        former = self._book.get(key)
        if former is not None and same(former.signature, signature) and former.stage is not FileStage.GONE:
            return
        released = former is not None and former.released
        if place.held and not released:
            file = TrackedFile(key, signature, FileStage.HELD, reason=place.held)
        elif former is None or former.stage in SETTLED:
            file = TrackedFile(key, signature, released=released)
        else:
            file = TrackedFile(key, signature, FileStage.GROWING, reason=STILL_CHANGING, released=released)
        self._book.put(file)
        self._watches.observe(key, signature, self._monotonic())

    def _vanished(self, name: str, path: str, sessions: Sequence[ScannedSession]) -> None:
        for session in sessions:
            file = self._known(name, path, session.pending.session)
            if file is not None and file.stage not in SETTLED:
                self._book.put(replace(file, stage=FileStage.GONE, reason=REMOVED, next_try=0))
                self._watches.forget(file.key)

    def _look_at_open_files(self, name: str, root: str, sessions: Sequence[ScannedSession]) -> None:
        """Look at each file that is not settled: while it is open, Windows lists it as it was when it was opened."""
        for session in sessions:
            for file in self._book.of(session.pending.session):
                if file.key.folder != name or file.stage in SETTLED or file.stage is FileStage.HELD:
                    continue
                with suppress(OSError):
                    now = look(root, file.key.path)
                    if now is not None:
                        self._register(file.key, Belonging(file.key.session), now)


def _record_after(session: ScannedSession, results: Mapping[str, FolderScan]) -> ScanRecord:
    """Return what is scanned for a session after a pass."""
    record = session.record
    unread = {(name, place) for name, result in results.items() for place in result.unseen}
    if record.looked:  # what was read once needs no first scan, whatever becomes of it
        unread = {
            (name, place)
            for name, place in unread
            if any(name == folder and is_below(place, former) for folder, former in record.unread)
        } | {(name, place) for name, place in record.unread if name not in results}
    ended = session.pending.end is not None
    return ScanRecord(record.session, looked=True, closed=record.closed or ended, unread=tuple(sorted(unread)))
