"""Sessions that start and end while the facility cannot be reached."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from Logger.database_facility import DatabaseFacility
from Logger.facility import EventReceipt, SessionEvent
from Logger.states import Ended, Failed, OpenSessionQuestion, Overtaken, Running
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, State
from tests.logger.facility import LIMIT, PID, Facility, known, until
from tests.logger.network import AWAY, Network
from tests.logger.wire import Wire
from tests.mariadb import MariaDB

ANN = Client(user="ann", host="elsewhere")


class TestWithoutTheFacility:
    """A start is a local fact first: whatever happens to network and server, the session is right."""

    def test_the_first_start_of_all_needs_the_facility(self, facility: Facility, network: type[Network]) -> None:
        network.cut = True
        course = facility.course(network)
        failed = course.begin(Failed)
        assert (failed.sentence, failed.detail, failed.can_go_on) == ("The session was not started.", AWAY, False)
        network.cut = False
        course.begin(Running)
        assert facility.events() == ["START"]

    def test_any_other_start_does_not(self, facility: Facility, network: type[Network]) -> None:
        known(facility)
        network.cut = True
        course = facility.course(network, patience=0.1)
        begun = SYSTEM_CLOCK.now()
        running = course.begin(Running)
        waits = course.shown(lambda state: isinstance(state, Running) and state.delivery.waiting > 0)
        assert waits.delivery.reason == AWAY  # type: ignore[union-attr]
        course.controller.note("while nobody listens")
        course.end(Ended)
        assert facility.all()[1:] == []
        network.cut = False
        until(lambda: facility.all()[1:] != [] and facility.session().state is State.TO_BE_BUILT, "it is delivered")
        session = facility.session()
        assert session.identifier == running.session.identifier
        assert facility.events() == ["START", "NOTE", "END"]
        assert begun - SECOND < session.start_ts < begun + LIMIT * SECOND

    def test_it_is_delivered_by_the_next_logger(self, facility: Facility, network: type[Network]) -> None:
        """After a crash, a reboot, another user's logon."""
        known(facility)
        network.cut = True
        course = facility.course(network, patience=0.1)
        running = course.begin(Running)
        course.end(Ended)
        following = facility.course()
        other = following.begin(Running)
        assert [session.identifier for session in facility.all()][1:] == [
            running.session.identifier, other.session.identifier,
        ]  # fmt: skip

    def test_it_waits_also_while_the_first_attempt_has_no_answer(self, small_facility: Facility) -> None:
        """A server that accepts and does not answer: the logger must stay until the end is delivered."""
        known(small_facility)
        answer = threading.Event()

        class Silent(DatabaseFacility):
            def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
                answer.wait(LIMIT)
                return super().deliver(event, token)

        course = small_facility.course(Silent, patience=0.1)
        course.begin(Running)
        ended = course.end(Ended)
        assert (ended.delivery.waiting, course.controller.waiting) == (1, True)
        answer.set()
        until(lambda: not course.controller.waiting, "it is delivered")
        assert small_facility.events() == ["START", "END"]

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_answers_that_are_lost(self, facility: Facility, network: type[Network], lost: int) -> None:
        """000-37: what is stored already is not stored again."""
        known(facility)
        network.lost = lost
        course = facility.course(network)
        course.begin(Running)
        course.controller.note("once")
        course.end(Ended)
        until(lambda: facility.session().state is State.TO_BE_BUILT, "it is delivered")
        assert facility.events() == ["START", "NOTE", "END"]

    def test_another_session_was_open_all_the_time(self, facility: Facility, network: type[Network]) -> None:
        """The one that began first ends when the other one began: none is lost, and they do not overlap."""
        known(facility)
        other = facility.sessions.start(PID, ANN)
        network.cut = True
        course = facility.course(network, patience=0.1)
        running = course.begin(Running)
        network.cut = False
        until(lambda: len(facility.all()) == 3, "it is delivered")
        _, first, second = facility.all()
        assert (first.identifier, second.identifier) == (other.identifier, running.session.identifier)
        assert first.end_ts == second.start_ts
        assert facility.events(first) == ["START", "NOTE", "END"]
        course.end(Ended)
        assert facility.events(second) == ["START", "END"]

    def test_another_session_was_started_meanwhile(self, facility: Facility, network: type[Network]) -> None:
        """The user is told that theirs has ended, and can start a new one."""
        known(facility)
        network.cut = True
        course = facility.course(network, patience=0.1)
        running = course.begin(Running)
        other = facility.sessions.start(PID, ANN)
        network.cut = False
        overtaken = course.shown(lambda state: isinstance(state, Overtaken))
        assert overtaken.session.identifier == running.session.identifier  # type: ignore[union-attr]
        ours = facility.sessions.get(running.session.identifier)
        assert (ours.end_ts, ours.state) == (other.start_ts, State.TO_BE_BUILT)
        assert facility.events(ours) == ["START", "NOTE", "END"]
        assert course.begin(OpenSessionQuestion).session.identifier == other.identifier

    def test_the_network_is_cut_while_end_is_committed(
        self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """000-37, 39: the server hears COMMIT, its answer never comes; END is there once."""
        with Wire(mariadb.port) as wire:
            monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url.replace(str(mariadb.port), str(wire.port)))
            facility = Facility(tmp_path)
            course = facility.course()
            course.begin(Running)
            until(lambda: not course.controller.waiting, "START is delivered")
            wire.cut_after = b"COMMIT"
            course.controller.end()
            until(lambda: wire.dead, "the wire is cut")
            wire.cut_after, wire.dead = b"", False
            course.next(Ended)
            until(lambda: facility.session().state is State.TO_BE_BUILT, "END is stored")
            assert facility.events() == ["START", "END"]
            facility.close()

    def test_the_server_dies_and_comes_back(
        self, private_mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from NexusCore.storage.migrate import migrate

        with private_mariadb as server:
            url = server.create_database("nexus")
            migrate(url)
            monkeypatch.setenv("NEXUSCORE_DATABASE", url)
            facility = Facility(tmp_path)
            course = facility.course(patience=0.5)
            course.begin(Running)
            until(lambda: not course.controller.waiting and facility.events() == ["START"], "START is delivered")
            server.kill()
            ended = course.end(Ended)
            assert ended.delivery.waiting == 1
            server.start()
            until(lambda: facility.session().state is State.TO_BE_BUILT, "END is delivered")
            assert facility.events() == ["START", "END"]
            facility.close()
