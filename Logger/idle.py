"""How long nobody has touched mouse or keyboard, as the system says."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class _LastInput(ctypes.Structure):
        """LASTINPUTINFO."""

        _fields_ = (("size", wintypes.UINT), ("milliseconds", wintypes.DWORD))

    def idle_seconds() -> float | None:
        """Return the seconds since the last input of the user who is logged on; None if that is not known."""
        last = _LastInput()
        last.size = ctypes.sizeof(last)
        if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(last)):
            return None
        # Both counters begin anew after 49.7 days.
        return ((ctypes.windll.kernel32.GetTickCount() - last.milliseconds) & 0xFFFFFFFF) / 1000

else:
    import ctypes
    import ctypes.util

    class _Info(ctypes.Structure):
        """XScreenSaverInfo."""

        _fields_ = (
            ("window", ctypes.c_ulong), ("state", ctypes.c_int), ("kind", ctypes.c_int),
            ("til_or_since", ctypes.c_ulong), ("idle", ctypes.c_ulong), ("mask", ctypes.c_ulong),
        )  # fmt: skip

    def idle_seconds() -> float | None:
        """Return the seconds since the last input at the X display; None if that is not known."""
        if not os.environ.get("DISPLAY"):
            return None
        names = [ctypes.util.find_library(name) for name in ("X11", "Xss")]
        if None in names:
            return None
        try:
            x11, xss = (ctypes.CDLL(name) for name in names)
        except OSError:
            return None
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = ctypes.c_ulong
        x11.XDefaultRootWindow.argtypes = (ctypes.c_void_p,)
        x11.XCloseDisplay.argtypes = (ctypes.c_void_p,)
        xss.XScreenSaverQueryExtension.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        xss.XScreenSaverQueryInfo.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(_Info))
        display = x11.XOpenDisplay(None)
        if not display:
            return None
        try:
            first = ctypes.c_int()
            if not xss.XScreenSaverQueryExtension(display, ctypes.byref(first), ctypes.byref(first)):
                return None
            info = _Info()
            if not xss.XScreenSaverQueryInfo(display, x11.XDefaultRootWindow(display), ctypes.byref(info)):
                return None
            return float(info.idle) / 1000
        finally:
            x11.XCloseDisplay(display)
