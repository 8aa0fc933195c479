"""What a machine has run out of is named first, whatever error it shows itself as."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from pathlib import Path

import mysql.connector
import pytest

from NexusCore import resources
from NexusCore.errors import (
    EXIT_UNREACHABLE,
    DatabaseFull,
    DatabaseUnreachable,
    DatabaseUnusable,
    DiskFull,
    NoSuchSession,
    OutOfMemory,
    TooManyOpenFiles,
    TooManyProcesses,
)
from NexusCore.resources import Room, exit_code_of, explained, place_text, reported, sentence_of, start_failure
from NexusCore.storage.dialect import MySQL


def full(path: Path | None = None) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([str(path)] if path else []))


class TestWhatIsBehindAnError:
    """The error itself, what caused it, or what was being handled when it was raised."""

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk(self, tmp_path: Path, number: int) -> None:
        error = explained(OSError(number, os.strerror(number), str(tmp_path / "file")))
        assert isinstance(error, DiskFull)
        assert str(error).startswith("The disk is full: ")
        assert " are free on /" in str(error)

    def test_behind_a_sentence_of_ours(self, tmp_path: Path) -> None:
        try:
            try:
                raise full(tmp_path / "x")
            except OSError:
                raise NoSuchSession(identifier="s1", hint="") from None
        except NoSuchSession as error:
            sentence, code = sentence_of(error), exit_code_of(error)
        assert sentence.startswith("The disk is full: ")
        assert "Session 's1' does not exist. Make room there, and try again." in sentence
        assert code == NoSuchSession.exit_code

    def test_other_errors_stay_what_they_are(self) -> None:
        for error in (OSError(errno.EACCES, "no"), ValueError("x"), NoSuchSession(identifier="s", hint="")):
            assert explained(error) is None
            assert sentence_of(error) == str(error)

    def test_files_and_memory(self) -> None:
        assert isinstance(explained(OSError(errno.EMFILE, "x")), TooManyOpenFiles)
        assert "the limit is " in sentence_of(OSError(errno.EMFILE, "x"))
        assert isinstance(explained(MemoryError()), OutOfMemory)
        assert isinstance(explained(OSError(errno.ENOMEM, "x")), OutOfMemory)

    def test_processes_and_threads(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        refused = RuntimeError("can't start new thread")
        monkeypatch.setattr(resource, "getrlimit", lambda which: (77, 77))
        sentence = (
            "The system starts no more processes or threads (the limit is 77 for all of this user; that of a service "
            "or a container may be lower). Raise the limit with ulimit -u, or for a service with TasksMax=."
        )
        assert isinstance(explained(refused), TooManyProcesses)
        assert sentence_of(refused) == sentence
        assert start_failure(BlockingIOError(errno.EAGAIN, "x")).startswith("the system starts no more processes (the ")
        assert start_failure(OSError(errno.ENOENT, "no such file")) == "[Errno 2] no such file"

        def work() -> int:
            raise refused

        assert reported(work) == 1
        assert capsys.readouterr().err == f"{sentence}\n"

    def test_other_faults_of_a_program_are_not_hidden(self) -> None:
        def work() -> int:
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError, match="a bug"):
            reported(work)

    def test_a_drivers_own(self, tmp_path: Path) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        wrapped = DatabaseUnreachable(where=f"sqlite:///{tmp_path}/n.db", reason=error)
        wrapped.__cause__ = error
        assert sentence_of(wrapped).startswith("The disk is full: ")
        assert exit_code_of(wrapped) == EXIT_UNREACHABLE


class TestWhere:
    """The sentence names the file system, and what is left on it."""

    def test_by_blocks_and_by_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resources, "room_of", lambda path: Room(0, 2**20, 5))
        assert place_text(tmp_path / "not/there").startswith("0 bytes of 1.0 MiB are free on /")
        monkeypatch.setattr(resources, "room_of", lambda path: Room(2**20, 2**20, 0))
        assert place_text(tmp_path).startswith("no more files can be created on /")

    def test_of_a_place_that_is_full_if_the_error_names_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = {tmp_path: Room(0, 2**20, 5)}
        monkeypatch.setattr(resources, "room_of", lambda path: rooms.get(path, Room(2**30, 2**30, 5)))
        assert sentence_of(full(), [tmp_path]).startswith("The disk is full: 0 bytes of 1.0 MiB are free on ")
        assert sentence_of(full()) == "The disk is full: it has no room left. Make room there, and try again."


class TestServers:
    """What MySQL and MariaDB say of a full disk: numbers of their own, or the system's in a text."""

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (1021, "Disk full (/tmp/#sql-1); waiting for someone to free some space..."),
            (1114, "The table 'log_record' is full"),
            (3, "Error writing file '/tmp/MY1' (errno: 28 \"No space left on device\")"),
            (3, "Error writing file '/tmp/MYfd' (OS errno 28 - No space left on device)"),
            (1026, "Error writing file 'x' (Errcode: 28)"),
            (1030, 'Got error 28 "No space left on device" from storage engine InnoDB'),
            (1030, "Got error 122 - 'Disk quota exceeded' from storage engine"),
            (1005, 'Can\'t create table `n`.`x` (errno: 28 "No space left on device")'),
        ],
    )
    def test_each_full_disk_error_is_recognised(self, number: int, text: str) -> None:
        error = MySQL().translate(mysql.connector.Error(msg=text, errno=number), "mysql://u@h:1/n")
        assert isinstance(error, DatabaseFull)
        assert str(error).startswith("The disk is full: it is the server's. The database at mysql://u@h:1/n stores")
        assert error.exit_code == EXIT_UNREACHABLE
        assert explained(error) is error

    def test_others_are_not_taken_for_one(self) -> None:
        error = MySQL().translate(mysql.connector.Error(msg="Got error 128 from storage engine", errno=1030), "w")
        assert type(error) is DatabaseUnusable


class TestPrograms:
    """A program's exit code, and what it says, whatever ends it."""

    def test_an_error_becomes_exit_code_and_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail(error: BaseException) -> int:
            raise error

        assert reported(lambda: 5) == 5
        assert reported(lambda: fail(full()), "Demo: ") == 1
        assert reported(lambda: fail(KeyboardInterrupt())) == 130
        assert capsys.readouterr().err.startswith("Demo: The disk is full: ")
