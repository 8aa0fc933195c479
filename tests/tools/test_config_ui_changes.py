"""ConfigUI adds, removes and undoes, and shows what differs from the declared defaults."""

from __future__ import annotations

import pytest

from NexusCore.config.store import Edit
from NexusCore.declare import declare_all
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.tools.config_ui_stage import history, ui, value
from tests.tools.conftest import configure
from tests.tools.emulated import DOWN, ENTER, ERASE_LINE

WORKERS = "Services.Builder.workers"


@pytest.fixture
def declared(embedded: Database) -> Database:
    """Lend a database as set-up leaves it, with an instrument and a folder of a facility's own."""
    declare_all(DatabaseURL.parse(str(embedded.url)))
    configure(
        embedded, Edit("Instruments.Titan.filestore_path", value="./Titan"), Edit("Own.gain", value=3),
        Edit("Own.offset", value=1),
    )  # fmt: skip
    return embedded


class TestChanging:
    """What ConfigTool can do, on the whole terminal."""

    def test_a_field_of_an_instrument_is_added_and_undone(self, declared: Database) -> None:
        with ui("Instruments.Titan") as screen:
            screen.until_chosen("▾ Titan")
            screen.type("a")
            screen.until("New parameter: Instruments.Titan.")
            screen.type("timezon" + ENTER)
            screen.until("Instruments.Titan.timezon =")
            screen.type("UTC" + ENTER)
            screen.until_said("Did you mean 'Instruments.Titan.timezone'")
            screen.type("e" + ENTER + ERASE_LINE + "Europe/Olso" + ENTER)
            screen.until_said("not a time zone such as Europe/Oslo .did you mean 'Europe/Oslo'")
            screen.type(ENTER + ERASE_LINE + "Europe/Oslo" + ENTER)
            screen.until("Added Instruments.Titan.timezone; u undoes it")
            screen.until_chosen("timezone       = Europe/Oslo")
            screen.until("Time zone of its PC")
            screen.type("u")
            screen.until("Undone: 1 change of revision")
            screen.until_gone("Europe/Oslo")
            screen.type("u")
            screen.until("Nothing was changed here")
            screen.type("q")
            assert screen.end() == 0
        assert value(declared, "Instruments.Titan.timezone") is None
        assert [entry.tool for entry in history(declared, "Instruments.Titan.timezone")] == ["ConfigUI", "ConfigUI"]

    def test_what_a_program_needs_gets_its_default(self, declared: Database) -> None:
        configure(declared, Edit(WORKERS, value=9))
        with ui(WORKERS) as screen:
            screen.until_chosen(" = 9")
            screen.type("x")
            screen.until("Remove Services.Builder.workers. Programs need 1 of these")
            screen.type(ENTER)
            screen.until("Nothing was removed")
            screen.type("xy" + ENTER)
            screen.until_chosen(" = 2")
            screen.type("u")
            screen.until_chosen(" = 9")
            screen.type("q")
            assert screen.end() == 0

    def test_a_folder_is_removed_whole_and_comes_back_whole(self, declared: Database) -> None:
        with ui("Own") as screen:
            screen.until_chosen("▾ Own")
            screen.type("xy" + ENTER)
            screen.until("Removed Own, 2 parameters; u undoes it")
            screen.until_gone("gain")
            assert value(declared, "Own.gain") is None
            screen.type("u")
            screen.until("Undone: 2 changes of revisions")
            screen.until("gain")
            assert value(declared, "Own.gain") == "3"

    def test_an_edit_is_undone_too_unless_somebody_has_changed_it_since(self, declared: Database) -> None:
        with ui(WORKERS) as screen:
            screen.until_chosen(" = 2")
            screen.type(ENTER + ERASE_LINE + "5" + ENTER + ENTER)
            screen.until("Stored as revision")
            configure(declared, Edit(WORKERS, value=7))
            screen.until_chosen(" = 7")
            screen.type("u")
            screen.until("1 parameter was changed again since")
        assert value(declared, WORKERS) == "7"


class TestWhatDiffers:
    """Of hundreds of parameters, those that somebody has changed."""

    def test_only_these_are_shown(self, declared: Database) -> None:
        configure(declared, Edit(WORKERS, value=9), Edit("Log.stdout", value=True))
        with ui() as screen:
            screen.until("▸ Services")
            screen.type("c")
            screen.until("3 parameters differ from the default; c ends")
            for path in ("Instruments.Titan.filestore_path", "Log.stdout", WORKERS):
                screen.until(path)
            screen.until_gone("▸ Services")
            screen.type(DOWN + DOWN)
            screen.until_chosen(WORKERS)
            screen.type("xy" + ENTER)
            screen.until_gone(f"{WORKERS} = 9")
            screen.type("c")
            screen.until("[▸▾] Log$")
