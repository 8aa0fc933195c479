"""What a process knows of the configuration while its database is away, and how it catches up."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import snapshot
from NexusCore.config.store import ConfigStore
from NexusCore.errors import DatabaseUnreachable, NoDatabaseFile
from NexusCore.settings import DatabaseURL
from tests.clocks import HandClock
from tests.processes import LIMIT, app_on, eventually, execute, line_of, messages, rows, run, samples, start


@contextmanager
def away(app: App) -> Iterator[None]:
    """Have the configuration's database away for an application."""

    def nobody() -> int:
        raise DatabaseUnreachable(where="here", reason="nobody answers")

    store = app.live.store
    store.revision = nobody  # type: ignore[method-assign]
    try:
        yield
    finally:
        del store.revision


def kept_of(home: Path) -> dict[str, str | None]:
    """Return what the snapshot in a home folder says of the default version."""
    found = [snapshot.load(path) for path in home.glob("snapshot/config-*") if path.suffix != ".part"]
    return {one.path: one.value for kept in found if kept for one in kept.versions["default"][1]}


class TestAStartWithoutTheDatabase:
    """It starts with the last configuration that was seen here, says so, and catches up."""

    def test_it_says_so(self, database_url: str, tmp_path: Path) -> None:
        first = app_on(database_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.shutdown(LIMIT)
        second = app_on(database_url, tmp_path / "home")
        with away(second):
            cfg = second.get_config()
            assert (cfg["x"], second.live.source) == (1, "snapshot")
            eventually(lambda: any("last seen here" in one for one in messages(database_url, "NexusCore.config")))
        eventually(lambda: second.live.source == "database")
        second.shutdown(LIMIT)
        said = messages(database_url, "NexusCore.config")
        assert [one.split()[0] for one in said] == ["Starting", "The"]

    def test_all_that_happened_meanwhile_comes_once_and_in_order(
        self, database_url: str, other: App, tmp_path: Path
    ) -> None:
        first = app_on(database_url, tmp_path / "home")
        first.get_config()["x"] = -1
        first.get_config()["gone"] = 1
        first.shutdown(LIMIT)
        second = app_on(database_url, tmp_path / "home")
        seen: list[object] = []
        with away(second):
            cfg = second.get_config()
            cfg.add_callback(["x", "gone"], lambda parameter: seen.append((parameter.path, parameter.value)))
            theirs = other.get_config()
            for number in range(50):
                theirs["x"] = number
            theirs.remove("gone")
            assert cfg["x"] == -1
        eventually(lambda: len(seen) >= 51)
        assert seen == [*(("x", number) for number in range(50)), ("gone", None)]
        second.shutdown(LIMIT)

    def test_every_version_that_any_process_here_used(self, database_url: str, tmp_path: Path) -> None:
        """One process uses "night", a later one only the default: both can start without the database."""
        first = app_on(database_url, tmp_path / "home")
        first.get_config("", "night")["x"] = "dark"
        first.shutdown(LIMIT)
        second = app_on(database_url, tmp_path / "home")
        second.get_config()["x"] = "bright"
        second.shutdown(LIMIT)
        third = app_on(database_url, tmp_path / "home")
        with away(third):
            assert third.get_config("", "night")["x"] == "dark"
            assert third.get_config()["x"] == "bright"
        third.shutdown(LIMIT)

    def test_a_version_that_is_asked_for_while_it_is_away(self, database_url: str, other: App, tmp_path: Path) -> None:
        """What changed in it since it was last seen here is not missed, though the others are up to date."""
        first = app_on(database_url, tmp_path / "home")
        night = first.get_config("", "night")
        night["x"], night["gone"] = 1, 1
        first.shutdown(LIMIT)
        theirs, their_night = other.get_config(), other.get_config("", "night")
        their_night["x"] = 2
        their_night.remove("gone")
        second = app_on(database_url, tmp_path / "home")
        cfg, seen = second.get_config(), []
        cfg.add_callback("y", lambda parameter: seen.append(parameter.value))
        theirs["y"] = 1
        theirs.remove("y")
        eventually(lambda: seen == [1, None])
        with away(second):
            late = second.get_config("", "night")
            assert (late["x"], late["gone"]) == (1, 1)
        eventually(lambda: late["x"] == 2 and late["gone"] is None)
        theirs["y"] = 2
        eventually(lambda: seen == [1, None, 2])
        second.shutdown(LIMIT)

    def test_a_version_that_was_never_seen(self, app: App) -> None:
        app.get_config()
        with away(app), pytest.raises(DatabaseUnreachable):
            app.get_config("", "night")

    def test_a_snapshot_that_is_damaged(self, database_url: str, tmp_path: Path) -> None:
        first = app_on(database_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.shutdown(LIMIT)
        (kept,) = (tmp_path / "home/snapshot").iterdir()
        whole = kept.read_bytes()
        for data in (b"", whole[:-3], b"\x00" * 50, whole[:1] + b"\x7f" + whole[2:], whole[:2] + b"\x01\x01"):
            kept.write_bytes(data)
            second = app_on(database_url, tmp_path / "home")
            with away(second), pytest.raises(DatabaseUnreachable):
                second.get_config()
            second.shutdown(1)
        third = app_on(database_url, tmp_path / "home")
        assert third.get_config()["x"] == 1
        third.shutdown(LIMIT)
        assert kept.read_bytes()[:1] == whole[:1]

    def test_after_kill_9(self, database_url: str, tmp_path: Path) -> None:
        """The snapshot does not wait for a clean end."""
        program = """
import sys
from NexusCore import API
API.get_config()["x"] = 5
print("ready", flush=True)
sys.stdin.readline()
"""
        process = start(program, main=database_url, home=tmp_path / "home")
        assert line_of(process) == "ready"
        eventually(lambda: kept_of(tmp_path / "home").get("x") == "5")
        process.kill()
        process.communicate(timeout=LIMIT)
        app = app_on(database_url, tmp_path / "home")
        with away(app):
            assert app.get_config()["x"] == 5
        app.shutdown(LIMIT)

    def test_the_first_change_after_a_while_is_kept_at_once(
        self, database_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those that follow it closely wait a little, so that a storm of changes costs few writes."""
        hour, home = 3600.0, tmp_path / "home"
        monkeypatch.setattr("NexusCore.config.watch.SAVE_INTERVAL", hour)
        app = app_on(database_url, home, clock)
        cfg = app.get_config()
        eventually(lambda: "default_version" in kept_of(home))
        clock.advance(2 * hour)
        cfg["first"] = 1
        eventually(lambda: "first" in kept_of(home))
        cfg["second"] = 2
        seen = threading.Event()
        cfg.add_callback("third", lambda parameter: seen.set())
        cfg["third"] = 3
        assert seen.wait(LIMIT)
        assert "second" not in kept_of(home)
        clock.advance(2 * hour)
        eventually(lambda: {"second", "third"} <= kept_of(home).keys())
        app.shutdown(LIMIT)

    def test_what_was_not_committed_is_not_kept(self, database_url: str, tmp_path: Path) -> None:
        first = app_on(database_url, tmp_path / "home")
        cfg = first.get_config()
        cfg["x"] = 1
        cfg.get("x").set_value(2, commit=False)
        cfg["y"] = 1
        first.shutdown(LIMIT)
        second = app_on(database_url, tmp_path / "home")
        with away(second):
            assert second.get_config()["x"] == 1
        second.shutdown(LIMIT)


class TestStatusSaysSo:
    """Every program that starts from the snapshot shows it on its status channels, until it has caught up."""

    def test_on_channels_of_before_and_after(self, database_url: str, tmp_path: Path) -> None:
        first = app_on(database_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.get_status("Plain")["x"] = 1
        first.shutdown(LIMIT)
        assert samples(database_url, "Plain") == [("x", "1")], "where all is well nothing is said"
        second = app_on(database_url, tmp_path / "home")
        before = second.get_status("Before")
        with away(second):
            second.get_config()
            after = second.get_status("After")
            assert [one["configuration"].get_value() for one in (before, after)] == ["snapshot"] * 2
        eventually(lambda: before["configuration"] == "database" and after["configuration"] == "database")
        late = second.get_status("Late")
        assert late.keys() == []
        second.shutdown(LIMIT)
        for channel in ("Before", "After"):
            assert samples(database_url, channel) == [("configuration", "snapshot"), ("configuration", "database")]

    def test_a_program_without_status_has_none(self, database_url: str, tmp_path: Path) -> None:
        first = app_on(database_url, tmp_path / "home")
        first.get_config()
        first.shutdown(LIMIT)
        second = app_on(database_url, tmp_path / "home")
        with away(second):
            second.get_config()
        eventually(lambda: second.live.source == "database")
        second.shutdown(LIMIT)
        assert rows(database_url, "SELECT COUNT(*) FROM status_channel") == [(0,)]


class TestAHomeThatIsReadOnly:
    """What was saved there is read, also under the name that it had before the database was known."""

    def test_a_snapshot_that_cannot_be_renamed_is_read(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = app_on(sqlite_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.get_log("x").info("so that the identity of the database becomes known")
        first.shutdown(LIMIT)
        url = DatabaseURL.parse(sqlite_url)
        by_place = tmp_path / "home/snapshot" / f"config-{url.fingerprint}"
        for saved in (tmp_path / "home/snapshot").iterdir():
            saved.rename(by_place)

        def refuse(path: Path, target: Path) -> Path:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        file = Path(sqlite_url.removeprefix("sqlite:///"))
        file.rename(file.with_suffix(".away"))
        monkeypatch.setattr(Path, "replace", refuse)
        second = app_on(sqlite_url, tmp_path / "home")
        assert (second.get_config()["x"], second.live.source) == (1, "snapshot")
        assert by_place.exists()
        monkeypatch.undo()
        second.shutdown(LIMIT)


class TestAFileThatIsAway:
    """The file of an SQLite database, on a disk that is not there yet, is away like a server is."""

    def test_it_starts_and_catches_up(self, sqlite_url: str, tmp_path: Path) -> None:
        file = Path(sqlite_url.removeprefix("sqlite:///"))
        first = app_on(sqlite_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.shutdown(LIMIT)
        elsewhere = file.rename(file.with_suffix(".away"))
        second = app_on(sqlite_url, tmp_path / "home")
        cfg = second.get_config()
        assert (cfg["x"], second.live.source) == (1, "snapshot")
        with pytest.raises(NoDatabaseFile):
            cfg["x"] = 2
        elsewhere.rename(file)
        eventually(lambda: second.live.source == "database")
        cfg["x"] = 3
        second.shutdown(LIMIT)
        assert rows(sqlite_url, "SELECT value FROM config_parameter WHERE path = 'x'") == [("3",)]

    def test_a_mistyped_path_is_said(self, sqlite_url: str, tmp_path: Path) -> None:
        first = app_on(sqlite_url, tmp_path / "home")
        first.get_config()["x"] = 1
        first.shutdown(LIMIT)
        app = app_on(f"{sqlite_url}x", tmp_path / "home")
        with pytest.raises(NoDatabaseFile, match="Is the path right"):
            app.get_config()
        app.shutdown(LIMIT)


class TestADatabaseThatIsReplaced:
    """The database is restored from a copy, or set up anew: what is there holds."""

    def test_a_new_database_replaces_what_was_seen(self, database_url: str, app: App) -> None:
        cfg, night = app.get_config(), app.get_config("", "night")
        seen: list[tuple[str, object]] = []
        cfg.add_callback("", lambda parameter: seen.append((parameter.path, parameter.value)))
        cfg["x"], cfg["same"], night["z"] = 1, 1, 1
        eventually(lambda: len(seen) == 2)
        execute(database_url, "DELETE FROM config_change")
        execute(database_url, "DELETE FROM config_parameter WHERE path <> 'same'")
        execute(database_url, "UPDATE config_parameter SET revision = 1")
        execute(database_url, "UPDATE config_revision SET revision = 1")
        eventually(lambda: cfg["x"] is None and night["z"] is None)
        assert cfg["same"] == 1
        cfg["x"] = 2
        night["z"] = 3
        eventually(lambda: seen[-1:] == [("x", 2)])
        assert seen[2:-1] in ([("default_version", None), ("x", None)], [("x", None), ("default_version", None)])
        assert (cfg["x"], night["z"]) == (2, 3)


class TestLateReaders:
    """A version that is loaded later is told nothing of what happened before."""

    def test_no_change_of_before(self, app: App, other: App, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs = other.get_config("", "night")
        app.get_config()
        watching = threading.Event()
        real = ConfigStore.changes_since

        def slow(self: ConfigStore, revision: int, *, current: bool = False) -> object:
            if self is app.live.store and not watching.is_set():
                raise DatabaseUnreachable(where="here", reason="slow")
            return real(self, revision, current=current)

        monkeypatch.setattr(ConfigStore, "changes_since", slow)
        theirs["x"] = 1
        theirs["removed"] = 1
        theirs.remove("removed")
        night = app.get_config("", "night")
        seen: list[object] = []
        night.add_callback("", lambda parameter: seen.append((parameter.path, parameter.value)))
        watching.set()
        theirs["last"] = 1
        eventually(lambda: seen)
        assert seen == [("last", 1)]
        assert "removed" not in night


class TestTheProgramEnds:
    """A short program leaves a snapshot too, with `shutdown` or without it."""

    @pytest.mark.parametrize("end", ["API.shutdown()", ""])
    def test_it_is_kept(self, database_url: str, tmp_path: Path, end: str) -> None:
        run(f"from NexusCore import API; API.get_config()['x'] = 1; {end}", main=database_url, home=tmp_path / "home")
        app = app_on(database_url, tmp_path / "home")
        with away(app):
            assert app.get_config()["x"] == 1
        app.shutdown(LIMIT)
        assert rows(database_url, "SELECT COUNT(*) FROM config_change WHERE path = 'x'") == [(1,)]
