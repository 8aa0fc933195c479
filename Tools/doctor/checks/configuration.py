"""The configuration: which one is in force, and whether programs could start without its database."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from NexusCore.clock import SECOND
from NexusCore.config import snapshot
from NexusCore.config.parameter import NEED_A_VALUE
from NexusCore.text import shell_quote
from Tools.common.quantities import counted
from Tools.common.time_parser import local, span
from Tools.doctor.checks.config_view import snapshot_file
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

MOST = 5
"""How many parameters without a value are told one by one."""


def configuration(case: Case) -> Iterator[CheckResult]:
    """Say which configuration programs use now, and which of its parameters have no value although they need one."""
    found = case.configuration()
    count = counted(len(found.get_leaves()), "parameter")
    if found.from_snapshot:
        yield note(
            f"Its database does not answer; what follows is judged by the {count} last seen here, of "
            f"revision {found.revision}.",
            "Services that start now start with these, too.",
        )
    else:
        yield ok(f"Version '{found.version}' is in force: {count}, revision {found.revision}.")
    without = [
        parameter
        for parameter in found.get_leaves()
        if parameter.value is None and not parameter.withheld and parameter.datatype in NEED_A_VALUE
    ]
    for parameter in without[:MOST]:
        sentence = f"The parameter '{parameter.path}' has no value, but is of the type {parameter.datatype}."
        yield problem(sentence, f"Set it: ConfigTool {shell_quote(parameter.path)}=<value>")
    if len(without) > MOST:
        yield problem(f"The same is true of {counted(len(without) - MOST, 'more parameter')}.", "ConfigTool validate")


def kept(case: Case) -> Iterator[CheckResult]:
    """Look at the file with which a program starts while the database is away."""
    path = snapshot_file(case.settings)
    try:
        found = path.stat()
    except FileNotFoundError:
        yield ok("No copy of it is kept on this machine yet; the first service makes one.")
        return
    except OSError as error:
        yield note(f"The copy that is kept of it, {path}, cannot be looked at: {error.strerror}.")
        return
    age = span(case.clock.now() - int(found.st_mtime * SECOND))
    content = snapshot.load(path)
    if content is None:
        yield problem(
            f"The copy that is kept of it, {path}, is damaged: services would not start while the database is away.",
            f"The next program writes it anew; until then: rm {path}",
        )
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield problem(f"The copy that is kept of it, {path}, can be read by others.", f"chmod 600 {path}")
    else:
        when = local(int(found.st_mtime * SECOND))
        yield ok(f"Its copy for times without a database is of revision {content.revision} ({when}, {age} ago).")
