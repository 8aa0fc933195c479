"""All files of the sessions that are transferred, in memory, with what is still to be written and to be reported.

Used by all threads of the transfer, under one lock. What the engine decides is written at once; what a worker reaches,
at the latest a second later: if that is lost, MD5 finds out.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Mapping

from Logger.local_file import LocalFileError
from Logger.transfer.scanning import Signature
from Logger.transfer.state import KnownFiles, ScanRecord, StateChanges, TransferState
from Logger.transfer.tracked import FileKey, FileStage, TrackedFile

_LOG = logging.getLogger(__name__)


class FileBook:
    """The files.

    Parameters
    ----------
    state
        Where they are kept.
    """

    def __init__(self, state: TransferState) -> None:
        self.lock = threading.RLock()
        """Held by who reads and then changes."""
        self.version = 0
        """Grows with each change of a file."""
        self.problem = ""
        """Why what is known cannot be written, as a sentence; the transfer goes on without."""
        self._state = state
        self._seen: dict[str, dict[str, Signature]] = {}
        self._records: dict[str, ScanRecord] = {}
        self._sessions: dict[str, dict[FileKey, TrackedFile]] = {}
        self._unsaved: set[FileKey] = set()
        self._unseen: dict[tuple[str, str], Signature | None] = {}
        self._new_records: set[str] = set()
        self._forgotten: set[str] = set()
        self._unreported: dict[FileKey, None] = {}  # in order

    def load(self) -> None:
        """Read what is kept; with a file that cannot be read, begin with nothing."""
        try:
            known = self._state.load()
        except LocalFileError as error:
            _LOG.error("%s", error)
            known = KnownFiles()
        with self.lock:
            self._seen, self._records = known.seen, known.records
            for key, file in known.files.items():
                self._sessions.setdefault(key.session, {})[key] = file
                # Whether the last report has arrived is not known; sent again it changes nothing.
                self._unreported[key] = None
            self.version += 1

    # -- files ---------------------------------------------------------------------------------------------------------

    def get(self, key: FileKey) -> TrackedFile | None:
        """Return a file."""
        with self.lock:
            return self._sessions.get(key.session, {}).get(key)

    def of(self, session: str) -> list[TrackedFile]:
        """Return the files of a session."""
        with self.lock:
            return list(self._sessions.get(session, {}).values())

    def put(self, file: TrackedFile) -> None:
        """Add or change a file."""
        with self.lock:
            files = self._sessions.setdefault(file.key.session, {})
            if files.get(file.key) == file:
                return
            files[file.key] = file
            self._unsaved.add(file.key)
            self._unreported[file.key] = None
            self._forgotten.discard(file.key.session)
            self.version += 1

    def counts(self, session: str) -> Mapping[FileStage, int]:
        """Return how many files of a session are in which stage."""
        return Counter(file.stage for file in self.of(session))

    def sessions(self) -> set[str]:
        """Return the sessions of which something is kept."""
        with self.lock:
            return set(self._sessions) | set(self._records)

    def forget(self, session: str, *, unsee: bool = False) -> None:
        """Keep nothing of a session; with `unsee`, its files will be new at the next scan."""
        with self.lock:
            for key in self._sessions.pop(session, {}):
                self._unsaved.discard(key)
                self._unreported.pop(key, None)
                if unsee:
                    self.see(key.folder, key.path, None)
            self._records.pop(session, None)
            self._new_records.discard(session)
            self._forgotten.add(session)
            self.version += 1

    # -- scans ---------------------------------------------------------------------------------------------------------

    def seen(self, folder: str) -> Mapping[str, Signature]:
        """Return what the last scan of a folder saw; not to be changed."""
        return self._seen.setdefault(folder, {})

    def see(self, folder: str, path: str, signature: Signature | None) -> None:
        """Note what a scan sees; None: the file is gone."""
        with self.lock:
            seen = self._seen.setdefault(folder, {})
            if signature is None:
                seen.pop(path, None)
            else:
                seen[path] = signature
            self._unseen[folder, path] = signature

    def record(self, session: str) -> ScanRecord:
        """Return what was scanned for a session."""
        with self.lock:
            return self._records.get(session, ScanRecord(session))

    def note(self, record: ScanRecord) -> None:
        """Note what was scanned for a session."""
        with self.lock:
            if self._records.get(record.session) != record:
                self._records[record.session] = record
                self._new_records.add(record.session)
                self._forgotten.discard(record.session)

    # -- keeping and reporting -----------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write what has changed, if anything; return whether all is written."""
        with self.lock:
            changes = StateChanges(
                dict(self._unseen),
                [self._sessions[key.session][key] for key in self._unsaved],
                [self._records[session] for session in self._new_records],
                list(self._forgotten),
            )
            if not (changes.seen or changes.files or changes.records or changes.forgotten):
                return True
            try:
                self._state.save(changes)
            except LocalFileError as error:
                if self.problem != str(error):
                    _LOG.error("%s", error)
                    self.problem, self.version = str(error), self.version + 1
                return False
            self.problem = ""
            for written in (self._unseen, self._unsaved, self._new_records, self._forgotten):
                written.clear()
            return True

    def unreported(self, session: str, most: int) -> list[TrackedFile]:
        """Return files of a session whose stage the Gateway does not know yet, those that wait longest first."""
        with self.lock:
            files = self._sessions.get(session, {})
            found = []
            for key in self._unreported:
                if key.session == session and key in files:
                    found.append(files[key])
                    if len(found) == most:
                        break
            return found

    def reported(self, file: TrackedFile) -> None:
        """Note that the Gateway knows a file as it was."""
        with self.lock:
            if self._sessions.get(file.key.session, {}).get(file.key) == file:
                self._unreported.pop(file.key, None)
            elif file.key in self._unreported:  # to the end, so that a busy file does not keep others waiting
                self._unreported[file.key] = self._unreported.pop(file.key)

    def report_again(self, session: str) -> None:
        """Have all files of a session reported once more."""
        with self.lock:
            self._unreported.update(dict.fromkeys(self._sessions.get(session, {})))
