"""ConfigUI: the configuration on a whole terminal, as a person uses it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.parameter import Limits
from NexusCore.config.store import REMOVE, ConfigStore, Edit, Entry
from NexusCore.storage import Database, open_database
from tests.mariadb import MariaDB
from tests.tools.conftest import configure
from tests.tools.emulated import (
    BACKSPACE,
    DOWN,
    END,
    ENTER,
    ERASE_LINE,
    ESCAPE,
    HOME,
    LEFT,
    PAGE_DOWN,
    PAGE_UP,
    RIGHT,
    UP,
    Emulated,
)
from tests.tools.programs import command, run

INTERVAL = "Services.Builder.interval"
AWAY = "The database does not answer. These are the last known values"
MANY = 5000

FACILITY = (
    Edit("Instruments.FEI-Titan-TEM.filestore_path", value="./Titan", comment="Folder of the instrument's files"),
    Edit("Instruments.FEI-Titan-TEM.computer_name", value="TITAN52331880"),
    Edit("Instruments.Quanta-FEG-650-SEM.filestore_path", value="./Quanta"),
    Edit(INTERVAL, value=30, comment="Seconds between two looks", limits=Limits(minimum=1, maximum=3600)),
    Edit("Services.Builder.enabled", value=True, comment="Whether records are built"),
    Edit("Services.Builder.colours", value="gray", limits=Limits(choices=("gray", "viridis", "inferno"))),
    Edit("Services.Harvester.token", value="s3cr3t", limits=Limits(secret=True, pattern=r"\w{4,}")),
    Edit("Services.Uploader.place", value="電子顯微鏡/データ/" + "sehr-langer-Name-" * 12 + "Ende"),
    Edit("Services.Uploader.text", value="one\ntwo\x1b[31m"),
)


def ui(*words: str, rows: int = 24, columns: int = 80, **variables: str) -> Emulated:
    return Emulated(command("ConfigUI", *words), rows, columns, **variables)


def history(database: Database, path: str) -> list[Entry]:
    return ConfigStore(database, SYSTEM_CLOCK).history(1, path)


def value(database: Database, path: str) -> str | None:
    found = ConfigStore(database, SYSTEM_CLOCK).find(1, path)
    return found.value if found else None


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


class TestTheTree:
    """003-35: arrows move in the tree of the configuration; nothing in it can be added or deleted."""

    def test_folders_open_and_close(self, facility: Database) -> None:
        with ui() as screen:
            screen.until(r"▸ Services", chosen="▸ Instruments")
            screen.type(DOWN + RIGHT)
            screen.until(r"▸ Builder", chosen="▾ Services")
            screen.type(RIGHT + ENTER)
            screen.until(r"colours  = gray", chosen="▾ Builder")
            screen.type(END)
            screen.until_chosen("default_version = default")
            screen.type(UP + UP + UP)
            screen.until("Seconds between two looks$", chosen="interval = 30")
            assert "integer, 1 to 3600" in screen.text
            screen.type(LEFT)
            screen.until_chosen("▾ Builder")
            screen.type(ESCAPE)
            screen.until_chosen("▸ Builder")
            screen.type(BACKSPACE + LEFT)
            screen.until_gone("Builder")
            screen.type(LEFT)
            screen.until("q quits")
            screen.type("q")
            assert screen.end() == 0
            assert screen.is_restored

    def test_it_begins_where_it_is_told_to(self, facility: Database) -> None:
        with ui("Services.Builder") as screen:
            screen.until("interval = 30", chosen="▾ Builder")
        with ui(INTERVAL + ".") as screen:
            screen.until_chosen("interval = 30")

    def test_another_version(self, one: Database) -> None:
        assert run("ConfigTool", "-v", "default", "set", "default_version", "default").code == 0
        store = ConfigStore(one, SYSTEM_CLOCK)
        store.add_version("night")
        run("ConfigTool", "-v", "night", "Only.here=1")
        with ui("-v", "night") as screen:
            screen.until("version night", chosen="▸ Only")

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("Services.Bilder",), "There is no parameter 'Services.Bilder' .*Did you mean 'Services.Builder'"),
            (("-v", "day"), "There is no version 'day' of the configuration. There are: default"),
        ],
    )
    def test_what_is_not_there(self, one: Database, words: tuple[str, ...], sentence: str) -> None:
        """A version that was mistyped is not created."""
        with ui(*words, columns=160) as screen:
            assert screen.end() == 1
            screen.until(sentence)
            assert screen.is_restored
        assert ConfigStore(one, SYSTEM_CLOCK).versions() == ["default"]

    def test_an_empty_one(self, embedded: Database) -> None:
        configure(embedded, Edit("default_version", REMOVE))
        with ui() as screen:
            screen.until("This version of the configuration is empty")
            screen.type(DOWN + RIGHT + LEFT + ENTER + "hn/x" + ENTER + "q")
            assert screen.end() == 0

    def test_help(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("?")
            screen.until("ConfigUI, help")
            assert "Parameters are added and removed with ConfigTool." in screen.text
            screen.type("q")
            screen.until("▸ Instruments")


class TestEditing:
    """003-27, 003-31, 003-35: what is typed is checked as everywhere, kept until it fits, and recorded."""

    def test_a_good_value_and_why(self, facility: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            screen.type(ENTER)
            screen.until("^ interval = 30$")
            screen.type(BACKSPACE * 2 + "45" + ENTER)
            screen.until("^ Why?")
            screen.type("quicker for the demo" + ENTER)
            screen.until("Stored as revision .*: interval = 45, was 30", chosen="interval = 45")
        newest = history(facility, INTERVAL)[0]
        assert (newest.new_value, newest.tool, newest.why) == ("45", "ConfigUI", "quicker for the demo")

    def test_bad_values(self, facility: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            screen.type(ENTER + ERASE_LINE + "True" + ENTER)
            screen.until(r"'Services.Builder.interval' cannot be set to 'True': it is an integer")
            screen.until("^ interval = True$")
            screen.type(ERASE_LINE + "4000" + ENTER)
            screen.until(r"'Services.Builder.interval' cannot be set to 4000: it must be at most 3600")
            screen.type(LEFT * 4 + "\x0b9" + ENTER + ENTER)
            screen.until("Stored as .*: interval = 9, was 30")
        assert [entry.new_value for entry in history(facility, INTERVAL)] == ["9", "30"]
        assert history(facility, INTERVAL)[0].why is None

    def test_it_can_be_left(self, one: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            screen.type(ENTER + "0" + ENTER)
            screen.until("Why?")
            screen.type("no reason" + ESCAPE)
            screen.until("^ interval = 300$")
            screen.type(ENTER)
            screen.until("^ Why. no reason$")
            screen.type(ESCAPE)
            screen.until("^ interval = 300$")
            screen.type(ESCAPE)
            screen.until("Left as it was")
            screen.type(ENTER + ENTER)
            screen.until("interval is 30 already")
        assert len(history(one, INTERVAL)) == 1

    def test_choices(self, one: Database) -> None:
        with ui("Services.Builder.colours") as screen:
            screen.until_chosen("colours  = gray")
            screen.type(ENTER + DOWN + DOWN)
            screen.until("^ colours = inferno$")
            screen.type(UP + ENTER + ENTER)
            screen.until("Stored as .*: colours = viridis, was gray")
            screen.type(DOWN + ENTER + DOWN)
            screen.until("^ enabled = False")
            screen.type(ENTER + ENTER)
            screen.until("Stored as .*: enabled = False, was True")
        assert value(one, "Services.Builder.enabled") == "False"

    def test_a_secret_is_never_shown(self, facility: Database) -> None:
        with ui("Services.Harvester.token") as screen:
            screen.until(r"secret", chosen=r"token = \*\*\*\*\*")
            screen.type(ENTER + "a-b" + ENTER)
            screen.until(r"'Services.Harvester.token' cannot be set to \*\*\*\*\*: it must match the pattern")
            screen.until(r"\(hidden\) = \*\*\*$")
            screen.type(ERASE_LINE + "hunter2" + ENTER + ENTER)
            screen.until(r"Stored as .*: token = \*\*\*\*\*$")
            screen.type("h")
            screen.until(r"jane  \*\*\*\*\*")
            screen.type(ESCAPE + ENTER + ENTER)
            screen.until("Left as it was")
            for secret in (b"s3cr3t", b"a-b", b"hunter2"):
                assert secret not in screen.written
        assert value(facility, "Services.Harvester.token") == "hunter2"

    def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(self, facility: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            screen.type(ENTER + ERASE_LINE + "7")
            screen.until("^ interval = 7$")
            configure(facility, Edit(INTERVAL, value=60))
            screen.until_chosen("interval = 60")
            screen.type(ENTER)
            screen.until("Meanwhile it was changed to 60")
            screen.until("^ interval = 7$")
            screen.type(ENTER + ENTER)
            screen.until("Stored as .*: interval = 7, was 60")

    def test_what_somebody_else_removed_is_not_added(self, one: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            screen.type(ENTER + ERASE_LINE + "7")
            configure(one, Edit(INTERVAL, REMOVE))
            screen.until_gone("interval = 30")
            screen.type(ENTER)
            screen.until("was removed meanwhile, and ConfigUI adds no parameters")
            screen.type(ESCAPE + "q")
            assert screen.end() == 0
        assert value(one, INTERVAL) is None

    def test_texts_of_any_kind(self, one: Database) -> None:
        """Editing keeps what a line cannot show; wide letters are typed and erased like others."""
        with ui("Services.Uploader.text") as screen:
            screen.until_chosen("text  = one␊two␛")
            screen.type(ENTER + "!" + ENTER + ENTER)
            screen.until("Stored")
            screen.type(UP + ENTER)
            screen.until("^ place = ….*Ende$")
            screen.type(BACKSPACE * 4 + "電子鏡" + BACKSPACE + "ø" + ENTER + ENTER)
            screen.until("Stored")
        assert value(one, "Services.Uploader.text") == "one\ntwo\x1b[31m!"
        assert value(one, "Services.Uploader.place") == FACILITY[7].value.replace("Ende", "電子ø")  # type: ignore[union-attr]


class TestSearch:
    """The list narrows to what has all words in path, value or comment, while they are typed."""

    def test_it_narrows_and_leads_there(self, facility: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/TITAN")
            screen.until(r"Instruments.FEI-Titan-TEM.filestore_path = ./Titan  # Folder", chosen=r"TEM$")
            assert "Quanta" not in screen.text
            screen.type(" folder")
            screen.until_chosen(r"^Instruments.FEI-Titan-TEM.filestore_path")
            screen.type(BACKSPACE * 7 + DOWN)
            screen.until_chosen(r"^Instruments.FEI-Titan-TEM.computer_name")
            screen.type(ENTER)
            screen.until("2 of 3 that match 'TITAN'", chosen=r"^computer_name  = TITAN52331880")
            assert "▸ Quanta-FEG-650-SEM" in screen.text

    def test_n_goes_on_and_begins_again(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("n")
            screen.until("Search for something first")
            screen.type("/filestore" + ENTER)
            screen.until("1 of 2", chosen="filestore_path = ./Titan")
            screen.type("n")
            screen.until("2 of 2", chosen="filestore_path = ./Quanta")
            screen.type("n")
            screen.until("1 of 2", chosen="filestore_path = ./Titan")
            screen.type("N")
            screen.until("2 of 2", chosen="filestore_path = ./Quanta")

    def test_escape_leads_back(self, one: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval")
            screen.type("/titan")
            screen.until_gone("Builder")
            screen.type("x")
            screen.until("Nothing has that in its path, value or comment")
            screen.type(ESCAPE)
            screen.until("▸ Instruments", chosen="interval = 30")

    def test_secrets_are_not_found(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/s3cr3")
            screen.until("Nothing has that")


class TestLive:
    """003-07: what another process changes is seen at once, and marked."""

    def test_changed_added_and_removed(self, facility: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            assert "●" not in screen.text
            assert run("ConfigTool", f"{INTERVAL}=77", "-m", "by another").code == 0
            screen.until(r"^●      interval = 77", chosen="interval = 77")
            assert f": {INTERVAL}" in screen.lines[0]
            configure(facility, Edit("Services.Builder.added", value="here"), Edit("Log.file", value="x"))
            screen.until(r"^●      added    = here")
            screen.until(r"^●▸ Log", chosen="interval = 77")
            configure(facility, Edit(INTERVAL, REMOVE))
            screen.until_gone("interval = 77")
            screen.until(rf"{INTERVAL} \(removed\)")

    def test_while_searching(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/interval")
            screen.until(f"{INTERVAL} = 30")
            configure(one, Edit(INTERVAL, value=31), Edit("Other.interval", value=2))
            screen.until(rf"^●{INTERVAL} = 31")
            screen.until("Other.interval = 2")

    def test_a_log_to_standard_output_stays_off_the_screen(self, one: Database) -> None:
        configure(one, Edit("Log.stdout.level", value="DEBUG"), Edit("Log.stdout.enabled", value=True))
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval")
            screen.type(ENTER + "0" + ENTER + ENTER)
            screen.until("Stored")
            assert "[in " not in screen.text


class TestHistory:
    """Who set a parameter, when, to what and why; what happens meanwhile appears."""

    def test_of_a_parameter(self, facility: Database) -> None:
        configure(facility, Edit(INTERVAL, value=60))
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval")
            screen.type("h")
            screen.until(f"History of {INTERVAL}", chosen=r"\d\d:\d\d:\d\d  jane  60  to begin with")
            screen.until(r"by jane at desk with test")
            screen.type(DOWN)
            screen.until_chosen("jane  30")
            assert run("ConfigTool", f"{INTERVAL}=61", "-m", "because").code == 0
            screen.until("61  because", chosen="jane  30")
            screen.type(HOME)
            screen.until("with ConfigTool", chosen="61  because")
            screen.type(LEFT)
            screen.until_chosen("interval = 61")

    def test_of_a_folder(self, one: Database) -> None:
        with ui("Services") as screen:
            screen.until_chosen("Services")
            screen.type("h")
            screen.until("This folder has no history of its own")


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

    def test_resizing(self, facility: Database) -> None:
        with ui("Services.Uploader.place") as screen:
            screen.until(r"電子顯微鏡/データ")
            for rows, columns in ((40, 120), (15, 60), (24, 80)):
                screen.resize(rows, columns)
                screen.until(f"^─{{{columns}}}$", chosen="place")
                assert screen.lines[-1].startswith(" Enter")
            screen.resize(9, 40)
            screen.until(r"This window has 40 x 9 characters;\s+ConfigUI needs 40 x 10")
            screen.type(ENTER + "typed blindly")
            screen.resize(24, 80)
            screen.until_chosen("place = ")
            assert screen.lines[-1].startswith(" Enter opens")
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

    def test_a_terminal_without_colours(self, one: Database) -> None:
        with ui(NO_COLOR="1") as screen:
            screen.until_chosen("Instruments")
            screen.type("q")
            assert screen.end() == 0
            assert b"\x1b[3" not in screen.written


class TestMany:
    """It stays quick with 5,000 parameters: keys are answered from memory, and only what is seen is drawn."""

    def test_no_key_asks_the_database(
        self, private_mariadb: MariaDB, mariadb_template: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They work while the server is frozen."""
        from NexusCore.storage.migrate import migrate

        url = private_mariadb.create_database("many")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        columns = ("version_id", "path", "name", "value", "datatype", "comment", "last_modified", "revision")
        numbers = [(f"Big.f{i // 1000}.parameter{i % 1000:03}", i) for i in range(MANY)]
        with open_database(url).transaction() as transaction:
            rows = [(1, path, path[7:], str(i), "integer", f"number {i}", 1, 1) for path, i in numbers]
            transaction.insert_many("config_parameter", columns, rows)
        with ui("Big.f2.parameter500") as screen:
            screen.until_chosen("parameter500 = 2500")
            private_mariadb.pause()
            screen.type(PAGE_DOWN)
            screen.until_chosen("parameter515 = 2515")
            screen.type(PAGE_UP * 2 + DOWN)
            screen.until_chosen("parameter486 = 2486")
            screen.type("/parameter99")
            screen.until_chosen("Big.f0.parameter990 = 990")
            screen.type("9" + DOWN * 4 + ENTER)
            screen.until("5 of 5", chosen="parameter999 = 4999")
            before = len(screen.written)
            screen.type(UP)
            screen.until_chosen("parameter998 = 4998")
            assert len(screen.written) - before < 24 * 80

            screen.type(ENTER + "0" + ENTER + ENTER)
            screen.until("The database has not answered yet. Esc waits no longer")
            screen.type(ESCAPE)
            screen.until("whether it did this is not known")
            screen.until("^ parameter998 = 49980$")
            screen.type(ESCAPE + HOME)
            screen.until_chosen("▾ Big")
            private_mariadb.resume()
            screen.until("parameter998")
            screen.type("q")
            assert screen.end() == 0


class TestAway:
    """While the database is away one line says so, values stay readable, and it goes on when it is back."""

    @pytest.fixture
    def server(self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> MariaDB:
        """Lend a server with a configuration that the test may stop."""
        from NexusCore.storage.migrate import migrate

        url = private_mariadb.create_database("away")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        configure(open_database(url), *FACILITY)
        return private_mariadb

    def test_away_and_back(self, server: MariaDB) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            server.stop()
            screen.until(AWAY, chosen="interval = 30")
            screen.type(LEFT + LEFT + DOWN + RIGHT)
            screen.until(r"token = \*\*\*\*\*", chosen="▾ Harvester")
            screen.type("/interval" + ENTER + ENTER + ERASE_LINE + "12" + ENTER + "why not" + ENTER)
            screen.until("does not answer .*")
            screen.until("^ interval = 12$")
            screen.type(ESCAPE + "h")
            screen.until("does not answer .*Is the")
            screen.type("q")
            screen.until_chosen("interval = 30")
            screen.type(ENTER + ERASE_LINE + "12" + ENTER)
            screen.until("^ Why?")
            server.start()
            screen.until_gone(AWAY)
            screen.type(ENTER)
            screen.until("Stored as", chosen="interval = 12")
            configure(open_database(server.url("away")), Edit(INTERVAL, value=13))
            screen.until_chosen("interval = 13")

            # What was last seen is kept when it ends, so that the next can begin with it.
            screen.type("q")
            assert screen.end() == 0
        server.stop()
        with ui(INTERVAL) as screen:
            screen.until(AWAY, chosen="interval = 13")
            server.start()
            screen.until_gone(AWAY)

    def test_away_from_the_beginning(self, server: MariaDB, tmp_path: Path) -> None:
        server.stop()
        with ui(columns=200, NEXUSCORE_HOME=str(tmp_path / "new")) as screen:
            assert screen.end() == 3
            screen.until("ConfigUI: The database at .* does not answer")
            assert screen.is_restored


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

    def test_by_a_fault_of_its_own(self, one: Database) -> None:
        """The user reads where it is recorded."""
        program = (
            "import sys; from Tools.configui.tree_menu import TreeMenu; from Tools.ConfigUI import main\n"
            "TreeMenu.show_help = lambda self, key: 1 / 0\n"
            "TreeMenu.__init__.__defaults__\n"
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
            "ConfigUI: It needs a terminal, and its input or output is a pipe or a file. "
            "ConfigTool is made for those.\n"
        )

    @pytest.mark.parametrize(
        ("kind", "reason"), [("dumb", "no cursor that could be"), ("x-no", "is not known"), ("", "not set")]
    )
    def test_on_an_unfit_terminal(self, one: Database, kind: str, reason: str) -> None:
        with ui(TERM=kind, columns=200) as screen:
            assert screen.end() == 2
            screen.until(f"cannot be drawn on this terminal: .*{reason}")

    def test_help_begins_with_examples(self) -> None:
        done = run("ConfigUI", "--help")
        assert done.code == 0
        assert done.lines[0] == "Examples:"
        assert len([line for line in done.lines[1:4] if line.startswith("  ConfigUI")]) == 3
