"""Doctor --journals: what waits on this machine, and putting in order what was left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery import inspection
from NexusCore.delivery.frames import MARKER, Frame, decode, encode
from NexusCore.delivery.inspection import LocalJournal, journals
from NexusCore.settings import load
from NexusCore.storage import Database
from tests.clocks import START
from tests.journals import leave, log_payload, refuse, status_payload
from tests.processes import adopt, execute, line_of, messages, samples, start, tell
from tests.tools.programs import PROJECT, Done, run

PC = "pc-99-60a1b2c3d4e5f-1"
LIVING = """
from NexusCore import API
API.get_log("living").info("one")
print("ready", flush=True); input()
API.shutdown(60)
"""


def tool(*words: str) -> Done:
    return run("Doctor", "--journals", *words)


def home() -> Path:
    return Path(os.environ["NEXUSCORE_HOME"])


def folder(role: str = "log") -> Path:
    found = load()
    return home() / "journal" / f"{role}-{(found.log if role == 'log' else found.status).fingerprint}"


def leave_refused(payloads: list[bytes], role: str = "log", name: str = PC) -> None:
    """Leave refused records behind, as a process does whose others arrived."""
    folder(role).mkdir(parents=True, exist_ok=True)
    frames = b"".join(encode(3 * number, payload) for number, payload in enumerate(payloads, 1))
    (folder(role) / f"{name}.refused").write_bytes(frames)


def damage(name: str = PC) -> bytes:
    """Flip a byte in the second of a journal's records; return what is lost by that."""
    segment = folder() / f"{name}-00000001.nxj"
    content = bytearray(segment.read_bytes())
    second = content.index(MARKER, 1)
    third = content.index(MARKER, second + 1)
    content[second + 30] ^= 0xFF
    segment.write_bytes(content)
    return bytes(content[second:third])


def left() -> list[str]:
    """Return the names of the files that are left below the folder of journals."""
    return sorted(path.name for path in (home() / "journal").rglob("*") if path.is_file())


@pytest.fixture
def living(database: Database) -> Iterator[subprocess.Popen[bytes]]:
    """Lend a program that keeps a journal, and ends well when it is told to."""
    process = start(LIVING, main=os.environ["NEXUSCORE_DATABASE"], home=home())
    line_of(process)
    yield process
    if process.poll() is None:
        tell(process)
    process.communicate(timeout=60)


class TestList:
    """Every journal of this machine: what it holds, whose it is, and how much really waits."""

    def test_there_are_none(self, embedded: Database) -> None:
        done = tool()
        assert (done.code, done.out) == (0, "")
        assert "no records wait for delivery" in done.err
        assert not home().exists(), "looking makes nothing"

    def test_for_a_person(self, database: Database) -> None:
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        leave(folder("status"), [status_payload("n", "1")], PC)
        damage()
        done = tool()
        assert (done.code, done.err) == (1, ""), "damage is a problem"
        heading, columns, row = done.lines[:3]
        assert heading == f"log for {database.url} ({folder().name})"
        assert columns.split() == ["journal", "program", "waiting", "from", "to", "size"]
        assert re.match(
            rf"{PC}  left behind  2  +2023-11-14 22:13:20  2023-11-14 22:13:20  \d+ bytes  \d+ bytes dam", row
        )
        assert done.lines[4].startswith("status for ")

    def test_for_a_program(self, database: Database) -> None:
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        lost = damage()
        leave_refused([log_payload("d")])
        (found,) = tool("--json").objects
        assert found == {
            "journal": PC,
            "role": "log",
            "folder": str(folder()),
            "database": str(database.url),
            "process": 99,
            "host": "pc",
            "begun": "2023-11-14T11:34:42.873951+00:00",
            "in_use": False,
            "program": "left behind",
            "waiting": 2,
            "waiting_is_exact": True,
            "oldest": "2023-11-14T22:13:20.000000+00:00",
            "newest": "2023-11-14T22:13:20.000000+00:00",
            "bytes": (folder() / f"{PC}-00000001.nxj").stat().st_size,
            "damaged_bytes": len(lost),
            "damaged_bytes_kept_aside": 0,
            "refused": 1,
            "fault": None,
        }

    def test_the_exit_code_tells_whether_somebody_has_to_look(self, embedded: Database) -> None:
        """What only waits is no problem; what was refused is one, and only to who asks for that journal."""
        leave(folder(), [log_payload("a")], PC)
        assert tool().code == tool("--json").code == 0
        leave_refused([log_payload("d")], name="pc-99-60a1b2c3d4e5f-2")
        assert tool().code == tool("--json").code == tool("pc-99-60a1b2c3d4e5f-2").code == 1
        assert tool(PC).code == 0

    def test_what_the_database_has_does_not_wait(self, database: Database) -> None:
        """Its process died between the commit and the deletion of what was committed."""
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        sql = "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 2, 0)"
        execute(os.environ["NEXUSCORE_DATABASE"], sql, name=PC)
        assert tool("--json").objects[0]["waiting"] == 1

    def test_a_living_program(self, living: subprocess.Popen[bytes]) -> None:
        (found,) = tool("--json").objects
        assert (found["in_use"], found["process"], found["role"]) == (True, living.pid, "log")
        assert re.fullmatch(rf"python\S*, process {living.pid}", found["program"])

    def test_an_unknown_database_is_shown(self, embedded: Database) -> None:
        leave(home() / "journal/log-0123456789ab", [log_payload("a")], PC)
        assert "log for a database that the settings do not name (log-0123456789ab)" in tool().out
        assert tool("--json").objects[0]["database"] is None

    def test_a_database_that_does_not_exist_yet_is_called_so(self) -> None:
        """As in a new home whose first program was killed before it had created the database."""
        leave(folder(), [log_payload("one")], PC)
        done = tool()
        assert (done.code, PC in done.out) == (0, True)
        assert re.fullmatch(
            r"The database sqlite:.*/nexus\.db does not exist yet: none of the records counted as waiting were "
            r"delivered\.\n",
            done.err,
        )
        assert not list(home().glob("nexus.db*"))

    def test_the_database_is_away(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", "mysql://u:p@127.0.0.1:1/nothing")
        leave(folder(), [log_payload("a")], PC)
        done = tool()
        assert (done.code, "≤ 1" in done.out) == (0, True)
        assert "may have been delivered already" in done.err


class TestShow:
    """The records of a journal, readable; those that were refused, too."""

    def test_log_records_are_readable(self, database: Database) -> None:
        record = (
            START,
            40,
            "dead",
            "build",
            7,
            "work",
            "pc",
            1,
            "Main",
            "two\nlines\x1b[31m",
            "Traceback:\n  x",
            "s-1",
        )
        leave(folder(), [log_payload("a"), msgspec.msgpack.encode(record)], PC)
        done = tool(PC, "--show")
        assert (done.code, done.err) == (0, "")
        assert done.lines == [
            "Tue Nov 14 22:13:20 2023 [ INFO][ module(   1)][dead]a",
            "Tue Nov 14 22:13:20 2023 [ERROR][  build(   7)][dead]two",
            "    lines\\x1b[31m",
            "    Traceback:",
            "      x",
        ]
        newest = tool(PC, "--show", "--json").objects[1]
        assert (newest["sequence"], newest["message"], newest["session"]) == (2, "two\nlines\x1b[31m", "s-1")

    def test_status_records_are_readable(self, database: Database) -> None:
        leave(folder("status"), [status_payload("n", "1")], PC)
        assert tool(PC, "--show").lines == ["Tue Nov 14 22:13:20 2023 [dead] n = 1"]
        (found,) = tool(PC, "--show", "--json").objects
        assert (found["channel"], found["name"], found["value"], found["refused"]) == ("dead", "n", "1", False)

    def test_only_the_newest_are_shown(self, embedded: Database) -> None:
        leave(folder(), [log_payload(str(number)) for number in range(20)], PC)
        done = tool(PC, "--show", "-n", "2")
        assert [line[-2:] for line in done.lines] == ["18", "19"]
        assert done.err == "The newest 2 of 20 records; use -n to show more.\n"

    def test_refused_records_are_shown(self, embedded: Database) -> None:
        leave_refused([log_payload("no"), b"\xc1"])
        done = tool(PC, "--show")
        assert done.err == "2 records refused by the database:\n"
        assert done.lines == [
            "Tue Nov 14 22:13:20 2023 [ INFO][ module(   1)][dead]no",
            "(record 6 cannot be read: 1 byte)",
        ]
        assert [one["refused"] for one in tool(PC, "--show", "--json").objects] == [True, True]

    def test_the_beginning_of_a_name_is_enough(self, embedded: Database) -> None:
        leave(folder(), [log_payload("a")], PC)
        leave(folder(), [log_payload("b")], "pc-98-60a1b2c3d4e5f-1")
        assert tool("pc-99", "--show").lines[0].endswith("a")
        assert "2 journals begin with that" in tool("pc", "--show").err

    def test_an_unknown_one(self, embedded: Database) -> None:
        leave(folder(), [log_payload("a")], PC)
        done = tool(PC.replace("99", "89"), "--show")
        assert done.code == 1
        assert f"Did you mean '{PC}'?" in done.err

    def test_nothing_in_it(self, embedded: Database) -> None:
        leave(folder(), [], PC)
        assert (tool(PC, "--show").code, tool(PC, "--show").err) == (1, f"No records wait in journal {PC}.\n")


class TestRepair:
    """What was left behind is put in order and delivered; what is taken out of it is kept."""

    def test_damage_is_taken_out_and_the_rest_delivered(self, database: Database) -> None:
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        lost = damage()
        done = tool("--repair")
        assert (done.code, done.err) == (0, "")
        side = folder() / f"{PC}.damaged"
        assert done.lines == [
            f"{PC}: {len(lost)} damaged bytes moved to {side}.",
            f"2 log records delivered to {database.url}.",
        ]
        assert side.read_bytes() == lost
        assert messages(str(os.environ["NEXUSCORE_DATABASE"]), "dead") == ["a", "c"]
        assert left() == [f"{PC}.damaged"]

    def test_refused_records_arrive_when_the_cause_is_gone(self, database: Database) -> None:
        leave_refused([log_payload("a"), log_payload("b")])
        leave_refused([status_payload("n", "1")], "status")
        done = tool("--repair")
        assert (done.code, done.err, left()) == (0, "", [])
        assert f"{PC}: 2 refused records queued for another attempt." in done.lines
        url = os.environ["NEXUSCORE_DATABASE"]
        assert (messages(url, "dead"), samples(url, "dead")) == (["a", "b"], [("n", "1")])
        assert tool("--repair").lines == [
            "No journal needs a repair, and no records wait in journals whose program has ended."
        ]

    def test_what_is_refused_again_stays(self, database: Database) -> None:
        url = os.environ["NEXUSCORE_DATABASE"]
        refuse(url, "log_record", "NEW.message = 'b'")
        leave_refused([log_payload(text) for text in "abc"])
        done = tool("--repair")
        assert (done.code, messages(url, "dead")) == (1, ["a", "c"])
        assert "2 log records delivered" in done.out
        assert "1 record was refused again and kept." in done.err
        assert "A record was refused by the database" in done.err
        (journal,) = journals(home())
        assert [one.payload for one in inspection.refusals(journal)] == [log_payload("b")]

    def test_one_that_was_refused_twice_arrives_once(self, embedded: Database) -> None:
        leave_refused([log_payload("a")])
        side = folder() / f"{PC}.refused"
        side.write_bytes(side.read_bytes() * 2 + b"cut")
        assert tool("--repair").code == 0
        assert messages(os.environ["NEXUSCORE_DATABASE"], "dead") == ["a"]
        assert (folder() / f"{PC}.damaged").read_bytes() == b"cut"

    def test_records_without_a_lock_are_delivered(self, embedded: Database) -> None:
        """Without its lock no program adopts a journal."""
        leave(folder(), [log_payload("a")], PC)
        (folder() / f"{PC}.lock").unlink()
        assert tool("--repair").code == 0
        assert messages(os.environ["NEXUSCORE_DATABASE"], "dead") == ["a"]

    def test_the_database_is_away(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """The journal is put in order all the same, and waits."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", "mysql://u:p@127.0.0.1:1/nothing")
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        damage()
        done = tool("--repair")
        assert (done.code, "2 log records wait. " in done.err) == (3, True)
        (journal,) = journals(home())
        assert (inspection.look(journal).records, inspection.look(journal).damaged) == (2, 0)

    def test_an_unknown_database_is_reported(self, embedded: Database) -> None:
        leave(home() / "journal/log-0123456789ab", [log_payload("a")], PC)
        done = tool("--repair")
        assert (done.code, "the settings do not name their database" in done.err) == (1, True)

    def test_one_that_cannot_be_read(self, embedded: Database) -> None:
        leave(folder(), [log_payload("a")], PC)
        (folder() / f"{PC}-00000002.nxj").mkdir()
        done = tool("--repair")
        assert (done.code, done.err) == (1, f"Doctor: The journal {PC} cannot be repaired: Is a directory.\n")


class TestRepairAsksTheCursor:
    """What the journal itself still delivers, or has delivered since it was set aside, is not sent a second time."""

    def test_what_was_not_refused_after_all(self, database: Database) -> None:
        """The server went away while it refused: the record is in the side file, and is delivered from the journal."""
        url = os.environ["NEXUSCORE_DATABASE"]
        payloads = [log_payload(text) for text in "abcd"]
        leave(folder(), payloads, PC)
        (folder() / f"{PC}.refused").write_bytes(encode(2, payloads[1]) + encode(3, payloads[2]))
        execute(url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 2, 0)", name=PC)
        done = tool("--repair")
        assert done.code == 0, done.err
        assert sorted(messages(url, "dead")) == ["b", "c", "d"], "b was refused, c and d were not delivered yet"
        assert left() == []

    def test_without_an_answer_refused_records_stay(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        url = os.environ.get("NEXUSCORE_DATABASE", "")
        monkeypatch.setenv("NEXUSCORE_DATABASE", "mysql://u:p@127.0.0.1:1/nothing")
        leave(folder(), [log_payload("a")], PC)
        (folder() / f"{PC}.refused").write_bytes(encode(1, log_payload("a")))
        done = tool("--repair")
        assert done.code == 3
        assert "1 refused record kept until the database answers" in done.err
        assert (folder() / f"{PC}.refused").read_bytes() == encode(1, log_payload("a"))
        assert url != os.environ["NEXUSCORE_DATABASE"]

    def test_a_cursor_that_cannot_be(self, database: Database) -> None:
        url = os.environ["NEXUSCORE_DATABASE"]
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        execute(url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 1000, 0)", name=PC)
        assert tool("--json").objects[0]["waiting"] == 3
        done = tool("--repair")
        assert "it is ignored" in done.err
        assert messages(url, "dead") == ["a", "b", "c"]


class TestRepairLeavesTheLivingAlone:
    """A journal whose program runs is never touched, and whoever asks for it is told so: exit code 4."""

    def test_a_named_living_journal_is_refused(self, living: subprocess.Popen[bytes]) -> None:
        (journal,) = journals(home())
        done = tool(journal.name, "--repair")
        assert (done.code, done.out) == (4, "")
        assert re.search(
            rf"{journal.name} is in use by python\S*, process {living.pid}. Repair it when that process has ended",
            done.err,
        )

    def test_one_with_nothing_to_repair_is_passed_over(self, living: subprocess.Popen[bytes]) -> None:
        assert tool("--repair").code == 0

    def test_others_are_repaired(self, living: subprocess.Popen[bytes]) -> None:
        (journal,) = journals(home())
        side = journal.beside("refused")
        side.write_bytes(encode(1, log_payload("not yet")))
        leave_refused([log_payload("a")])
        assert tool("--repair").code == 4
        assert side.read_bytes() == encode(1, log_payload("not yet"))
        assert messages(os.environ["NEXUSCORE_DATABASE"], "dead") == ["a"]

    def test_another_users_journal_is_refused(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root would leave files that the journal's user cannot read."""
        from Tools.doctor import repair

        leave(folder(), [log_payload("a")], PC)
        monkeypatch.setattr(os, "geteuid", lambda: folder().stat().st_uid + 1)
        before = left()
        (journal,) = journals(home())
        with pytest.raises(repair.JournalOfAnother, match="Repair them as that user"):
            repair.repair(journal, SYSTEM_CLOCK)
        assert left() == before


KILLED = """
import os, sys
from pathlib import Path
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery.inspection import journals
from Tools.doctor.repair import repair
found, steps = journals(Path(sys.argv[1])), int(sys.argv[2])
def step(event, arguments):
    global steps
    opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if opens or event in ("os.rename", "os.remove"):
        steps -= 1
    if steps < 0:
        os._exit(9)
sys.addaudithook(step)
for journal in found:
    repair(journal, SYSTEM_CLOCK)
"""


class TestRepairKilled:
    """Killed at any of its steps, a repair has lost nothing, and the next one finishes the work."""

    def test_at_each_step(self, embedded: Database) -> None:
        texts = "abcdefg"
        killed = 0
        for step in range(100):
            name = f"pc-99-60a1b2c3d4e5f-{step}"
            leave(folder(), [log_payload(f"{step}{text}") for text in texts[:3]], name)
            leave_refused([log_payload(f"{step}{text}") for text in texts[3:]], name=name)
            lost = damage(name)
            done = subprocess.run(
                [sys.executable, "-c", KILLED, home(), str(step)], cwd=PROJECT, timeout=60, check=False
            )
            payloads, damaged = self.content()
            assert payloads == {log_payload(f"{step}{text}") for text in texts if text != "b"}
            assert lost in damaged
            assert tool("--repair").code == 0
            assert (folder() / f"{name}.damaged").read_bytes() == lost
            (folder() / f"{name}.damaged").unlink()
            assert left() == []
            stored = messages(os.environ["NEXUSCORE_DATABASE"], "dead")
            assert sorted(stored[-6:]) == [f"{step}{text}" for text in texts if text != "b"]
            assert len(stored) == 6 * (step + 1)
            if done.returncode == 0:
                break
            killed += 1
        assert killed >= 8

    @staticmethod
    def content() -> tuple[set[bytes], bytes]:
        """Return the records in all journals and side files, and all bytes that are none."""
        payloads, damaged = set(), b""
        for path in (home() / "journal").rglob("*"):
            if path.suffix == ".damaged":
                damaged += path.read_bytes()
            elif path.suffix in (".nxj", ".refused"):
                for piece, _ in decode(path.read_bytes(), complete=True):
                    if isinstance(piece, Frame):
                        payloads.add(piece.payload)
                    else:
                        damaged += piece.data
        return payloads, damaged


class TestAdoptionAfterRepair:
    """A repair that could not deliver leaves journals that any program adopts."""

    def test_by_the_next_program(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from Tools.doctor.repair import repair

        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        leave(folder(), [log_payload(text) for text in "abc"], PC)
        damage()
        leave_refused([log_payload("d")])
        (journal,) = journals(home())
        done = repair(journal, SYSTEM_CLOCK)
        assert (done.queued, done.queue) == (1, {one.name for one in journals(home())}.difference({PC}).pop())
        assert [isinstance(one, LocalJournal) and one.held for one in journals(home())] == [False, False]
        adopt(sqlite_url, home())
        assert sorted(messages(sqlite_url, "dead")) == ["a", "c", "d"]


class TestCompletion:
    """Tab offers the names of the journals that are there."""

    def test_journal_names_are_offered(self, embedded: Database, tmp_path: Path) -> None:
        leave(folder(), [log_payload("a")], PC)
        leave(folder("status"), [status_payload("n", "1")], "pc-98-60a1b2c3d4e5f-1")
        line, answer = "Doctor --journals pc-9", tmp_path / "answer"
        run(
            "Doctor",
            _ARGCOMPLETE="1",
            _ARGCOMPLETE_IFS="\n",
            _ARGCOMPLETE_STDOUT_FILENAME=str(answer),
            COMP_LINE=line,
            COMP_POINT=str(len(line)),
        )
        assert sorted(answer.read_text().split()) == ["pc-98-60a1b2c3d4e5f-1", PC]
