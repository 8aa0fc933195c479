"""Notes of records that a program has lost, for the log of a later one: its own log had no room for that any more.

A note is an empty file whose name ends with the number, so that it needs no room on a full disk:
``<journal>.lost-20631``. Whoever removes it logs the loss.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MARK = ".lost-"


def leave(folder: Path, name: str, count: int) -> None:
    """Leave a note that records of a journal were lost; errors are ignored.

    Parameters
    ----------
    folder, name
        The journal.
    count
        How many records were lost.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(folder / f"{name}{_MARK}{count}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def notes(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield the notes in a folder: path, name of the journal, and number of lost records."""
    for path in sorted(folder.glob(f"*{_MARK}*")):
        name, _, count = path.name.rpartition(_MARK)
        if count.isdecimal():
            yield path, name, int(count)


def take(path: Path) -> bool:
    """Remove a note; return whether this process did it, and so is to log the loss."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
