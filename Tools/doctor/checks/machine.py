"""The machine: its Python and system, and how they read text."""

from __future__ import annotations

import locale
import os
import platform
import sys
from collections.abc import Iterator
from datetime import datetime

from NexusCore import __version__
from NexusCore.confinement import landlock_version
from NexusCore.identity import host, user
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem


def versions(case: Case) -> Iterator[CheckResult]:
    """Report the versions of NexusCore, Python and the system."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    processors = os.cpu_count() or 1
    yield ok(
        f"NexusCore {__version__} on Python {platform.python_version()}; {system}, {platform.release()}, "
        f"{processors} processor{'s' if processors > 1 else ''}; user {user()} on {host()}."
    )


def readers(case: Case) -> Iterator[CheckResult]:
    """Check that the kernel can confine the processes that read instrument files."""
    version = landlock_version()
    if version >= 4:
        yield ok(
            f"Landlock {version} confines the processes that read instrument files: they see only them, and no network."
        )
    elif version:
        yield ok(f"Landlock {version} confines the processes that read instrument files: they see only them.")
    else:
        yield note(
            "The kernel has no Landlock: a malicious instrument file could read other files of the Builder.",
            "Linux 5.13 and later have it; the boot option lsm=landlock,... enables it (docs/builder.md).",
        )


def text(case: Case) -> Iterator[CheckResult]:
    """Check that text and file names are read as UTF-8."""
    zone = datetime.now().astimezone().strftime("%Z, %z")
    names, texts = sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)
    odd = [name for name in (names, texts) if name.lower().replace("-", "") != "utf8"]
    if odd:
        yield problem(
            f"Text and file names are read as {odd[0]}, not as UTF-8: other characters come out wrong.",
            "Set LANG=C.UTF-8; for the services, in /etc/default/nexuscore.",
        )
    else:
        yield ok(f"Text and file names are read as UTF-8; local time is {zone}.")
