"""SessionTool: choosing sessions by what they are, and having many of them built again."""

from __future__ import annotations

import csv
import io

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.sessions import Client, Sessions, State
from NexusCore.storage import Database
from tests.tools.emulated import Emulated
from tests.tools.facility import BUILDER, JANE, furnished
from tests.tools.programs import Done, command, in_process

HOUR = 3600 * SECOND
TITAN, JEOL = "FEI-Titan-TEM", "JEOL-JEM-TEM"


def tool(*words: str) -> Done:
    return in_process("SessionTool", *words)


def worked_in(database: Database) -> Sessions:
    """Return the sessions of a facility with three sessions in ERROR, one without files, and an open one."""
    furnished(database)
    sessions, now = Sessions(database, SYSTEM_CLOCK), SYSTEM_CLOCK.now()
    for number, state in enumerate((State.ERROR, State.ERROR, State.NO_FILES_FOUND, State.ERROR)):
        start = now - (50 - 10 * number) * HOUR
        client = JANE if number != 1 else Client("joe", "pc")
        identifier = f"{'abcd'[number]}-{number}"
        sessions.start(TITAN, client, identifier=identifier, ts=start)
        sessions.end(identifier, client, ts=start + HOUR)
        claimed = sessions.claim(BUILDER, "b", 60)
        assert claimed is not None
        sessions.finish(claimed, "b", state, "It failed")
    sessions.start(JEOL, JANE, identifier="e-4", ts=now - HOUR)
    return sessions


@pytest.fixture
def sessions(embedded: Database) -> Sessions:
    """Lend the sessions of such a facility where the kind of database does not matter."""
    return worked_in(embedded)


def listed(*words: str) -> list[str]:
    return [str(one["identifier"]) for one in tool("list", "--json", *words).objects]


class TestListing:
    """list chooses by state, user and time, names what was booked, and goes on showing it."""

    def test_conditions(self, database: Database) -> None:
        worked_in(database)
        for words, expected in (
            ((), ["e-4", "d-3", "c-2", "b-1", "a-0"]),
            (("--state", "error", "--state", "WAITING_FOR_END"), ["e-4", "d-3", "b-1", "a-0"]),
            (("--user", "joe"), ["b-1"]),
            (("-S", "-45h"), ["e-4", "d-3", "c-2", "b-1"]),
            (("-S", "-45h", "-U", "-25h", "--instrument", TITAN), ["c-2", "b-1"]),
            (("-n", "1", "--state", "ERROR"), ["d-3"]),
        ):
            assert (words, listed(*words)) == (words, expected)
        assert tool("list", "--user", "nobody") == Done(1, "", "SessionTool: No matching sessions.\n")

    def test_what_was_booked(self, sessions: Sessions, embedded: Database) -> None:
        assert "booked" not in tool("list").lines[0]
        now = SYSTEM_CLOCK.now()
        booking = Reservation("nemo", "7", TITAN, now - 51 * HOUR, now - 48 * HOUR, title="Gold", user="Jane Doe")
        Reservations(embedded, SYSTEM_CLOCK).take_over("nemo", now - 60 * HOUR, now, [booking])
        header, *rows = tool("list").lines
        assert header.endswith("booked")
        assert [row.endswith("Gold, Jane Doe") for row in rows] == [False] * 4 + [True]
        found = tool("list", "--json").objects
        assert [one["reservation"] and one["reservation"]["uid"] for one in found] == [None] * 4 + ["7"]
        names, *values = csv.reader(io.StringIO(tool("list", "--csv").out))
        (first,) = [dict(zip(names, row, strict=True)) for row in values if row[0] == "a-0"]
        assert (first["state"], first["reservation"], first["booked_by"]) == ("ERROR", "Gold", "Jane Doe")

    def test_watching(self, sessions: Sessions) -> None:
        with Emulated(command("SessionTool", "list", "--watch"), 12, 90) as terminal:
            terminal.until("^e-4 +JEOL-JEM-TEM +jane +WAITING_FOR_END")
            assert "red" in terminal.colours
            sessions.end("e-4", JANE)
            terminal.until("^e-4 +JEOL-JEM-TEM +jane +TO_BE_BUILT")
            terminal.type("\x03")
            assert terminal.end() == 130 and terminal.is_restored
        assert tool("list", "--watch").code == tool("list", "--csv", "--json").code == 2


class TestRequeueingMany:
    """requeue takes several identifiers, or what the sessions are; more than a few only after a question."""

    def test_by_their_state(self, sessions: Sessions) -> None:
        done = tool("requeue", "--state", "ERROR", "--dry-run")
        assert [line.split()[4] for line in done.lines] == ["a-0", "b-1", "d-3"]
        assert listed("--state", "TO_BE_BUILT") == []
        done = tool("requeue", "--state", "ERROR", "--since", "-45h")
        assert [line.partition(": ")[2].split()[0] for line in done.lines] == ["b-1", "d-3"]
        assert (done.code, "2 sessions queued again" in done.err) == (0, True)
        assert listed("--state", "TO_BE_BUILT") == ["d-3", "b-1"]

    def test_by_instrument_only_what_was_built(self, sessions: Sessions) -> None:
        """Open ones, and those that are built anyway, are not meant."""
        assert tool("requeue", "--instrument", JEOL) == Done(1, "", "SessionTool: No matching sessions.\n")
        assert tool("requeue", "--instrument", TITAN).code == 0
        assert len(listed("--state", "TO_BE_BUILT")) == 4

    def test_several_by_name(self, sessions: Sessions) -> None:
        done = tool("requeue", "a", "c-2", "e-4", "a-0")
        assert done.code == 4
        assert "it has not ended yet" in done.err and "2 sessions queued again" in done.err
        assert listed("--state", "TO_BE_BUILT") == ["c-2", "a-0"]

    def test_very_many_are_asked_about(self, sessions: Sessions) -> None:
        for number in range(21):
            sessions.start(JEOL + str(number), JANE, identifier=f"x{number}")
            sessions.end(f"x{number}", JANE)
            claimed = sessions.claim(BUILDER, "b", 60)
            assert claimed is not None
            sessions.finish(claimed, "b", State.ERROR, "It failed")
        done = tool("requeue", "--state", "ERROR")
        assert (done.code, done.err) == (
            4, "SessionTool: Nothing was queued again. Answer yes, or use --yes without a terminal.\n"
        )  # fmt: skip
        assert tool("requeue", "--state", "ERROR", "--yes").code == 0
        assert len(listed("--state", "TO_BE_BUILT", "-n", "99")) == 24

    def test_without_saying_which(self, sessions: Sessions) -> None:
        for words in ((), ("a", "--state", "ERROR"), ("--upload",), ("--upload", "a", "b")):
            assert (words, tool("requeue", *words).code) == (words, 2)
