"""Draws TailStatus' overview for the documentation: ``python -m tests.tools.draw_overview docs/overview.png``.

TailStatus runs in an emulated terminal, on a facility in trouble; the cells of that terminal are drawn.
"""

from __future__ import annotations

import sys
import tempfile

import pyte

from NexusCore.storage import open_database
from NexusCore.storage.migrate import migrate
from tests.tools.draw_config_ui import drawn
from tests.tools.emulated import Emulated
from tests.tools.overview_stage import troubled
from tests.tools.programs import command

ROWS, COLUMNS = 29, 118


def overview() -> pyte.Screen:
    """Return the screen with the overview."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/nexus.db"
        migrate(url)
        troubled(open_database(url))
        places = {"NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": folder, "NEXUSCORE_ETC": folder, "HOME": folder}
        with Emulated(command("TailStatus"), ROWS, COLUMNS, **places) as terminal:
            terminal.until("How to mend it")
            terminal.end()
            return terminal.screen


if __name__ == "__main__":
    drawn(overview()).save(sys.argv[1], optimize=True)
