"""ConfigUI: the configuration on a whole terminal, as a person uses it."""

from __future__ import annotations

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import REMOVE, ConfigStore, Edit
from NexusCore.storage import Database
from tests.tools.config_ui_stage import FACILITY, INTERVAL, LONG, history, ui, value
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
    RIGHT,
    UP,
)
from tests.tools.programs import run


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
            screen.until("integer, 1 to 3600")
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

    def test_it_begins_at_the_given_path(self, facility: Database) -> None:
        with ui("Services.Builder") as screen:
            screen.until("interval = 30", chosen="▾ Builder")
        with ui(INTERVAL + ".") as screen:
            screen.until_chosen("interval = 30")

    def test_another_version_can_be_shown(self, one: Database) -> None:
        ConfigStore(one, SYSTEM_CLOCK).add_version("night")
        run("ConfigTool", "-v", "night", "Only.here=1")
        with ui("-v", "night") as screen:
            screen.until("version night", chosen="▸ Only")

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("Services.Bilder",), "Parameter 'Services.Bilder' does not exist .*Did you mean 'Services.Builder'"),
            (("-v", "day"), "Version 'day' of the configuration not found. Versions: default"),
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

    def test_a_question_mark_shows_help(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("?")
            screen.until("ConfigUI, help")
            screen.until("remove the parameter or folder at the cursor, after a question")
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

    def test_a_bad_value_can_be_corrected(self, facility: Database) -> None:
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
            screen.until("Not changed")
            screen.type(ENTER + ENTER)
            screen.until("interval is already 30")
        assert len(history(one, INTERVAL)) == 1

    def test_choices_are_picked_with_arrows(self, one: Database) -> None:
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
            screen.until("Not changed")
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
            screen.until("It was changed to 60 in the meantime")
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
            screen.until_said("was removed in the meantime; Esc cancels, and a adds it")
            screen.type(ESCAPE + "q")
            assert screen.end() == 0
        assert value(one, INTERVAL) is None

    def test_texts_of_any_kind(self, one: Database) -> None:
        """Editing keeps what a line cannot show; wide letters are typed and erased like others."""
        with ui("Services.Uploader.text") as screen:
            screen.until_chosen("text  = one\\\\ntwo\\\\x1b")
            screen.type(ENTER + "!" + ENTER + ENTER)
            screen.until("Stored")
            screen.type(UP + ENTER)
            screen.until("^ place = ….*Ende$")
            screen.type(BACKSPACE * 4 + "電子鏡" + BACKSPACE + "ø" + ENTER + ENTER)
            screen.until("Stored")
        assert value(one, "Services.Uploader.text") == "one\ntwo\x1b[31m!"
        assert value(one, "Services.Uploader.place") == LONG.replace("Ende", "電子ø")


class TestSearch:
    """The list narrows to what has all words in path, value or comment, while they are typed."""

    def test_it_narrows_and_leads_there(self, facility: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/TITAN")
            screen.until(r"Instruments.FEI-Titan-TEM.filestore_path = ./Titan  # Folder", chosen=r"TEM$")
            screen.until_gone("Quanta")
            screen.type(" folder")
            screen.until_chosen(r"^Instruments.FEI-Titan-TEM.filestore_path")
            screen.type(BACKSPACE * 7 + DOWN)
            screen.until_chosen(r"^Instruments.FEI-Titan-TEM.computer_name")
            screen.type(ENTER)
            screen.until("Match 2 of 3 for 'TITAN'", chosen=r"^computer_name  = TITAN52331880")
            screen.until("▸ Quanta-FEG-650-SEM")

    def test_n_goes_on_and_begins_again(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("n")
            screen.until("Search first")
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
            screen.until("No path, value or comment contains this")
            screen.type(ESCAPE)
            screen.until("▸ Instruments", chosen="interval = 30")

    def test_secrets_are_not_found(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/s3cr3")
            screen.until("No path, value or comment contains")


class TestLive:
    """003-07: what another process changes is seen at once, and marked."""

    def test_changed_added_and_removed(self, facility: Database) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            assert "●" not in screen.text
            assert run("ConfigTool", f"{INTERVAL}=77", "-m", "by another").code == 0
            screen.until(r"^●      interval = 77", chosen="interval = 77")
            screen.until(rf"\A.*: {INTERVAL}")
            configure(facility, Edit("Services.Builder.added", value="here"), Edit("Log.file", value="x"))
            screen.until(r"^●      added    = here")
            screen.until(r"^●▸ Log", chosen="interval = 77")
            configure(facility, Edit(INTERVAL, REMOVE))
            screen.until_gone("interval = 77")
            screen.until(rf"{INTERVAL} \(removed\)")

    def test_a_search_shows_new_matches(self, one: Database) -> None:
        with ui() as screen:
            screen.until("Instruments")
            screen.type("/interval")
            screen.until(f"{INTERVAL} = 30")
            configure(one, Edit(INTERVAL, value=31), Edit("Other.interval", value=2))
            screen.until(rf"^●{INTERVAL} = 31")
            screen.until("Other.interval = 2")


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
        configure(one, Edit("Services.Idle", datatype="folder"))
        with ui("Services.Idle") as screen:
            screen.until("empty folder", chosen="Idle")
            screen.type("h")
            screen.until("History of Services.Idle", chosen="jane")
        with ui("Services") as screen:
            screen.until_chosen("Services")
            screen.type("h")
            screen.until("This folder has no history of its own")
