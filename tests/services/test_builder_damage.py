"""What the Builder finds missing in a store: its PC sends it again, and the session's events say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Session, transfers
from NexusCore.facility.session import EventType
from NexusCore.facility.stores.directory import UPLOADS
from NexusCore.facility.transfer_file import FileState
from tests.services.builder_facility import Stage
from tests.services.test_builder_transferred import PC, Bucket, built, facility, transferred


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield from facility(database_url, tmp_path)


class TestDamageIsNoted:
    """The PC sends again what the store has lost, and the session's events say so."""

    @staticmethod
    def states(stage: Stage, session: Session) -> dict[str, FileState]:
        files = stage.app.database().read(lambda reading: transfers.files(reading, session.id))
        return {file.path: file.state for file in files}

    @staticmethod
    def problems(stage: Stage, session: Session) -> list[str]:
        return [str(event.detail) for event in stage.sessions.events(session) if event.type is EventType.PROBLEM]

    def test_in_a_folder(self, stage: Stage) -> None:
        (stage.files / UPLOADS).mkdir()
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", "raw/c.dm4")
        (stage.files / "raw/b.dm4").unlink()
        (stage.files / "raw/c.dm4").write_text("shorter")
        document = built(stage, session)
        damaged = FileState.DAMAGED
        assert self.states(stage, session) == {"a.dm4": FileState.VERIFIED, "b.dm4": damaged, "c.dm4": damaged}
        repairs = stage.app.database().read(lambda reading: transfers.repairs(reading, "Titan", 10))
        assert [file.path for file in repairs] == ["b.dm4", "c.dm4"]
        (text,) = self.problems(stage, session)
        assert text == (
            "damaged in the store: raw/b.dm4 (its stored copy is missing)\n"
            "damaged in the store: raw/c.dm4 (its stored copy has another content)"
        )
        assert "problem with the instrument" not in document
        stage.sessions.requeue(session.identifier, PC)
        stage.clock.move(30)
        built(stage, session)
        assert self.problems(stage, session) == [text], "it is said once"

    def test_in_a_bucket(self, stage: Stage) -> None:
        bucket = Bucket()
        stage.builder._transferred._open = bucket.opened
        stage.config["Services.Gateway.stores.cloud.kind"] = "s3"
        stage.config["Services.Gateway.stores.cloud.bucket"] = "facility"
        stage.config["Instruments.Titan.filestore_path"] = ""
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", "raw/c.dm4", to=bucket, store="cloud")
        del bucket.objects["Titan/raw/b.dm4"]
        bucket.objects["Titan/raw/c.dm4"] = b"Content of raw/c.dm4"
        built(stage, session)
        damaged = FileState.DAMAGED
        assert self.states(stage, session) == {"a.dm4": FileState.VERIFIED, "b.dm4": damaged, "c.dm4": damaged}
        assert len(self.problems(stage, session)) == 1

    def test_an_empty_mount_point_damages_nothing(self, stage: Stage) -> None:
        session = transferred(stage, "raw/a.dm4")
        (stage.files / "raw/a.dm4").unlink()
        stage.builder.once()
        assert self.states(stage, session) == {"a.dm4": FileState.VERIFIED}
        assert self.problems(stage, session) == []
