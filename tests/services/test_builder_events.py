"""001-06: operators hear that a session failed, once, and that it no longer does."""

from __future__ import annotations

from collections.abc import Iterator
from logging.handlers import QueueHandler
from pathlib import Path

import pytest

from NexusCore.facility import Session, State
from NexusCore.facility.sessions import EventType
from NexusCore.settings import DatabaseURL
from NexusCore.status.element import fitting
from Services.Builder.lease import Lease
from tests.mail import mail_server
from tests.processes import eventually, rows
from tests.services.builder_facility import USER, PatientClock, Stage

SCHEMA = "Services.Builder.schema_path"
MAIL = {"mail_to": "staff@example.org"}


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(database_url, tmp_path)
    yield one
    one.close()


def remarks(stage: Stage, session: Session) -> list[str | None]:
    """Return what the Builder wrote among a session's events."""
    return [one.detail for one in stage.sessions.events(session) if (one.user, one.type) == ("Builder", EventType.NOTE)]


def passes(stage: Stage, count: int = 1) -> None:
    for _ in range(count):
        stage.builder.once()
        stage.clock.move(4000)


def lines(stage: Stage, session: Session, *levels: int) -> list[str]:
    """Return the log's lines of these levels that carry a session."""
    stage.app.shutdown(5)
    found = rows(
        stage.url, "SELECT level, message FROM log_record WHERE session = :one ORDER BY id", one=session.identifier
    )
    return [message for level, message in found if level in levels]


class TestASessionThatFails:
    """It leaves one event, one ERROR line that carries the session (the log's mail is sent for it), and a status."""

    def test_once_for_one_reason(self, stage: Stage) -> None:
        stage.config[SCHEMA] = "/nowhere/own.xsd"
        session = stage.session("a.dm3")
        passes(stage, 3)
        found = stage.sessions.get(session.identifier)
        assert (found.state, found.attempts) == (State.ERROR, 3)
        assert remarks(stage, session) == [f"ERROR: {found.last_error}"]
        assert stage.builder.status["last_error"].get_value() == fitting(f"{session.identifier}: {found.last_error}")
        assert lines(stage, session, 40) == [f"Session {session.identifier}: {found.last_error}"]

    def test_again_for_another(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        for schema in ("/nowhere/one.xsd", "/nowhere/two.xsd"):
            stage.config[SCHEMA] = schema
            passes(stage)
        assert len(remarks(stage, session)) == 2
        assert len(lines(stage, session, 40)) == 2

    def test_a_mail_is_sent(self, stage: Stage) -> None:
        with mail_server() as (host, mailbox):
            with stage.config.together() as group:
                for name, value in {**MAIL, "mail_host": host, "mail_level": "ERROR"}.items():
                    group[f"Log.{name}"] = value
            # A callback sets up the mail; the session's one ERROR line must not come before it.
            root = stage.app.logs.root
            eventually(lambda: any(isinstance(one, QueueHandler) for one in root.handlers), "mail is set up")
            stage.config[SCHEMA] = "/nowhere/own.xsd"
            session = stage.session("a.dm3")
            passes(stage, 2)
            eventually(lambda: mailbox.mails, "a mail has come")
            assert session.identifier in mailbox.texts()[0]
            assert len(mailbox.mails) == 1

    def test_it_stands_in_no_record(self, stage: Stage) -> None:
        """What is said of the building is no remark on the experiment; what a person says is."""
        stage.config[SCHEMA] = "/nowhere/own.xsd"
        session = stage.session("a.dm3")
        stage.sessions.note(session.identifier, USER, "grid 3")
        passes(stage)
        stage.config[SCHEMA] = ""
        stage.sessions.requeue(session.identifier, USER)
        passes(stage)
        document = stage.document(session)
        assert "grid 3" in document
        assert "nowhere" not in document
        assert "queued again" not in document

    def test_notes_and_problems_of_the_user_stand_in_it(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.sessions.note(session.identifier, USER, "grid 3")
        stage.sessions.note(session.identifier, USER, "drift of 1 nm/s", EventType.PROBLEM)
        passes(stage)
        document = stage.document(session)
        assert f"{USER.user}: grid 3" in document
        assert f"{USER.user}: problem with the instrument: drift of 1 nm/s" in document


class TestASessionThatRecovers:
    """It leaves an event and a line that is mailed like the first; the status is empty again."""

    def test_recovery_is_noted_logged_and_shown(self, stage: Stage) -> None:
        stage.config[SCHEMA] = "/nowhere/own.xsd"
        session = stage.session("a.dm3")
        passes(stage)
        stage.config[SCHEMA] = ""
        passes(stage)
        found = stage.sessions.get(session.identifier)
        assert (found.state, found.last_error) == (State.BUILT, None)
        assert (remarks(stage, session)[1] or "").startswith("recovered, is BUILT: 1 file in 1 activity")
        assert stage.builder.status["last_error"].get_value() == ""
        assert lines(stage, session, 30)[0].startswith(f"Session {session.identifier} recovered: 1 file")

    def test_a_requeued_session_clears_the_status(self, stage: Stage) -> None:
        """They know; the status is empty all the same."""
        stage.config[SCHEMA] = "/nowhere/own.xsd"
        session = stage.session("a.dm3")
        passes(stage)
        stage.config[SCHEMA] = ""
        stage.sessions.requeue(session.identifier, USER)
        passes(stage)
        assert len(remarks(stage, session)) == 1
        assert stage.builder.status["last_error"].get_value() == ""

    def test_not_while_it_waits(self, stage: Stage) -> None:
        stage.config[SCHEMA] = "/nowhere/own.xsd"
        session = stage.session("a.dm3")
        passes(stage)
        before = stage.sessions.get(session.identifier).last_error
        stage.config["Services.Builder.settle"] = 1e6
        passes(stage)
        found = stage.sessions.get(session.identifier)
        assert (found.state, found.last_error) == (State.TO_BE_BUILT, before)
        assert len(remarks(stage, session)) == 1

    def test_one_that_never_failed_is_no_news(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        passes(stage)
        assert remarks(stage, session) == []
        assert lines(stage, session, 30, 40) == []


class TestAFaultOfOurs:
    """It fails its session with a traceback in the log, and no other."""

    def test_the_next_is_built(self, stage: Stage) -> None:
        first, second = stage.session("a.dm3"), stage.session("b.dm3")

        def break_down(job: object) -> None:
            if not stage.readers.asked:
                stage.readers.asked.append("broken")
                raise LookupError("half a thought")

        stage.readers.before = break_down
        result = stage.builder.once()
        assert (result.done, result.failed) == (1, 1)
        assert stage.sessions.get(first.identifier).last_error == "LookupError: half a thought"
        assert stage.sessions.get(second.identifier).state is State.BUILT


class TestASessionThatIsTakenOver:
    """A Builder that was suspended for longer than its lease changes nothing when it goes on."""

    def test_its_record_is_the_others(self, stage: Stage) -> None:
        session = stage.session("a.dm3")

        def be_suspended(job: object) -> None:
            stage.clock.move(10_000)
            taken = stage.sessions.claim(USER, "another", 10_000)
            assert taken is not None and taken.id == session.id

        stage.readers.before = be_suspended
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILDING
        assert stage.records.of_session(session.id) is None
        assert list(stage.folder.rglob("*.xml")) == []
        assert stage.builder.status["records_built"].get_value() == 0


class TestTheLease:
    """It is held for as long as the work takes, and is known to be lost when it is."""

    def test_it_is_renewed(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.config["Services.Builder.lease"] = 10.0
        others: list[object] = []

        def take_long(job: object) -> None:
            sql = "SELECT lease_until FROM session WHERE id = :id"
            for _ in range(3):
                stage.clock.move(8)
                until = stage.clock.now() + 9_000_000
                eventually(
                    lambda until=until: rows(stage.url, sql, id=session.id)[0][0] > until, "the lease is renewed"
                )
                others.append(stage.sessions.claim(USER, "another", 10))

        stage.readers.before = take_long
        assert stage.builder.once().done == 1
        assert others == [None, None, None]
        assert stage.sessions.get(session.identifier).state is State.BUILT

    def test_a_database_that_is_away_for_a_moment(self) -> None:
        from NexusCore.errors import DatabaseUnreachable

        answers: list[bool | Exception] = [
            DatabaseUnreachable(where=DatabaseURL.parse("sqlite:////x"), reason="away"), True, False,
        ]  # fmt: skip

        def renew() -> bool:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        with Lease(renew, 0.03, PatientClock()) as lease:
            eventually(lambda: lease.lost, "it is lost")
        assert answers == []
