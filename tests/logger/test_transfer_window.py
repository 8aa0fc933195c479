"""The files of a session in the window, worked by clicks and keys: a line, a list, and the page after the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility.session import State
from tests.gateway.gateways import RunningGateway
from tests.gateway.transfers import Directory, set_parameters
from tests.logger.facility import until
from tests.logger.screen import Desk, Screen, code_of
from tests.logger.transfer_scope import TransferScope


@pytest.fixture
def gateway(sqlite_url: str, tmp_path: Path) -> Iterator[RunningGateway]:
    gateway = RunningGateway(sqlite_url, tmp_path)
    set_parameters(gateway.main, Logger__close_delay=1.0)
    yield gateway
    gateway.close()


@pytest.fixture
def scope(gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TransferScope]:
    """Set up a microscope whose PC has settings as docs/logger.md says."""
    (tmp_path / "store").mkdir()
    scope = TransferScope(gateway, tmp_path, f"files-{time.time_ns()}", Directory(tmp_path / "store"))
    settings = tmp_path / "logger.ini"
    settings.write_text(f"[gateway]\nurl = {gateway.url}\ntoken = {scope.pc.secret}\n")
    monkeypatch.setenv("NEXUSCORE_LOGGER_SETTINGS", str(settings))
    monkeypatch.setenv("NEXUSCORE_LOGGER_HOME", str(scope.home))
    yield scope
    scope.close()


@pytest.fixture
def desk(screen: Screen, scope: TransferScope, tmp_path: Path) -> Iterator[Desk]:
    with Desk(screen, scope.name, tmp_path) as desk:
        yield desk


def begun(desk: Desk, scope: TransferScope) -> str:
    """Wait until a session runs and its first scan is done; return the session."""
    desk.see("RunningPage", "End session")
    desk.read("Files: none yet")
    time.sleep(0.5)
    return scope.all()[-1].identifier


class TestTheWindow:
    """Its user sees what becomes of the files, and can go at any time."""

    def test_from_the_double_click_until_it_is_complete(self, desk: Desk, scope: TransferScope) -> None:
        logger = desk.double_click()
        session = begun(desk, scope)
        for number in range(3):
            (scope.raw / f"{number}.tif").write_bytes(b"x" * 100_000)
        desk.read("Files: 3 sent")
        desk.press("alt+f", desk.screen.window("Session logger"))
        assert set(desk.see("FilesPage", "Back")) >= {"Back", "Show debug log"}
        desk.read("raw/0.tif: sent, verified.")
        desk.press("alt+b", desk.screen.window("Session logger"))
        desk.click("RunningPage", "End session")
        desk.read("Complete.")
        desk.press("alt+f", desk.screen.window("Session logger"))
        desk.see("FilesPage", "Back")
        time.sleep(1.5)  # the countdown ends meanwhile: the list stays
        desk.press("alt+b", desk.screen.window("Session logger"))
        assert desk.read("Complete.") == "Complete. All 3 files are stored. A record of this session is being made."
        assert desk.read("This window closes")
        assert code_of(logger) == 0
        assert logger.communicate() == ("", "")
        assert scope.sessions.get(session).state is State.TO_BE_BUILT
        assert scope.events() == ["START", "END"]

    def test_a_late_file_is_sent_by_a_click_and_a_locked_one_is_left(self, desk: Desk, scope: TransferScope) -> None:
        logger = desk.double_click()
        session = begun(desk, scope)
        with (scope.raw / "locked.dm4").open("wb") as locked:
            locked.write(b"\0" * 1000)
            locked.flush()
            desk.read("Files: 1 delayed")
            desk.click("RunningPage", "End session")
            desk.read("Its files are being sent")
            desk.read("the rest is sent the next time the session logger runs here")
            time.sleep(2)
            (scope.raw / "late.tif").write_bytes(b"late")
            desk.read("1 held back")
            desk.click("EndedPage", "Files")
            desk.read("raw/late.tif: held back (it appeared after the end of the session).")
            desk.click("FilesPage", "Send")
            until(lambda: scope.counts(session).get("verified") == 1, "it is sent")
            desk.read("Files: 1 sent, 1 delayed")
            desk.click("FilesPage", "Back")
            desk.click("EndedPage", "Finish without these")
            assert desk.read("Complete but 1") == "Complete but 1: raw/locked.dm4 (locked by another program)."
            desk.click("EndedPage", "Close")
            assert code_of(logger) == 0
        assert (scope.backing.get("raw/late.tif"), scope.backing.get("raw/locked.dm4")) == (b"late", None)
        assert scope.sessions.get(session).state is State.TO_BE_BUILT
        events = scope.sessions.events(scope.all()[-1])
        assert [event.detail for event in events if event.type.value == "PROBLEM"] == [
            "not transferred: raw/locked.dm4 (locked by another program)"
        ]

    @pytest.mark.parametrize("way", ["close", "terminate"])
    def test_the_next_logger_sends_the_rest(self, desk: Desk, scope: TransferScope, way: str) -> None:
        logger = desk.double_click()
        first = begun(desk, scope)
        with (scope.raw / "a.dm4").open("wb") as locked:
            locked.write(b"half")
            locked.flush()
            desk.read("Files: 1 delayed")
            if way == "close":
                desk.click("RunningPage", "End session")
                desk.read("Its files are being sent")
                desk.click("EndedPage", "Close")
                assert code_of(logger) == 0
            else:
                assert code_of(logger, signal.SIGTERM) == 0
            until(lambda: scope.sessions.get(first).awaits_files, "its files are on their way")
            locked.write(b" and half")
        second = desk.double_click()
        desk.read("Files: none yet")
        until(lambda: scope.sessions.get(first).state is State.TO_BE_BUILT, "the first one is finished")
        assert scope.backing.get("raw/a.dm4") == b"half and half"
        assert len(scope.all()) == 2
        assert code_of(second, signal.SIGTERM) == 0

    def test_the_next_user_begins_while_files_are_sent(self, desk: Desk, scope: TransferScope) -> None:
        """A second launch brings the window forward, with a new session; the files of the last one go on."""
        logger = desk.double_click()
        first = begun(desk, scope)
        with (scope.raw / "a.dm4").open("wb") as locked:
            locked.write(b"x")
            locked.flush()
            desk.read("Files: 1 delayed")
            desk.click("RunningPage", "End session")
            desk.read("Its files are being sent")
            second = desk.double_click(NEXUSCORE_LOGGER_GEOMETRY="/dev/null/none")
            desk.read("1 of an earlier session")
            assert len(scope.all()) == 2
        until(lambda: scope.sessions.get(first).state is State.TO_BE_BUILT, "the first one is finished")
        second.kill()
        assert code_of(logger, signal.SIGTERM) == 0
        assert [scope.events(session) for session in scope.all()] == [["START", "END"]] * 2
