"""The clocks of this computer: the one on the wall, which may be set, and how long the computer has been running."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS = str(uuid.uuid4())


class Uptime:
    """The clocks of this computer."""

    def __init__(self) -> None:
        self.boot = _boot()
        """Identifies the time since the computer was started, or where that is not known, this process."""

    def now(self) -> int:
        """Return the time by this computer's clock, in microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    def uptime(self) -> int:
        """Return microseconds that only go forward, with those during which the computer slept."""
        # Windows counts the time asleep in its monotonic clock; Linux only in CLOCK_BOOTTIME.
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        return time.monotonic_ns() // 1000


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return _PROCESS
