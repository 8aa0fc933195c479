"""The stored parameters that a group of changes affects, and whether a path is free.

A path is either a parameter or a folder: a folder with children cannot be a parameter, and nothing can be below a
parameter. The writer holds the lock on the revision counter, so what is read here stays true until the transaction
ends.
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
"""Revision and content of a parameter."""

FEW_CHANGES = 50
"""For up to this many changes only the paths around them are read; for more, the whole version."""
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
    """The parameters of a version at, above and below some paths.

    Read in one statement, changed in memory, and written back by `write`.

    Parameters
    ----------
    transaction
        Holds the lock on the revision counter.
    version_id
        The version.
    paths
        The paths that will be changed.
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
        """Number of parameters below each folder, at any depth."""
        self._changed: dict[str, None] = {}

    def _reveal(self, paths: set[str]) -> None:
        """Replace the masks of the secrets that will be changed by their values."""
        hidden = {path for path in paths & self._rows.keys() if self._rows[path][1][0] == MASK}
        if hidden:
            values = secrets.read(self._transaction, {self._rows[path][0] for path in hidden})
            for path in hidden:
                revision, (value, datatype, comment, limits) = self._rows[path]
                if values is None:
                    raise SecretWithheld(path=path)
                self._rows[path] = (revision, (values.get(revision, value), datatype, comment, limits))

    def at(self, path: str) -> ParameterRow | None:
        """Return the parameter stored at a path, or None."""
        return self._rows.get(path)

    def is_folder(self, path: str) -> bool:
        """Return whether anything is below a path."""
        return self._contents[path] > 0

    def below(self, path: str) -> list[str]:
        """Return the paths of all parameters below a path, sorted; all paths for an empty one."""
        return sorted(key for key in self._rows if not path or key.startswith(f"{path}."))

    def check(self, path: str, value: Value, datatype: str) -> None:
        """Raise `ValueRefused` if a path cannot have that datatype."""
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
        """Set a parameter."""
        if path not in self._rows:
            self._contents.update(_above(path))
        self._rows[path] = (revision, stored)
        self._changed[path] = None

    def remove(self, path: str) -> None:
        """Remove a parameter."""
        del self._rows[path]
        self._contents.subtract(_above(path))
        self._changed[path] = None

    def write(self, now: int) -> None:
        """Store the changes, in few statements."""
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
    """Return the SQL condition for what is at, above and below paths; for the whole version if they are many."""
    if len(paths) > FEW_CHANGES or "" in paths:
        return "version_id = :version", {}
    # The version is repeated in each part, since SQLite uses an index for OR only then.
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
    """Yield the folders above a path, the nearest last."""
    for end, letter in enumerate(path):
        if letter == ".":
            yield path[:end]
