"""The settings: the files and variables that they are read from."""

from __future__ import annotations

import difflib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.settings import KEYS, SETTINGS_FILE, usual_files
from NexusCore.text import listed, shell_quote
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

OTHERS = ("NEXUSCORE_ETC", SETTINGS_FILE)
"""Variables that name the settings files."""
_SIMILARITY = 0.85
"""Similarity to a known variable above which an unknown one counts as mistyped."""


def files(case: Case) -> Iterator[CheckResult]:
    """Report the settings files, and who may read them."""
    missing = []
    for path in usual_files(case.environment):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            missing.append(str(path))
            continue
        except OSError as error:
            yield note(f"The settings file {path} is ignored: this user may not access it ({error.strerror}).")
            continue
        owner = _owner(path)
        if os.access(path, os.R_OK):
            yield ok(f"The settings file {path} is used (owner {owner}, mode {mode:04o}).")
        else:
            yield note(
                f"The settings file {path} is ignored: this user may not read it (owner {owner}, mode {mode:04o}).",
                f"To see what its owner sees: sudo -u {owner} -H {program()}",
            )
    if missing:
        yield ok(f"Optional settings files that do not exist: {', '.join(missing)}.")


def variables(case: Case) -> Iterator[CheckResult]:
    """Report the variables that override the files, and those that are misspelt."""
    names = [key for key in (*KEYS, *OTHERS) if case.environment.get(key)]
    if names:
        verb = "are variables that override" if len(names) > 1 else "is a variable that overrides"
        yield ok(f"{listed(names)} {verb} the files.")
    for name in sorted(case.environment):
        if name.startswith("NEXUS") and name not in (*KEYS, *OTHERS):
            for meant in difflib.get_close_matches(name, (*KEYS, *OTHERS), n=1, cutoff=_SIMILARITY):
                yield note(f"The variable {name} is set, but nothing reads it.", f"Did you mean {meant}?")


def readable(case: Case) -> Iterator[CheckResult]:
    """Check that the settings are valid."""
    try:
        settings = case.settings
    except NexusError as error:
        yield problem(str(error), "Until this is fixed, nothing else can be checked.")
        return
    if settings.main.embedded:
        yield note(
            f"No database is set, so the embedded one of this user is used: {settings.main}.",
            "If the facility has another, set NEXUSCORE_DATABASE in a settings file or as a variable.",
        )


def program() -> str:
    """Return this program as it is typed in a shell whose search path does not lead to it, as that of sudo."""
    installed = Path(sys.executable).with_name("Doctor")
    return shell_quote(str(installed if installed.is_file() else Path(__file__).resolve().parents[2] / "Doctor.py"))


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):  # such as a removed account
        return "unknown"
