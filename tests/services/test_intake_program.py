"""Intake as a program: exit codes, a dry run, commands, and what the Builder knows of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK, to_datetime
from NexusCore.facility import State
from NexusCore.facility.inboxes import files_under_way
from NexusCore.facility.intake_move import NewMove
from Services.Intake.commands.cli_options import NoNames, lines_of
from tests.processes import LIMIT, PROJECT, rows
from tests.services.builder_facility import Stage
from tests.services.filing import PROGRAM, RUN, RUN_FILED, Station, station_on

COLLIDING = ("EMChistos_1_B_t.root", "EMChists_1_B_t.root")


@pytest.fixture
def station(database_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(database_url, tmp_path) as one:
        yield one


@pytest.fixture
def local(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def run(station: Station, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=PROJECT,
        env=station.environment(),
        capture_output=True,
        text=True,
        input=stdin,
        timeout=LIMIT,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


class TestCommands:
    """What is typed, what is printed, and the exit code."""

    def test_a_dry_run_changes_nothing(self, station: Station) -> None:
        station.drop()
        done = run(station, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert done.stdout == (
            f"Inbox det: {station.inbox}\n"
            f"  {station.inbox}/\n"
            "    Run300005/\n"
            "      EMC/\n"
            f"        EMChists.2015_11_24_18_05_10.root  <- {RUN}\n"
            "      runInfo.yaml  (note)\n"
            "  1 file would be filed into 1 folder; 1 note; 0 collisions\n"
        )
        assert station.tree() == {RUN: "data"}
        assert rows(station.url, "SELECT id FROM intake_move") == []

    def test_invented_names(self, local: Station, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_bytes(b"EMChistos_1_B_t.root\nEMChists_1_B_t.root\n\xe9.root\n")
        done = run(local, "--dry-run", "--names", str(names))
        assert done.returncode == 1
        assert "2 collisions" in done.stdout
        assert "\\udce9.root: its name cannot be used: it has a byte that is not UTF-8" in done.stdout
        done = run(local, "--dry-run", "--names", "-", stdin=f"{RUN}\n")
        assert done.returncode == 0
        assert RUN_FILED.rsplit("/", 1)[1] in done.stdout

    def test_undo_and_history(self, station: Station) -> None:
        station.drop()
        assert run(station, "--once").returncode == 0
        assert station.tree()[RUN_FILED] == "data"
        done = run(station, "history", "--since", "1h")
        assert f"{station.inbox / RUN} -> {station.inbox / RUN_FILED}" in done.stdout
        assert "(note) -> " in done.stdout
        (station.inbox / "Run300005/runInfo.yaml").write_text("changed")
        done = run(station, "undo", "--since", "1h")
        assert (done.returncode, done.stdout) == (1, "1 file was put back; 1 file stays filed.\n")
        assert "runInfo.yaml stays: it has changed since it was written" in done.stderr
        assert station.tree() == {RUN: "data", "Run300005/runInfo.yaml": "changed"}
        assert "(put back)" in run(station, "history").stdout

    def test_accept(self, local: Station) -> None:
        """A rule with collisions is used only with --force and a reason, which is in its history."""
        for name in (*COLLIDING, RUN):
            local.drop(name)
        done = run(local, "accept", "overwatch")
        assert done.returncode == 4
        assert "The rule 'overwatch' is not accepted: 2 collisions" in done.stderr
        assert run(local, "--once").returncode == 1, "nothing is filed by it"
        assert len(local.tree()) == 3
        done = run(local, "accept", "overwatch", "--force", "--why", "the second one is a test")
        assert (done.returncode, done.stdout) == (0, "The rule 'overwatch' is used now; 2 files collide and stay.\n")
        assert run(local, "--once").returncode == 1, "two files stay"
        assert RUN_FILED in local.tree()
        whys = [entry.why for entry in local.config.history("Services.Intake.rules.overwatch.accepted")]
        assert "the second one is a test" in whys

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["undo"], "undo needs --since"),
            (["undo", "--since", "yesterday"], "'yesterday' is not a time such as 1h or"),
            (["accept"], "accept needs the name of a rule"),
            (["accept", "overwatch", "--force"], "--force is for accept, with a reason"),
            (["accept", "overwach"], "Did you mean 'overwatch'?"),
            (["undo", "--since", "1h", "--until", "2h"], "--until has to be later than --since"),
            (["undo", "--since", "2099-01-01"], "--since is in the future"),
            (["undo", "overwach", "--since", "1h"], "Did you mean 'overwatch'?"),
            (["history", "overwach"], "Did you mean 'overwatch'?"),
            (["--names", "x"], "--names and --inbox are for --dry-run"),
            (["--dry-run", "--inbox", "dat"], "There is no inbox 'dat' that is on. Did you mean 'det'?"),
            (["undo", "--since", "1h", "--once"], "does not go with --dry-run or --once"),
            (["tidy"], "invalid choice"),
        ],
    )
    def test_wrong_arguments(self, local: Station, arguments: list[str], sentence: str) -> None:
        done = run(local, *arguments)
        assert done.returncode == 2
        assert sentence in done.stderr

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("nothing.txt", "No such file or directory"),
            ("/dev/zero", "it is neither a file nor a pipe"),
            ("docs", "Is a directory"),
        ],
    )
    def test_names_that_cannot_be_read(self, local: Station, path: str, reason: str) -> None:
        done = run(local, "--dry-run", "--names", path)
        assert done.returncode == 2
        assert done.stderr == (
            f"Intake: No paths can be read from {path}: {reason}. Use a file with one path in each line.\n"
        )

    def test_names_without_end(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("Services.Intake.commands.cli_options.MOST_BYTES", 100)
        path = tmp_path / "names"
        path.write_text("a\n" * 50)
        assert len(lines_of(path)) == 50
        path.write_text("a\n" * 51)
        with pytest.raises(NoNames, match="more than 100 bytes"):
            lines_of(path)

    def test_names_that_take_long_can_be_interrupted(self, local: Station, tmp_path: Path) -> None:
        """All of them would take minutes."""
        local.root.rule("slow", parse="(?P<a>(a|aa)+)c")
        local.root.inbox(rules="slow; nothing")  # the second one is named at the beginning
        (tmp_path / "names").write_text("".join(f"{'a' * 90}{number}\n" for number in range(50_000)))
        with subprocess.Popen(
            [*PROGRAM, "--dry-run", "--names", str(tmp_path / "names")],
            cwd=PROJECT, env=local.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            assert "'nothing', which does not exist" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(LIMIT) == 130
            finally:
                process.kill()

    def test_names_elsewhere(self, local: Station) -> None:
        """An absolute path is one of the drop folder, or refused."""
        done = run(local, "--dry-run", "--names", "-", stdin=f"/etc/passwd\n{local.inbox / RUN}\n")
        assert f"/etc/passwd: it is not below {local.inbox}" in done.stdout
        assert RUN_FILED.rsplit("/", 1)[1] in done.stdout

    @pytest.mark.parametrize(
        "setting",
        [
            {"path": "nowhere"},
            {"path": "/nowhere/at/all"},
            {"rules": "overwach"},
            {"rules": ""},
            {"instrument": "Titen"},
        ],
    )
    def test_what_cannot_be_filed_is_no_success(self, local: Station, setting: dict[str, str]) -> None:
        local.drop()
        local.root.inbox(**setting)
        for option in ("--dry-run", "--once"):
            done = run(local, option)
            assert done.returncode == 1, option
            assert next(iter(setting.values())) in done.stdout + done.stderr
            assert "There is no inbox" not in done.stderr

    def test_one_inbox_does_not_hide_the_others(self, local: Station, tmp_path: Path) -> None:
        """A folder that is away, or too deep, is named; the others are planned for."""
        local.root.inbox("away", path=str(tmp_path / "away"))
        local.root.inbox(subfolders=True)
        local.drop("/".join(["deep"] * 66 + [RUN]))
        local.drop()
        done = run(local, "--dry-run")
        assert done.returncode == 1
        assert f"away: {tmp_path / 'away'} cannot be planned for: No such file or directory" in done.stderr
        assert "is not looked into: it is more than 64 folders deep" in done.stderr
        assert len(max(done.stderr.splitlines(), key=len)) < 400
        assert "1 file would be filed" in done.stdout

    def test_a_note_that_cannot_be_written_is_shown(self, local: Station) -> None:
        (local.inbox / "Run300005").mkdir()
        (local.inbox / "Run300005/runInfo.yaml").symlink_to("nowhere")
        local.drop()
        assert "runInfo.yaml  (note, not written: what has its name is no file)" in run(local, "--dry-run").stdout

    def test_a_circle_of_rules_is_shown(self, local: Station, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        local.root.rule("there", target=str(tmp_path / "b"), path="{name}")
        local.root.rule("back", target=str(local.inbox), path="{name}")
        local.root.inbox(rules="there")
        local.root.inbox("b", path=str(tmp_path / "b"), rules="back")
        done = run(local, "--dry-run")
        assert "det -> b -> det" in done.stderr or "b -> det -> b" in done.stderr


class TestTheBuilderWaits:
    """A session whose files are still being filed waits for them, for a time."""

    def test_what_is_under_way(self, station: Station) -> None:
        station.config["Instruments.Titan.filestore_path"] = "./Titan"
        station.root.inbox(instrument="Titan", subfolders=True)
        config, moves = station.config, station.moves
        path = station.drop("grid/a.dm4")
        station.drop(".hidden")
        ts = path.stat().st_mtime_ns // 1000
        assert files_under_way(config, moves, "Titan", ts - 1, ts + 1) == 1
        assert files_under_way(config, moves, "Titan", ts + 1, ts + 2) == 0, "another session's"
        assert files_under_way(config, moves, "Themis", ts - 1, ts + 1) == 0
        new = NewMove("det", "r", "0" * 64, "Titan", str(path), "/elsewhere", 4, ts, "1")
        moves.claim("me", 30, [new])
        path.unlink()
        assert files_under_way(config, moves, "Titan", ts - 1, ts + 1) == 1, "it is being moved now"
        station.config["Services.Intake.inboxes.det.path"] = str(station.inbox / "away")
        moves.release(moves.abandoned(["me"]))
        assert files_under_way(config, moves, "Titan", ts - 1, ts + 1) == 0

    def test_a_session_waits_and_is_built(self, stage: Stage) -> None:
        drop = stage.folder / "drop"
        drop.mkdir()
        stage.config["Services.Intake.inboxes.titan.path"] = str(drop)
        stage.config["Services.Intake.inboxes.titan.instrument"] = "Titan"
        session = stage.session("a.dm3", "late.dm3")
        late = (stage.files / "late.dm3").rename(drop / "late.dm3")
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        assert stage.sessions.waiting() == [], "not asked for again at once"
        late.rename(stage.files / "late.dm3")
        stage.clock.move(11)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT
        assert sorted(stage.readers.asked) == ["a.dm3", "late.dm3"]

    def test_not_for_ever(self, stage: Stage) -> None:
        """What is never filed delays a record, and no more."""
        drop = stage.folder / "drop"
        drop.mkdir()
        stage.config["Services.Intake.inboxes.titan.path"] = str(drop)
        stage.config["Services.Intake.inboxes.titan.instrument"] = "Titan"
        session = stage.session("a.dm3", "late.dm3")
        (stage.files / "late.dm3").rename(drop / "late.dm3")
        stage.clock.move(899)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        stage.clock.move(2)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT
        assert stage.readers.asked == ["a.dm3"]


def test_times_of_the_command_line() -> None:
    from Services.Intake.commands.cli_options import _moment

    hour = to_datetime(SYSTEM_CLOCK.now()) - to_datetime(_moment("1h"))
    assert timedelta(minutes=59) < hour < timedelta(minutes=61)
    assert _moment("2026-11-20T09:30Z") == 1_795_167_000_000_000
