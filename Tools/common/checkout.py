"""Running a tool straight from a checkout, as ``./Tools/ConfigTool.py``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

OLDEST = (3, 11)


def use_its_python() -> None:
    """Continue under the Python of the checkout's own environment, which `install.sh` creates.

    A Python of another environment stays in use: the user chose it. Exits with a sentence if this Python is too old and
    the checkout has no environment.
    """
    own = Path(__file__).resolve().parents[2] / ".venv/bin/python"
    if sys.prefix == sys.base_prefix and sys.executable != str(own) and os.access(own, os.X_OK):
        sys.stdout.flush()
        os.execv(own, [str(own), *sys.argv])  # noqa: S606  the same program, under another Python
    if sys.version_info[:2] < OLDEST:
        sys.exit(
            f"This is Python {sys.version_info[0]}.{sys.version_info[1]}, and NexusCore needs "
            f"{OLDEST[0]}.{OLDEST[1]} or newer. Run ./install.sh, which finds one."
        )
