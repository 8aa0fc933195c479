"""Names that were asked for and never logged anything: most of them are mistyped."""

from __future__ import annotations

from collections.abc import Iterator

from NexusCore.log.store import LogFilter, hosts, loggers, modules, session_at
from NexusCore.storage import Database
from NexusCore.text import suggest


def never_logged(database: Database, condition: LogFilter, *, something_matched: bool = False) -> Iterator[str]:
    """Yield a sentence for each name that never logged.

    Parameters
    ----------
    database
        Where the log is.
    condition
        Has the names.
    something_matched
        There was a line that meets the condition: a name that stands alone is known then.
    """
    for kind, names, read in (
        ("logger", condition.loggers, loggers),
        ("module", condition.modules, modules),
        ("host", condition.hosts, hosts),
    ):
        known = read(database) if len(names) > something_matched else []
        for name in names if len(names) > something_matched else ():
            if name not in known:
                yield f"Nothing was logged by the {kind} '{name}'.{suggest(name, known)}"
    if condition.session is None or something_matched:
        return
    there = session_at(database, condition.session)
    if there != condition.session:
        hint = f" Did you mean '{there}'?" if there and there.startswith(condition.session) else ""
        yield f"Nothing was logged for the session '{condition.session}'.{hint}"
