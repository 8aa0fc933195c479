"""The configuration in the database: every change is one revision, numbered without gaps in the order of commits.

All writers take the lock on the one row of `config_revision` first, so that two can never interleave, and a reader that
knows revision *n* gets everything after it with one query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from NexusCore.clock import Clock
from NexusCore.config.ground import Ground, Stored
from NexusCore.config.parameter import FOLDER, MASK, Limits, Value, cast, datatype_of, decode, discreet, encode
from NexusCore.errors import (
    ConfigException,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)
from NexusCore.storage import Database, Transaction

SET, REMOVE, CLEAR = "set", "remove", "clear"
"""What an edit does: set a parameter, remove it, or remove all that is below a path."""
DEFAULT = "default"
PATH_LENGTH = 512
NAME_LENGTH = 128

_REVISION = "SELECT revision FROM config_revision WHERE id = 1"

_VERSION_ID = "SELECT id FROM config_version WHERE name = :name"

_PARAMETERS = """
    -- every parameter of a version, shaped like the change that made it
    SELECT revision, version_id, path, 'set', value, datatype, comment, limits, last_modified
      FROM config_parameter
     WHERE version_id = :version
"""

_IN_USE = """
    -- the version, if it is the one that is used where none is named
    SELECT v.id
      FROM config_version v
      JOIN config_parameter p ON p.version_id = v.id
     WHERE v.name = 'default' AND p.path = 'default_version' AND p.value = :name
"""

_NEWEST_CHANGES = """
    -- what changed after a revision, oldest first; revisions are gapless in commit order
    SELECT revision, version_id, path, action, new_value, datatype, comment, limits, ts
      FROM config_change
     WHERE revision > :revision
     ORDER BY revision
"""

_ENTRIES = """
    -- changes with who made them; the limits are those before and after, of which either may say secret
    SELECT c.revision, c.version, c.path, c.action, c.old_value, c.new_value, c.datatype, c.comment, c.who, c.host,
           c.tool, c.why, c.ts, c.limits,
           (SELECT b.limits FROM config_change b
             WHERE b.version_id = c.version_id AND b.path = c.path AND b.revision < c.revision
             ORDER BY b.revision DESC LIMIT 1)
      FROM config_change c
"""

_HISTORY = f"""
    -- all that ever happened to a parameter, newest first
    {_ENTRIES}
     WHERE c.version_id = :version AND c.path = :path
     ORDER BY c.revision DESC
"""

_NEWEST_ENTRIES = f"""
    -- what happened after a revision, oldest first
    {_ENTRIES}
     WHERE c.revision > :revision
     ORDER BY c.revision
"""

_CHANGE_COLUMNS = (
    "revision", "version_id", "version", "path", "action", "old_value", "new_value", "old_datatype", "datatype",
    "comment", "limits", "who", "host", "tool", "why", "ts",
)  # fmt: skip


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

    def again(self) -> Edit:
        """Return the wish to have the parameter just so, wherever it is."""
        value = decode(self.value, self.datatype)
        limits = Limits.from_json(self.limits)
        return Edit(self.path, SET, value, self.datatype, self.comment or "", limits, check=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """A wish to change one parameter; whether and how it is granted is decided inside the transaction."""

    path: str
    action: str = SET
    value: Value = None
    datatype: str | None = None
    """None keeps the type there is, or takes the value's own."""
    comment: str | None = None
    """None keeps the comment there is; an empty text removes it."""
    limits: Limits | None = None
    keep_value: bool = False
    """Change comment and limits only; the parameter must exist."""
    only_new: bool = False
    """Leave a parameter that exists as it is."""
    check: bool = True
    if_revision: int | None = None
    """Only if the parameter was last changed at this revision (0: does not exist)."""
    if_there: bool = False
    """Leave it at that if there is no such parameter; without, that is an error."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes something, where, with what and why."""

    who: str
    host: str
    tool: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the configuration's history; a secret's values are masked."""

    revision: int
    version: str
    path: str
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
    if not isinstance(path, str) or not path or any(not part or part != part.strip() for part in path.split(".")):
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
            return _revision(reading, "")

    def load(self, version_id: int) -> list[Change]:
        """Return all parameters of a version, each as the change that made it."""
        with self.database.reading() as reading:
            return parameters(reading, version_id)

    def find(self, version_id: int, path: str) -> Change | None:
        """Return one parameter as the change that made it, or None."""
        with self.database.reading() as reading:
            row = reading.one(f"{_PARAMETERS} AND path = :path", version=version_id, path=path)
        return None if row is None else Change(*row)

    def changes_since(self, revision: int) -> list[Change]:
        """Return what changed after a revision, in all versions, oldest first."""
        with self.database.reading() as reading:
            return changes_since(reading, revision)

    def history(self, version_id: int, path: str) -> list[Entry]:
        """Return all that ever happened to a parameter, newest first; masked if it ever was a secret."""
        with self.database.reading() as reading:
            rows = reading.all(_HISTORY, version=version_id, path=path)
        secret = any(map(_is_secret, rows))
        return [_entry(row, secret) for row in rows]

    def entries_since(self, revision: int) -> list[Entry]:
        """Return what happened after a revision, in all versions, oldest first."""
        with self.database.reading() as reading:
            return [_entry(row, _is_secret(row)) for row in reading.all(_NEWEST_ENTRIES, revision=revision)]

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

        def add(transaction: Transaction) -> int:
            lock_revision(transaction)
            if transaction.one(_VERSION_ID, name=name):
                raise VersionAlreadyExistsException(version=name)
            return self._add_version(transaction, name)

        return self.database.write(add)

    def delete_version(self, name: str, origin: Origin) -> list[int]:
        """Delete a version with all its parameters; each removal is a change, whose revision is returned.

        Raises
        ------
        ConfigException
            If it is "default", or the one that is used where none is named.
        """
        if name == DEFAULT:
            raise ConfigException(reason="the version 'default' cannot be deleted")
        version_id = self.version_id(name)

        def delete(transaction: Transaction) -> list[int]:
            lock_revision(transaction)
            if transaction.one(_IN_USE, name=name):
                raise ConfigException(reason=f"the version '{name}' is in use: default_version names it")
            edits = [Edit(one.path, REMOVE) for one in parameters(transaction, version_id)]
            revisions = self._apply(transaction, version_id, name, edits, origin)
            transaction.run("DELETE FROM config_version WHERE id = :id", id=version_id)
            return revisions

        return self.database.write(delete)

    def copy(self, source: str, target: str, overwrite: bool, origin: Origin) -> list[int]:
        """Copy all parameters of a version into another; see `fill`."""
        source_id = self.version_id(source)
        return self.fill(target, lambda transaction: parameters(transaction, source_id), source, overwrite, origin)

    def fill(
        self,
        target: str,
        read: Callable[[Transaction], Sequence[Change]],
        source: str,
        overwrite: bool,
        origin: Origin,
    ) -> list[int]:
        """Take parameters over into a version, which is added if need be, in one transaction; return the revisions.

        Parameters
        ----------
        target
            Name of the version.
        read
            Returns the parameters.
        source
            What they are called in the sentence.
        overwrite
            Replace what is there.
        origin
            For the history.

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false; nothing is copied then (003-25).
        """

        def fill(transaction: Transaction) -> list[int]:
            lock_revision(transaction)
            row = transaction.one(_VERSION_ID, name=target)
            target_id = int(row[0]) if row else self._add_version(transaction, target)
            found = read(transaction)
            both = sorted({one.path for one in found} & {one.path for one in parameters(transaction, target_id)})
            if both and not overwrite:
                reason = (
                    f"version '{target}' already has {len(both)} of the parameters of '{source}', '{both[0]}' first"
                )
                raise ConfigException(reason=f"{reason}; say overwrite to replace them")
            return self._apply(transaction, target_id, target, [one.again() for one in found], origin)

        return self.database.write(fill)

    def apply(self, version_id: int, version: str, edits: Sequence[Edit], origin: Origin) -> list[int]:
        """Make several changes, all or none; return their revisions (none for what was so already).

        Raises
        ------
        ValueRefused, NoSuchParameterException, ConfigException
            If one of them cannot be made.
        """
        return self.database.write(lambda transaction: self._apply(transaction, version_id, version, edits, origin))

    def _add_version(self, transaction: Transaction, name: str) -> int:
        if not name or name != name.strip() or len(name) > NAME_LENGTH:
            raise ConfigException(reason=f"'{name}' is no name for a version")
        return transaction.insert("config_version", name=name, created_ts=self._clock.now())

    def _apply(
        self, transaction: Transaction, version_id: int, version: str, edits: Iterable[Edit], origin: Origin
    ) -> list[int]:
        first = revision = lock_revision(transaction)
        if transaction.one("SELECT id FROM config_version WHERE id = :id", id=version_id) is None:
            raise NoSuchVersionException(version=version)  # it was deleted, by whomever
        now = self._clock.now()
        whence = (origin.who[:NAME_LENGTH], origin.host[:NAME_LENGTH], origin.tool[:NAME_LENGTH], origin.why)
        wanted = list(edits)
        if not wanted:
            return []
        paths = (edit.path if edit.action == CLEAR else check_path(edit.path) for edit in wanted)
        ground = Ground(transaction, version_id, paths)
        changes = []
        for edit in _one_by_one(wanted, ground):
            before, old = ground.at(edit.path) or (0, None)
            _compare_revision(edit, before, old)
            if edit.action == REMOVE:
                new = None
                if old is None:
                    raise NoSuchParameterException(path=edit.path, version=version, hint="")
                ground.remove(edit.path)
            else:
                with discreet(edit.limits or Limits.from_json(old[3] if old else None)):
                    new = _granted(edit, version, old)
                    if new is not None:
                        ground.check(edit.path, edit.value, new[1])
                if new is None:
                    continue
                ground.put(edit.path, revision + 1, new)
            revision += 1
            old_value, old_datatype, _, _ = old or (None,) * 4
            value, datatype, comment, limits = new or (None, old_datatype, None, None)
            changes.append(
                (
                    revision, version_id, version, edit.path, edit.action, old_value, value, old_datatype, datatype,
                    comment, limits, *whence, now,
                )
            )  # fmt: skip
        if changes:
            ground.write(now)
            transaction.insert_many("config_change", _CHANGE_COLUMNS, changes)
            transaction.run("UPDATE config_revision SET revision = :revision WHERE id = 1", revision=revision)
        return list(range(first + 1, revision + 1))


def lock_revision(transaction: Transaction) -> int:
    """Return the newest revision, and see to it that nobody else changes anything until the transaction ends."""
    return _revision(transaction, transaction.dialect.for_update)


def parameters(transaction: Transaction, version_id: int) -> list[Change]:
    """Return all parameters of a version, each as the change that made it."""
    return [Change(*row) for row in transaction.all(_PARAMETERS, version=version_id)]


def changes_since(transaction: Transaction, revision: int) -> list[Change]:
    """Return what changed after a revision, in all versions, oldest first."""
    return [Change(*row) for row in transaction.all(_NEWEST_CHANGES, revision=revision)]


def _revision(transaction: Transaction, lock: str) -> int:
    row = transaction.one(f"{_REVISION} {lock}")
    if row is None:
        raise ConfigException(reason="the row of config_revision is missing; run python -m NexusCore.storage.migrate")
    return int(row[0])


def _one_by_one(edits: Iterable[Edit], ground: Ground) -> Iterator[Edit]:
    """Yield the changes of single parameters that edits come to, where things are as they are now."""
    for edit in edits:
        there = ground.at(edit.path) is not None
        if edit.action == CLEAR:
            yield from [Edit(path, REMOVE) for path in ground.below(edit.path)]
        elif edit.keep_value and not there and ground.is_folder(edit.path):
            if edit.comment:  # which needs a place to stand, where so far only its contents made the folder
                yield replace(edit, keep_value=False, datatype=FOLDER)
        elif there or not edit.if_there:
            yield edit


def _compare_revision(edit: Edit, found: int, old: Stored | None) -> None:
    if edit.if_revision is None or edit.if_revision == found:
        return
    reason = f"it was changed meanwhile: its revision is {found}, not {edit.if_revision}"
    if edit.action == REMOVE:
        raise ConfigException(reason=f"'{edit.path}' cannot be removed, {reason}")
    secret = old is not None and Limits.from_json(old[3]).secret
    raise ValueRefused(path=edit.path, value=MASK if secret else repr(edit.value), reason=reason)


def _granted(edit: Edit, version: str, old: Stored | None) -> Stored | None:
    """Return what to store for an edit, or None where nothing is to change."""
    if old is not None and edit.only_new:
        return None
    if old is None and edit.keep_value:
        raise NoSuchParameterException(path=edit.path, version=version, hint="")
    old_value, old_datatype, old_comment, old_limits = old or (None, None, None, None)
    if edit.keep_value:
        value, datatype = old_value, str(old_datatype)
    else:
        datatype = edit.datatype or (str(old_datatype) if old and edit.check else datatype_of(edit.path, edit.value))
        value = None if datatype == FOLDER and edit.value is None else encode(cast(edit.path, edit.value, datatype))
    limits = edit.limits.to_json() if edit.limits is not None else old_limits
    if edit.check and not edit.keep_value:
        Limits.from_json(limits).check(edit.path, decode(value, datatype))
    comment = old_comment if edit.comment is None else edit.comment or None
    new = (value, datatype, comment, limits)
    return None if new == old else new


def _is_secret(row: Sequence[Any]) -> bool:
    try:
        return any(Limits.from_json(limits).secret for limits in row[-2:])
    except (ValueError, TypeError, ConfigException):
        return True  # written into the tables by hand, and nobody knows what it was to hide


def _entry(row: Sequence[Any], secret: bool) -> Entry:
    entry = Entry(*row[:-2])
    if not secret:
        return entry
    return replace(entry, old_value=entry.old_value and MASK, new_value=entry.new_value and MASK)


def near_miss(path: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the known path most like `path`, or an empty text."""
    import difflib  # only who mistyped pays for it

    close = difflib.get_close_matches(path, list(known), n=1, cutoff=0.7)
    return f" Did you mean '{close[0]}'?" if close else ""
