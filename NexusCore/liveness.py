"""Finds services of this machine that have died, so that what they held need not wait for its lease to end."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

_SUFFIX = ".alive"


class Presence:
    """A file with a lock that ends with the process, even a killed one; it holds the service's name.

    Where such a file cannot be made, the lease alone decides.

    Parameters
    ----------
    folder
        Folder of these files, for all services of one kind on this machine.
    owner
        Name under which this service holds what it works on: host, process and more, with colons.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._path = folder / f"{owner.partition(':')[2].replace(':', '-')}{_SUFFIX}"
        self._file: IO[str] | None = None
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.write(owner)
            self._file.flush()

    def dead(self) -> Iterator[str]:
        """Yield the names of services that have died; each once, unless the caller breaks off."""
        with suppress(OSError):
            for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
                if path != self._path:
                    yield from self._abandoned_name(path)

    def _abandoned_name(self, path: Path) -> Iterator[str]:
        try:
            with path.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                owner = file.read()
                if owner:
                    yield owner
                path.unlink(missing_ok=True)
        except (OSError, UnicodeDecodeError):  # it lives, or another service is just looking at it
            return

    def close(self) -> None:
        """Withdraw the file: this service holds nothing any more."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None
