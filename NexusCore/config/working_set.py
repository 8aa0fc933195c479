"""What stands where a group of changes is to be made, and whether a place is free.

A path is either a parameter's or a folder's: where a folder holds something there is no parameter, and nothing stands
below one. Whoever changes the configuration holds the lock on the revision counter meanwhile, so what is read here
stays true until the transaction ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from NexusCore.config import secrets
from NexusCore.config.changes import CONFIG_PARAMETER
from NexusCore.config.values import FOLDER, MASK, Value
from NexusCore.errors import SecretWithheld, ValueRefused
from NexusCore.storage import Transaction
from NexusCore.storage.transaction import portions

Stored = tuple[str | None, str, str | None, str | None]
"""Value, datatype, comment and limits, as stored."""
ParameterRow = tuple[int, Stored]
"""Revision of a parameter, and what is stored of it."""

FEW_CHANGES = 50
"""Changes up to which only their surroundings are read; for more, the whole version is, in one statement."""
PATHS_PER_STATEMENT = 500
"""Paths in one statement that deletes."""

_PARAMETER_READ = CONFIG_PARAMETER.only("path", "revision", "value", "datatype", "comment", "limits")
_STORED_PARAMETERS = "SELECT path, revision, value, datatype, comment, limits FROM config_parameter WHERE"
_PARAMETER_COLUMNS = (
    "version_id",
    "path",
    "name",
    "value",
    "datatype",
    "comment",
    "limits",
    "last_modified",
    "revision",
)


class WorkingSet:
    """The parameters of a version that some paths have to do with: those at them, above and below them.

    Read in one statement; kept as the changes leave it, and written back by `write`.

    Parameters
    ----------
    transaction
        It holds the lock on the revision counter.
    version_id
        The version.
    paths
        What is going to be changed.
    """

    def __init__(self, transaction: Transaction, version_id: int, paths: Iterable[str]) -> None:
        self._transaction = transaction
        self._version_id = version_id
        wanted = set(paths)
        condition, values = _around(wanted)
        rows = transaction.all(f"{_STORED_PARAMETERS} {condition}", version=version_id, **values)
        self._rows: dict[str, ParameterRow] = {}
        for row in rows:
            (path, revision, *stored), _ = _PARAMETER_READ.typed(row)
            self._rows[path] = (revision, tuple(stored))
        self._reveal(wanted)
        self._before = frozenset(self._rows)
        self._contents = Counter(folder for path in self._rows for folder in _above(path))
        """How much each folder holds, however deep."""
        self._changed: dict[str, None] = {}

    def _reveal(self, paths: set[str]) -> None:
        """Put the values of those secrets that are going to be changed in the place of their masks."""
        hidden = {path for path in paths & self._rows.keys() if self._rows[path][1][0] == MASK}
        if hidden:
            values = secrets.read(self._transaction, {self._rows[path][0] for path in hidden})
            for path in hidden:
                revision, (value, datatype, comment, limits) = self._rows[path]
                if values is None:
                    raise SecretWithheld(path=path)
                self._rows[path] = (revision, (values.get(revision, value), datatype, comment, limits))

    def at(self, path: str) -> ParameterRow | None:
        """Return what is stored at a path, or None."""
        return self._rows.get(path)

    def is_folder(self, path: str) -> bool:
        """Tell whether there is something below a path."""
        return self._contents[path] > 0

    def below(self, path: str) -> list[str]:
        """Return the paths of all parameters below a path, in order; of all there are for an empty one."""
        return sorted(one for one in self._rows if not path or one.startswith(f"{path}."))

    def check(self, path: str, value: Value, datatype: str) -> None:
        """Raise `ValueRefused` if nothing of that datatype can stand at a path."""
        row = self._rows.get(path)
        if datatype != FOLDER and self._contents[path] and (row is None or row[1][1] == FOLDER):
            raise ValueRefused(path=path, value=repr(value), reason="it is a folder, without a value")
        if row is not None:
            return
        for folder in _above(path):
            above = self._rows.get(folder)
            if above is not None and above[1][1] != FOLDER:
                reason = f"'{folder}' is a parameter, so there can be nothing below it"
                raise ValueRefused(path=path, value=repr(value), reason=reason)

    def put(self, path: str, revision: int, stored: Stored) -> None:
        """Have a parameter stored."""
        if path not in self._rows:
            self._contents.update(_above(path))
        self._rows[path] = (revision, stored)
        self._changed[path] = None

    def remove(self, path: str) -> None:
        """Have a parameter removed."""
        del self._rows[path]
        self._contents.subtract(_above(path))
        self._changed[path] = None

    def write(self, now: int) -> None:
        """Store what has changed, in few statements."""
        gone = [path for path in self._changed if path not in self._rows and path in self._before]
        for first in range(0, len(gone), PATHS_PER_STATEMENT):
            condition, values = _one_of(gone[first : first + PATHS_PER_STATEMENT])
            self._transaction.run(
                f"DELETE FROM config_parameter WHERE {condition}",  # noqa: S608  placeholders only
                version=self._version_id,
                **values,
            )
        put = [(path, *self._rows[path]) for path in self._changed if path in self._rows]
        rows = [
            (self._version_id, path, path.rpartition(".")[2], secrets.masked(value, limits), *(kind, comment, limits),
             now, revision)
            for path, revision, (value, kind, comment, limits) in put
        ]  # fmt: skip
        for some in portions(rows):
            self._transaction.upsert("config_parameter", _PARAMETER_COLUMNS, ("version_id", "path"), some)


def _around(paths: set[str]) -> tuple[str, dict[str, str]]:
    """Return the condition that holds for what is at, above and below paths; for all there is where they are many."""
    if len(paths) > FEW_CHANGES or "" in paths:
        return "version_id = :version", {}
    # The version stands in each part, since SQLite makes use of an index for OR only then.
    condition, values = _one_of(sorted(paths.union(*map(_above, paths))))
    parts = [condition]
    for number, path in enumerate(sorted(paths)):
        # Everything below "a.b" begins with "a.b." and so comes before "a.b/", in the order of both databases.
        parts.append(f"version_id = :version AND path > :from_{number} AND path < :to_{number}")
        values.update({f"from_{number}": f"{path}.", f"to_{number}": f"{path}/"})
    return " OR ".join(f"({part})" for part in parts), values


def _one_of(paths: Iterable[str]) -> tuple[str, dict[str, str]]:
    values = {f"path_{number}": path for number, path in enumerate(paths)}
    return f"version_id = :version AND path IN ({', '.join(f':{name}' for name in values)})", values


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path is in, the nearest last."""
    for end, letter in enumerate(path):
        if letter == ".":
            yield path[:end]
