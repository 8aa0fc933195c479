"""The log file (003-57, 004-16) among others who rename it, delete it, write to it, or fill its disk."""

from __future__ import annotations

import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.log.file import LogFile
from tests.core.test_log_destinations import follow
from tests.disks import fill, mounted
from tests.processes import ended, line_of, messages, start, tell


def write(file: LogFile, *lines: str) -> None:
    for line in lines:
        file.handle(logging.makeLogRecord({"msg": line}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs/n.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    with closing(LogFile(path, 5_000_000, 10)) as lent:
        yield lent


class TestAFileThatIsTakenAway:
    """As logrotate does: the next line makes it again."""

    def test_a_renamed_file_is_made_again(self, file: LogFile, path: Path) -> None:
        write(file, "one")
        path.rename(path.with_name("n.log.1"))
        write(file, "two", "three")
        assert path.read_text() == "two\nthree\n"
        assert path.with_name("n.log.1").read_text() == "one\n"

    def test_renamed_and_made_again(self, file: LogFile, path: Path) -> None:
        """Logrotate's `create`."""
        write(file, "one")
        path.rename(path.with_name("n.log.1"))
        path.touch(0o640)
        write(file, "two")
        assert path.read_text() == "two\n"

    def test_a_deleted_file_is_made_again(self, file: LogFile, path: Path) -> None:
        write(file, "one")
        path.unlink()
        write(file, "two")
        assert path.read_text() == "two\n"

    def test_its_folder_is_deleted(self, file: LogFile, path: Path) -> None:
        write(file, "one")
        shutil.rmtree(path.parent)
        write(file, "two")
        assert path.read_text() == "two\n"

    def test_an_emptied_file_is_written_from_its_start(self, file: LogFile, path: Path) -> None:
        """Logrotate's `copytruncate`."""
        write(file, "one")
        path.write_text("")
        write(file, "two")
        assert path.read_text() == "two\n"

    def test_after_the_end(self, file: LogFile, path: Path) -> None:
        """A line that was under way when the file was closed is written, and the file stays closed."""
        write(file, "one")
        file.close()
        write(file, "two")
        assert path.read_text() == "one\ntwo\n"
        assert file.stream is None

    def test_reopening_goes_on_in_the_same_file(self, file: LogFile, path: Path) -> None:
        write(file, "one")
        before = file.stream
        file.reopen()
        write(file, "two")
        assert file.stream is not before
        assert path.read_text() == "one\ntwo\n"


WRITER = """
import logging, sys
from pathlib import Path
from NexusCore.log.file import LogFile
file = LogFile(Path(sys.argv[1]), 20_000, 1000)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    file.handle(logging.makeLogRecord({"msg": f"{sys.argv[2]} {number} " + "x" * 80}))
"""


class TestSeveralProcesses:
    """They write and rotate one file; each line is there once and whole, also when somebody else renames it."""

    def test_one_rotates_at_a_time(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where somebody else renames the file just then: what another process would rotate is a new file."""
        one, other = LogFile(path, 200, 9), LogFile(path, 200, 9)
        really = one.rotate

        def meanwhile(source: str, target: str) -> None:
            monkeypatch.undo()
            path.rename(path.with_name("aside"))
            for number in range(9):
                write(other, f"other {number} {'x' * 50}")
            really(source, target)

        monkeypatch.setattr(one, "rotate", meanwhile)
        for number in range(9):
            write(one, f"one {number} {'x' * 50}")
        lines = [line for file in path.parent.iterdir() for line in file.read_text().splitlines()]
        assert sorted(line.rsplit(" ", 1)[0] for line in lines) == sorted(
            f"{name} {number}" for name in ("one", "other") for number in range(9)
        )
        one.close()
        other.close()

    def test_none_is_missed(self, path: Path, tmp_path: Path) -> None:
        count = 3000
        writers = [start(WRITER, path, name, count, main="sqlite:///x", home=tmp_path) for name in "abc"]
        for writer in writers:
            assert line_of(writer) == "ready"
        for writer in writers:
            tell(writer)
        aside = 0
        while any(writer.poll() is None for writer in writers):
            try:
                path.rename(path.with_name(f"aside{aside}"))
                aside += 1
            except FileNotFoundError:
                pass
        for writer in writers:
            ended(writer)
        lines = [line for one in path.parent.iterdir() for line in one.read_text().splitlines()]
        assert all(re.fullmatch(r"[abc] \d+ x{80}", line) for line in lines)
        found = Counter(tuple(line.split()[:2]) for line in lines)
        assert found == Counter({(name, str(number)): 1 for name in "abc" for number in range(count)})


class TestAFileThatCannotBeWritten:
    """One sentence on standard error, and no harm to who logs; it goes on as soon as it can."""

    def test_a_full_disk(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with mounted(tmp_path / "disk", "64k") as disk:
            file = LogFile(disk / "n.log", 5_000_000, 10)
            write(file, "first")
            filler = fill(disk)
            write(file, *(f"{number} {'x' * 200}" for number in range(100)))
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert said.startswith(f"NexusCore: The disk is full: 0 bytes of 64.0 KiB are free on {disk} (tmpfs). ")
            assert f"The log file {disk}/n.log cannot be written (No space left on device)." in said
            filler.unlink()
            write(file, "back", "last")
            said = capsys.readouterr().err
            lines = (disk / "n.log").read_text().splitlines()
            file.close()
        assert lines[0] == "first"
        assert lines[-2:] == ["back", "last"]
        missing = re.search(r"is written again; (\d+) lines are missing in it", said)
        assert missing is not None
        whole = [line for line in lines[1:-2] if re.fullmatch(r"\d+ x{200}", line)]
        assert len(whole) + int(missing[1]) == 100

    def test_a_folder_that_is_none(self, file: LogFile, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path.parent.write_text("in the way")
        write(file, "one", "two")
        said = capsys.readouterr().err
        assert (said.count("\n"), f"The log file {path} cannot be written" in said) == (1, True)
        path.parent.unlink()
        write(file, "three")
        assert path.read_text() == "three\n"

    def test_one_that_cannot_be_renamed_grows(
        self, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: LogFile) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(LogFile, "doRollover", refuse)
        with closing(LogFile(path, 100, 3)) as file:
            write(file, *(f"line {number}" for number in range(100)))
        assert len(path.read_text().splitlines()) == 100
        assert capsys.readouterr().err.count("grows beyond its limit (Permission denied)") == 1

    def test_one_that_cannot_be_made_when_it_is_configured(self, app: App, tmp_path: Path, database_url: str) -> None:
        cfg = app.get_config("Log")
        (tmp_path / "logs").write_text("in the way")
        cfg["file"] = str(tmp_path / "logs/n.log")
        follow(app)
        log = app.get_log("MyModule")
        log.info("one")
        (tmp_path / "logs").unlink()
        log.info("two")
        assert "two" in (tmp_path / "logs/n.log").read_text()
        app.shutdown(60)
        assert messages(database_url, "MyModule") == ["one", "two"]


def test_a_message_that_cannot_be_formatted(file: LogFile, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.handle(logging.makeLogRecord({"msg": "%d", "args": ("x",)}))
    write(file, "next")
    assert path.read_text() == "next\n"
    assert "--- Logging error ---" in capsys.readouterr().err
