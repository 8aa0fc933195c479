"""A log file that rotates by size, and that others may rename or delete.

Promises
--------
* A file that was renamed or deleted, as logrotate does, is created again by the next line; so is its folder.
* Several processes may write to one file: each line is written whole, and only one of them rotates at a time.
* A file that cannot be written, as on a full disk, delays nothing: one line on standard error reports it, and the
  file continues as soon as it can be written again. The missing lines are in the database.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from NexusCore.resources import complain, is_disk_full, place_text

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be renamed anyway
    fcntl = None  # type: ignore[assignment]


class LogFile(logging.handlers.RotatingFileHandler):
    """Writes records to a file.

    Parameters
    ----------
    path
        The file; it is opened with the first line.
    size
        Bytes after which it is renamed to ``<name>.1`` and a new one is begun; 0 for no limit.
    count
        How many renamed files are kept.
    """

    def __init__(self, path: Path, size: int, count: int) -> None:
        super().__init__(path, maxBytes=size, backupCount=count, encoding="utf-8", delay=True)
        self._ended = False
        self._reopen = False
        self._missed = 0
        """Lines that could not be written since the last one that could."""
        self._complained = False
        """Whether it was reported that the file cannot be written; once until it can."""
        self._cannot_rotate = False

    def begin(self) -> OSError | None:
        """Open the file; return the error if that fails. The next line tries again."""
        try:
            self._opened()
        except OSError as error:
            self._complained = True
            return error
        return None

    def reopen(self) -> None:
        """Reopen the file at the next line. Safe in a signal handler."""
        self._reopen = True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; after `close` the file is opened again for a line that was under way."""
        try:
            line = self.format(record) + self.terminator
            self._write(record, line)
        except OSError as error:
            self._complain(error)
        except Exception:  # noqa: BLE001  a message that cannot be formatted; as the standard library does
            self.handleError(record)
        if self._ended:
            self._leave()

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            self._ended = True
            self._leave()
            logging.Handler.close(self)  # not the base class's, which would raise errors of the disk
        finally:
            self.release()

    def _write(self, record: logging.LogRecord, line: str) -> None:
        if self._reopen or not self._is_current():
            self._reopen = False
            self._leave()
        self._opened()
        if self.shouldRollover(record):
            self._rotate()
        stream = self._opened()
        if self._missed and self._ends_in_half_a_line():
            line = self.terminator + line
        stream.write(line)
        stream.flush()
        if self._missed:
            self._say(f"is written again; {self._missed} lines are missing in it")
        self._missed, self._complained = 0, False

    def _is_current(self) -> bool:
        """Return whether the open file still has its name."""
        if self.stream is None:
            return True
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(self.stream.fileno()))
        except OSError:
            return False

    def _opened(self) -> TextIOWrapper:
        if self.stream is None:
            self.stream = self._open()
        return self.stream

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def _leave(self) -> None:
        """Close the file, ignoring errors of the disk."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def _rotate(self) -> None:
        """Rename the file, unless another process is doing so or has done so."""
        # The lock belongs to the open file: a process that gets it later sees that the name has moved. The lock on the
        # folder keeps others from rotating a new file with this name meanwhile.
        held = [os.dup(self._opened().fileno())]  # a duplicate, so that the lock is kept until the end
        try:
            with suppress(OSError):  # on Windows, or for an unreadable folder
                held.append(os.open(Path(self.baseFilename).parent, os.O_RDONLY))
            if not all(map(_locked, held)):
                return
            if self._is_current():
                self.doRollover()
                self._cannot_rotate = False
            else:
                self._leave()
        except FileNotFoundError:  # another process has just renamed it
            self._leave()
        except OSError as error:
            if not self._cannot_rotate:
                self._cannot_rotate = True
                self._say(f"cannot be renamed and grows beyond its limit ({error.strerror or error})")
        finally:
            for fd in held:
                os.close(fd)

    def _ends_in_half_a_line(self) -> bool:
        with Path(self.baseFilename).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            return file.read(1) not in (b"", b"\n")

    def _complain(self, error: OSError) -> None:
        self._missed += 1
        self._leave()
        if not self._complained:
            self._complained = True
            self._say(f"cannot be written ({error.strerror or error}). The log goes on in the database", error)

    def _say(self, what: str, error: OSError | None = None) -> None:
        path = Path(self.baseFilename)
        full = f"The disk is full: {place_text(path)}. " if error is not None and is_disk_full(error) else ""
        # Directly to standard error: a log line would come back here.
        complain(f"NexusCore: {full}The log file {path} {what}.")


def _locked(fd: int) -> bool:
    """Take the lock on an open file or folder; return False if another process has it."""
    if fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True
