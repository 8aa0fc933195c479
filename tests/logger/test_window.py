"""The window, worked by real clicks and keys on a real X server: `python -m Logger` against a real database."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from Logger.database_facility import DatabaseFacility
from Logger.delivery import Delivery
from Logger.outbox import Outbox
from Logger.uptime import Uptime
from NexusCore.facility.sessions import Client, State
from tests.conftest import PROJECT
from tests.logger.facility import LIMIT, PID, Facility, configure_logger, until
from tests.logger.screen import Desk, Screen, code_of

ANN = Client(user="ann", host="elsewhere")
LOG_BUTTONS = {"Copy", "Close log"}


def sockets_and_files(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Return how many network connections a process has, and which regular files it has open."""
    links = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    tables = "".join(Path(f"/proc/{process.pid}/net/{name}").read_text() for name in ("tcp", "tcp6", "udp", "udp6"))
    network = set(re.findall(r"\b\d{4,}\b", tables))
    inodes = [match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))]
    files = [link for link in links if link.startswith("/") and not link.startswith(("/dev/", "/proc/", "/memfd:"))]
    return sum(inode in network for inode in inodes), files


class TestASession:
    """000-02, 04, 05, 07..09, 41, 002-01, 04, 14: a double click, a window left alone, one click, and it is gone."""

    def test_from_the_double_click_until_it_closes_by_itself(
        self, screen: Screen, facility: Facility, tmp_path: Path
    ) -> None:
        with Desk(screen, facility.host, tmp_path) as desk:
            logger = desk.double_click()
            desk.see("RunningPage", "End session")
            assert (facility.events(), facility.session().state) == (["START"], State.WAITING_FOR_END)
            assert facility.session().user == "o'brien"
            until(lambda: sockets_and_files(logger) == (0, []), "neither network nor disk")
            desk.click("RunningPage", "End session")
            assert code_of(logger) == 0
            assert (facility.events(), facility.session().state) == (["START", "END"], State.TO_BE_BUILT)
            assert logger.communicate() == ("", "")

    def test_the_keyboard_will_do(self, desk: Desk, small_facility: Facility) -> None:
        """Alt and the underlined letter stand for a click."""
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        desk.press("alt+e", desk.screen.window("Session logger"))
        assert code_of(logger) == 0
        assert small_facility.events() == ["START", "END"]

    def test_a_stray_key_does_not_end_it(self, desk: Desk, small_facility: Facility) -> None:
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        window = desk.screen.window("Session logger")
        for key in ("Return", "space", "Escape", "alt+l"):
            desk.press(key, window)
        desk.see("RunningPage", "Close log")  # the last key has been heard
        assert small_facility.events() == ["START"]
        assert code_of(logger, signal.SIGTERM) == 0

    def test_it_opens_in_the_middle_of_the_screen_and_fits(self, desk: Desk, screen: Screen) -> None:
        """000-08, 60: centred from side to side, a little above the middle; the smallest screen is large enough."""
        desk.double_click()
        buttons = desk.see("RunningPage", "End session")
        found = screen.xdotool("getwindowgeometry", "--shell", screen.window("Session logger"))
        place = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", found)}
        assert abs(place["X"] + place["WIDTH"] / 2 - screen.width / 2) <= 1
        assert 0 <= place["Y"] <= (screen.height - place["HEIGHT"]) / 2
        for left, top, width, height in buttons.values():
            assert left >= 0 and left + width <= screen.width
            assert top >= 0 and top + height <= screen.height
        assert buttons["End session"][2] > 0.8 * place["WIDTH"], "a large button"


class TestAnInterruptedSession:
    """000-17..21: the next start asks what is to become of it."""

    def test_continue_resumes_the_same_session(self, desk: Desk, small_facility: Facility) -> None:
        earlier = small_facility.sessions.start(PID, ANN)
        logger = desk.double_click()
        desk.click("QuestionPage", "Continue")
        desk.click("RunningPage", "End session")
        assert code_of(logger) == 0
        assert [session.identifier for session in small_facility.all()] == [earlier.identifier]
        assert small_facility.events() == ["START", "RESUME", "END"]

    def test_new_session_ends_the_old_one(self, desk: Desk, small_facility: Facility) -> None:
        earlier = small_facility.sessions.start(PID, ANN)
        logger = desk.double_click()
        desk.click("QuestionPage", "New session")
        desk.see("RunningPage", "End session")
        old, new = small_facility.all()
        assert (old.identifier, old.state) == (earlier.identifier, State.TO_BE_BUILT)
        assert (new.user, new.state) == ("o'brien", State.WAITING_FOR_END)
        assert code_of(logger, signal.SIGTERM) == 0

    def test_after_the_logger_was_killed(self, desk: Desk, small_facility: Facility) -> None:
        """000-19: also when the computer crashed; the lock of the dead process holds nobody up (000-42)."""
        crashed = desk.double_click()
        desk.see("RunningPage", "End session")
        code_of(crashed, signal.SIGKILL)
        desk.double_click()
        desk.see("QuestionPage", "Continue")

    def test_closing_the_question_leaves_everything_as_it_is(self, desk: Desk, small_facility: Facility) -> None:
        small_facility.sessions.start(PID, ANN)
        logger = desk.double_click()
        desk.see("QuestionPage", "Continue")
        desk.close_button()
        assert code_of(logger) == 0
        assert small_facility.events() == ["START"]


class TestClosingTheWindow:
    """000-14..16: a session is not lost by the way."""

    def test_pausing_closes_and_leaves_the_session_open(self, desk: Desk, small_facility: Facility) -> None:
        """000-16: closes at once; that it is paused is an event of the session."""
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        desk.close_button()
        assert set(desk.see("ClosePage")) >= {"End session", "Pause session", "Cancel"}
        desk.click("ClosePage", "Pause session")
        assert code_of(logger) == 0
        assert (small_facility.events(), small_facility.session().state) == (["START", "PAUSE"], State.WAITING_FOR_END)

    def test_cancel_and_end(self, desk: Desk, small_facility: Facility) -> None:
        """000-15: back to the session; and the second time, to its end."""
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        desk.close_button()
        desk.click("ClosePage", "Cancel")
        desk.see("RunningPage", "End session")
        assert small_facility.events() == ["START"]
        desk.close_button()
        desk.click("ClosePage", "End session")
        assert code_of(logger) == 0
        assert small_facility.events() == ["START", "END"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_the_system_ends_it(self, desk: Desk, small_facility: Facility, number: signal.Signals) -> None:
        """000-14: END is written without a question when nobody could answer it."""
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        assert code_of(logger, number) == 0
        assert small_facility.events() == ["START", "END"]

    def test_closing_while_it_starts(self, desk: Desk, small_facility: Facility) -> None:
        """The answer waits until the step is done: nothing is cut off half-way."""
        with small_facility.database.transaction():  # nobody else can write meanwhile
            logger = desk.double_click()
            desk.see("WorkingPage", "Show debug log")
            desk.close_button()
        desk.click("ClosePage", "End session")
        assert code_of(logger) == 0
        assert small_facility.events() == ["START", "END"]


class TestALogoff:
    """000-14: on Windows the system waits only while a window's answer is being computed."""

    def test_the_end_is_written_before_the_answer(self, desk: Desk, small_facility: Facility) -> None:
        assert code_of(desk.log_off()) == 0
        outbox = Outbox(Path(os.environ["NEXUSCORE_LOGGER_HOME"]) / "pc.outbox", Uptime())
        assert outbox.open_session() is None
        delivery = Delivery(outbox, DatabaseFacility(small_facility.host))
        delivery.start()
        delivery.wake()
        assert delivery.wait(LIMIT), "what the system did not wait for is delivered by the next logger"
        delivery.stop()
        assert small_facility.events() == ["START", "END"]


class TestErrors:
    """000-10..13: told in words, with the log that the support needs."""

    def test_a_database_that_is_not_there(self, desk: Desk, screen: Screen) -> None:
        """000-10, 12, 68: the log opens by itself; Copy puts all of it on the clipboard; the window can be closed."""
        logger = desk.double_click(NEXUSCORE_DATABASE="mysql://nobody:secret@127.0.0.1:1/none")
        desk.see("FailedPage", "Copy")
        desk.click("FailedPage", "Copy")
        desk.see("FailedPage", "Copied")
        text = screen.clipboard()
        assert "The database at mysql://nobody@127.0.0.1:1/none does not answer" in text
        assert "Step 1 of 4" in text
        assert "secret" not in text
        desk.click("FailedPage", "Close log")
        desk.click("FailedPage", "Close")
        assert code_of(logger) == 1

    def test_trying_again_works_once_the_database_is_back(self, desk: Desk, small_facility: Facility) -> None:
        url = Path(small_facility.database.url.name)
        away = url.rename(url.with_suffix(".away"))
        logger = desk.double_click()
        desk.click("FailedPage", "Close log")
        desk.see("FailedPage", "Try again")
        away.rename(url)
        desk.click("FailedPage", "Try again")
        desk.see("RunningPage", "End session")
        assert code_of(logger, signal.SIGTERM) == 0

    def test_an_end_without_the_facility(self, desk: Desk, small_facility: Facility, screen: Screen) -> None:
        """The user hears that it is saved, and goes; the logger stays until it is delivered."""
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        url = Path(small_facility.database.url.name)
        small_facility.close()
        away = url.rename(url.with_suffix(".away"))
        desk.click("RunningPage", "End session")
        desk.see("EndedPage", "Close")
        until(
            lambda: screen.xdotool("search", "--onlyvisible", "--name", "^Session logger$") == "", "the window closes"
        )
        assert logger.poll() is None
        away.rename(url)
        assert code_of(logger) == 0
        assert small_facility.events() == ["START", "END"]

    def test_a_start_without_the_facility(self, desk: Desk, small_facility: Facility) -> None:
        """The instrument is known from the last time: the session runs, and the user is told that it is saved."""
        logger = desk.double_click()
        desk.click("RunningPage", "End session")
        assert code_of(logger) == 0
        url = Path(small_facility.database.url.name)
        small_facility.close()
        away = url.rename(url.with_suffix(".away"))
        logger = desk.double_click()
        desk.see("RunningPage", "End session")
        away.rename(url)
        until(lambda: len(small_facility.all()) == 2, "the start is delivered")
        desk.click("RunningPage", "End session")
        assert code_of(logger) == 0
        assert [small_facility.events(session) for session in small_facility.all()] == [["START", "END"]] * 2

    def test_the_log_can_be_seen_at_any_time(self, desk: Desk) -> None:
        """000-11: one click shows it, another puts it away."""
        desk.double_click()
        assert not LOG_BUTTONS & set(desk.see("RunningPage", "End session"))
        desk.click("RunningPage", "Show debug log")
        desk.click("RunningPage", "Close log")
        until(lambda: not LOG_BUTTONS & set(desk.see("RunningPage", "End session")), "the log is put away")


class TestBreaksAndRemarks:
    """Pause, resume, notes and problems, by clicks and keys."""

    def test_a_pause_and_a_note(self, desk: Desk, small_facility: Facility) -> None:
        logger = desk.double_click()
        desk.click("RunningPage", "Pause")
        desk.click("RunningPage", "Resume")
        desk.click("RunningPage", "Add note")
        desk.see("TextPage", "Save")
        desk.type("Second sample", desk.screen.window("Session logger"))
        desk.click("TextPage", "Save")
        desk.click("RunningPage", "Report problem")
        desk.see("TextPage", "Cancel")
        desk.click("TextPage", "Cancel")
        desk.click("RunningPage", "End session")
        assert code_of(logger) == 0
        assert [(event.type.value, event.detail) for event in small_facility.full_events()] == [
            ("START", None), ("PAUSE", None), ("RESUME", None), ("NOTE", "Second sample"), ("END", None),
        ]  # fmt: skip

    def test_a_user_who_has_left_is_reminded(self, screen: Screen, small_facility: Facility, tmp_path: Path) -> None:
        """Looked for more often than in earnest; a moved mouse is a sign that somebody is back."""
        configure_logger(reminder_minutes=0.02)
        program = (
            "import sys, Logger.reminder as reminder; reminder.LOOK_SECONDS = 0.2;"
            "from Logger.__main__ import main; sys.exit(main())"
        )
        with Desk(screen, small_facility.host, tmp_path, (sys.executable, "-c", program)) as desk:
            logger = desk.double_click()
            desk.see("RunningPage", "End session")
            assert "please end the session" in desk.read("Nothing has happened here for")
            desk.click("RunningPage", "End session")
            assert code_of(logger) == 0

    def test_who_works_is_asked_on_a_shared_account(self, desk: Desk, small_facility: Facility) -> None:
        configure_logger(ask_user=True)
        logger = desk.double_click()
        desk.see("UserPage", "Start session")
        desk.type("Jane Doe", desk.screen.window("Session logger"))
        desk.click("UserPage", "Start session")
        desk.click("RunningPage", "End session")
        assert code_of(logger) == 0
        assert small_facility.session().user == "Jane Doe"


class TestOneCopy:
    """000-66, 67: a second start says so, makes the first window come forward, and goes."""

    def test_a_second_start(self, desk: Desk, small_facility: Facility, screen: Screen) -> None:
        first = desk.double_click()
        desk.see("RunningPage", "End session")
        window = screen.window("Session logger")
        second = desk.double_click(NEXUSCORE_LOGGER_GEOMETRY="")
        desk.press("Return", screen.window("Session logger", besides=window))
        assert code_of(second) == 4
        assert small_facility.events() == ["START"]
        assert code_of(first, signal.SIGTERM) == 0

    def test_the_next_user_s_start_while_the_last_end_waits(
        self, desk: Desk, small_facility: Facility, screen: Screen
    ) -> None:
        """The hidden window comes forward with a new session; both are delivered in order."""
        first = desk.double_click()
        desk.see("RunningPage", "End session")
        url = Path(small_facility.database.url.name)
        small_facility.close()
        away = url.rename(url.with_suffix(".away"))
        desk.click("RunningPage", "End session")
        visible = ("search", "--onlyvisible", "--name", "^Session logger$")
        until(lambda: screen.xdotool(*visible) == "", "the window closes")
        second = desk.double_click(NEXUSCORE_LOGGER_GEOMETRY="")
        desk.see("RunningPage", "End session")
        away.rename(url)
        until(lambda: len(small_facility.all()) == 2, "the second start is delivered")
        assert code_of(first, signal.SIGTERM) == 0
        assert [small_facility.events(session) for session in small_facility.all()] == [["START", "END"]] * 2
        second.kill()


class TestCommandLine:
    """What somebody at a terminal sees."""

    @staticmethod
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        return subprocess.run(
            [sys.executable, "-m", "Logger", *arguments],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def test_help_needs_no_screen(self) -> None:
        done = self.run("--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "--host NAME" in done.stdout

    def test_without_a_screen_one_sentence_is_printed(self) -> None:
        """One sentence, and an exit code."""
        done = self.run()
        assert done.returncode == 1
        assert done.stderr.startswith("The session logger cannot start. It needs a screen")
        assert done.stderr.count("\n") == 1
