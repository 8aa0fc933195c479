"""What an operator types: one pass, some sessions of many, and a dry run that changes nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.clock import to_ts
from NexusCore.errors import NoSuchSession
from NexusCore.facility import Session, State
from NexusCore.facility.sessions import ALL, NotToBeBuilt, Selection
from NexusCore.service import _parser
from Services.Builder.commands.cli_options import BuildOptions
from Services.Builder.service import Builder, SessionTaken
from tests.processes import rows
from tests.services.builder_facility import PROJECT, TABLES, USER, Facility, Stage, dry_run_output

START = datetime(2026, 3, 4, 9, tzinfo=UTC)


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(database_url, tmp_path)
    yield one
    one.close()


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Facility:
    one = Facility(database_url, tmp_path)
    one.files.mkdir()
    one.configure(f"Facility.data_root={tmp_path}", "Instruments.FEI-Titan-TEM.filestore_path=./Titan")
    return one


def options(*words: str) -> BuildOptions:
    return Builder.options_of(_parser(Builder).parse_args(words))


def ask(stage: Stage, *words: str) -> BuildOptions:
    """Start the Builder with these arguments."""
    stage.builder.take_options(options(*words))
    return options(*words)


def states(stage: Stage, *sessions: Session) -> list[State]:
    return [stage.sessions.get(one.identifier).state for one in sessions]


class TestOneSession:
    """``--session`` builds just this one, whatever became of it before; the others stay as they are."""

    def test_only_the_named_session_is_built(self, stage: Stage) -> None:
        first, second = stage.session("a.dm3"), stage.session("b.dm3")
        assert ask(stage, "--session", second.identifier).once
        assert stage.builder.once().done == 1
        assert states(stage, first, second) == [State.TO_BE_BUILT, State.BUILT]

    @pytest.mark.parametrize("state", ["BUILT", "COMPLETED", "ERROR", "NO_FILES_FOUND", "NO_CONSENT"])
    def test_that_was_built_or_failed_before(self, stage: Stage, state: str) -> None:
        """001-54 and traps: nothing stays in ERROR for good."""
        session = stage.session("a.dm3")
        claimed = stage.sessions.claim(USER, "somebody", 100)
        assert claimed is not None
        stage.sessions.finish(claimed, "somebody", State(state), "a sentence")
        ask(stage, "--once", "--session", session.identifier)
        assert stage.builder.once().done == 1
        assert states(stage, session) == [State.BUILT]

    def test_that_is_to_be_tried_later(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        claimed = stage.sessions.claim(USER, "somebody", 100)
        assert claimed is not None
        stage.sessions.finish(claimed, "somebody", State.ERROR, "a sentence", retry_seconds=1000)
        ask(stage, "--session", session.identifier)
        assert stage.builder.once().done == 1

    def test_that_is_open_or_at_work_or_unknown(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.sessions.claim(USER, "somebody", 100)
        ask(stage, "--session", session.identifier)
        with pytest.raises(NotToBeBuilt, match="a Builder is at work on it"):
            stage.builder.once()
        opened = stage.sessions.start("Titan", USER)
        ask(stage, "--session", opened.identifier)
        with pytest.raises(NotToBeBuilt, match="it has not ended yet"):
            stage.builder.once()
        ask(stage, "--session", opened.identifier[:-1] + "x")
        with pytest.raises(NoSuchSession, match=f"Did you mean '{opened.identifier}'"):
            stage.builder.once()

    def test_that_another_builder_takes_first(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = stage.session("a.dm3")
        ask(stage, "--session", session.identifier)
        real = stage.builder._pools.start

        def start(*arguments: object) -> None:
            stage.sessions.claim(USER, "somebody", 100)
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(stage.builder._pools, "start", start)
        with pytest.raises(SessionTaken) as caught:
            stage.builder.once()
        assert caught.value.exit_code == 4


class TestSessionsOfATime:
    """``--from`` and ``--to`` choose sessions by when they were started."""

    def test_from_is_included_and_to_is_not(self, stage: Stage) -> None:
        sessions = [stage.session(f"{number}.dm3") for number in range(4)]
        begins = [one.start.isoformat() for one in sessions]
        ask(stage, "--from", begins[1], "--to", begins[3])
        assert stage.builder.once().done == 2
        built = [state is State.BUILT for state in states(stage, *sessions)]
        assert built == [False, True, True, False]

    def test_together_with_one_session(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        ask(stage, "--session", session.identifier, "--from", (session.start + timedelta(seconds=1)).isoformat())
        assert stage.builder.once().done == 0
        assert states(stage, session) == [State.TO_BE_BUILT]

    def test_ways_to_write_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        noon = to_ts(datetime(2026, 11, 20, 12, tzinfo=UTC))
        for text in (
            "2026-11-20T12:00Z",
            "2026-11-20 13:00+01:00",
            "2026-11-20T12:00:00.000+00:00",
            "20261120T120000Z",
        ):
            assert options("--from", text).selection == Selection(from_ts=noon)
        day = datetime(2026, 11, 20).astimezone()
        assert options("--to", "2026-11-20").selection == Selection(to_ts=to_ts(day))
        assert options("--once") == BuildOptions(once=True, selection=ALL)
        assert not options().once
        assert options("--to", "2026-11-20").once

    def test_a_session_without_an_identifier(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As in a script whose variable is not set: all sessions would be built again."""
        with pytest.raises(SystemExit) as caught:
            options("--session", "")
        assert caught.value.code == 2
        assert "the identifier of the session is empty" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["yesterday-ish", "2026-13-01", "", "2026-11-20T25:00"])
    def test_what_is_no_time(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            options("--from", text)
        assert caught.value.code == 2
        assert f"'{text}' is not a time such as 2026-11-20 or 2026-11-20T09:30" in capsys.readouterr().err


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Return all files below a folder with size and time; the database itself is looked at by its rows."""
    # A library's cache, such as the list of this machine's fonts, is nothing of the facility's.
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("nexus.db") and ".cache" not in path.parts
    )
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


class TestDryRun:
    """Traps: a dry run shows the record, byte by byte as it would be written, and changes nothing anywhere."""

    def test_it_prints_what_would_be_written(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = stage.session("a.dm3", "folder/b & c.dm3")
        stage.sessions.note(session.identifier, USER, "grid 3, <left>")
        code, printed, said = dry_run_output(stage, monkeypatch)
        assert (code, states(stage, session)) == (0, [State.TO_BE_BUILT])
        assert f"Session {session.identifier}: 2 files in 1 activity, for " in said
        stage.builder.once()
        assert stage.document(session).encode() == printed
        again = dry_run_output(stage, monkeypatch, Selection(session.identifier))
        assert again[1] == printed, "any session, also one that was built"

    def test_every_waiting_session_is_printed(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("a.dm3", "b.dm3"):
            stage.session(name)
        _, printed, _ = dry_run_output(stage, monkeypatch)
        first, second = printed.split(b"<?xml")[1:]
        assert b"a.dm3" in etree.tostring(etree.fromstring(b"<?xml" + first))
        assert b"b.dm3" in etree.tostring(etree.fromstring(b"<?xml" + second))

    def test_what_would_come_to_nothing(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = stage.session()
        code, printed, said = dry_run_output(stage, monkeypatch)
        assert (code, printed) == (0, b"")
        assert said.startswith(f"Session {session.identifier} would become NO_FILES_FOUND: No files in ")
        assert dry_run_output(stage, monkeypatch, Selection(to_ts=0)) == (
            0,
            b"",
            "No session is waiting to be built.\n",
        )

    def test_what_would_fail(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage.session("a.dm3")
        stage.config["Services.Builder.schema_path"] = "/nowhere/own.xsd"
        code, printed, said = dry_run_output(stage, monkeypatch)
        assert (code, printed) == (1, b"")
        assert "schema_path" in said
        opened = stage.sessions.start("Titan", USER)
        with pytest.raises(NotToBeBuilt, match="it has not ended yet"):
            dry_run_output(stage, monkeypatch, Selection(opened.identifier))

    def test_it_changes_nothing(self, facility: Facility) -> None:
        """Neither a row of the database nor a file, and the temporary ones are gone."""
        facility.run("Services.Builder", "--once")  # which leaves its settings' defaults in the configuration
        (facility.files / "note.txt").write_text("grid 3")
        os.utime(facility.files / "note.txt", ((START + timedelta(minutes=5)).timestamp(),) * 2)
        session = facility.session(START, START + timedelta(hours=1))
        temporary = facility.folder / "temporary"
        temporary.mkdir()
        tables = {name: rows(facility.url, f"SELECT * FROM {name} ORDER BY 1, 2") for name in TABLES}
        before = everything(facility.folder)
        done = subprocess.run(
            [sys.executable, "-m", "Services.Builder", "--once", "--dry-run"],
            cwd=PROJECT,
            env={**facility.environment, "TMPDIR": str(temporary)},
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert {name: rows(facility.url, f"SELECT * FROM {name} ORDER BY 1, 2") for name in TABLES} == tables
        assert everything(facility.folder) == before
        facility.run("Services.Builder", "--once")
        assert Path(facility.record(session).path).read_bytes() == done.stdout

    def test_a_reader_that_has_seen_enough(self, facility: Facility) -> None:
        (facility.files / "note.txt").write_text("grid 3")
        os.utime(facility.files / "note.txt", ((START + timedelta(minutes=5)).timestamp(),) * 2)
        facility.session(START, START + timedelta(hours=1))
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "Services.Builder", "--dry-run"],
            cwd=PROJECT,
            env=facility.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_mistakes_have_a_sentence_and_a_code(self, facility: Facility) -> None:
        done = facility.run("Services.Builder", "--dry-run", "--session", "nobody", code=1)
        assert (done.stdout, done.stderr) == ("", "Builder: Session 'nobody' does not exist.\n")


class TestTheCommandLine:
    """Exit codes, help and the progress bar."""

    def test_the_help_begins_with_three_examples(self) -> None:
        lines = _parser(Builder).format_help().splitlines()
        assert lines[0] == "Examples:"
        assert [line.split("   ")[0].split()[:3] for line in lines[1:4]] == [["python", "-m", "Services.Builder"]] * 3
        assert lines[5].startswith("usage: python -m Services.Builder")

    def test_nothing_to_do(self, facility: Facility) -> None:
        for words in (("--once",), ("--dry-run",), ("--from", "2026-01-01")):
            assert facility.run("Services.Builder", *words).stdout == ""

    def test_a_bar_on_a_terminal(self, facility: Facility) -> None:
        """It is drawn where somebody sees it, and lines of the log stay whole."""
        for number in range(3):
            path = facility.files / f"{number}.txt"
            path.write_text("grid 3")
            os.utime(path, ((START + timedelta(minutes=number)).timestamp(),) * 2)
        facility.session(START, START + timedelta(hours=1))
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "Services.Builder", "--once"],
            cwd=PROJECT,
            env={**facility.environment, "TERM": "xterm", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:
            pass  # the terminal's other end was closed
        finally:
            os.close(ours)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""
        process.stdout.close()
        assert b"Reading files" in seen and b"/3" in seen
        assert b"INFO Builder: Builder ends" in seen
        plain = facility.run("Services.Builder", "--once", "--session", facility.sessions.newest()[0].identifier)
        assert "Reading files" not in plain.stderr
