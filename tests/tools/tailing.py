"""What the tests of TailLog share: running it, and logging from another process."""

from __future__ import annotations

import subprocess
import sys

from tests.tools.programs import LIMIT, PROJECT, Done, run


def tail(*words: str) -> Done:
    """Run TailLog."""
    return run("TailLog", *words)


def messages(done: Done) -> list[str]:
    """Return the messages of the lines that it printed."""
    return [line.rpartition("]")[2] for line in done.lines]


def log_from_another_process(message: str) -> None:
    """Log through the API, in a process of its own, as a service does."""
    script = "import sys; from NexusCore import API; API.get_log('Camera').warning(sys.argv[1]); API.shutdown()"
    subprocess.run([sys.executable, "-c", script, message], cwd=PROJECT, check=True, timeout=LIMIT)
