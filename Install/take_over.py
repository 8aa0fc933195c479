"""Moves a database of one user into the folder that services and operators share; ``./install.sh service`` runs this.

    python Install/take_over.py file         the database file of this user, if there is one
    python Install/take_over.py used FILE    whether it has sessions, or settings other than the defaults (exit code 0)
    python Install/take_over.py give FILE    set FILE aside and write a copy to the standard output
    python Install/take_over.py take FILE    make FILE from the copy on the standard input
    python Install/take_over.py back FILE    undo `give`

Each of the two sides runs as the user to whom the file belongs, so that neither opens a file with root's rights.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from NexusCore import settings
from NexusCore.errors import NexusError
from NexusCore.resources import reported, sentence_of
from NexusCore.storage.database_file import mode_in

PARTS = ("", "-wal", "-shm")
"""Ends of the names of an SQLite database's files."""
ASIDE = ".taken-over"
BUSY_SECONDS = 30.0
_CHANGES = "SELECT COUNT(*) FROM config_change WHERE tool NOT IN ('install', 'migrate')"


class NothingToTake(NexusError):
    """There is no database to take over: {file} {reason}."""


class AlreadyInUse(NexusError):
    """The database {file} already has sessions ({count}), which would be lost: nothing was taken over. To replace it
    nevertheless, stop the services and move the file away.
    """  # noqa: D205  the docstring of an error is the message


def own_file() -> str:
    """Return the path of this user's SQLite database; empty if the settings name a server, or there is no file.

    The settings of the whole machine do not count: they may name the shared database already.
    """
    main = settings.load(files=settings.usual_files(os.environ)[1:]).main
    return main.name if main.kind == "sqlite" and Path(main.name).is_file() else ""


def sessions_in(file: Path) -> int:
    """Return the number of sessions in a database."""
    return _number(file, "SELECT COUNT(*) FROM session")


def used(file: Path) -> None:
    """End with exit code 1 if a database has no sessions, and no settings but those of the set-up."""
    if not _number(file, "SELECT COUNT(*) FROM session") + _number(file, _CHANGES):
        raise SystemExit(1)


def _number(file: Path, query: str) -> int:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as database:
            (count,) = database.execute(query).fetchone()
            return int(count)
    except sqlite3.Error as error:
        raise NothingToTake(file=file, reason=f"is not a database of NexusCore ({error})") from error


def give(file: Path) -> None:
    """Set a database aside, so that programs that still use it store nothing more in it, and write a copy.

    Programs notice that the file is gone before they commit the next time; what they have to store waits in journals.
    """
    if not file.is_file():
        raise NothingToTake(file=file, reason="does not exist")
    sessions_in(file)
    aside = _renamed(file, f"{file}{ASIDE}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with (
            closing(sqlite3.connect(f"{aside.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        # Not through Python's standard output: it would complain again about a reader that has refused.
        with copy.open("rb") as stream, open(sys.stdout.fileno(), "wb", closefd=False) as pipe:
            try:
                shutil.copyfileobj(stream, pipe)
            except BrokenPipeError:
                raise SystemExit(1) from None


def take(file: Path) -> None:
    """Make a database from the copy on the standard input; one without sessions at the same place is set aside."""
    if file.exists() and (count := sessions_in(file)):
        raise AlreadyInUse(file=file, count=count)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if not new.stat().st_size:  # the other side has said why
            raise SystemExit(1)
        count = sessions_in(new)
        new.chmod(mode_in(file.parent))
        if file.exists():
            _renamed(file, f"{file}.replaced")
        new.replace(file)
    finally:
        for part in PARTS:
            Path(f"{name}{part}").unlink(missing_ok=True)
    print(f"{file} now has the data of that database; sessions: {count}.")


def back(file: Path) -> None:
    """Undo `give`, unless another file has taken the place."""
    if not file.exists():
        _renamed(Path(f"{file}{ASIDE}"), str(file))


def _renamed(file: Path, name: str) -> Path:
    """Rename a database with its log; the log first, since SQLite would take one that stays behind for a new file's."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for part in reversed(PARTS):
        with suppress(FileNotFoundError):
            Path(f"{file}{part}").replace(f"{name}{part}")
    return Path(name)


COMMANDS: dict[str, Callable[[Path], None]] = {"used": used, "give": give, "take": take, "back": back}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="take_over.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("command", choices=["file", *COMMANDS])
    parser.add_argument("path", type=Path, nargs="?", help="the database file, an absolute path")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "file":
            print(own_file())
        elif arguments.path is None or not arguments.path.is_absolute():
            parser.error(f"{arguments.command} takes the absolute path of a file")
        else:
            COMMANDS[arguments.command](arguments.path)
    except NexusError as error:
        print(sentence_of(error), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
