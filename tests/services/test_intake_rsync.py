"""Mirrors on another host, by the real rsync and its own server on the loopback interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clocks import SetClock, databases_follow
from tests.gateway.transfers import free_port
from tests.processes import LIMIT, eventually, messages, rows
from tests.services.filing import RUN_FILED, Station, station_on
from tests.services.test_intake_copies import HOUR, once, states

RSYNC = shutil.which("rsync")
needed = pytest.mark.skipif(RSYNC is None, reason="rsync is not installed: apt-get install rsync")
ODD = "EMChistos_1_B_-a b [1]*? $(x) \u00e9.root"


@contextmanager
def served(folder: Path, port: int) -> Iterator[Path]:
    """Run rsync's server; lend the folder of its module."""
    vault = folder / "remote"
    vault.mkdir(exist_ok=True)
    user = f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else ""
    settings = folder / "rsyncd.conf"
    settings.write_text(
        f"address = 127.0.0.1\nport = {port}\nuse chroot = no\n[vault]\npath = {vault}\nread only = no\n{user}"
    )
    assert RSYNC is not None
    process = subprocess.Popen(
        [RSYNC, "--daemon", "--no-detach", f"--config={settings}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: b"@RSYNCD" in _greeting(port))
        yield vault
    finally:
        process.terminate()
        process.wait(LIMIT)


def _greeting(port: int) -> bytes:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(64)
    except OSError:
        return b""


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path, clock) as one:
        one.root.rule("overwatch", target=".", ready="rename")
        yield one


@pytest.fixture
def port(station: Station) -> int:
    port = free_port()
    station.root.mirror("far", kind="rsync", path=f"rsync://127.0.0.1:{port}/vault")
    return port


@pytest.fixture
def remote(station: Station, port: int, tmp_path: Path) -> Iterator[Path]:
    with served(tmp_path, port) as vault:
        yield vault


@needed
class TestCopied:
    """Each file gets there, and both ends compare it."""

    def test_odd_names(self, station: Station, remote: Path) -> None:
        """Folders are made; what a shell or rsync would take for a pattern is a name."""
        station.root.rule("overwatch", parse="(?P<system>EMC).*", path="-Run 1/[x]/{name}", note_path="", divert="")
        station.drop(ODD, "odd")
        station.drop("EMC2.root", "two")
        intake = station.intake()
        once(intake)
        intake.close()
        assert station.tree(remote) == {f"-Run 1/[x]/{ODD}": "odd", "-Run 1/[x]/EMC2.root": "two"}
        assert set(states(station).values()) == {"good"}

    def test_somebody_elses_file_stays(self, station: Station, remote: Path) -> None:
        (remote / RUN_FILED).parent.mkdir(parents=True)
        (remote / RUN_FILED).write_text("them")
        station.drop()
        intake = station.intake()
        once(intake)
        intake.close()
        assert (remote / RUN_FILED).read_text() == "them"
        ((reason,),) = rows(station.url, "SELECT reason FROM file_copy")
        assert "there is another file of that name" in reason

    def test_somebody_elses_folder_stays(self, station: Station, remote: Path) -> None:
        """The file is not put into it either."""
        (remote / RUN_FILED).mkdir(parents=True)
        station.drop()
        intake = station.intake()
        once(intake)
        intake.close()
        assert list((remote / RUN_FILED).iterdir()) == []
        assert set(states(station).values()) == {"waiting"}

    @pytest.mark.parametrize("damage", ["flipped", "missing", "folder gone"])
    def test_a_damaged_copy(self, station: Station, remote: Path, clock: SetClock, damage: str) -> None:
        station.drop()
        intake = station.intake()
        once(intake)
        copy = remote / RUN_FILED
        before = copy.stat()
        if damage == "flipped":
            copy.write_text("DATA")
            os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif damage == "missing":
            copy.unlink()
        else:
            shutil.rmtree(remote / "Run300005")
        clock.move(25 * HOUR)
        once(intake)
        intake.close()
        assert copy.read_text() == "data"
        station.app.shutdown(10)
        said = [line for line in messages(station.url, "Intake") if line.startswith("far: the copy of")]
        assert said[0].endswith("its content has changed" if damage == "flipped" else "it is missing")
        assert said[1].endswith("was repaired")

    def test_for_another_mirror_the_file_has_its_name(
        self, station: Station, remote: Path, tmp_path: Path, clock: SetClock
    ) -> None:
        """A copy of which the filed file is gone is made from one in a directory."""
        near = tmp_path / "near"
        near.mkdir()
        station.root.mirror("near", path=str(near))
        station.drop()
        intake = station.intake()
        station.root.mirror("far", on=False)
        once(intake)
        (tmp_path / "data" / RUN_FILED).unlink()
        station.root.mirror("far", on=True)
        once(intake)
        intake.close()
        assert station.tree(remote) == {RUN_FILED: "data"}


@needed
class TestAway:
    """A host that does not answer holds up nothing, is named once, and is made up for."""

    def test_the_server_does_not_run(self, station: Station, port: int, tmp_path: Path, clock: SetClock) -> None:
        station.drop()
        intake = station.intake()
        for _ in range(2):
            once(intake)
            clock.move(30)
        assert intake.status["mirror far"].get_value().startswith("The mirror far cannot be used: rsync: ")
        assert states(station) == {("far", RUN_FILED): "waiting"}
        with served(tmp_path, port) as vault:
            once(intake)
            intake.close()
            assert station.tree(vault) == {RUN_FILED: "data"}
        station.app.shutdown(10)
        assert len([line for line in messages(station.url, "Intake") if line.startswith("The mirror far")]) == 2

    def test_there_is_no_such_module(self, station: Station, remote: Path, port: int) -> None:
        station.root.mirror("far", path=f"rsync://127.0.0.1:{port}/nothing")
        station.drop()
        intake = station.intake()
        once(intake)
        intake.close()
        assert "Unknown module 'nothing'" in intake.status["mirror far"].get_value()

    def test_one_file_that_makes_the_host_seem_away(
        self, station: Station, remote: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others are copied."""
        from Services.Intake.mirrors.rsync import MirrorAway, RsyncMirror

        put = RsyncMirror.put

        def breaks(self: RsyncMirror, copy: object, source: Path) -> None:
            if "bad" in source.name:
                raise MirrorAway(mirror="far", reason="connection unexpectedly closed")
            put(self, copy, source)  # type: ignore[arg-type]

        monkeypatch.setattr(RsyncMirror, "put", breaks)
        for name in ("EMChistos_1_B_bad.root", "EMChistos_1_B_good.root"):
            station.drop(name)
        intake = station.intake()
        for _ in range(2):
            once(intake)
        intake.close()
        assert station.tree(remote) == {"Run1/EMC/EMChists.good.root": "data"}


class TestWithoutRsync:
    """What is said where it cannot work."""

    def test_it_is_not_installed(self, station: Station, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        station.drop()
        intake = station.intake()
        once(intake)
        intake.close()
        assert "rsync is not installed on this machine" in intake.status["mirror far"].get_value()

    @pytest.mark.parametrize("path", ["-e sh", "/folder", ""])
    def test_no_address(self, station: Station, port: int, path: str) -> None:
        station.root.mirror("far", path=path)
        intake = station.intake()
        once(intake)
        intake.close()
        assert "mirrors.far.path is" in intake.status["settings"].get_value()

    def test_it_is_ended_with_what_it_started(
        self, station: Station, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SSH would wait for a host that is gone, and hold what rsync says open; a stand-in for both does so."""
        programs = tmp_path / "bin"
        programs.mkdir()
        program = programs / "rsync"
        program.write_text(
            f"#!{sys.executable}\nimport os, subprocess, sys\n"
            f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\nchild.wait()\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        station.drop()
        intake = station.intake()
        monkeypatch.setattr(intake._copying, "_wait", lambda: None)
        intake.once()
        eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
        station.app.stop_event.set()
        intake.close()
        assert all(future.done() for future in intake._copying._running.values())
        child = int((tmp_path / "child").read_text())
        eventually(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
