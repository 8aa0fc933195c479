"""Names in the arguments that never logged anything, mostly because they are mistyped."""

from __future__ import annotations

from collections.abc import Iterator

from NexusCore.log.store import LogFilter, hosts, loggers, modules, session_at
from NexusCore.storage import Database
from NexusCore.text import suggest


def never_logged(database: Database, condition: LogFilter, *, something_matched: bool = False) -> Iterator[str]:
    """Yield a sentence for each name without log lines.

    Parameters
    ----------
    database
        The database of the log.
    condition
        The condition with the names.
    something_matched
        Whether a line met the condition: then a single name is known to be right.
    """
    for kind, names, read in (
        ("logger", condition.loggers, loggers),
        ("module", condition.modules, modules),
        ("host", condition.hosts, hosts),
    ):
        known = read(database) if len(names) > something_matched else []
        for name in names if len(names) > something_matched else ():
            if name not in known:
                yield f"The log has no lines of the {kind} '{name}'.{suggest(name, known)}"
    if condition.session is None or something_matched:
        return
    nearest = session_at(database, condition.session)
    if nearest != condition.session:
        hint = f" Did you mean '{nearest}'?" if nearest and nearest.startswith(condition.session) else ""
        yield f"The log has no lines about the session '{condition.session}'.{hint}"
