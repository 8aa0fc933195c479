"""ConfigUI and its terminal: any size, any kind, and given back as it was."""

from __future__ import annotations

import signal
import sys

import pytest

from NexusCore.storage import Database
from tests.tools.config_ui_stage import FACILITY, INTERVAL, ui
from tests.tools.conftest import configure
from tests.tools.emulated import (
    ENTER,
    ERASE_LINE,
    Emulated,
)
from tests.tools.programs import LIMIT, run


@pytest.fixture
def facility(database: Database) -> Database:
    """Lend the database, with a configuration in it, on each kind."""
    configure(database, *FACILITY)
    return database


@pytest.fixture
def one(embedded: Database) -> Database:
    """Lend a database with a configuration, for what does not depend on its kind."""
    configure(embedded, *FACILITY)
    return embedded


class TestSize:
    """Every window from 40 x 10 on holds a picture; resizing does not break it."""

    @pytest.mark.parametrize(("rows", "columns"), [(24, 80), (15, 60), (10, 40)])
    def test_all_can_be_done(self, one: Database, rows: int, columns: int) -> None:
        with ui(INTERVAL, rows=rows, columns=columns) as screen:
            screen.until("Enter", chosen="interval = 30")
            screen.type(ENTER + ERASE_LINE + "x" + ENTER)
            screen.until(r"cannot\s+be\s+set\s+to\s+'x':\s+it\s+is\s+an\s+integer")
            screen.type(ERASE_LINE + "8" + ENTER + ENTER)
            screen.until_chosen("interval = 8")
            screen.type("/place" + ENTER)
            screen.until("", chosen="place = 電子顯微鏡/データ/sehr.*…$")
            screen.type("?")
            screen.until("help")
            screen.type("qh")
            screen.until("History")
            screen.type("qq")
            assert screen.end() == 0
            assert screen.is_restored

    def test_the_picture_follows_the_window_size(self, facility: Database) -> None:
        with ui("Services.Uploader.place") as screen:
            screen.until(r"電子顯微鏡/データ")
            for rows, columns in ((40, 120), (15, 60), (24, 80)):
                screen.resize(rows, columns)
                screen.until(f"^─{{{columns}}}$", chosen="place")
                screen.until(r"^ Enter opens.*\Z")
            screen.resize(9, 40)
            screen.until(r"This window has 40 x 9 characters;\s+ConfigUI needs 40 x 10")
            screen.type(ENTER + "typed blindly")
            screen.resize(24, 80)
            screen.until(r"^ Enter opens.*\Z", chosen="place = ")
            screen.type(ENTER)
            screen.until("^ place = ")
            screen.resize(10, 40)
            screen.until("^ place = ….*Ende$")
            screen.resize(5, 20)
            screen.until("This window")
            screen.type("\x03")
            assert screen.end() == 130

    def test_the_terminal_is_believed_more_than_variables(self, one: Database) -> None:
        with ui(LINES="12", COLUMNS="50") as screen:
            screen.until("^─{80}$")
            screen.resize(30, 100)
            screen.until("^─{100}$")

    def test_a_terminal_without_such_letters(self, one: Database) -> None:
        with ui("Services.Uploader.place", LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") as screen:
            screen.until("> Builder", chosen=r"place = \?\?\?\?\?\?\?\?\?\?/\?\?\?\?\?\?/sehr.*~")

    def test_colours_are_not_for_everyone(self, one: Database) -> None:
        with ui() as screen:
            screen.until("q quit")
            assert "blue" in screen.colours
        with ui(NO_COLOR="1") as screen:
            screen.until("q quit")
            assert screen.colours == {"default"}


class TestTheEnd:
    """However it ends, the terminal is as it was, and the exit code says how."""

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_by_a_signal(self, one: Database, number: signal.Signals, code: int) -> None:
        with ui(INTERVAL, TERM="xterm-256color") as screen:
            screen.until_chosen("interval")
            screen.type(ENTER)
            screen.until("^ interval =")
            screen.signal(number)
            assert screen.end() == code
            assert screen.is_restored
            assert b"\x1b[?1049l" in screen.written

    def test_by_ctrl_c(self, facility: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/x\x03")
            assert screen.end() == 130
            assert screen.is_restored

    def test_by_closing_the_window(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.hang_up()
            assert screen.process.wait(LIMIT) == 129

    def test_by_a_fault_of_its_own(self, one: Database) -> None:
        """The user reads where it is recorded."""
        program = (
            "import sys; from Tools.configui.tree_menu import TreeMenu; from Tools.ConfigUI import main\n"
            "TreeMenu.show_help = lambda self, key: 1 / 0\n"
            "sys.exit(main([]))"
        )
        with Emulated([sys.executable, "-c", program], columns=200) as screen:
            screen.until("Instruments")
            screen.type("?")
            assert screen.end() == 1
            assert screen.is_restored
            screen.until(r"A fault of the program has stopped it \(ZeroDivisionError.*TailLog --logger ConfigUI")

    def test_without_a_terminal(self, one: Database) -> None:
        done = run("ConfigUI")
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "ConfigUI: ConfigUI needs a terminal, but its input or output is a pipe or a file. "
            "Use ConfigTool instead.\n"
        )

    @pytest.mark.parametrize(
        ("kind", "reason"), [("dumb", "cannot place the cursor"), ("x-no", "is not known"), ("", "not set")]
    )
    def test_on_an_unfit_terminal(self, one: Database, kind: str, reason: str) -> None:
        with ui(TERM=kind, columns=200) as screen:
            assert screen.end() == 2
            screen.until(f"cannot draw on this terminal: .*{reason}")

    def test_help_begins_with_examples(self) -> None:
        done = run("ConfigUI", "--help")
        assert done.code == 0
        assert done.lines[0] == "Examples:"
        assert len([line for line in done.lines[1:4] if line.startswith("  ConfigUI")]) == 3
