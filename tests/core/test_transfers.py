"""The table of transferred files, on every database: what is looked at again, shared, damaged and restored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Session, Sessions, Transfers, transfer_changes, transfers
from NexusCore.facility.sessions import Client
from NexusCore.facility.transfer_changes import TooManyFiles
from NexusCore.facility.transfer_file import Content, FileReport, FileState, Place, TransferFile
from NexusCore.storage import Database, open_database
from tests.clocks import START, SetClock

ADA = Client("ada", "pc1")
MD5 = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
CONTENT = Content("raw", "a.dm4", 7, START, MD5)
PLACE = Place("", "TEM", "raw/a.dm4")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def session(database: Database) -> Session:
    return Sessions(database, SetClock()).start("TEM", ADA)


def stored(database: Database, session: Session, content: Content = CONTENT, place: Place = PLACE, ts: int = 1) -> int:
    """Put a file into the table that the store has; return its id."""
    with database.transaction() as transaction:
        file = transfer_changes.begin_upload(transaction, session.id, content, "u1", "chunks", {}, ts)
        assert transfer_changes.place_upload(transaction, file, place, "chunks", {}, keeps=False)
        assert transfer_changes.place_upload(transaction, file, place, "chunks", {}, keeps=False), "the same again"
        assert transfer_changes.set_verified(transaction, file, content, place, ts)
    return file.id


def one(database: Database, session: Session) -> TransferFile:
    (file,) = Transfers(database, SetClock()).files(session.id)
    return file


class TestTheSecondLook:
    """Files are looked at in the order in which they were last looked at; a change meanwhile stands."""

    def test_the_longest_ago_first(self, database: Database, session: Session) -> None:
        for number, ts in enumerate((30, 10, 20, 10, 99)):
            content, place = Content("raw", f"{number}", 7, START, MD5), Place("", "TEM", f"raw/{number}")
            stored(database, session, content, place, ts)
        with database.reading() as reading:
            first = transfers.to_check(reading, 50, 2)
            then = transfers.to_check(reading, 50, 2, first[-1])
            last = transfers.to_check(reading, 50, 2, then[-1])
        assert [file.path for file in (*first, *then, *last)] == ["1", "3", "2", "0"]

    def test_damage_and_its_end(self, database: Database, session: Session) -> None:
        stored(database, session)
        file = one(database, session)
        with database.transaction() as transaction:
            assert transfer_changes.set_damaged(transaction, file, "gone", 5)
            assert not transfer_changes.set_damaged(transaction, file, "gone", 6), "it is damaged already"
            assert [found.path for found in transfers.repairs(transaction, "TEM", 10)] == ["a.dm4"]
            assert transfers.repairs(transaction, "SEM", 10) == []
        damaged = one(database, session)
        assert (damaged.state, damaged.reason, damaged.verified_ts) == (FileState.DAMAGED, "gone", None)
        with database.transaction() as transaction:
            transfer_changes.report(transaction, session.id, [FileReport("raw", "a.dm4", 7, START, md5=MD5)], 7)
            assert transfers.repairs(transaction, "TEM", 10), "a report of the same content does not undo it"
            assert transfer_changes.set_restored(transaction, damaged, 8)
            assert not transfer_changes.set_restored(transaction, damaged, 9)
        assert (one(database, session).state, one(database, session).verified_ts) == (FileState.VERIFIED, 8)

    def test_a_repair_replaces_damage(self, database: Database, session: Session) -> None:
        stored(database, session)
        with database.transaction() as transaction:
            transfer_changes.set_damaged(transaction, one(database, session), "gone", 5)
        with database.transaction() as transaction:
            file = transfer_changes.begin_upload(transaction, session.id, CONTENT, "u2", "chunks", {}, 6)
            assert file.state is FileState.DAMAGED, "until it is right again"
            transfer_changes.set_checking(transaction, file, 7)
            assert transfer_changes.set_verified(transaction, file, CONTENT, PLACE, 8)
        assert one(database, session).state is FileState.VERIFIED


class TestUploads:
    """A file has one upload; what an earlier one leaves behind is known."""

    def test_one_that_is_overtaken(self, database: Database, session: Session) -> None:
        newer = Content("raw", "a.dm4", 8, START, OTHER)
        with database.transaction() as transaction:
            first = transfer_changes.begin_upload(transaction, session.id, CONTENT, "u1", "chunks", {"n": 1}, 1)
            transfer_changes.place_upload(transaction, first, PLACE, "chunks", {}, keeps=False)
            second = transfer_changes.begin_upload(transaction, session.id, newer, "u2", "chunks", {}, 2)
            assert not transfer_changes.place_upload(transaction, first, PLACE, "chunks", {}, keeps=False)
            assert not transfer_changes.set_verified(transaction, first, CONTENT, PLACE, 3)
            transfer_changes.drop_upload(transaction, first, "too late", 4)
        file = one(database, session)
        assert (file.upload, file.state, file.md5, file.reason) == ("u2", FileState.SENDING, OTHER, None)
        assert (file.object, file.object_md5) == ("raw/a.dm4", MD5), "that is what is in the store now"
        with database.transaction() as transaction:
            transfer_changes.drop_upload(transaction, second, "no more", 5)
        file = one(database, session)
        assert (file.upload, file.upload_ref, file.state) == (None, None, FileState.WAITING)

    def test_abandoned_ones(self, database: Database, session: Session) -> None:
        with database.transaction() as transaction:
            transfer_changes.begin_upload(transaction, session.id, CONTENT, "u1", "chunks", {"n": 1}, 10)
        stored(database, session, Content("raw", "b.dm4", 7, START, MD5), Place("", "TEM", "raw/b.dm4"))
        with database.reading() as reading:
            assert [file.path for file in transfers.abandoned(reading, 11, 5)] == ["a.dm4"]
            assert transfers.abandoned(reading, 10, 5) == []

    def test_objects_that_files_share(self, database: Database, session: Session) -> None:
        """Under the same name in the same store; each instrument has a folder of its own."""
        number = stored(database, session)
        with database.reading() as reading:
            assert transfers.sharing(reading, PLACE, 0) == [MD5]
            assert transfers.sharing(reading, PLACE, number) == []
            assert transfers.sharing(reading, Place("", "SEM", "raw/a.dm4"), 0) == []
            assert transfers.sharing(reading, Place("bucket", "TEM", "raw/a.dm4"), 0) == []
            assert transfers.has_objects(reading, "", "TEM")
            assert not transfers.has_objects(reading, "", "SEM")
            assert not transfers.has_objects(reading, "bucket", "TEM")


class TestReading:
    """Figures and portions."""

    def test_figures(self, database: Database, session: Session) -> None:
        reader = Transfers(database, SetClock())
        assert (reader.figures().oldest_ts, reader.changed_ts(session.id)) == (None, None)
        stored(database, session, ts=5)
        reports = [FileReport("raw", f"{number}", 1, START, FileState.LOCKED) for number in range(250)]
        with database.transaction() as transaction:
            assert transfer_changes.report(transaction, session.id, reports, 7) == 250
            transfer_changes.report(transaction, session.id, reports[:100], 9)
        figures = reader.figures()
        assert (figures.states[FileState.VERIFIED], figures.states[FileState.LOCKED]) == (1, 250)
        assert figures.oldest_ts == reader.changed_ts(session.id) == 7, "what is reported again is no change"
        assert len(list(reader.all(session.id, [FileState.LOCKED]))) == 250
        Sessions(database, SetClock(START + SECOND)).end(session.identifier, ADA)
        assert reader.figures().oldest_ts is None, "nobody waits any more"

    def test_a_session_has_room_for_so_many(
        self, database: Database, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transfer_changes, "MOST_FILES", 3)
        reports = [FileReport("raw", f"{number}", 1, START) for number in range(4)]
        with pytest.raises(TooManyFiles), database.transaction() as transaction:
            transfer_changes.report(transaction, session.id, reports, 1)
        with database.transaction() as transaction:
            transfer_changes.report(transaction, session.id, reports[:3], 1)
            transfer_changes.report(transaction, session.id, reports[:3], 2)
        with pytest.raises(TooManyFiles), database.transaction() as transaction:
            transfer_changes.begin_upload(transaction, session.id, CONTENT, "u1", "chunks", {}, 3)
        assert len(Transfers(database, SetClock()).files(session.id)) == 3
