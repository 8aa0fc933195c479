"""What the tests of ConfigTool look at: the tool itself, and what it leaves in the database."""

from __future__ import annotations

import re
import shlex

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.history import state_now
from NexusCore.config.store import ConfigStore, HistoryEntry
from NexusCore.storage import Database
from tests.tools.programs import Done, run


def tool(*words: str) -> Done:
    return run("ConfigTool", *words)


def state(database: Database) -> dict[str, tuple[object, ...]]:
    """Return all that can be restored of the configuration: value, type, comment and limits of each parameter."""
    found = state_now(ConfigStore(database, SYSTEM_CLOCK), 1)
    return {path: (one.value, one.datatype, one.comment or None, one.limits) for path, one in found.items()}


def history(database: Database, path: str) -> list[HistoryEntry]:
    return ConfigStore(database, SYSTEM_CLOCK).history(1, path)


def undo(done: Done) -> Done:
    """Run the command that a change printed for its way back."""
    found = re.search(r"Undo with: (.+)", done.out)
    assert found, done
    name, *words = shlex.split(found[1])
    assert name == "ConfigTool"
    return tool(*words, "--yes")
