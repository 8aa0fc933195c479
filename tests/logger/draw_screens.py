"""Draw the pictures of docs/logger.md: the real window on a real X server, on a facility of the test's own.

``python -m tests.logger.draw_screens docs/logger`` writes one PNG for each page.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import ImageGrab

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.sessions import Client
from NexusCore.storage.migrate import migrate
from tests.gateway.gateways import RunningGateway
from tests.gateway.transfers import Directory, set_parameters
from tests.logger.facility import PID, Facility, configure_logger
from tests.logger.screen import Desk, Screen
from tests.logger.transfer_scope import TransferScope

HOUR = 3600 * SECOND


class Painter:
    """Takes pictures of the window, page by page."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self._screen, self._folder = screen, folder

    def draw(self, name: str) -> None:
        """Save the window, once it is drawn, as ``name.png``."""
        time.sleep(0.4)
        found = self._screen.xdotool("getwindowgeometry", "--shell", self._screen.window("Session logger"))
        place = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", found)}
        left, top = place["X"], place["Y"]
        box = (left, top, left + place["WIDTH"], top + place["HEIGHT"])
        ImageGrab.grab(bbox=box, xdisplay=self._screen.display).save(self._folder / f"{name}.png", optimize=True)


def away(url: str, work: Callable[[], None]) -> None:
    """Do something while the database is not there."""
    path = Path(url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".away"))
    try:
        work()
    finally:
        path.with_suffix(".away").rename(path)


def draw_all(folder: Path) -> None:
    """Draw all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, Screen(1024, 768) as screen:
        home = Path(temporary)
        url = f"sqlite:///{home}/nexus.db"
        os.environ |= {
            "NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home), "LOGNAME": "jdoe",
            "NEXUSCORE_LOGGER_HOME": str(home / "logger"),
        }  # fmt: skip
        migrate(url)
        facility = Facility(home, close_delay=20, support_address="support@example.org")
        painter = Painter(screen, folder)
        with Desk(screen, facility.host, home) as desk:
            _draw(desk, painter, facility, url)
        facility.close()
    with tempfile.TemporaryDirectory() as temporary, Screen(1024, 768) as screen:
        _draw_transfer(screen, Painter(screen, folder), Path(temporary))


def _draw(desk: Desk, painter: Painter, facility: Facility, url: str) -> None:
    first = desk.double_click(NEXUSCORE_DATABASE="mysql://u:p@127.0.0.1:1/none")
    desk.click("FailedPage", "Close log")
    painter.draw("failed")
    first.kill()
    now = SYSTEM_CLOCK.now()
    booking = Reservation("x", "1", PID, now - HOUR, now + 2 * HOUR, user="Jane Doe", title="NMC811")
    Reservations(facility.database, SYSTEM_CLOCK).take_over("x", now - HOUR, now + 2 * HOUR, [booking])
    facility.sessions.start(PID, Client("ann", "office-pc"), ts=now - 5 * HOUR)
    desk.double_click()
    desk.see("QuestionPage", "Continue")
    painter.draw("question")
    desk.click("QuestionPage", "New session")
    desk.see("RunningPage", "End session")
    time.sleep(1)
    painter.draw("running")
    desk.click("RunningPage", "Add note")
    desk.see("TextPage", "Save")
    desk.type("Sample 2: thinner, less drift", desk.screen.window("Session logger"))
    painter.draw("note")
    desk.click("TextPage", "Save")
    desk.click("RunningPage", "Pause")
    desk.see("RunningPage", "Resume")
    painter.draw("paused")
    desk.close_button()
    desk.see("ClosePage", "Cancel")
    painter.draw("close")
    desk.click("ClosePage", "Cancel")

    def without() -> None:
        desk.click("RunningPage", "Resume")
        desk.see("RunningPage", "Pause")
        time.sleep(2.5)
        painter.draw("offline")

    away(url, without)
    desk.click("RunningPage", "End session")
    desk.see("EndedPage", "Close")
    painter.draw("ended")
    desk.click("EndedPage", "Close")
    configure_logger(ask_user=True)
    desk.double_click()
    desk.see("UserPage", "Start session")
    painter.draw("user")
    desk.close_button()


def _draw_transfer(screen: Screen, painter: Painter, home: Path) -> None:
    url = f"sqlite:///{home}/nexus.db"
    migrate(url)
    (home / "store").mkdir()
    gateway = RunningGateway(url, home)
    try:
        set_parameters(url, Logger__close_delay=60, Logger__support_address="support@example.org")
        scope = TransferScope(gateway, home, "TITAN-PC", Directory(home / "store"))
        set_parameters(url, **{f"Instruments__{scope.pid}__name": "FEI Titan TEM"})
        (home / "logger.ini").write_text(f"[gateway]\nurl = {gateway.url}\ntoken = {scope.pc.secret}\n")
        os.environ |= {
            "NEXUSCORE_LOGGER_SETTINGS": str(home / "logger.ini"), "NEXUSCORE_LOGGER_HOME": str(scope.home),
        }  # fmt: skip
        with Desk(screen, scope.name, home) as desk:
            _draw_files(desk, painter, scope.raw)
        scope.close()
    finally:
        gateway.close()


def _draw_files(desk: Desk, painter: Painter, raw: Path) -> None:
    desk.double_click()
    desk.read("Files: none yet")
    time.sleep(0.5)
    for number in range(1, 13):
        (raw / f"grid_{number:02}.mrc").write_bytes(bytes(100_000))
    with (raw / "map_03.dm4").open("wb") as locked:
        locked.write(bytes(400_000))
        locked.flush()
        desk.read("12 sent, 1 delayed")
        painter.draw("running_files")
        desk.click("RunningPage", "End session")
        desk.read("Its files are being sent")
        time.sleep(1.5)
        (raw / "late.mrc").write_bytes(bytes(100_000))
        desk.read("1 held back")
        painter.draw("ended_files")
        desk.click("EndedPage", "Files")
        desk.see("FilesPage", "Send")
        painter.draw("files")
        desk.click("FilesPage", "Send")
        desk.read("13 sent, 1 delayed")
        desk.click("FilesPage", "Back")
        desk.click("EndedPage", "Finish without these")
        desk.read("Complete but 1")
        painter.draw("incomplete")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
