"""``Install/take_over.py``: a user's database becomes the shared one, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 60.0
"""Seconds that a command may take."""


@pytest.fixture
def own(sqlite_template: Path, tmp_path: Path) -> Path:
    """Lend a database with a session, whose program was killed: its last rows are in the log beside it."""
    file = tmp_path / "own" / "nexus.db"
    file.parent.mkdir()
    shutil.copyfile(sqlite_template, file)
    program = (
        "import os, sqlite3, sys; base = sqlite3.connect(sys.argv[1])\n"
        "base.execute('PRAGMA wal_autocheckpoint=0'); base.execute('PRAGMA foreign_keys=OFF')\n"
        "base.execute(sys.argv[2]); base.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, file, insert(file)], check=True, timeout=LIMIT)
    assert file.with_name("nexus.db-wal").stat().st_size
    return file


def insert(file: Path) -> str:
    """Return a statement that adds a session: each column without a default gets something."""
    with closing(sqlite3.connect(file)) as database:
        columns = [row for row in database.execute("PRAGMA table_info(session)") if row[3] and row[4] is None]
    values = ["1" if "INT" in row[2].upper() else "'x'" for row in columns]
    return f"INSERT INTO session ({', '.join(row[1] for row in columns)}) VALUES ({', '.join(values)})"


def sessions(file: Path) -> int:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM session").fetchone()
    return int(count)


def command(*words: object) -> list[str]:
    return [sys.executable, str(PROJECT / "Install/take_over.py"), *map(str, words)]


def moved(source: Path, target: Path) -> tuple[subprocess.CompletedProcess[bytes], subprocess.CompletedProcess[bytes]]:
    """Give and take, as install.sh does; return how each ended."""
    with subprocess.Popen(command("give", source), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as giver:
        taker = subprocess.run(
            command("take", target), stdin=giver.stdout, capture_output=True, timeout=LIMIT, check=False
        )
        assert giver.stdout is not None
        giver.stdout.close()
        assert giver.stderr is not None
        message = giver.stderr.read()
        code = giver.wait(LIMIT)
    return subprocess.CompletedProcess("give", code, b"", message), taker


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)
    return folder / "nexus.db"


class TestTakingOver:
    """What was in the old file, its log included, is in the new one; the old one is set aside."""

    def test_it_is_moved(self, own: Path, shared: Path) -> None:
        giver, taker = moved(own, shared)
        assert (giver.returncode, taker.returncode) == (0, 0), giver.stderr + taker.stderr
        assert b"sessions: 1" in taker.stdout
        assert sessions(shared) == 1
        assert shared.stat().st_mode & 0o777 == 0o660
        assert not own.exists()
        assert sessions(own.with_name("nexus.db.taken-over")) == 1
        assert {path.name for path in shared.parent.iterdir()} <= {"nexus.db", "nexus.db-wal", "nexus.db-shm"}

    def test_one_without_sessions_is_set_aside(self, own: Path, shared: Path, sqlite_template: Path) -> None:
        shutil.copyfile(sqlite_template, shared)
        assert moved(own, shared)[1].returncode == 0
        assert sessions(shared) == 1
        assert sessions(shared.with_name("nexus.db.replaced")) == 0

    def test_one_with_sessions_is_not_replaced(self, own: Path, shared: Path) -> None:
        shutil.copytree(own.parent, shared.parent, dirs_exist_ok=True)
        giver, taker = moved(own, shared)
        assert (giver.returncode, giver.stderr) in ((0, b""), (1, b"")), "the other side says why"
        assert b"already has sessions (1)" in taker.stderr
        subprocess.run(command("back", own), check=True, timeout=LIMIT)
        assert sessions(own) == 1

    @pytest.mark.parametrize(("content", "reason"), [(None, b"does not exist"), (b"text" * 999, b"is not a database")])
    def test_one_that_is_none(self, tmp_path: Path, shared: Path, content: bytes | None, reason: bytes) -> None:
        file = tmp_path / "other.db"
        if content is not None:
            file.write_bytes(content)
        giver, taker = moved(file, shared)
        assert reason in giver.stderr
        assert (taker.returncode, taker.stderr) == (1, b"")
        assert not shared.exists()
        assert file.exists() == (content is not None)


class TestOwnFile:
    """The database that a user has used so far, whatever the settings of the whole machine name."""

    def ask(self, tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(tmp_path), "NEXUSCORE_ETC": str(tmp_path), **variables}
        environment.pop("NEXUSCORE_DATABASE", None)
        return subprocess.run(
            command(*words), env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )

    def test_beside_settings_of_the_machine(self, own: Path, tmp_path: Path) -> None:
        (tmp_path / "nexuscore.toml").write_text('NEXUSCORE_DATABASE = "sqlite:////nowhere/nexus.db"\n')
        done = self.ask(tmp_path, "file", NEXUSCORE_HOME=str(own.parent))
        assert (done.returncode, done.stdout) == (0, f"{own}\n"), done.stderr

    def test_none(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, "file", NEXUSCORE_HOME=str(tmp_path / "empty")).stdout == "\n"

    def test_whether_it_was_used(self, own: Path, tmp_path: Path, sqlite_template: Path) -> None:
        shutil.copyfile(sqlite_template, tmp_path / "unused.db")
        assert self.ask(tmp_path, "used", str(own)).returncode == 0
        assert self.ask(tmp_path, "used", str(tmp_path / "unused.db")).returncode == 1

    def test_a_relative_path(self, tmp_path: Path) -> None:
        done = self.ask(tmp_path, "give", "nexus.db")
        assert (done.returncode, "absolute path" in done.stderr) == (2, True)
