"""The configuration in the database: every change is one revision, numbered without gaps in the order of commits.

All writers take the lock on the one row of `config_revision` first, so that two can never interleave, and a reader that
knows revision *n* gets everything after it with one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from NexusCore.clock import Clock
from NexusCore.config.parameter import FOLDER, MASK, Limits, Value, cast, datatype_of, decode, encode
from NexusCore.errors import (
    ConfigException,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)
from NexusCore.storage import Database, Transaction

SET, REMOVE = "set", "remove"
DEFAULT = "default"
PATH_LENGTH = 512
NAME_LENGTH = 128

_REVISION = "SELECT revision FROM config_revision WHERE id = 1"

_VERSION_ID = "SELECT id FROM config_version WHERE name = :name"

_PARAMETERS = """
    -- every parameter of a version, shaped like the change that made it
    SELECT revision, path, value, datatype, comment, limits, last_modified
      FROM config_parameter
     WHERE version_id = :version
"""

_PARAMETER = _PARAMETERS + " AND path = :path"

_NEWEST_CHANGES = """
    -- what changed after a revision, oldest first; revisions are gapless in commit order
    SELECT revision, version_id, path, action, new_value, datatype, comment, limits, ts
      FROM config_change
     WHERE revision > :revision
     ORDER BY revision
"""

_HISTORY = """
    -- all that ever happened to a parameter, newest first
    SELECT revision, action, old_value, new_value, datatype, comment, who, host, tool, why, ts, limits
      FROM config_change
     WHERE version_id = :version AND path = :path
     ORDER BY revision DESC
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change as a follower sees it."""

    revision: int
    version_id: int
    path: str
    action: str
    """``set`` or ``remove``."""
    value: str | None
    datatype: str
    comment: str | None
    limits: str | None
    ts: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A wish to change one parameter; whether and how it is granted is decided inside the transaction."""

    path: str
    action: str = SET
    value: Value = None
    datatype: str | None = None
    """None keeps the type there is, or takes the value's own."""
    comment: str | None = None
    """None keeps the comment there is."""
    limits: Limits | None = None
    keep_value: bool = False
    """Change comment and limits only; the parameter must exist."""
    only_new: bool = False
    """Leave a parameter that exists as it is."""
    check: bool = True
    if_revision: int | None = None
    """Only if the parameter was last changed at this revision (0: does not exist)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes something, where, with what and why."""

    who: str
    host: str
    tool: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a parameter's history."""

    revision: int
    action: str
    old_value: str | None
    new_value: str | None
    datatype: str
    comment: str | None
    who: str
    host: str
    tool: str
    why: str | None
    ts: int


def check_path(path: str) -> str:
    """Return `path` if a parameter can have it.

    Raises
    ------
    ConfigException
        If a part is empty, or it is too long to be stored whole.
    """
    if not path or any(not part or part != part.strip() for part in path.split(".")):
        raise ConfigException(reason=f"'{path}' is no path of a parameter; it looks like Module.parameter")
    if len(path) > PATH_LENGTH or max(map(len, path.split("."))) > NAME_LENGTH:
        reason = f"the path of {len(path)} characters that begins with '{path[:40]}' is too long"
        raise ConfigException(reason=f"{reason} (a path has at most {PATH_LENGTH}, a name {NAME_LENGTH})")
    return path


class ConfigStore:
    """Reads and writes the tables `config_*`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock

    def revision(self) -> int:
        """Return the newest revision."""
        with self.database.reading() as reading:
            return _revision(reading)

    def load(self, version_id: int) -> list[Change]:
        """Return all parameters of a version, each as the change that made it."""
        with self.database.reading() as reading:
            rows = reading.all(_PARAMETERS, version=version_id)
        return [
            Change(revision, version_id, path, SET, value, datatype, comment, limits, ts)
            for revision, path, value, datatype, comment, limits, ts in rows
        ]

    def find(self, version_id: int, path: str) -> Change | None:
        """Return one parameter as the change that made it, or None."""
        with self.database.reading() as reading:
            row = reading.one(_PARAMETER, version=version_id, path=path)
        if row is None:
            return None
        revision, _, value, datatype, comment, limits, ts = row
        return Change(revision, version_id, path, SET, value, datatype, comment, limits, ts)

    def changes_since(self, revision: int) -> list[Change]:
        """Return what changed after a revision, in all versions, oldest first."""
        with self.database.reading() as reading:
            return [Change(*row) for row in reading.all(_NEWEST_CHANGES, revision=revision)]

    def history(self, version_id: int, path: str) -> list[Entry]:
        """Return all that ever happened to a parameter, newest first."""
        with self.database.reading() as reading:
            rows = reading.all(_HISTORY, version=version_id, path=path)
        entries = [Entry(*row[:-1]) for row in rows]
        if any(Limits.from_json(row[-1]).secret for row in rows):
            entries = [
                replace(one, old_value=one.old_value and MASK, new_value=one.new_value and MASK) for one in entries
            ]
        return entries

    def versions(self) -> list[str]:
        """Return the names of all versions."""
        with self.database.reading() as reading:
            return [name for (name,) in reading.all("SELECT name FROM config_version ORDER BY id")]

    def version_id(self, name: str) -> int:
        """Return the id of a version.

        Raises
        ------
        NoSuchVersionException
            If there is none of that name.
        """
        with self.database.reading() as reading:
            row = reading.one(_VERSION_ID, name=name)
        if row is None:
            raise NoSuchVersionException(version=name)
        return int(row[0])

    def add_version(self, name: str) -> int:
        """Add an empty version; return its id."""
        if not name or name != name.strip() or len(name) > NAME_LENGTH:
            raise ConfigException(reason=f"'{name}' is no name for a version")

        def add(transaction: Transaction) -> int:
            _revision(transaction, lock=True)
            if transaction.one(_VERSION_ID, name=name):
                raise VersionAlreadyExistsException(version=name)
            return transaction.insert("config_version", name=name, created_ts=self._clock.now())

        return self.database.write(add)

    def delete_version(self, name: str, origin: Origin) -> None:
        """Delete a version with all its parameters; each removal is a change of its own in the history."""
        if name == DEFAULT:
            raise ConfigException(reason="the version 'default' cannot be deleted")
        version_id = self.version_id(name)

        def delete(transaction: Transaction) -> None:
            _revision(transaction, lock=True)
            edits = [Edit(row[1], REMOVE) for row in transaction.all(_PARAMETERS, version=version_id)]
            self._apply(transaction, version_id, name, edits, origin)
            transaction.run("DELETE FROM config_version WHERE id = :id", id=version_id)

        self.database.write(delete)

    def copy(self, source: str, target: str, overwrite: bool, origin: Origin) -> int:
        """Copy all parameters of a version into another, which is added if need be, in one transaction.

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false; nothing is copied then (003-25).
        """
        source_id = self.version_id(source)

        def copy(transaction: Transaction) -> int:
            _revision(transaction, lock=True)
            row = transaction.one(_VERSION_ID, name=target)
            target_id = (
                int(row[0]) if row else transaction.insert("config_version", name=target, created_ts=self._clock.now())
            )
            rows = transaction.all(_PARAMETERS, version=source_id)
            taken = {row[1] for row in transaction.all(_PARAMETERS, version=target_id)}
            both = sorted(taken.intersection(row[1] for row in rows))
            if both and not overwrite:
                reason = (
                    f"version '{target}' already has {len(both)} of the parameters of '{source}', '{both[0]}' first"
                )
                raise ConfigException(reason=f"{reason}; say overwrite to replace them")
            edits = [
                Edit(path, SET, decode(value, datatype), datatype, comment or "", Limits.from_json(limits), check=False)
                for _, path, value, datatype, comment, limits, _ in rows
            ]
            return len(self._apply(transaction, target_id, target, edits, origin))

        return self.database.write(copy)

    def apply(self, version_id: int, version: str, edits: Sequence[Edit], origin: Origin) -> list[int]:
        """Make several changes, all or none; return their revisions (none for what was so already).

        Raises
        ------
        ValueRefused, NoSuchParameterException, ConfigException
            If one of them cannot be made.
        """
        return self.database.write(lambda transaction: self._apply(transaction, version_id, version, edits, origin))

    def _apply(
        self, transaction: Transaction, version_id: int, version: str, edits: Iterable[Edit], origin: Origin
    ) -> list[int]:
        first = revision = _revision(transaction, lock=True)
        if transaction.one("SELECT id FROM config_version WHERE id = :id", id=version_id) is None:
            raise NoSuchVersionException(version=version)  # it was deleted, by whomever
        now = self._clock.now()
        for edit in edits:
            old = transaction.one(_PARAMETER, version=version_id, path=check_path(edit.path))
            _compare_revision(edit, int(old[0]) if old else 0)
            if edit.action == REMOVE:
                new = None
                if old is None:
                    raise NoSuchParameterException(path=edit.path, version=version, hint="")
                transaction.run(
                    "DELETE FROM config_parameter WHERE version_id = :version AND path = :path",
                    version=version_id,
                    path=edit.path,
                )
            else:
                new = _granted(edit, version, old)
                if new is None:
                    continue
                _put(transaction, version_id, edit.path, new, now, revision + 1)
            revision += 1
            value, datatype, comment, limits = new or (None, None, None, None)
            transaction.insert(
                "config_change",
                revision=revision,
                version_id=version_id,
                version=version,
                path=edit.path,
                action=edit.action,
                old_value=old[2] if old else None,
                new_value=value,
                old_datatype=old[3] if old else None,
                datatype=datatype if new else (old[3] if old else None),
                comment=comment,
                limits=limits,
                who=origin.who[:NAME_LENGTH],
                host=origin.host[:NAME_LENGTH],
                tool=origin.tool[:NAME_LENGTH],
                why=origin.why,
                ts=now,
            )
        if revision != first:
            transaction.run("UPDATE config_revision SET revision = :revision WHERE id = 1", revision=revision)
        return list(range(first + 1, revision + 1))


Stored = tuple[str | None, str, str | None, str | None]
"""Value, datatype, comment and limits, as stored."""


def _revision(transaction: Transaction, *, lock: bool = False) -> int:
    row = transaction.one(f"{_REVISION} {transaction.dialect.for_update}" if lock else _REVISION)
    if row is None:
        raise ConfigException(reason="the row of config_revision is missing; run python -m NexusCore.storage.migrate")
    return int(row[0])


def _compare_revision(edit: Edit, found: int) -> None:
    if edit.if_revision is not None and edit.if_revision != found:
        reason = f"it was changed meanwhile: its revision is {found}, not {edit.if_revision}"
        raise ValueRefused(path=edit.path, value=repr(edit.value), reason=reason)


def _granted(edit: Edit, version: str, old: tuple[object, ...] | None) -> Stored | None:
    """Return what to store for an edit, or None where nothing is to change."""
    if old is not None and edit.only_new:
        return None
    if old is None and edit.keep_value:
        raise NoSuchParameterException(path=edit.path, version=version, hint="")
    _, _, old_value, old_datatype, old_comment, old_limits, _ = old or (None,) * 7
    if edit.keep_value:
        value, datatype = old_value, str(old_datatype)
    else:
        datatype = edit.datatype or (str(old_datatype) if old and edit.check else datatype_of(edit.path, edit.value))
        value = None if datatype == FOLDER and edit.value is None else encode(cast(edit.path, edit.value, datatype))
    limits = edit.limits.to_json() if edit.limits is not None else old_limits
    if edit.check and not edit.keep_value:
        Limits.from_json(limits).check(edit.path, decode(value, datatype))  # type: ignore[arg-type]
    comment = edit.comment if edit.comment is not None else old_comment
    new = (value, datatype, comment, limits)
    return None if old and new == (old_value, old_datatype, old_comment, old_limits) else new  # type: ignore[return-value]


def _put(transaction: Transaction, version_id: int, path: str, new: Stored, now: int, revision: int) -> None:
    columns = ("version_id", "path", "name", "value", "datatype", "comment", "limits", "last_modified", "revision")
    row = (version_id, path, path.rpartition(".")[2], *new, now, revision)
    transaction.upsert("config_parameter", columns, ("version_id", "path"), [row])


def near_miss(path: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the known path most like `path`, or an empty text."""
    import difflib  # only who mistyped pays for it

    close = difflib.get_close_matches(path, list(known), n=1, cutoff=0.7)
    return f" Did you mean '{close[0]}'?" if close else ""
