"""The settings: which files and variables they are read from."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.settings import KEYS, SETTINGS_FILE, usual_files
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

OTHERS = ("NEXUSCORE_ETC", SETTINGS_FILE)
"""Variables that say where the settings are."""
_ALIKE = 0.85
"""How like a variable of ours another must be to be taken for a slip of the keyboard."""


def files(case: Case) -> Iterator[CheckResult]:
    """Say which files there are, and who may read them."""
    missing = []
    for path in usual_files(case.environment):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            missing.append(str(path))
            continue
        except OSError as error:
            yield note(f"The settings file {path} is left out: this user may not look at it ({error.strerror}).")
            continue
        owner = _owner(path)
        if os.access(path, os.R_OK):
            yield ok(f"The settings file {path} is read (owner {owner}, mode {mode:04o}).")
        else:
            yield note(
                f"The settings file {path} is left out: this user may not read it (owner {owner}, mode {mode:04o}).",
                f"To see what its owner sees: sudo -u {owner} -H Doctor",
            )
    if missing:
        yield ok(f"There is no settings file {' and no '.join(missing)}; there need not be.")


def variables(case: Case) -> Iterator[CheckResult]:
    """Say which variables override the files, and which are misspelt."""
    given = [key for key in (*KEYS, *OTHERS) if case.environment.get(key)]
    if given:
        verb = "are set as variables and win" if len(given) > 1 else "is set as a variable and wins"
        yield ok(f"{' and '.join(given)} {verb} over the files.")
    for name in sorted(case.environment):
        if name.startswith("NEXUS") and name not in (*KEYS, *OTHERS):
            for meant in difflib.get_close_matches(name, (*KEYS, *OTHERS), n=1, cutoff=_ALIKE):
                yield note(f"The variable {name} is set, but nothing reads it.", f"Was {meant} meant?")


def readable(case: Case) -> Iterator[CheckResult]:
    """See that the settings can be used."""
    try:
        found = case.settings
    except NexusError as error:
        yield problem(str(error), "Until then nothing else can be looked at.")
        return
    if found.main.embedded:
        yield note(
            f"Nothing names a database, so the embedded one of this user is meant: {found.main}.",
            "If the facility has another, name it as NEXUSCORE_DATABASE, in a settings file or as a variable.",
        )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):  # such as an account that was removed
        return "unknown"
