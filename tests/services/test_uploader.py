"""The Uploader sends each record to every destination, and knows that it arrived; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.errors import DatabaseUnreachable
from NexusCore.facility import Record, Records, State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass
from Services.Uploader.destinations import Destination, Receipt, kinds
from Services.Uploader.service import Uploader
from tests.processes import run
from tests.services.uploading import Facility, Fickle, facility_on, give, status_of


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(database_url, tmp_path) as one:
        yield one


class TestARecordArrives:
    """001-51, 001-54: at its destination, bit by bit; then its session is COMPLETED."""

    def test_in_the_default_folder(self, facility: Facility) -> None:
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1)
        copy = facility.uploaded / f"{record.session}.xml"
        assert copy.read_bytes() == Path(record.path).read_bytes()
        assert (facility.uploaded / f"{record.session}.files/a.png").read_text() == "picture"
        assert facility.state(record) is State.COMPLETED
        upload = facility.upload(record)
        assert (upload.state, upload.attempts) == (UploadState.DONE, 1)
        assert (upload.remote_id, upload.url) == (copy.name, copy.as_uri())
        assert status_of(uploader, "destination directory") == "ok"
        assert status_of(uploader, "records_sent") == status_of(uploader, "sessions_completed") == 1
        assert status_of(uploader, "records_waiting") == 0

    def test_its_session_stands_on_each_line(self, facility: Facility) -> None:
        record = facility.built()
        Uploader(facility.app).once()
        url = (facility.uploaded / f"{record.session}.xml").as_uri()
        assert facility.said() == [
            (f"directory has the record 'Rock salt' as {url}", record.session),
            ("The session is complete: directory has its record", record.session),
        ]

    def test_nothing_to_do(self, facility: Facility) -> None:
        assert Uploader(facility.app).once() == Pass()
        assert not facility.uploaded.exists()

    def test_many_records_complete_in_one_pass(self, facility: Facility) -> None:
        records = [facility.built(f"Instrument-{number}") for number in range(5)]
        assert Uploader(facility.app).once() == Pass(done=5)
        assert {facility.state(record) for record in records} == {State.COMPLETED}

    def test_settings_hold_from_the_next_pass_on(self, facility: Facility, tmp_path: Path) -> None:
        uploader = Uploader(facility.app)
        uploader.once()
        (tmp_path / "share").mkdir()
        facility.config["Services.Uploader.directory.path"] = str(tmp_path / "share")
        record = facility.built()
        uploader.once()
        assert (tmp_path / "share" / f"{record.session}.xml").exists()
        assert not facility.uploaded.exists()

    def test_every_number_is_a_setting(self, facility: Facility) -> None:
        Uploader(facility.app)
        leaves = {leaf.path: leaf for leaf in facility.config.get_leaves("Services.Uploader")}
        own = {path.removeprefix("Services.Uploader.") for path in leaves}
        assert {"interval", "destinations", "strategy", "retry_first", "retry_longest", "directory.path"} <= own
        assert all(leaf.comment for leaf in leaves.values())


class TestARecordThatIsNotWhatWasBuilt:
    """It is not sent: the upload is in ERROR with a sentence, and tried again later."""

    def test_a_missing_record_fails_its_upload(self, facility: Facility) -> None:
        record = facility.built()
        Path(record.path).unlink()
        assert Uploader(facility.app).once() == Pass(failed=1)
        upload = facility.upload(record)
        assert upload.state is UploadState.ERROR
        assert upload.last_error == f"The record 'Rock salt' cannot be sent: {record.path}: No such file or directory."
        assert facility.state(record) is State.BUILT
        assert not facility.uploaded.exists()

    def test_changed_by_hand(self, facility: Facility) -> None:
        record = facility.built()
        Path(record.path).write_text("<Changed/>")
        uploader = Uploader(facility.app)
        uploader.once()
        assert facility.upload(record).last_error == (
            f"The record 'Rock salt' cannot be sent: {record.path} is not the file that the Builder wrote."
        )
        Path(record.path).write_text("<Experiment/>")
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)


class TestWhichDestinations:
    """`destinations` names them, `strategy` says how many are enough."""

    def test_any_is_enough(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other one's gap is there to be seen, and filled when that can be had."""
        fickle = Fickle()
        fickle.failure = RuntimeError("down")
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle,directory"
        uploader = Uploader(facility.app)
        facility.config["Services.Uploader.strategy"] = "any"
        record = facility.built()
        assert uploader.once() == Pass(done=1, failed=1)
        assert facility.state(record) is State.COMPLETED
        assert facility.upload(record, "fickle").state is UploadState.ERROR
        assert status_of(uploader, "waiting fickle") == 1
        fickle.failure = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)
        assert facility.upload(record, "fickle").state is UploadState.DONE
        assert facility.state(record) is State.COMPLETED
        assert uploader.once() == Pass()

    def test_one_that_is_taken_off_the_list_is_no_longer_waited_for(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fickle = Fickle()
        fickle.problems = ["it is down"]
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle,directory"
        uploader = Uploader(facility.app)
        record = facility.built()
        uploader.once()
        assert facility.state(record) is State.BUILT
        facility.config["Services.Uploader.destinations"] = "directory"
        assert uploader.once() == Pass()
        assert facility.state(record) is State.COMPLETED
        assert [one.destination for one in facility.records.uploads(record)] == ["directory"]
        assert status_of(uploader, "destination fickle") == "not in use"
        assert status_of(uploader, "waiting fickle") == 0

    def test_a_name_that_is_none(self, facility: Facility) -> None:
        """The others get the record; the session is not complete before it is put right."""
        facility.config["Services.Uploader.destinations"] = "directroy, directory"
        record = facility.built()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1, failed=1)
        assert facility.upload(record).state is UploadState.DONE
        assert facility.state(record) is State.BUILT
        sentence = (
            "Services.Uploader.destinations names 'directroy', which is not a kind of destination; known are: cdcs, "
            "directory, elabftw, eln. Did you mean 'directory'?"
        )
        assert status_of(uploader, "destination directroy") == sentence
        assert facility.upload(record, "directroy").last_error == sentence

    def test_none_at_all(self, facility: Facility) -> None:
        """No session is complete that nobody has the record of."""
        facility.config["Services.Uploader.destinations"] = " , "
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        assert facility.state(record) is State.BUILT
        assert status_of(uploader, "destination none") == "Services.Uploader.destinations names no destination"

    def test_each_kind_makes_one_of_its_name(self, facility: Facility) -> None:
        for name, make in kinds().items():
            one: Destination = make(facility.app.get_config(f"Services.Uploader.{name}"), facility.home)
            assert one.name == name

    def test_nothing_heavy_is_imported_for_it(self) -> None:
        program = (
            "import sys, Services.Uploader.service as s, Services.Uploader.destinations as k; k.kinds();"
            "print({'requests', 'lxml', 'numpy', 'boto3'} & set(sys.modules))"
        )
        assert run(program, main="sqlite:////nowhere", home=Path("/nowhere")).strip() == "set()"


class TestBuiltAnew:
    """A session that is built again has its new record sent, and only that."""

    def test_after_it_was_sent(self, facility: Facility) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        record = facility.again(record, "<Newer/>")
        assert facility.state(record) is State.BUILT
        assert uploader.once() == Pass(done=1)
        assert (facility.uploaded / f"{record.session}.xml").read_text() == "<Newer/>"
        assert facility.state(record) is State.COMPLETED
        remark = f"; it replaces the older version of the record of session {record.session}"
        assert any(text.endswith(remark) for text, _ in facility.said())

    def test_while_it_is_sent(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """The older one's arrival says nothing about the newer."""

        class Slow(Fickle):
            def put(self, record: Record) -> Receipt:
                receipt = super().put(record)
                if len(self.put_so_far) == 1:
                    facility.again(record, "<Newer/>")
                return receipt

        slow = Slow("slow")
        give(monkeypatch, slow)
        facility.config["Services.Uploader.destinations"] = "slow"
        record = facility.built()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass()
        assert facility.state(record) is State.BUILT
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED
        assert len(slow.put_so_far) == 2

    def test_the_same_again_is_not_sent_twice(self, facility: Facility) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        record = facility.again(record, "<Experiment/>")
        assert uploader.once() == Pass()
        assert facility.state(record) is State.COMPLETED
        assert facility.upload(record).attempts == 1


class TestAfterACrash:
    """A record that arrived although nobody could note it is there once."""

    def test_between_the_copy_and_the_note(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)

        def away(*_: object, **__: object) -> bool:
            raise DatabaseUnreachable(where="the test", reason="gone")

        with monkeypatch.context() as broken:
            broken.setattr(Records, "uploaded", away)
            with pytest.raises(DatabaseUnreachable):
                uploader.once()
        assert (facility.uploaded / f"{record.session}.xml").exists()
        assert facility.upload(record).state is UploadState.WAITING
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED
