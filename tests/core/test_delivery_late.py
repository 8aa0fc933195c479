"""What is accepted after `shutdown` is delivered before the process ends, if the database answers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.processes import LIMIT, app_on, ended, eventually, journals, messages, rows, run, samples, start

BEGIN = """
import atexit, sys, threading
from NexusCore import API
log, status = API.get_log("late"), API.get_status("late")
log.info("in time")
"""
LATE = {
    "a line below": 'API.shutdown(60); log.info("late"); status["n"] = 1',
    "a logger taken later": 'API.shutdown(60); API.get_log("late").info("late"); API.get_status("late")["n"] = 1',
    "another thread": """
def work():
    API.api_stop_event.wait(60)
    ended.wait(60)
    log.info("late"); status["n"] = 1
ended = threading.Event()
thread = threading.Thread(target=work); thread.start()
API.shutdown(60); ended.set()
""",
    "a thread of which nobody minds the end": """
def work():
    log.info("late"); status["n"] = 1; done.set()
API.shutdown(60)
done = threading.Event()
threading.Thread(target=work, daemon=True).start(); done.wait(60)
""",
    "a function called at the exit": """
def at_exit():
    log.info("late"); status["n"] = 1
atexit.register(at_exit)
API.shutdown(60)
""",
    "a finalizer": """
class Last:
    def __del__(self, log=log, status=status):  # what the module knew is gone by then
        log.info("late"); status["n"] = 1
last = Last()
API.shutdown(60)
""",
    "a finalizer, without shutdown": """
class Last:
    def __del__(self, log=log, status=status):  # what the module knew is gone by then
        log.info("late"); status["n"] = 1
last = Last()
""",
}
BEFORE_THE_IMPORT = """
import atexit
def at_exit():
    log.info("late"); status["n"] = 1
atexit.register(at_exit)
"""


class TestItArrives:
    """Whoever says it, and however late."""

    @pytest.mark.parametrize("who", LATE)
    def test_late_records_arrive_from_any_code(self, database_url: str, tmp_path: Path, who: str) -> None:
        run(BEGIN + LATE[who], main=database_url, home=tmp_path)
        assert messages(database_url, "late") == ["in time", "late"]
        assert samples(database_url, "late") == [("n", "1")]
        assert journals(tmp_path) == []
        assert rows(database_url, "SELECT * FROM delivery_cursor") == []

    @pytest.mark.parametrize("how", ["API.shutdown(60)", ""])
    def test_from_a_function_registered_before_the_import(self, database_url: str, tmp_path: Path, how: str) -> None:
        """It is called after those that were registered later, ours among them."""
        run(BEFORE_THE_IMPORT + BEGIN + how, main=database_url, home=tmp_path)
        assert messages(database_url, "late") == ["in time", "late"]
        assert samples(database_url, "late") == [("n", "1")]
        assert journals(tmp_path) == []

    def test_many_from_several_threads(self, database_url: str, tmp_path: Path) -> None:
        program = f"""{BEGIN}
def work(own):
    for number in range(500):
        log.info("%d %d", own, number)
API.shutdown(60)
threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
for thread in threads: thread.start()
"""
        run(program, main=database_url, home=tmp_path)
        found = messages(database_url, "late")
        assert sorted(found) == sorted(["in time", *(f"{own} {n}" for own in range(4) for n in range(500))])
        for own in range(4):
            assert [one for one in found if one.startswith(f"{own} ")] == [f"{own} {n}" for n in range(500)]

    def test_while_the_process_goes_on(self, database_url: str, tmp_path: Path) -> None:
        """It need not wait for the end, and the connection is given back."""
        app = app_on(database_url, tmp_path)
        log = app.get_log("late")
        log.info("in time")
        app.shutdown(LIMIT)
        for number in range(3):
            log.info("%d", number)
            eventually(lambda number=number: len(messages(database_url, "late")) == number + 2)  # type: ignore[misc]
            eventually(lambda: not journals(tmp_path))
        eventually(lambda: app.database().pool.idle == [])

    def test_in_a_child_of_a_process_that_has_ended_it(self, database_url: str, tmp_path: Path) -> None:
        program = f"""{BEGIN}
import os
API.shutdown(60)
child = os.fork()
if child == 0:
    log.info("child")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
log.info("parent")
"""
        run(program, main=database_url, home=tmp_path)
        assert sorted(messages(database_url, "late")) == ["child", "in time", "parent"]


class TestTheDatabaseIsAway:
    """The end of the process is not held up for longer than a moment, and what came late waits in the journal."""

    def test_late_records_stay_in_the_journal(self, tmp_path: Path) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            program = BEGIN + 'API.shutdown(0.1); log.info("late"); status["n"] = 1'
            process = start(program, main=url, home=tmp_path)
            assert ended(process) == ""
        assert b"late" in b"".join(path.read_bytes() for path in tmp_path.glob("journal/log-*/*.nxj"))
        assert journals(tmp_path)

    def test_it_does_not_answer(self, database_url: str, tmp_path: Path) -> None:
        """A server that freezes after the end: the process waits for it as long as for any delivery at the end."""
        program = f"""{BEGIN}
API.shutdown(60)
from NexusCore.delivery import lane
lane.Lane.deliver = lambda *arguments, **more: threading.Event().wait(3600)
log.info("late")
"""
        run(program, main=database_url, home=tmp_path)
        assert messages(database_url, "late") == ["in time"]
        run('from NexusCore import API; API.get_log("next").info("hi"); API.shutdown(60)',
            main=database_url, home=tmp_path)  # fmt: skip
        assert messages(database_url, "late") == ["in time", "late"]
