"""Loggers are handed about as those of the standard library are."""

from __future__ import annotations

from pathlib import Path

from tests.processes import messages, run

PICKLED = """
import copy, pickle
from NexusCore import API
log = API.get_log("Module")
assert pickle.loads(pickle.dumps(log)) is log
assert copy.deepcopy({"log": log})["log"] is log
pickle.loads(pickle.dumps(log)).info("plain")
pickle.loads(pickle.dumps(API.get_log("Module", "100 %: "))).info("one of %d", 2)
API.shutdown()
"""


class TestPickled:
    """A logger goes to a worker process as its name, and logs there."""

    def test_with_and_without_a_prefix(self, database_url: str, tmp_path: Path) -> None:
        run(PICKLED, main=database_url, home=tmp_path / "home")
        assert messages(database_url, "Module") == ["plain", "100 %: one of 2"]
