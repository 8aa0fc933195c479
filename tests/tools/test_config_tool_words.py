"""ConfigTool: what it says when a change is refused, does nothing, or meets somebody else's."""

from __future__ import annotations

import subprocess

import pytest

from NexusCore.config.store import Edit
from NexusCore.declare import declare_all
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.tools.configured import state
from tests.tools.conftest import configure
from tests.tools.programs import PROJECT, command, in_process
from Tools.common.configuration import StoredConfiguration


@pytest.fixture
def facility(embedded: Database) -> Database:
    declare_all(DatabaseURL.parse(str(embedded.url)))
    configure(embedded, Edit("Camera.gain", value=3), Edit("Instruments.Titan.filestore_path", value="./Titan"))
    return embedded


@pytest.mark.usefixtures("facility")
class TestRefused:
    """A value or a name that cannot be is answered by what can be."""

    @pytest.mark.parametrize(
        ("word", "sentence"),
        [
            ("Instruments.Titan.api_url=a.example.org/t.ics", "did you mean https://a.example.org/t.ics?"),
            ("Instruments.Titan.api_url=calendars", "it must be a URL (https://...) or the absolute path of a file"),
            ("Log.file=n.log", "it must be an absolute path"),
            ("Log.file=/var/log/{prog}.log", "did you mean {program}?"),
        ],
    )
    def test_a_place(self, word: str, sentence: str) -> None:
        done = in_process("ConfigTool", word)
        assert (done.code, sentence in done.err) == (4, True), done

    def test_a_log_file_for_each_program(self) -> None:
        assert in_process("ConfigTool", "Log.file=/var/log/{program}.log").code == 0

    def test_what_is_not_there_is_not_taken_for_the_folder_around_it(self) -> None:
        done = in_process("ConfigTool", "remove", "Instruments.C")
        assert (done.code, "'Instruments'?" in done.err) == (1, False), done

    def test_what_programs_need_cannot_be_removed(self) -> None:
        done = in_process("ConfigTool", "remove", "Services", "--yes")
        assert "Nothing to remove: programs need these " in done.err, done


class TestMeanwhile:
    """Somebody else's change between reading and writing is what was replaced."""

    def test_the_value_that_was_replaced_is_told(self, facility: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        apply = StoredConfiguration.apply

        def later(configuration: StoredConfiguration, edits, why):
            configure(facility, Edit("Camera.gain", value=5))
            return apply(configuration, edits, why)

        monkeypatch.setattr(StoredConfiguration, "apply", later)
        assert "was 5" in in_process("ConfigTool", "Camera.gain=7").out
        assert "was 5" in in_process("ConfigTool", "Camera.gain=8", "--dry-run").out


class TestClosedPipe:
    """A reader that has gone makes no success of what was refused."""

    def test_the_code_of_a_refusal(self, facility: Database) -> None:
        configure(facility, *(Edit(f"Camera.p{number}", value="a" * 50) for number in range(300)))
        before = state(facility)
        done = subprocess.run(
            ["bash", "-c", '"$@" </dev/null 2>&1 | true; exit ${PIPESTATUS[0]}', "-",
             *command("ConfigTool", "rollback", "0")],
            cwd=PROJECT, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 4
        assert state(facility) == before
