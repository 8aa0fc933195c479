"""The Builder shows which instruments' folders it cannot read, before a session needs them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from Services.Builder.care import file_stores
from Services.Builder.care.file_stores import FileStoreCheck
from tests.services.builder_facility import Stage


class Config:
    """A configuration as a plain mapping."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def __getitem__(self, path: str) -> str | None:
        return self.values.get(path)

    def keys(self, folder: str) -> list[str]:
        start = f"{folder}."
        return sorted({path.removeprefix(start).partition(".")[0] for path in self.values if path.startswith(start)})


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "Titan").mkdir()
    return Config(
        {
            "Facility.data_root": str(tmp_path),
            "Instruments.Titan.filestore_path": "Titan",
            "Instruments.Jeol.filestore_path": "Jeol",
            "Instruments.Bucket.name": "its files are transferred into a bucket",
        }
    )


@pytest.fixture
def shown() -> dict[str, str]:
    return {}


@pytest.fixture
def check(config: Config, shown: dict[str, str]) -> FileStoreCheck:
    return FileStoreCheck(config, shown.__setitem__, logging.getLogger("Builder"))  # type: ignore[arg-type]


class TestFileStores:
    """A folder that is missing, no folder, closed or silent is said at once, and again when it is well."""

    def test_a_missing_folder(
        self, check: FileStoreCheck, shown: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        missing = f"{tmp_path}/Jeol cannot be read (No such file or directory)"
        check.care()
        check.care()
        assert shown == {"file store Titan": "ok", "file store Jeol": missing}
        (tmp_path / "Jeol").mkdir()
        check.care()
        assert shown["file store Jeol"] == "ok"
        assert caplog.messages == [f"Jeol: its files cannot be found: {missing}", "Jeol: its folder can be read again"]

    def test_a_file_in_its_place(self, check: FileStoreCheck, shown: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "Jeol").touch()
        check.care()
        assert shown["file store Jeol"] == f"{tmp_path}/Jeol cannot be read (Not a directory)"

    def test_an_instrument_that_is_removed(self, check: FileStoreCheck, shown: dict[str, str], config: Config) -> None:
        check.care()
        del config.values["Instruments.Jeol.filestore_path"]
        check.care()
        assert shown["file store Jeol"] == "not in use"

    def test_a_server_that_does_not_answer(
        self, check: FileStoreCheck, shown: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked once, however long it is silent."""
        answers, asked = threading.Event(), []

        def look(folder: Path) -> str:
            asked.append(folder.name)
            if folder.name == "Jeol":
                answers.wait(60)
            return "ok"

        monkeypatch.setattr(file_stores, "_trouble", look)
        monkeypatch.setattr(file_stores, "ANSWER_SECONDS", 0.05)
        check.care()
        check.care()
        assert shown == {"file store Titan": "ok", "file store Jeol": f"{tmp_path}/Jeol does not answer"}
        assert sorted(asked) == ["Jeol", "Titan", "Titan"]
        monkeypatch.setattr(file_stores, "ANSWER_SECONDS", 60)
        answers.set()
        while shown["file store Jeol"] != "ok":
            check.care()

    def test_the_builder_shows_it(self, sqlite_url: str, tmp_path: Path) -> None:
        stage = Stage(sqlite_url, tmp_path)
        try:
            stage.builder.once()
            assert stage.builder.status["file store Titan"].get_value() == "ok"
        finally:
            stage.close()
