"""The configuration: which version is in force, and whether programs could start without its database."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from NexusCore.clock import SECOND
from NexusCore.config import snapshot
from NexusCore.config.catalogue import Catalogue
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import NEED_A_VALUE
from NexusCore.text import one_line, shell_quote
from Tools.common import declared
from Tools.common.quantities import counted
from Tools.common.time_parser import local, span
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

PARAMETERS_SHOWN = 5
"""Parameters without a value that are listed one by one."""


def configuration(case: Case) -> Iterator[CheckResult]:
    """Report which configuration programs use now, and which of its parameters lack a value that they need."""
    config = case.configuration()
    count = counted(len(config.get_leaves()), "parameter")
    if config.from_snapshot:
        yield note(
            f"The configuration's database does not answer; the checks below use the copy on this machine: {count}, "
            f"revision {config.revision}.",
            "Services that start now use this copy too.",
        )
    else:
        yield ok(f"Version '{config.version}' is in force: {count}, revision {config.revision}.")
    without = [
        parameter
        for parameter in config.get_leaves()
        if parameter.value is None and not parameter.withheld and parameter.datatype in NEED_A_VALUE
    ]
    for parameter in without[:PARAMETERS_SHOWN]:
        sentence = f"The parameter '{parameter.path}' has no value, but its type {parameter.datatype} needs one."
        yield problem(sentence, f"Set it: ConfigUI {shell_quote(parameter.path)}")
    if len(without) > PARAMETERS_SHOWN:
        yield problem(
            f"{counted(len(without) - PARAMETERS_SHOWN, 'more parameter')} without a value.", "ConfigTool validate"
        )


def declarations(case: Case) -> Iterator[CheckResult]:
    """Check what is stored against what programs declare: types, limits, choices and names."""
    config = case.configuration()
    if config.from_snapshot:
        return
    known = declared.catalogue()
    wrong = [
        (parameter, reason)
        for parameter in config.get_leaves()
        if (reason := declared.problem_of(parameter, known)) is not None
    ]
    for parameter, reason in wrong[:PARAMETERS_SHOWN]:
        yield problem(
            f"The parameter '{one_line(parameter.path)}' is wrong: {one_line(reason)}.", _remedy(parameter, known)
        )
    if len(wrong) > PARAMETERS_SHOWN:
        yield problem(
            f"{counted(len(wrong) - PARAMETERS_SHOWN, 'more parameter')} with wrong values.", "ConfigTool validate"
        )
    missing = [item.path for item in known.stored if item.path not in config]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        sentence = f"{counted(len(missing), 'parameter')} that programs read {verb} not stored, such as '{missing[0]}'"
        yield ok(f"{sentence}: the defaults are used until a service stores them, or python -m NexusCore.declare.")
    elif not wrong:
        yield ok("All parameters have the types, limits and names that programs declare.")


def _remedy(parameter: ConfigParameter, known: Catalogue) -> str:
    path = shell_quote(parameter.path)
    return f"ConfigTool describe {path}" if known.find(parameter.path) is not None else f"ConfigTool remove {path}"


def saved_copy(case: Case) -> Iterator[CheckResult]:
    """Check the file with which programs start while the database does not answer."""
    path = case.snapshot_file()
    try:
        status = path.stat()
    except FileNotFoundError:
        yield ok("This machine has no copy yet; the first service saves one.")
        return
    except OSError as error:
        yield note(f"The copy {path} cannot be read: {error.strerror}.")
        return
    age = span(case.clock.now() - int(status.st_mtime * SECOND))
    content = snapshot.load(path)
    if content is None:
        yield problem(
            f"The copy {path} is damaged: services cannot start while the database does not answer.",
            f"Delete it, and the next program saves a new one: rm {shell_quote(str(path))}",
        )
    elif stat.S_IMODE(status.st_mode) & 0o077:
        yield problem(f"Other users can read the copy {path}.", f"chmod 600 {shell_quote(str(path))}")
    else:
        when = local(int(status.st_mtime * SECOND))
        yield ok(f"The copy for times without a database has revision {content.revision} ({when}, {age} ago).")
