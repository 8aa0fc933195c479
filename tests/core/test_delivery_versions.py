"""Journals say in which form they were written: what a newer NexusCore left is not taken for damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from NexusCore.delivery import Journal
from NexusCore.delivery.adoption import abandoned
from NexusCore.delivery.frames import LATER_MARKERS, MARKER, PAYLOAD_VERSION, Damage, Frame, decode, encode, is_newer
from NexusCore.errors import EXIT_OK, EXIT_REFUSED
from tests.clocks import SetClock
from tests.journals import folder_of, leave, log_payload, written_segments
from tests.processes import app_on, messages
from tests.tools.programs import run

LATER = {
    "a later payload": encode(1, log_payload("from tomorrow"), PAYLOAD_VERSION + 1),
    "a later frame": LATER_MARKERS[0] + b"whatever it is like" * 20,
}


@pytest.fixture(params=LATER)
def later(request: pytest.FixtureRequest) -> bytes:
    return LATER[request.param]


class TestForm:
    """A frame carries the version of its own form, and that of the record in it."""

    @pytest.mark.parametrize("mapped", [True, False])
    def test_what_is_written_has_the_present_version(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
    ) -> None:
        if not mapped:
            written_segments(monkeypatch)
        journal = Journal(tmp_path, SetClock())
        journal.append(b"a record")
        assert journal.read(1000) == [Frame(1, b"a record", PAYLOAD_VERSION)]
        data = next(tmp_path.glob("*.nxj")).read_bytes()
        assert data.startswith(MARKER)
        assert not is_newer(data)

    def test_a_version_survives_another_writing(self) -> None:
        for version in (0, 1, 255):
            frame = Frame(7, b"payload", version)
            assert [piece for piece, _ in decode(frame.encode(), complete=True)] == [frame]

    def test_the_first_journals_have_version_zero(self) -> None:
        """As written before versions were counted: the length took all four bytes, its highest always 0."""
        assert next(decode(encode(1, b"x" * 300, 0), complete=True))[0] == Frame(1, b"x" * 300, 0)
        assert encode(1, b"x" * 300, 0)[8:12] == (300).to_bytes(4, "little")

    def test_no_flipped_bit_makes_a_journal_newer(self) -> None:
        whole = encode(1, b"the only record")
        for offset in range(len(whole)):
            for bit in range(8):
                data = bytearray(whole)
                data[offset] ^= 1 << bit
                assert not is_newer(bytes(data)), (offset, bit)
                assert isinstance(next(decode(bytes(data), complete=True))[0], Damage)

    def test_later_forms_are_recognised(self, later: bytes) -> None:
        assert is_newer(later)


class TestJournalOfNewer:
    """It stays as it is, and one sentence says why; everything else is delivered."""

    def test_it_waits_for_the_newer_program(
        self, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, later: bytes
    ) -> None:
        app = app_on(database_url, tmp_path / "home")
        folder = folder_of(app, "log")
        leave(folder, [log_payload("from yesterday")], "old-1-1")
        newer = folder / f"{leave(folder, [], 'new-1-1')}-00000001.nxj"
        newer.write_bytes(later)
        (folder / "new-1-1.refused").write_bytes(later)
        app.get_log("present").info("here")
        assert app.shutdown(60).dropped == 0
        assert messages(database_url, "dead") == ["from yesterday"]
        assert messages(database_url, "present") == ["here"]
        (warning,) = [record.getMessage() for record in caplog.records if "new-1-1" in record.getMessage()]
        assert "was written by a newer NexusCore" in warning
        assert newer.read_bytes() == (folder / "new-1-1.refused").read_bytes() == later
        assert {path.name for path in folder.parent.rglob("new-1-1*")} == {
            "new-1-1.lock", "new-1-1.refused", "new-1-1-00000001.nxj",
        }  # fmt: skip
        (free,) = abandoned(newer.parent)
        free.close(delivered=False)
        assert free.name == "new-1-1", "the newer one can have it"

    def test_doctor_says_whose_it_is_and_repairs_nothing(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: bytes
    ) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        monkeypatch.setenv("NEXUSCORE_HOME", str(tmp_path / "home"))
        app = app_on(sqlite_url, tmp_path / "home")
        newer = folder_of(app, "log") / f"{leave(folder_of(app, 'log'), [], 'new-1-1')}-00000001.nxj"
        app.shutdown(0)
        newer.write_bytes(later)
        shown = json.loads(run("Doctor", "--journals", "--json").out)
        assert "newer NexusCore" in shown["fault"]
        assert shown["damaged_bytes"] == 0
        repaired = run("Doctor", "--journals", "--repair")
        assert repaired.code == EXIT_REFUSED
        assert "A newer NexusCore wrote the journal new-1-1." in repaired.err
        assert newer.read_bytes() == later
        newer.write_bytes(encode(1, log_payload("mended")))
        assert run("Doctor", "--journals", "--repair").code == EXIT_OK
        assert messages(sqlite_url, "dead") == ["mended"]
