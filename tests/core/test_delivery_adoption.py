"""What a dead process left behind is delivered by the next one on the machine, however briefly that one lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import LIMIT, app_on, ended, eventually, journals, messages, rows, run, samples, start

KILLED = """
import os
from NexusCore import API
log, status = API.get_log("dead"), API.get_status("dead")
for number in range(2000):
    log.info("%d", number)
    status["n"] = number
os.kill(os.getpid(), 9)
"""
AWAY = "mysql://u:p@127.0.0.1:1/nothing"

CHILDREN = """
import multiprocessing
from NexusCore import API

def work(child):
    log, status = API.get_log("family"), API.get_status("family")
    for number in range(100):
        log.info("%d %d", child, number)
        status["n"] = child * 1000 + number

if __name__ == "__main__":
    log = API.get_log("family")
    log.info("parent")
    children = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(1, 5)]
    for child in children: child.start()
    for child in children: child.join()
    print(API.shutdown(60).left)
"""


class TestTheNextProcess:
    """003-05: it delivers all that a killed one had accepted, although it has nothing to say about that itself."""

    @pytest.mark.parametrize(
        "program",
        [
            'API.get_log("next").info("hi"); API.shutdown(60)',
            'API.get_log("next"); API.shutdown(60)',
            'API.get_status("next"); API.shutdown(60)',
            'API.get_config()["x"]; API.shutdown(60)',
        ],
        ids=["one line", "no line", "status only", "configuration only"],
    )
    def test_that_ends_at_once(self, database_url: str, tmp_path: Path, program: str) -> None:
        home = tmp_path / "home"
        dead = start(KILLED, main=database_url, home=home)
        dead.communicate(timeout=LIMIT)
        run(f"from NexusCore import API; {program}", main=database_url, home=home)
        assert messages(database_url, "dead") == [str(n) for n in range(2000)]
        assert samples(database_url, "dead") == [("n", str(n)) for n in range(2000)]
        assert journals(home) == []
        assert rows(database_url, "SELECT * FROM delivery_cursor") == []

    def test_that_stays_and_says_nothing(self, database_url: str, tmp_path: Path) -> None:
        dead = start(KILLED, main=database_url, home=tmp_path)
        dead.communicate(timeout=LIMIT)
        app = app_on(database_url, tmp_path)
        app.get_log("next")
        try:
            eventually(lambda: len(messages(database_url, "dead")) == 2000)
            eventually(lambda: len(samples(database_url, "dead")) == 2000)
        finally:
            app.shutdown(LIMIT)

    def test_that_meets_no_database_ends_soon_and_leaves_it(self, tmp_path: Path) -> None:
        dead = start(KILLED, main=AWAY, home=tmp_path)
        dead.communicate(timeout=LIMIT)
        before = journals(tmp_path)
        run('from NexusCore import API; API.get_log("next").info("hi"); API.shutdown(1)', main=AWAY, home=tmp_path)
        assert len(before) == 2
        assert set(before) < set(journals(tmp_path))

    def test_the_parent_of_children_that_have_ended(self, database_url: str, tmp_path: Path) -> None:
        """Children of multiprocessing end without their atexit functions."""
        assert ended(start(CHILDREN, main=database_url, home=tmp_path)).strip() == "0"
        said = messages(database_url, "family")
        assert sorted(said) == sorted(["parent", *(f"{child} {n}" for child in range(1, 5) for n in range(100))])
        values = sorted(int(value) for _, value in samples(database_url, "family"))
        assert values == sorted(child * 1000 + n for child in range(1, 5) for n in range(100))


class TestTurns:
    """Many records of one kind, or of a dead process, hold up no others."""

    def test_a_flood_of_status_holds_up_no_line(self, database_url: str, tmp_path: Path) -> None:
        flood = start(
            """
import threading
from NexusCore import API
log, status = API.get_log("flooded"), API.get_status("flooded")
def flood():
    number = 0
    while not API.api_stop_event.is_set():
        status["n"] = number = number + 1
threads = [threading.Thread(target=flood, daemon=True)]
threads[0].start()
number = 0
while not API.api_stop_event.wait(0.05):
    log.info("%d", number)
    number += 1
""",
            main=database_url, home=tmp_path,
        )  # fmt: skip
        try:
            eventually(lambda: len(messages(database_url, "flooded")) > 20)
        finally:
            flood.kill()
            flood.communicate(timeout=LIMIT)

    def test_what_is_left_behind_waits_for_what_is_new(self, database_url: str, tmp_path: Path) -> None:
        """New lines come in between those of the dead process, not after the last of them."""
        many = KILLED.replace("2000", "60000").replace('    status["n"] = number\n', "")
        dead = start(many, main=AWAY, home=tmp_path / "elsewhere")
        dead.communicate(timeout=LIMIT)
        app = app_on(database_url, tmp_path / "home")
        (source,) = (tmp_path / "elsewhere/journal").glob("log-*")
        target = tmp_path / "home/journal" / f"log-{app.settings.log.fingerprint}"
        target.parent.mkdir(parents=True)
        source.rename(target)
        log = app.get_log("new")
        try:
            log.info("first")
            eventually(lambda: messages(database_url, "dead"))
            log.info("between")
            eventually(lambda: len(messages(database_url, "new")) == 2)
            eventually(lambda: len(messages(database_url, "dead")) == 60000)
        finally:
            app.shutdown(LIMIT)
        order = rows(database_url, "SELECT logger, message FROM log_record WHERE logger IN ('dead', 'new') ORDER BY id")
        assert order.index(("new", "between")) < order.index(("dead", "59999"))
