"""An SQLite database in a folder that users share by their group: its mode, and what those without rights are told.

Users of their own try it in tests/install/test_one_machine.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from NexusCore.errors import DatabaseFileDenied, NoDatabaseFile
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from NexusCore.storage.database_file import denied, mode_in, shared_by_group, to_share, why_unusable
from NexusCore.storage.migrate import migrate


class TestModes:
    """Only a folder that a group shares makes a database that the group may use."""

    @pytest.mark.parametrize(("mode", "file"), [(0o700, 0o600), (0o770, 0o600), (0o2750, 0o600), (0o2770, 0o660)])
    def test_a_new_file(self, tmp_path: Path, mode: int, file: int) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        folder.chmod(mode)
        assert (shared_by_group(folder), mode_in(folder)) == (file == 0o660, file)
        before = os.umask(0o077)
        try:
            migrate(f"sqlite:///{folder}/nexus.db")
        finally:
            os.umask(before)
        for name in ("nexus.db", "nexus.db.migration"):
            assert (folder / name).stat().st_mode & 0o777 == file

    def test_a_file_that_exists_keeps_the_mode_that_its_group_was_given(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o2770)
        file = tmp_path / "nexus.db"
        migrate(f"sqlite:///{file}")
        file.chmod(0o640)
        migrate(f"sqlite:///{file}")
        assert file.stat().st_mode & 0o777 == 0o640

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert not shared_by_group(tmp_path / "nowhere")
        assert denied(tmp_path / "nowhere/nexus.db") is None
        with pytest.raises(NoDatabaseFile):
            Database(DatabaseURL.parse(f"sqlite:///{tmp_path}/nowhere/nexus.db")).identity()


class TestRefusals:
    """The error names the folder or file that is closed, and whose it is; a file that others use says why it must."""

    @pytest.fixture
    def closed(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Lend a file that may be read, in a folder where nothing may be written: as root, no mode would do that."""
        file = Path(sqlite_url.removeprefix("sqlite:///"))
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))
        return file

    def test_of_writing(self, closed: Path) -> None:
        assert denied(closed) is None
        refusal = denied(closed, write=True)
        assert isinstance(refusal, DatabaseFileDenied)
        assert str(refusal).startswith(
            f"This user may not write the database at sqlite:///{closed}: {closed.parent} is"
        )
        assert refusal.exit_code == 4

    def test_a_file_that_its_folder_shares_and_its_mode_does_not(self, closed: Path) -> None:
        closed.parent.chmod(0o2770)
        closed.chmod(0o640)
        assert to_share(closed) is None
        closed.chmod(0o600)
        refusal = str(denied(closed, write=True) or "")
        assert to_share(closed.parent) is None
        assert f"{closed.parent} is" in refusal
        command = f"sudo chown {closed.parent.owner()}:{closed.parent.group()} {closed}* && sudo chmod 660 {closed}*"
        assert to_share(closed) == command

    def test_of_opening_while_no_service_runs(self, closed: Path) -> None:
        refusal = why_unusable(closed, opening=True)
        assert isinstance(refusal, DatabaseFileDenied)
        assert "may not read the database" in str(refusal)
        assert "while no service has it open, that takes the right to write" in str(refusal)

    def test_none_for_a_file_that_may_be_used(self, sqlite_url: str) -> None:
        assert why_unusable(Path(sqlite_url.removeprefix("sqlite:///"))) is None
