"""Doctor on instruments: what depends on where Facility.data_root leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from NexusCore.config.store import Edit
from NexusCore.storage import Database
from tests.tools.conftest import configure
from tests.tools.test_doctor import only, reported
from Tools.doctor.checks.settings import program


class TestRoot:
    """001-22, 001-24: folders lie in Facility.data_root, wherever a program is started."""

    def test_a_relative_folder_is_not_looked_for_where_doctor_is_started(
        self, embedded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a").mkdir()
        monkeypatch.chdir(tmp_path)
        configure(embedded, Edit("Instruments.A.filestore_path", value="./a"))
        assert not any(str(tmp_path / "a") in sentence for _, sentence, _ in reported("Instruments"))
        configure(embedded, Edit("Facility.data_root", value=str(tmp_path)))
        assert only(reported("Instruments"), f"A: {tmp_path / 'a'} is empty")[0] == "note"

    def test_the_first_instrument_is_added_with_its_root(self, embedded: Database, tmp_path: Path) -> None:
        grade, remedy = only(reported("Instruments"), "has no instrument yet")
        assert grade == "note"
        command = remedy.partition(": ConfigTool ")[2].split()
        assert [one.partition("=")[0] for one in command] == [
            "Facility.data_root", "Instruments.FEI-Titan-TEM.filestore_path"
        ]  # fmt: skip
        configure(embedded, Edit("Facility.data_root", value=str(tmp_path)))
        assert "Facility.data_root" not in only(reported("Instruments"), "has no instrument yet")[1]


def test_the_program_is_named_with_its_path() -> None:
    """As root's search path, that of sudo does not lead to it."""
    assert Path(program()).is_absolute()
    assert Path(program()).is_file()
