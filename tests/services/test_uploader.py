"""The Uploader sends each record to every destination, and knows that it arrived; on both databases."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SECOND, SystemClock, to_ts
from NexusCore.config import NamedConfiguration
from NexusCore.errors import DatabaseUnreachable
from NexusCore.facility import Record, Records, Session, Sessions, State, Upload
from NexusCore.facility.records import UploadState
from NexusCore.facility.sessions import Client
from NexusCore.service import Pass, main
from Services.Uploader.destinations import Destination, Make, NotTaken, Nowhere, Receipt, kinds
from Services.Uploader.service import Uploader
from tests.processes import LIMIT, PROJECT, app_on, environment_of, eventually, messages, rows, run, samples

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
USER = Client("alice", "titan-pc")
END_LIMIT = 10.0
"""Seconds that a service told to end may take on a machine with much else to do; it takes less than two."""


class SetClock(SystemClock):
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        return to_ts(self.time)

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Facility:
    """Records as a Builder leaves them, in a database and a folder."""

    url: str
    home: Path
    app: App
    clock: SetClock
    config: NamedConfiguration
    sessions: Sessions
    records: Records

    @property
    def uploaded(self) -> Path:
        return self.home / "uploaded"

    def built(self, instrument: str = "Titan", content: str = "<Experiment/>") -> Record:
        """Have a session with its record, a preview beside it."""
        session = self.sessions.start(instrument, USER)
        self.sessions.end(session.identifier, USER)
        return self.build(session.identifier, content)

    def build(self, identifier: str, content: str) -> Record:
        """Build the record of a session that waits."""
        session = self.sessions.claim(USER, "the Builder", 60)
        assert session is not None
        assert session.identifier == identifier
        xml = self.home / "records" / f"{identifier}.xml"
        (xml.parent / f"{identifier}.files").mkdir(parents=True, exist_ok=True)
        (xml.parent / f"{identifier}.files/a.png").write_text("picture")
        xml.write_text(content)
        write = self.records.writer(
            session.id,
            path=str(xml),
            title="Rock salt",
            sha256=hashlib.sha256(content.encode()).hexdigest(),
            config_revision=1,
            software="test",
            files=1,
            activities=1,
        )
        assert self.sessions.finish(session, "the Builder", State.BUILT, also=write)
        return self.record(session)

    def record(self, session: Session) -> Record:
        record = self.records.of_session(session.id)
        assert record is not None
        return record

    def state(self, record: Record) -> State:
        return self.sessions.get(record.session).state

    def upload(self, record: Record, destination: str = "directory") -> Upload:
        (found,) = (one for one in self.records.uploads(record) if one.destination == destination)
        return found

    def said(self) -> list[tuple[str, str | None]]:
        """Return what was logged so far, with the session it belongs to."""
        self.app.get_log("test").info("done")
        eventually(lambda: messages(self.url, "test"))
        return rows(self.url, "SELECT message, session FROM log_record WHERE logger = 'Uploader' ORDER BY id")


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    clock = SetClock()
    home = tmp_path / "nexuscore"
    app = app_on(database_url, home, clock)
    database = app.database()
    yield Facility(
        database_url, home, app, clock, app.get_config(), Sessions(database, clock), Records(database, clock)
    )
    app.shutdown()


class Fickle(Nowhere):
    """A destination that does as the test says."""

    def __init__(self, name: str = "fickle") -> None:
        super().__init__()
        self.name = name
        self.problems: list[str] = []
        self.failure: Exception | None = None
        self.spoil = False
        self.put_so_far: list[str] = []
        self.checked = 0

    def check(self) -> list[str]:
        self.checked += 1
        return self.problems

    def put(self, record: Record) -> Receipt:
        self.put_so_far.append(record.session)
        if self.failure is not None:
            raise self.failure
        super().put(record)
        return Receipt(self.name, "remote-1", "https://cdcs.example.org/1")

    def fetch(self, receipt: Receipt) -> bytes:
        return b"spoilt" if self.spoil else super().fetch(receipt)


def give(monkeypatch: pytest.MonkeyPatch, *destinations: Destination) -> None:
    """Have these kinds of destination besides those that there are."""

    def making(one: Destination) -> Make:
        return lambda config, home: one

    known = {**kinds(), **{one.name: making(one) for one in destinations}}
    monkeypatch.setattr("Services.Uploader.destinations.kinds", lambda: known)


def status_of(uploader: Uploader, name: str) -> object:
    return uploader.status[name].get_value()


class TestARecordArrives:
    """001-51, 001-54: at its destination, bit by bit; then its session is COMPLETED."""

    def test_in_the_default_folder(self, facility: Facility) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1)
        copy = facility.uploaded / f"{record.session}.xml"
        assert copy.read_text() == "<Experiment/>"
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

    def test_many(self, facility: Facility) -> None:
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

    def test_missing(self, facility: Facility) -> None:
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


class TestTryingAgain:
    """What fails is tried again at growing intervals, each destination by itself, and holds up nothing."""

    def test_growing_intervals(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        facility.config["Services.Uploader.retry_longest"] = 200.0
        fickle.failure = NotTaken(destination="fickle", title="Rock salt", reason="it is full")
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        for seconds in (60, 120, 200, 200):
            tried = len(fickle.put_so_far)
            facility.clock.move(seconds - 1)
            assert uploader.once() == Pass(), "not yet"
            facility.clock.move(1)
            assert uploader.once() == Pass(failed=1)
            assert len(fickle.put_so_far) == tried + 1
        upload = facility.upload(record, "fickle")
        assert (upload.attempts, upload.last_error) == (
            5,
            "fickle did not take the record 'Rock salt': it is full.",
        )
        fickle.failure = None
        facility.clock.move(200)
        assert uploader.once() == Pass(done=1)
        upload = facility.upload(record, "fickle")
        assert (upload.state, upload.last_error, upload.url) == (UploadState.DONE, None, "https://cdcs.example.org/1")

    @pytest.mark.parametrize(
        ("failure", "says"),
        [
            (NotTaken(destination="fickle", title="x", reason="it is full"), "it is full."),
            (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
            (RuntimeError("what now"), "RuntimeError: what now"),
        ],
    )
    def test_another_destination_is_not_held_up(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch, failure: Exception, says: str
    ) -> None:
        fickle = Fickle()
        fickle.failure = failure
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle, directory"
        records = [facility.built(), facility.built("Quanta")]
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=2, failed=2)
        for record in records:
            assert facility.upload(record).state is UploadState.DONE
            assert (facility.upload(record, "fickle").last_error or "").endswith(says)
            assert facility.state(record) is State.BUILT, "not all destinations have it"
        fickle.failure = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=2)
        assert {facility.state(record) for record in records} == {State.COMPLETED}
        assert {facility.upload(record).attempts for record in records} == {1}, "what is there is not sent again"

    def test_what_comes_back_is_compared(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        fickle.spoil = True
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        record = facility.built()
        assert Uploader(facility.app).once() == Pass(failed=1)
        assert facility.upload(record, "fickle").last_error == (
            "fickle did not take the record 'Rock salt': what it gives back is not what was sent."
        )

    def test_a_destination_that_is_down_blames_no_record(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All go at once when it is back; it is asked once a pass, and only when something is due."""
        fickle = Fickle()
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle"
        uploader = Uploader(facility.app)
        uploader.once()
        assert fickle.checked == 0
        records = [facility.built(), facility.built("Quanta")]
        fickle.problems = ["it is down", "and its door is closed"]
        assert uploader.once() == Pass(failed=2)
        uploader.once()
        assert fickle.checked == 2
        assert status_of(uploader, "destination fickle") == "it is down; and its door is closed"
        assert status_of(uploader, "records_waiting") == 2
        assert [facility.records.uploads(record) for record in records] == [[], []]
        fickle.problems = []
        assert uploader.once() == Pass(done=2)
        assert status_of(uploader, "destination fickle") == "ok"
        sentences = [text for text, _ in facility.said() if text.startswith("The destination")]
        assert sentences == [
            "The destination fickle cannot be used: it is down; and its door is closed",
            "The destination fickle can be used again",
        ], "each is said once"

    def test_one_that_never_answers(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        class Silent(Fickle):
            def put(self, record: Record) -> Receipt:
                released.wait(LIMIT)
                return super().put(record)

        give(monkeypatch, Silent("silent"))
        uploader = Uploader(facility.app)
        facility.config["Services.Uploader.destinations"] = "silent,directory"
        facility.config["Services.Uploader.time_limit"] = 1.0
        record = facility.built()
        try:
            assert uploader.once() == Pass(done=1, failed=1)
        finally:
            released.set()
        assert facility.upload(record, "silent").last_error == "silent did not answer within 1 s."


class TestWhichDestinations:
    """`destinations` names them, `strategy` says how many are enough."""

    def test_any_is_enough(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        fickle = Fickle()
        fickle.failure = RuntimeError("down")
        give(monkeypatch, fickle)
        facility.config["Services.Uploader.destinations"] = "fickle,directory"
        uploader = Uploader(facility.app)
        facility.config["Services.Uploader.strategy"] = "any"
        record = facility.built()
        assert uploader.once() == Pass(done=1, failed=1)
        assert facility.state(record) is State.COMPLETED

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
        uploader.once()
        assert facility.state(record) is State.COMPLETED

    def test_a_name_that_is_none(self, facility: Facility) -> None:
        """The others get the record; the session is not complete before it is put right."""
        facility.config["Services.Uploader.destinations"] = "directroy, directory"
        record = facility.built()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1, failed=1)
        assert facility.upload(record).state is UploadState.DONE
        assert facility.state(record) is State.BUILT
        assert status_of(uploader, "destination directroy") == (
            "Services.Uploader.destinations names 'directroy', which is no kind of destination; there are: directory. "
            "Did you mean 'directory'?"
        )

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

    def again(self, facility: Facility, record: Record, content: str) -> Record:
        with facility.app.database().transaction() as transaction:
            transaction.run("UPDATE session SET state = 'TO_BE_BUILT' WHERE id = :id", id=record.session_id)
        return facility.build(record.session, content)

    def test_after_it_was_sent(self, facility: Facility) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)
        uploader.once()
        record = self.again(facility, record, "<Newer/>")
        assert facility.state(record) is State.BUILT
        assert uploader.once() == Pass(done=1)
        assert (facility.uploaded / f"{record.session}.xml").read_text() == "<Newer/>"
        assert facility.state(record) is State.COMPLETED
        remark = f"; it replaces the older version of the record of session {record.session}"
        assert any(text.endswith(remark) for text, _ in facility.said())

    def test_while_it_is_sent(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """The older one's arrival says nothing about the newer."""
        again = self.again

        class Slow(Fickle):
            def put(self, record: Record) -> Receipt:
                receipt = super().put(record)
                if len(self.put_so_far) == 1:
                    again(facility, record, "<Newer/>")
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
        record = self.again(facility, record, "<Experiment/>")
        assert uploader.once() == Pass()
        assert facility.state(record) is State.COMPLETED
        assert facility.upload(record).attempts == 1


class TestAfterACrash:
    """A record that arrived although nobody could note it is there once."""

    def test_between_the_copy_and_the_note(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        record = facility.built()
        uploader = Uploader(facility.app)

        def away(*_: object) -> bool:
            raise DatabaseUnreachable(where="the test", reason="gone")

        with monkeypatch.context() as broken:
            broken.setattr(Records, "uploaded", away)
            with pytest.raises(DatabaseUnreachable):
                uploader.once()
        assert (facility.uploaded / f"{record.session}.xml").exists()
        assert facility.records.uploads(record) == []
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED


class TestTheProgram:
    """``python -m Services.Uploader``: exit codes, a dry run, and an end when told to."""

    def run(self, url: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "Services.Uploader", *arguments],
            cwd=PROJECT,
            env=environment_of(url, home),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    def start(self, facility: Facility) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "Services.Uploader"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_nothing_to_do(self, database_url: str, tmp_path: Path) -> None:
        done = self.run(database_url, tmp_path / "home", "--once")
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("url", "code"), [("postgres://x:secret@y/z", 2), ("mysql://u:secret@127.0.0.1:1/nexus", 3)]
    )
    def test_a_database_that_is_none(self, tmp_path: Path, url: str, code: int) -> None:
        done = self.run(url, tmp_path / "home", "--once")
        assert done.returncode == code, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("Uploader: The database ")
        assert "secret" not in line

    def test_a_dry_run_and_the_real_one(self, facility: Facility) -> None:
        """The one says what the other does, and changes nothing."""
        good, bad = facility.built(), facility.built("Quanta")
        Path(bad.path).unlink()
        done = self.run(facility.url, facility.home, "--dry-run")
        assert done.returncode == 1
        assert f"Would send the record 'Rock salt' ({good.path}) to directory" in done.stderr
        assert f"The record 'Rock salt' cannot be sent: {bad.path}: No such file" in done.stderr
        assert not facility.uploaded.exists()
        assert rows(facility.url, "SELECT * FROM upload") == []
        assert not [
            name for name, _ in samples(facility.url, "Uploader") if name.startswith(("destination", "records"))
        ]
        done = self.run(facility.url, facility.home, "--once")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert (facility.state(good), facility.state(bad)) == (State.COMPLETED, State.BUILT)

    def test_told_to_end(self, facility: Facility) -> None:
        """Its last lines are in the database."""
        running = self.start(facility)
        eventually(lambda: messages(facility.url, "Uploader"))
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=END_LIMIT)
        assert running.returncode == 0, errors
        assert "Traceback" not in errors
        assert messages(facility.url, "Uploader")[-1] == "Uploader ends"

    def test_told_to_end_while_a_destination_is_silent(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is left alone, and the record counts as not yet sent."""
        released, asked = threading.Event(), threading.Event()

        class Silent(Fickle):
            def put(self, record: Record) -> Receipt:
                asked.set()
                released.wait(LIMIT)
                return super().put(record)

        give(monkeypatch, Silent("silent"))
        facility.config["Services.Uploader.destinations"] = "silent"
        record = facility.built()
        uploader = Uploader(facility.app)

        def end() -> None:
            asked.wait(LIMIT)
            facility.app.stop_event.set()

        ending = threading.Thread(target=end)
        ending.start()
        try:
            assert uploader.once() == Pass()
        finally:
            released.set()
            ending.join(LIMIT)
        assert facility.records.uploads(record) == []
        assert facility.state(record) is State.BUILT

    def test_a_running_one(self, facility: Facility, tmp_path: Path) -> None:
        """003-08: it sees a changed setting, says so, and keeps to it."""
        facility.config["Services.Uploader.interval"] = 0.1
        (tmp_path / "share").mkdir()
        running = self.start(facility)
        try:
            eventually(lambda: messages(facility.url, "Uploader"))
            facility.config["Services.Uploader.directory.path"] = str(tmp_path / "share")
            changed = f"The configuration changed: Services.Uploader.directory.path is now '{tmp_path}/share'"
            eventually(lambda: changed in messages(facility.url, "Uploader"))
            record = facility.built()
            eventually(lambda: facility.state(record) is State.COMPLETED)
            assert (tmp_path / "share" / f"{record.session}.xml").exists()
        finally:
            running.terminate()
            running.communicate(timeout=END_LIMIT)

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(Uploader, ["--help"])
        assert end.value.code == 0
        assert "--dry-run" in capsys.readouterr().out


def test_the_wait_is_stored_in_the_databases_own_unit(facility: Facility) -> None:
    """Microseconds since the epoch, UTC."""
    record = facility.built()
    Path(record.path).unlink()
    Uploader(facility.app).once()
    assert rows(facility.url, "SELECT next_attempt_ts FROM upload") == [(to_ts(NOW) + 60 * SECOND,)]
