"""The configuration: which one is in force, and whether programs could start without its database."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from NexusCore.clock import SECOND
from NexusCore.config import snapshot
from Tools.checks.case import Case
from Tools.checks.outcome import Outcome, note, ok, problem
from Tools.checks.quantities import counted
from Tools.checks.seen import snapshot_file
from Tools.moments import local, span


def configuration(case: Case) -> Iterator[Outcome]:
    """Say which configuration programs use now."""
    found = case.configuration()
    count = counted(len(found.get_leaves()), "parameter")
    if found.kept:
        yield note(
            f"Its database does not answer; what follows is judged by the {count} last seen here, of "
            f"revision {found.revision}.",
            "Services that start now start with these, too.",
        )
    else:
        yield ok(f"Version '{found.version}' is in force: {count}, revision {found.revision}.")


def kept(case: Case) -> Iterator[Outcome]:
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
