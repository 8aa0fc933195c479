"""The machine: which Python runs here, and how it reads text."""

from __future__ import annotations

import locale
import os
import platform
import sys
from collections.abc import Iterator
from datetime import datetime

from NexusCore import __version__
from NexusCore.identity import host, user
from Tools.checks.case import Case
from Tools.checks.outcome import Outcome, ok, problem


def versions(case: Case) -> Iterator[Outcome]:
    """Say what runs where."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    processors = os.cpu_count() or 1
    yield ok(
        f"NexusCore {__version__} on Python {platform.python_version()}; {system}, {platform.release()}, "
        f"{processors} processor{'s' if processors > 1 else ''}; user {user()} on {host()}."
    )


def text(case: Case) -> Iterator[Outcome]:
    """See that text and names of files are read as what they are."""
    zone = datetime.now().astimezone().strftime("%Z, %z")
    names, texts = sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)
    odd = [name for name in (names, texts) if name.lower().replace("-", "") != "utf8"]
    if odd:
        yield problem(
            f"Text and names of files are read as {odd[0]}, not as UTF-8: other letters come out wrong.",
            "Set LANG=C.UTF-8, for the services in /etc/default/nexuscore.",
        )
    else:
        yield ok(f"Text and names of files are read as UTF-8; local time is {zone}.")
