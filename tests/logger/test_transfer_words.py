"""What a user reads of a transfer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from Logger.transfer.tracked import FileStage, TrackedFile
from Logger.transfer.views import FileView, TransferView, view_of
from Logger.words import completion, file_state, next_try, transfer_line, waited_for
from tests.logger.test_transfer_parts import tracked


class TestWords:
    """What a user reads."""

    def view(self, *files: TrackedFile, **more: Any) -> TransferView:
        return view_of("s1", files, **more)

    def test_the_line(self) -> None:
        verified = [tracked(str(number), FileStage.VERIFIED) for number in range(12)]
        assert transfer_line(self.view(*verified, tracked("w")), 0) == "Files: 12 sent, 1 waiting"
        assert transfer_line(self.view(), 3) == "Files: none yet; 3 of an earlier session"
        every = [tracked(stage.value, stage) for stage in FileStage]
        assert transfer_line(self.view(*every), 0) == ("Files: 1 sent, 3 waiting, 3 delayed, 1 held back, 1 removed")

    def test_a_file(self) -> None:
        view = self.view(tracked("a.dm4", FileStage.SENDING, size=200, sent=84))
        assert file_state(view.files[0]) == "sending 42 %"
        again = datetime(2026, 11, 20, 14, 32, 5).astimezone()
        file = FileView(tracked().key, "raw/a", FileStage.FAILED, 1, 0, "", int(again.timestamp() * 1_000_000))
        assert next_try(file) == "14:32:05"

    def test_what_a_session_waits_for(self) -> None:
        locked = tracked("a.dm4", FileStage.LOCKED, reason="locked by another program")
        done = tracked("b.dm4", FileStage.VERIFIED)
        assert waited_for(self.view(locked, done, ended=True)) == (
            "The session waits for 1 file, for ten minutes at most: raw/a.dm4 (locked by another program)."
        )
        assert waited_for(self.view(locked, tracked("c.dm4"), ended=True)) == "", "others are still sent"
        assert waited_for(self.view(locked, done)) == "", "it runs"
        away = self.view(tracked("c.dm4"), ended=True, obstacle="The facility's store cannot be reached.")
        assert waited_for(away) == "The facility's store cannot be reached."

    def test_the_end(self) -> None:
        done = tracked("a", FileStage.VERIFIED)
        locked = tracked("a.dm4", FileStage.LOCKED, reason="locked by another program")
        assert completion(self.view(done, finished=True)) == "Complete. Its file is stored."
        assert completion(self.view(done, tracked("b", FileStage.VERIFIED))) == "Complete. All 2 files are stored."
        assert completion(self.view()) == "Complete. There were no files."
        assert completion(self.view(done, locked)) == "Complete but 1: raw/a.dm4 (locked by another program)."
        many = [tracked(str(number), FileStage.HELD) for number in range(5)]
        assert completion(self.view(*many)) == (
            "Complete but 5: raw/0 (held back), raw/1 (held back), raw/2 (held back) and 2 more."
        )
        removed = tracked("tmp", FileStage.GONE)
        assert completion(self.view(done, removed)) == "Complete. Its file is stored."
        assert completion(self.view(done, locked, problem="The transfer of this session has ended.")) == (
            "The transfer of this session has ended. 1 of 2 files are stored."
        )

    def test_a_view_names_trouble_first_and_not_everything(self) -> None:
        files = [tracked(f"{number:05}", FileStage.VERIFIED) for number in range(700)]
        view = self.view(*files, tracked("zz", FileStage.HELD), tracked("zy", FileStage.FAILED))
        assert (view.total, len(view.files)) == (702, 500)
        assert [file.name for file in view.files[:3]] == ["raw/zz", "raw/zy", "raw/00000"]
