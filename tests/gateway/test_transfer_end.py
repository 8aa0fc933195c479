"""How a session's transfer ends: what is missing is named, and the record can be built; on every database."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.gateway.gateways import RunningGateway, clock, kind_of
from tests.gateway.test_gateway_metrics import figures
from tests.gateway.transfers import MODIFIED, Directory, Sender, md5, reported, transferring
from tests.processes import eventually, rows


@pytest.fixture
def sender(gateway: RunningGateway, tmp_path: Path) -> Sender:
    return transferring(gateway, Directory(tmp_path))


def state_of(sender: Sender) -> str:
    return str(sender.pc.get(f"sessions/{sender.session.identifier}").json()["session"]["state"])


class TestReports:
    """What a PC says of its files can be read again, in seconds, and never makes one verified."""

    def test_the_newest_report_counts(self, sender: Sender) -> None:
        assert sender.report(reported("a.dm4", state="growing"), reported("b.dm4")).json() == {"taken": 2}
        sender.report(reported("a.dm4", state="locked", reason="locked by SerialEM", next_try=MODIFIED))
        found = sender.files()
        assert found["counts"] == {"locked": 1, "waiting": 1}
        first = found["files"][0]
        assert (first["path"], first["state"], first["reason"]) == ("a.dm4", "locked", "locked by SerialEM")
        assert first["next_try"] == first["modified"] == MODIFIED.replace("+00:00", "Z")

    def test_a_pc_verifies_nothing(self, sender: Sender) -> None:
        sender.report(reported("a.dm4", state="verified", md5=md5(b"x")))
        assert sender.state("a.dm4") == "waiting"

    def test_what_is_verified_stays_so(self, sender: Sender) -> None:
        """A late report of the same content changes nothing; another content does, until the first is back."""
        sender.send("a.dm4", b"content")
        for state in ("sending", "waiting", "failed"):
            sender.report(reported("a.dm4", b"content", state, md5=md5(b"content")))
            sender.report(reported("a.dm4", b"content", state))
        sender.report(reported("a.dm4", b"content", "gone"))
        assert sender.state("a.dm4") == "verified"
        sender.report(reported("a.dm4", b"longer content", "growing"))
        assert sender.state("a.dm4") == "growing"
        sender.report(reported("a.dm4", b"content", "verified", md5=md5(b"content")))
        assert sender.state("a.dm4") == "verified"

    def test_a_file_that_changes_while_it_is_sent(self, sender: Sender) -> None:
        """The stored version is not the present one, and is not called so."""
        view = sender.begun("a.dm4", b"content")
        sender.send_bytes(view, b"content")
        sender.report(reported("a.dm4", b"longer content", "growing"))
        assert sender.complete(view["upload"]).json()["state"] == "verified"
        assert sender.state("a.dm4") == "growing"
        assert sender.send("a.dm4", b"longer content")["object"] == "raw/a.dm4"

    def test_in_portions(self, sender: Sender) -> None:
        sender.report(*[reported(f"{number}.dm4", state="held" if number % 2 else "waiting") for number in range(7)])
        paths, after = [], 0
        while after is not None:
            page = sender.files(after=after, limit=3)
            paths += [file["path"] for file in page["files"]]
            after = page["next"]
        assert paths == [f"{number}.dm4" for number in range(7)]
        assert len(sender.files(state="held")["files"]) == 3


class TestTheEnd:
    """The session waits for its files after END, until they are there or named as missing."""

    def test_all_files_are_there(self, sender: Sender) -> None:
        sender.send("a.dm4", b"content")
        assert sender.end().json()["state"] == "WAITING_FOR_END"
        sender.send("late.dm4", b"content of a late file")
        assert sender.pc.start().identifier  # the next session need not wait
        answer = sender.transferred(2).json()
        assert (answer["state"], answer["verified"], answer["missing"]) == ("TO_BE_BUILT", 2, 0)
        assert sender.problems() == []

    def test_complete_but_some(self, sender: Sender) -> None:
        sender.send("a.dm4", b"content")
        sender.report(
            reported("b.dm4", state="locked", reason="locked by another program"),
            reported("c.dm4", state="held"),
            reported("d.dm4", state="gone"),
        )
        sender.end()
        answer = sender.transferred(4).json()
        assert (answer["verified"], answer["missing"]) == (1, 2), "what was removed is not missing"
        assert sender.problems() == [
            "not transferred: raw/b.dm4 (locked by another program)\nheld back: raw/c.dm4 (it appeared after the end)"
        ]

    def test_many_missing_files(self, sender: Sender) -> None:
        """Some are named, the others counted."""
        for first in range(0, 1100, 500):
            sender.report(*[reported(f"{number}.dm4") for number in range(first, min(1100, first + 500))])
        sender.end()
        assert sender.transferred(1100).json()["missing"] == 1100
        problems = sender.problems()
        assert len(problems) == 26
        assert problems[0].startswith("not transferred: raw/0.dm4 (it was not sent yet)\nnot transferred: raw/1.dm4")
        assert problems[-1] == "not transferred: 100 more files"

    def test_sent_again(self, sender: Sender) -> None:
        """It changes nothing, with the same id or another one."""
        sender.report(reported("a.dm4"))
        sender.end()
        request, at = str(uuid.uuid4()), clock()
        first = sender.transferred(1, request, at=at)
        again = sender.transferred(1, request, at=at)
        other = sender.transferred(1)
        assert first.status_code == other.status_code == 200
        assert again.json() == first.json() == other.json()
        assert len(sender.problems()) == 1

    def test_before_the_end(self, sender: Sender) -> None:
        answer = sender.transferred(0)
        assert (answer.status_code, kind_of(answer)) == (409, "session-open-still")

    def test_with_other_files_than_were_reported(self, sender: Sender) -> None:
        sender.send("a.dm4", b"content")
        sender.end()
        answer = sender.transferred(2)
        assert (answer.status_code, kind_of(answer), answer.json()["known"]) == (409, "not-all-reported", 1)
        assert state_of(sender) == "WAITING_FOR_END"
        assert sender.transferred(1).status_code == 200

    def test_afterwards(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        sender.end()
        sender.transferred(1)
        for answer in (
            sender.report(reported("b.dm4")),
            sender.begin("b.dm4", b"x"),
            sender.chunk(view["upload"], 0, b"content"),
            sender.call("POST", f"uploads/{view['upload']}/complete", json={}),
        ):
            assert (answer.status_code, kind_of(answer)) == (409, "transfer-ended")
        assert sender.call("DELETE", f"uploads/{view['upload']}").status_code == 200

    def test_an_end_without_transfers(self, sender: Sender) -> None:
        """As before there were any, and from a client that does not know of them."""
        assert sender.session.post("end").json()["state"] == "TO_BE_BUILT"
        answer = sender.transferred(0).json()
        assert (answer["verified"], answer["missing"]) == (0, 0)

    def test_a_session_that_the_next_one_ends(self, sender: Sender) -> None:
        """Its files are still awaited."""
        sender.report(reported("a.dm4"))
        identifier = str(uuid.uuid4())
        body = sender.pc.start_body(identifier, ends={"identifier": sender.session.identifier, "at": clock()})
        assert sender.pc.post("sessions", body).status_code == 201
        assert state_of(sender) == "WAITING_FOR_END"
        sender.send("a.dm4", b"x")
        assert sender.transferred(1).json()["state"] == "TO_BE_BUILT"

    def test_a_session_that_began_while_the_server_was_away(self, sender: Sender) -> None:
        """It has ended before it was heard of, and its files are awaited all the same."""
        identifier = str(uuid.uuid4())
        earlier = clock(-60)
        body = sender.pc.start_body(identifier, at=earlier, settle=True)
        answer = sender.pc.post("sessions", body)
        assert answer.status_code == 201
        assert answer.json()["session"]["state"] == "WAITING_FOR_END"
        assert answer.json()["session"]["end"] is not None
        sender.session.identifier, sender.session.token = identifier, answer.json()["session_token"]
        sender.send("a.dm4", b"x")
        assert sender.transferred(1).json()["verified"] == 1

    def test_its_pc_is_at_work(self, sender: Sender, gateway: RunningGateway) -> None:
        """Also while the files are on their way."""
        sender.end()
        sql = "SELECT seen_ts FROM session WHERE identifier = :id"
        before = rows(gateway.main, sql, id=sender.session.identifier)
        sender.pc.post("heartbeat", {"session": sender.session.identifier})
        assert rows(gateway.main, sql, id=sender.session.identifier) > before


class TestFigures:
    """The facility's monitoring sees files by state, and how long the oldest one waits."""

    def test_files_by_state(self, sender: Sender, gateway: RunningGateway) -> None:
        before = figures(gateway.get("/metrics").text)
        sender.send("a.dm4", b"content")
        sender.report(reported("b.dm4", state="failed", reason="no"), reported("c.dm4", state="locked"))
        after = eventually(lambda: figures(gateway.get("/metrics").text))
        changes = {
            state: after["nexuscore_transfer_files", state] - before["nexuscore_transfer_files", state]
            for state in ("verified", "failed", "locked", "waiting")
        }
        assert changes == {"verified": 1, "failed": 1, "locked": 1, "waiting": 0}
        assert after["nexuscore_transfer_oldest_seconds", ""] >= 0
