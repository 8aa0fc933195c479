"""An Intake that is killed at any moment, and several of them: each file exists whole, once, and all are filed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility.intake_move import Method, MoveState, NewMove
from Services.Intake.moving import PART
from tests.disks import mounted
from tests.processes import LIMIT, PROJECT, eventually, execute, messages, rows
from tests.services.filing import PROGRAM, RUN, RUN_FILED, Station, station_on

pytestmark = pytest.mark.faults
LONG = bool(os.environ.get("NEXUSCORE_TEST_LONG"))
KILLS = 100 if LONG else 10
FILES = 400
LATEST_SECONDS = 60.0


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        one.config["Services.Intake.interval"] = 0.2
        yield one


@pytest.fixture
def everywhere(database_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(database_url, tmp_path) as one:
        one.config["Services.Intake.interval"] = 0.2
        yield one


def start(station: Station, home: str = "") -> subprocess.Popen[bytes]:
    environment = station.environment()
    if home:
        environment["NEXUSCORE_HOME"] = str(station.home / home)
    return subprocess.Popen(PROGRAM, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL)


def ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT) == 0


def fill(station: Station, count: int, size: int = 0) -> dict[str, bytes]:
    """Drop files; return the content that each is to have at its target."""
    expected = {}
    for number in range(count):
        content = b"%d" % number + b"x" * size
        station.drop(f"EMChistos_{number % 7}_B_t{number}.root", content)
        expected[f"Run{number % 7}/EMC/EMChists.t{number}.root"] = content
    return expected


def files_below(*folders: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "runInfo.yaml":
                assert path.name not in found, f"{path} is there twice"
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def kill_again_and_again(station: Station, expected: dict[str, bytes], target: Path, kills: int) -> None:
    """Kill Intakes at random moments until all is filed, then let one do the rest; check what is there each time."""
    dice = random.Random(7)
    contents = sorted(expected.values())
    for _ in range(kills):
        waiting = dropped(station)
        process = start(station)
        eventually(lambda: dropped(station) < waiting)  # noqa: B023
        threading.Event().wait(dice.uniform(0, 0.1))
        process.kill()
        process.wait(LIMIT)
        there = [
            path.read_bytes()
            for folder in {station.inbox, target}
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(PART) and path.name != "runInfo.yaml"
        ]
        # Just between two steps of a copy a file has two names, one of which goes; none is ever missing or cut.
        assert set(there) == set(contents)
        for number, path in enumerate(files_filed(target)):
            if number % 2 or dropped(station) < len(expected) // 4:
                back(station, target, path)
    process = start(station)
    try:
        eventually(lambda: len(files_filed(target)) == len(expected))
        eventually(lambda: rows(station.url, "SELECT id FROM intake_move WHERE claim IS NOT NULL") == [])
    finally:
        ended(process)
    assert files_below(target) == expected
    assert [p.name for p in target.rglob(f"{PART}*")] == []


def files_filed(target: Path) -> list[Path]:
    """Return the files that are filed; folders may be removed meanwhile, which `os.walk` passes over."""
    return [Path(where, name) for where, _, names in os.walk(target) for name in names if name.startswith("EMChists.")]


def dropped(station: Station) -> int:
    return len(list(station.inbox.glob("EMChistos*")))


def back(station: Station, target: Path, path: Path) -> None:
    """Drop a file again that was filed, as a new one."""
    number, run = path.name.split(".")[1].removeprefix("t"), path.relative_to(target).parts[0].removeprefix("Run")
    source = station.inbox / f"EMChistos_{run}_B_t{number}.root"
    if not source.exists():
        shutil.move(path, source)


class TestKilled:
    """Nothing is lost or doubled, whatever it was doing; the next one settles it."""

    def test_at_random_moments(self, station: Station) -> None:
        expected = fill(station, FILES)
        kill_again_and_again(station, expected, station.inbox, KILLS)

    def test_at_random_moments_to_another_file_system(self, station: Station, tmp_path: Path) -> None:
        with mounted(tmp_path / "far", "64m") as far:
            station.root.rule("overwatch", target=str(far))
            expected = fill(station, 60, 100_000)
            kill_again_and_again(station, expected, far, max(3, KILLS // 5))

    @pytest.mark.parametrize(
        ("at_source", "at_target", "state"),
        [
            ("data", None, "claimed"),
            (None, "data", "moved"),
            ("data", "data", "linked"),
            ("data", "data", "copied"),
            ("data", "other", "taken"),
            ("changed", "data", "copied, then changed"),
            (None, None, "gone"),
        ],
    )
    def test_each_moment(self, everywhere: Station, at_source: str | None, at_target: str | None, state: str) -> None:
        """What is on the disk after a kill between any two steps, and what becomes of it."""
        station = everywhere
        source, target = station.inbox / RUN, station.inbox / RUN_FILED
        target.parent.mkdir(parents=True)
        path = station.drop()
        inode = str(path.stat().st_ino)
        new = NewMove("det", "overwatch", "0" * 64, None, str(source), str(target), 4, 1, inode)
        (move,) = station.moves.claim("host:1:dead/det", 300, [new])
        if at_target is None:
            (target.parent / f"{PART}{move.id}").write_text("da")
        elif state in ("moved", "linked"):
            os.link(path, target)
        else:
            target.write_text(at_target)
            if "copied" in state:
                station.moves.publishing(move, "host:1:dead/det", 300, str(target.stat().st_ino), "0" * 64)
        if at_source is None:
            path.unlink()
        elif at_source != "data":
            path.write_text(at_source)
        execute(station.url, "UPDATE intake_move SET lease_until = 1")
        station.app.get_config().set("Services.Intake.rules.overwatch.accepted", "", create=True)
        intake = station.intake()
        intake.once()
        intake.close()
        there = station.tree()
        there.pop("Run300005/runInfo.yaml", None)
        expected = {
            "claimed": {RUN_FILED: "data"},
            "moved": {RUN_FILED: "data"},
            "linked": {RUN_FILED: "data"},
            "copied": {RUN_FILED: "data"},
            "taken": {RUN: "data", RUN_FILED: "other"},
            "copied, then changed": {RUN: "changed", RUN_FILED: "data"},
            "gone": {},
        }[state]
        assert there == expected
        history = [move for move in station.history() if move.method is not Method.NOTE]
        assert [move.state for move in history] == [MoveState.FILED] * (
            state in ("claimed", "moved", "linked", "copied")
        )
        assert rows(station.url, "SELECT id FROM intake_move WHERE claim IS NOT NULL") == []

    def test_while_it_undoes(self, station: Station) -> None:
        expected = fill(station, FILES)
        station.run()
        dice = random.Random(3)
        undo = [*PROGRAM, "undo", "--since", "1h"]
        for _ in range(max(3, KILLS // 5)):
            process = subprocess.Popen(
                undo, cwd=PROJECT, env=station.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                before = len(files_filed(station.inbox))
                eventually(lambda: len(files_filed(station.inbox)) < before or process.poll() is not None)  # noqa: B023
                threading.Event().wait(dice.uniform(0, 0.1))
            finally:
                process.kill()
                process.wait(LIMIT)
            assert sorted(files_below(station.inbox).values()) == sorted(expected.values())
            execute(station.url, "UPDATE intake_move SET lease_until = 1 WHERE lease_until IS NOT NULL")
            station.config["Services.Intake.inboxes.det.on"] = False
            intake = station.intake()
            intake.once()  # settles what was being undone
            intake.close()
        done = subprocess.run(undo, cwd=PROJECT, env=station.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        names = {path.name: path.read_bytes() for path in station.inbox.iterdir() if path.is_file()}
        assert sorted(names.values()) == sorted(expected.values())
        assert all(name.startswith("EMChistos_") for name in names)


class TestSeveral:
    """Two Intakes on one folder and database: each file is filed once."""

    def test_two(self, everywhere: Station) -> None:
        station = everywhere
        station.run()  # the rule is accepted
        expected = fill(station, FILES)
        processes = [start(station, home) for home in ("a", "b")]
        eventually(lambda: len(files_filed(station.inbox)) == FILES)
        eventually(lambda: rows(station.url, "SELECT id FROM intake_move WHERE claim IS NOT NULL") == [])
        for process in processes:
            ended(process)
        assert files_below(station.inbox) == expected
        sources = [move.source for move in station.history() if move.method is Method.RENAME]
        assert len(sources) == len(set(sources)) == FILES
        assert not [line for line in messages(station.url, "Intake") if "gone" in line or "failed" in line]

    def test_two_inboxes_of_similar_names(self, station: Station) -> None:
        """A worker settles what it left itself, not what its neighbour is moving at the moment."""
        new = [NewMove("det", "r", "0" * 64, None, f"/drop/{number}", "/x", 4, 1, "1") for number in range(2)]
        station.moves.claim("host:1:ab/det/", 30, new[:1])
        station.moves.claim("host:1:ab/det2/", 30, new[1:])
        assert [move.source for move in station.moves.abandoned(["host:1:ab/det/"])] == ["/drop/0"]
        assert len(station.moves.abandoned(["host:1:ab"])) == 2
        assert station.moves.abandoned() == []
        station.root.inbox("det2", path=str(station.home), stable_seconds=0.0)
        intake = station.intake()
        intake.once()
        intake.close()
        owners = {rounds._filer.owner for rounds in intake._rounds.values()}
        assert len(owners) == 2
        assert not any(one != other and other.startswith(one) for one in owners for other in owners)

    def test_one_that_only_seems_dead(self, station: Station) -> None:
        """It was stopped, and its lease ended: when it goes on, it finds that its claim is another's."""
        station.run()
        path = station.drop()
        new = NewMove("det", "overwatch", "0" * 64, None, str(path), str(station.inbox / RUN_FILED), 4, 1, "1")
        (move,) = station.moves.claim("slow", 30, [new])
        assert station.moves.claim("quick", 30, [new]) == []
        execute(station.url, "UPDATE intake_move SET lease_until = 1")
        assert len(station.run().filed) == 1
        assert not station.moves.publishing(move, "slow", 30, "1", None)
        assert station.tree()[RUN_FILED] == "data"


class TestTheEnd:
    """A signal ends it at once, also in the middle of much work."""

    def test_sigterm(self, station: Station) -> None:
        station.run()
        fill(station, 2000)
        process = start(station)
        eventually(lambda: files_filed(station.inbox))
        ended(process)
        assert rows(station.url, "SELECT id FROM intake_move WHERE claim IS NOT NULL") == []
        assert messages(station.url, "Intake")[-1] == "Intake ends"

    def test_a_hint_comes_before_the_interval(self, station: Station) -> None:
        station.run()
        station.config["Services.Intake.interval"] = 3600.0
        process = start(station)
        eventually(lambda: "Intake starts" in " ".join(messages(station.url, "Intake")[-2:]))
        eventually(lambda: rows(station.url, "SELECT value FROM status_latest WHERE value = 'ok'"))
        threading.Event().wait(1.0)  # the system's events are asked for on a thread that has no other sign
        station.drop()
        eventually(lambda: (station.inbox / RUN_FILED).exists())
        ended(process)
