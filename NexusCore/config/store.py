"""The configuration in the database: every change is one revision, numbered without gaps in the order of commits.

Every writer first locks the one row of `config_revision`, so that two never interleave, and a reader that knows
revision *n* gets everything after it with one query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from NexusCore import sizes
from NexusCore.clock import Clock
from NexusCore.config import secrets
from NexusCore.config.changes import (
    CHANGE_CONTENTS,
    CLEAR,
    DEFAULT,
    NAME_LENGTH,
    PATH_LENGTH,
    REMOVE,
    SET,
    Change,
    Edit,
    HistoryEntry,
    Origin,
    check_path,
    check_text,
    checked,
    entry_of,
    is_secret,
)
from NexusCore.config.once import changes_are_there, lock_revision, newest_revision, version_is_there, write_once
from NexusCore.config.values import FOLDER, MASK, Limits, cast, datatype_of, decode, discreet, encode
from NexusCore.config.working_set import Stored, WorkingSet
from NexusCore.errors import (
    ConfigException,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)
from NexusCore.storage import Database, Transaction
from NexusCore.storage.transaction import portions
from NexusCore.text import odd_character, one_line, readable, suggest

__all__ = [
    "CLEAR",
    "DEFAULT",
    "NAME_LENGTH",
    "PATH_LENGTH",
    "REMOVE",
    "SET",
    "Change",
    "ConfigStore",
    "Edit",
    "HistoryEntry",
    "Origin",
    "changes_since",
    "check_path",
    "check_version",
    "lock_revision",
    "near_miss",
    "parameters",
]


_VERSION_ID = "SELECT id FROM config_version WHERE name = :name"

_PARAMETERS_OF_VERSION = """
    -- every parameter of a version, in the form of the change that set it
    SELECT revision, version_id, path, 'set', value, datatype, comment, limits, last_modified
      FROM config_parameter
     WHERE version_id = :version
"""

_CONTENTS = """
    -- the content of each parameter that is not masked
    SELECT path, value, datatype, comment, limits, revision, last_modified
      FROM config_parameter
     WHERE version_id = :version AND (value <> :mask OR value IS NULL)
"""

_BELOW = f"""
    -- a parameter and all below it; paths below "a.b" begin with "a.b." and so sort before "a.b/"; the version is in
    -- each part of the OR, because SQLite uses an index only then
    {_PARAMETERS_OF_VERSION} AND path = :path
        OR (version_id = :version AND path > :from AND path < :to)
"""

_IN_USE = """
    -- the version, if it is the default one
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

ENTRIES = """
    -- changes with their origin; the limits after and before, since either may say secret
    SELECT c.revision, c.version, c.path, c.action, c.old_value, c.new_value, c.datatype, c.comment, c.who, c.host,
           c.tool, c.why, c.ts, c.limits,
           (SELECT b.limits FROM config_change b
             WHERE b.version_id = c.version_id AND b.path = c.path AND b.revision < c.revision
             ORDER BY b.revision DESC LIMIT 1)
      FROM config_change c
"""

_HISTORY = f"""
    -- all changes of a parameter, newest first
    {ENTRIES}
     WHERE c.version_id = :version AND c.path = :path
     ORDER BY c.revision DESC
"""

_NEWEST_ENTRIES = f"""
    -- what happened after a revision, oldest first
    {ENTRIES}
     WHERE c.revision > :revision
     ORDER BY c.revision
"""

_CHANGE_COLUMNS = (
    "revision", "version_id", "version", "path", "action", "old_value", "new_value", "old_datatype", "datatype",
    "comment", "limits", "who", "host", "tool", "why", "ts",
)  # fmt: skip


class ConfigStore:
    """Reads and writes the tables `config_*`; secrets include their values if the account may read them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock

    def revision(self, *, current: bool = False) -> int:
        """Return the newest revision; with `current`, of all hosts of a cluster."""
        return self.database.read(newest_revision, current=current)

    def revision_at(self, ts: int) -> int:
        """Return the newest revision before a time, in microseconds since the epoch; 0 if there is none."""
        with self.database.reading() as reading:
            row = reading.one("SELECT MAX(revision) FROM config_change WHERE ts < :ts", ts=ts)
        return int(row[0] or 0) if row else 0

    def load(self, version_id: int) -> list[Change]:
        """Return all parameters of a version, each as the change that set it."""
        with self.database.reading() as reading:
            return parameters(reading, version_id)

    def load_into(self, version_id: int, take: Callable[[Iterable[Sequence[Any]]], None]) -> list[Change]:
        """Pass all parameters of a version except secrets to `take` while they are read; return the secrets.

        So they are never in memory twice. `take` gets rows of path, value, datatype, comment, limits, revision and
        time; it may be called again, from the first row.
        """
        with self.database.reading() as reading:
            reading.through(
                _CONTENTS, lambda rows: take(CHANGE_CONTENTS.all_typed(rows)), version=version_id, mask=MASK
            )
            return secrets.revealed(
                reading, reading.all(f"{_PARAMETERS_OF_VERSION} AND value = :mask", version=version_id, mask=MASK)
            )

    def find(self, version_id: int, path: str) -> Change | None:
        """Return one parameter as the change that set it, or None."""
        with self.database.reading() as reading:
            rows = reading.all(f"{_PARAMETERS_OF_VERSION} AND path = :path", version=version_id, path=path)
            return next(iter(secrets.revealed(reading, rows)), None)

    def below(self, version_id: int, path: str) -> list[Change]:
        """Return a parameter, or everything below a folder, each as the change that set it."""
        values = {"version": version_id, "path": path, "from": f"{path}.", "to": f"{path}/"}
        with self.database.reading() as reading:
            return secrets.revealed(reading, reading.all(_BELOW, **values))

    def changes_since(self, revision: int, *, current: bool = False) -> list[Change]:
        """Return what changed after a revision, in all versions, oldest first; see `revision` for `current`."""
        return self.database.read(lambda reading: changes_since(reading, revision), current=current)

    def history(self, version_id: int, path: str) -> list[HistoryEntry]:
        """Return all changes of a parameter, newest first; masked if it ever was a secret."""
        with self.database.reading() as reading:
            rows = reading.all(_HISTORY, version=version_id, path=path)
        secret = any(map(is_secret, rows))
        return [entry_of(row, secret=secret) for row in rows]

    def entries_since(self, revision: int) -> list[HistoryEntry]:
        """Return the history after a revision, in all versions, oldest first."""
        with self.database.reading() as reading:
            return [entry_of(row, secret=is_secret(row)) for row in reading.all(_NEWEST_ENTRIES, revision=revision)]

    def versions(self) -> list[str]:
        """Return the names of all versions."""
        with self.database.reading() as reading:
            return [readable(name) for (name,) in reading.all("SELECT name FROM config_version ORDER BY id")]

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

        def add(transaction: Transaction, now: int) -> int:
            lock_revision(transaction)
            if transaction.one(_VERSION_ID, name=name):
                raise VersionAlreadyExistsException(version=name)
            return self._add_version(transaction, name, now)

        return write_once(self.database, self._clock, add, version_is_there(name))

    def delete_version(self, name: str, origin: Origin) -> list[int]:
        """Delete a version with all its parameters; each removal is a change, whose revision is returned.

        Raises
        ------
        ConfigException
            If it is "default", or the one that `default_version` names.
        """
        if name == DEFAULT:
            raise ConfigException(reason="the version 'default' cannot be deleted")
        version_id = self.version_id(name)

        def delete(transaction: Transaction, now: int) -> list[Change]:
            lock_revision(transaction)
            if transaction.one(_IN_USE, name=name):
                raise ConfigException(reason=f"the version '{name}' is in use: default_version names it")
            edits = [Edit(change.path, REMOVE) for change in parameters(transaction, version_id)]
            changes = self._apply(transaction, version_id, name, edits, origin, now)
            transaction.run("DELETE FROM config_version WHERE id = :id", id=version_id)
            return changes

        return _revisions(write_once(self.database, self._clock, delete, changes_are_there(origin)))

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
        """Copy parameters into a version, added if needed, in one transaction; return the revisions.

        Parameters
        ----------
        target
            Name of the version.
        read
            Returns the parameters.
        source
            Their name in the message.
        overwrite
            Replace existing parameters.
        origin
            For the history.

        Raises
        ------
        ConfigException
            If `target` has one of the parameters and `overwrite` is false; nothing is copied then.
        """

        def fill(transaction: Transaction, now: int) -> list[Change]:
            lock_revision(transaction)
            row = transaction.one(_VERSION_ID, name=target)
            target_id = int(row[0]) if row else self._add_version(transaction, target, now)
            changes = read(transaction)
            there = {change.path for change in parameters(transaction, target_id)}
            both = sorted({change.path for change in changes} & there)
            if both and not overwrite:
                reason = (
                    f"version '{target}' already has {len(both)} of the parameters of '{source}', '{both[0]}' first"
                )
                raise ConfigException(reason=f"{reason}; say overwrite to replace them")
            return self._apply(transaction, target_id, target, [change.again() for change in changes], origin, now)

        return _revisions(write_once(self.database, self._clock, fill, changes_are_there(origin)))

    def apply(self, version_id: int, version: str, edits: Sequence[Edit], origin: Origin) -> list[int]:
        """Make several changes, all or none; return their revisions. See `changed` for the errors."""
        return _revisions(self.changed(version_id, version, edits, origin))

    def changed(self, version_id: int, version: str, edits: Sequence[Edit], origin: Origin) -> list[Change]:
        """Make several changes, all or none; return those that changed something.

        A negative `version_id` is that of a version that may not exist yet: it is added.

        Raises
        ------
        ValueRefused, NoSuchParameterException, ConfigException
            If one of them cannot be made.
        """

        def change(transaction: Transaction, now: int) -> list[Change]:
            if version_id >= 0:
                return self._apply(transaction, version_id, version, edits, origin, now)
            lock_revision(transaction)
            row = transaction.one(_VERSION_ID, name=version)
            own_id = int(row[0]) if row else self._add_version(transaction, version, now)
            return self._apply(transaction, own_id, version, edits, origin, now)

        return write_once(self.database, self._clock, change, changes_are_there(origin))

    def _add_version(self, transaction: Transaction, name: str, now: int) -> int:
        check_version(name)
        return transaction.insert("config_version", name=name, created_ts=now)

    def _apply(
        self, transaction: Transaction, version_id: int, version: str, edits: Iterable[Edit], origin: Origin, now: int
    ) -> list[Change]:
        revision = lock_revision(transaction)
        if transaction.one("SELECT id FROM config_version WHERE id = :id", id=version_id) is None:
            raise NoSuchVersionException(version=version)  # it was deleted meanwhile
        origin_columns = (origin.who[:NAME_LENGTH], origin.host[:NAME_LENGTH], origin.tool[:NAME_LENGTH], origin.why)
        wanted = list(edits)
        if not wanted:
            return []
        if origin.why is not None:
            check_text("the reason for the change", origin.why)
        sizes.check_size("The reason for the change", origin.why, sizes.CONFIG_WHY)
        paths = (checked(edit) for edit in wanted)
        working_set = WorkingSet(transaction, version_id, paths)
        rows: list[tuple[Any, ...]] = []
        changes: list[Change] = []
        hiding = secrets.Hiding(transaction, version_id)
        for edit in _one_by_one(wanted, working_set):
            before, old = working_set.at(edit.path) or (0, None)
            _compare_revision(edit, before, old)
            if old is None and edit.only_there and not working_set.is_folder(edit.path):
                raise NoSuchParameterException(path=edit.path, version=version, hint="")
            if edit.action == REMOVE:
                new = None
                if old is None:
                    raise NoSuchParameterException(path=edit.path, version=version, hint="")
                working_set.remove(edit.path)
            else:
                with discreet(edit.limits or Limits.readable(old[3] if old else None)):
                    new = _granted(edit, version, old)
                    if new is not None:
                        working_set.check(edit.path, edit.value, new[1])
                if new is None:
                    continue
                working_set.put(edit.path, revision + 1, new)
            revision += 1
            old_value, old_datatype, _, old_limits = old or (None,) * 4
            value, datatype, comment, limits = new or (None, old_datatype, None, None)
            shown = hiding.shown(revision, edit.path, (old_value, old_limits), (value, limits))
            rows.append(
                (
                    revision, version_id, version, edit.path, edit.action, *shown, old_datatype, datatype, comment,
                    limits, *origin_columns, now,
                )
            )  # fmt: skip
            changes.append(
                Change(revision, version_id, edit.path, edit.action, value, str(datatype), comment, limits, now)
            )
        if changes:
            working_set.write(now)
            for some in portions(rows):
                transaction.insert_many("config_change", _CHANGE_COLUMNS, some)
            hiding.write(revision)
            transaction.run("UPDATE config_revision SET revision = :revision WHERE id = 1", revision=revision)
        return changes


def check_version(name: object) -> None:
    """Raise `ConfigException` if no version can have that name."""
    check_text("the name of a version", name)
    text = str(name)
    if not text or text != text.strip() or len(text) > NAME_LENGTH:
        shown = one_line(text) if len(text) <= NAME_LENGTH else f"{one_line(text[:40])}… ({len(text)} characters)"
        reason = f"a version cannot be named '{shown}'; a name has 1 to {NAME_LENGTH} characters, no spaces around"
        raise ConfigException(reason=reason)
    odd = odd_character(text)
    if odd is not None:
        raise ConfigException(reason=f"the version name '{one_line(text)}' contains {odd}, which no name may contain")


def _revisions(changes: list[Change]) -> list[int]:
    return [change.revision for change in changes]


def parameters(transaction: Transaction, version_id: int) -> list[Change]:
    """Return all parameters of a version, each as the change that set it."""
    return secrets.revealed(transaction, transaction.all(_PARAMETERS_OF_VERSION, version=version_id))


def changes_since(transaction: Transaction, revision: int) -> list[Change]:
    """Return what changed after a revision, in all versions, oldest first."""
    return secrets.revealed(transaction, transaction.all(_NEWEST_CHANGES, revision=revision))


def _one_by_one(edits: Iterable[Edit], working_set: WorkingSet) -> Iterator[Edit]:
    """Yield the edits of single parameters that `edits` amount to in the current state."""
    for edit in edits:
        there = working_set.at(edit.path) is not None
        if edit.action == CLEAR:
            yield from [Edit(path, REMOVE) for path in working_set.below(edit.path)]
        elif edit.keep_value and not there and working_set.is_folder(edit.path):
            if edit.comment:  # needs an entry of the folder's own
                yield replace(edit, keep_value=False, datatype=FOLDER)
        elif there or not edit.if_there:
            yield edit


def _compare_revision(edit: Edit, revision: int, old: Stored | None) -> None:
    if edit.if_revision is None or edit.if_revision == revision:
        return
    reason = f"it was changed meanwhile: its revision is {revision}, not {edit.if_revision}"
    if edit.action == REMOVE:
        raise ConfigException(reason=f"'{edit.path}' cannot be removed, {reason}")
    secret = old is not None and Limits.readable(old[3]).secret
    raise ValueRefused(path=edit.path, value=MASK if secret else repr(edit.value), reason=reason)


def _granted(edit: Edit, version: str, old: Stored | None) -> Stored | None:
    """Return what to store for an edit, or None if nothing changes."""
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
    limits = _limits(edit, old_limits)
    if edit.check and not edit.keep_value:
        Limits.from_json(limits).check(edit.path, decode(value, datatype))
    comment = old_comment if edit.comment is None else edit.comment or None
    new = (value, datatype, comment, limits)
    if new == old:
        return None
    _check_sizes(edit.path, new, old)
    return new


def _check_sizes(path: str, new: Stored, old: Stored | None) -> None:
    """Refuse a value or comment that is too long; an unchanged one is not checked."""
    value, comment = new[0], new[2]
    if value is not None and (old is None or value != old[0]) and not sizes.fits(value, sizes.CONFIG_VALUE):
        reason = f"it has {sizes.size(value):,} bytes, and a value has at most {sizes.CONFIG_VALUE:,}"
        raise ValueRefused(path=path, value=repr(value), reason=reason)
    if old is None or comment != old[2]:
        sizes.check_size(f"The comment of '{one_line(path)}'", comment, sizes.CONFIG_COMMENT)


def _limits(edit: Edit, old: str | None) -> str | None:
    """Return the limits to store; a secret stays one unless the edit reveals it."""
    if edit.limits is None:
        return old
    stays = not edit.reveal and secrets.is_secret(old)
    return (replace(edit.limits, secret=True) if stays else edit.limits).to_json()


def near_miss(path: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known path closest to `path`, or an empty text."""
    return suggest(path, known, 0.7)
