"""Below-normal priority for the threads of the transfer: the instrument's own programs come first."""

from __future__ import annotations

import logging
import os
import sys
import threading

NICENESS, LOWEST = 10, 19
"""How much lower than that of the program, on Linux, and the lowest that there is."""
_THREAD_MODE_BACKGROUND_BEGIN = 0x00010000
_THREAD_PRIORITY_BELOW_NORMAL = -1
_LOG = logging.getLogger(__name__)


def lower_priority() -> bool:
    """Lower the priority of the thread that calls this, also for its disk accesses where the system can.

    Returns
    -------
    bool
        Whether the system has done it. The transfer goes on without.
    """
    try:
        if sys.platform == "win32":
            return _lower_on_windows()
        if sys.platform.startswith("linux"):
            # On Linux each thread has a niceness of its own; that of the process is its first thread's.
            nice = min(LOWEST, os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICENESS)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
            return True
    except OSError as error:
        _LOG.info("The priority of the transfer could not be lowered: %s", error)
    return False


if sys.platform == "win32":
    import ctypes

    def _lower_on_windows() -> bool:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.SetThreadPriority.argtypes = (ctypes.c_void_p, ctypes.c_int)
        thread = kernel.GetCurrentThread()
        # The background mode lowers disk and memory accesses, too.
        if kernel.SetThreadPriority(thread, _THREAD_MODE_BACKGROUND_BEGIN):
            return True
        return bool(kernel.SetThreadPriority(thread, _THREAD_PRIORITY_BELOW_NORMAL))
