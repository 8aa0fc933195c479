"""What the Uploader shows holds over its end: an earlier one's words are put right, and its counts go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from NexusCore.facility import State
from NexusCore.service import Pass
from Services.Uploader.destinations import RecordRefused
from Services.Uploader.service import Uploader
from tests.processes import LIMIT, app_on, eventually, messages, rows
from tests.services.uploading import Facility, Fickle, facility_on, give, status_of


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(database_url, tmp_path) as one:
        yield one


@contextmanager
def uploader_of(facility: Facility) -> Iterator[Uploader]:
    """Lend an Uploader that ends, all it said delivered."""
    app = app_on(facility.url, facility.home, facility.clock)
    try:
        yield Uploader(app)
    finally:
        app.shutdown(LIMIT)


def shown(facility: Facility) -> dict[str, str]:
    """Return what the channel has now."""
    sql = """SELECT i.name, l.value FROM status_latest l JOIN status_item i ON i.id = l.item_id
               JOIN status_channel c ON c.id = i.channel_id WHERE c.name = 'Uploader'"""
    return dict(rows(facility.url, sql))


class TestAfterARestart:
    """No word of an earlier Uploader's stays that is not true any more."""

    @pytest.fixture(autouse=True)
    def reported(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> Fickle:
        """Have an Uploader end while a destination is down."""
        fickle = Fickle()
        fickle.problems = ["it is down"]
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        facility.built()
        with uploader_of(facility) as one:
            one.once()
        eventually(lambda: shown(facility).get("destination fickle") == "it is down")
        return fickle

    def test_one_that_recovered(self, facility: Facility, reported: Fickle) -> None:
        """It is asked, though nothing is due."""
        reported.problems = []
        facility.config["Services.Uploader.strategy"] = "any"
        with uploader_of(facility) as one:
            one.once()
            assert status_of(one, "destination fickle") == "ok"
        assert shown(facility)["destination fickle"] == "ok"

    def test_one_that_was_removed(self, facility: Facility) -> None:
        facility.config["Services.Uploader.destinations"] = "directory"
        with uploader_of(facility) as one:
            assert one.once() == Pass()
        found = shown(facility)
        assert (found["destination fickle"], found["waiting fickle"]) == ("not in use", "0")
        assert found["destination directory"] == "ok"

    def test_one_that_is_still_down(self, facility: Facility) -> None:
        """It is not said once more."""
        with uploader_of(facility) as one:
            one.once()
        said = [text for text, _ in facility.said() if text.startswith("Nothing can be sent to fickle")]
        assert said == ["Nothing can be sent to fickle: it is down"]

    def test_counts_go_on(self, facility: Facility) -> None:
        facility.built("Quanta")
        with uploader_of(facility) as one:
            one.once()
        assert (shown(facility)["records_sent"], shown(facility)["records_sent directory"]) == ("2", "2")


class TestWhatAPassSays:
    """`--once` fails where a record is not where it is to be, also if nothing could be tried."""

    def test_what_was_refused_or_is_put_off(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        with uploader_of(facility) as one:
            assert one.once() == Pass(), "nothing to do is no failure"
            record = facility.built()
            fickle.failure = RuntimeError("not now")
            assert one.once() == Pass(failed=1)
            assert one.once() == Pass(failed=1), "put off"
            facility.clock.move(60)
            fickle.failure = RecordRefused(destination="fickle", title="x", session=record.session, reason="salty")
            assert one.once() == Pass(failed=1)
            assert one.once() == Pass(failed=1), "refused"
            assert len(fickle.put_so_far) == 2
            facility.config["Services.Uploader.destinations"] = "directory"
            eventually(lambda: one.once() == Pass(done=1), "what is wanted no more is no failure")


class TestBeforeTheFirstRecord:
    """A destination that cannot be used is reported at the start, not with the first record."""

    def test_a_fault_is_reported_although_nothing_is_due(self, sqlite_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path)
        app.get_config()["Services.Uploader.destinations"] = "elabftw"
        app.shutdown(LIMIT)
        app = app_on(sqlite_url, tmp_path)
        Uploader(app).once()
        app.shutdown(LIMIT)
        (text,) = [text for text in messages(sqlite_url, "Uploader") if "elabftw" in text]
        assert text.startswith("Nothing can be sent to elabftw: ")
        assert "it is not set" in text


class TestADestinationAddedLater:
    """Finished sessions that it never got are counted; a person decides whether it gets them."""

    def test_they_are_shown_and_then_sent(self, facility: Facility) -> None:
        records = [facility.experiment(), facility.experiment("To see more")]
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=2)
        facility.config["Services.Uploader.destinations"] = "directory,eln"
        assert uploader.once() == Pass()
        assert status_of(uploader, "never sent eln") == 2
        said = [line for line, _ in facility.said() if "never sent" in line]
        assert said == [
            "eln was never sent the 2 records of finished sessions, because it was added later. To send them: "
            "SessionTool requeue --upload --all --destination eln"
        ]
        for record in records:
            facility.app.database().write(facility.records.resend(record, "eln"))
        assert uploader.once() == Pass(done=2)
        assert status_of(uploader, "never sent eln") == 0
        assert len(list((facility.home / "eln").glob("*.eln"))) == 2
        assert facility.state(records[0]) is State.COMPLETED
