"""Earlier states of the configuration, the differences between two states, and the way back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from NexusCore.config import secrets
from NexusCore.config.changes import entry_of, is_secret
from NexusCore.config.store import ENTRIES, REMOVE, Change, ConfigStore, Edit, HistoryEntry
from NexusCore.config.values import MASK, Limits, Value, readable_value
from NexusCore.errors import ConfigException, NoSuchVersionException
from NexusCore.text import readable

_AT_REVISION = """
    -- the last change of each parameter up to a revision; those whose last change was a removal are left out
    SELECT c.revision, c.version_id, c.path, c.action, c.new_value, c.datatype, c.comment, c.limits, c.ts
      FROM config_change c
      JOIN (SELECT path, MAX(revision) AS newest
              FROM config_change
             WHERE version_id = :version AND revision <= :revision
             GROUP BY path) last
        ON last.newest = c.revision
     WHERE c.action = 'set'
     ORDER BY c.path
"""

_NAMED_THEN = """
    -- the version that last had a name, up to a revision
    SELECT version_id FROM config_change WHERE version = :name AND revision <= :revision ORDER BY revision DESC LIMIT 1
"""

_EVER_HIDDEN = """
    -- paths that were secret at any time
    SELECT DISTINCT path FROM config_change WHERE version_id = :version AND limits LIKE :hidden
"""

_OLD_DATATYPES = """
    -- the type of a parameter before each of its changes
    SELECT revision, old_datatype
      FROM config_change
     WHERE version_id = :version AND path = :path AND revision BETWEEN :first AND :last
"""

_SELECTED = f"""
    -- changes of a parameter and of all below it, newest first; see `ChangeSelection`
    {ENTRIES}
     WHERE c.version_id = :version AND c.path >= :path AND c.path < :to AND (c.path = :path OR c.path > :from)
       AND c.ts >= :since AND c.ts <= :until AND (:who = '' OR c.who = :who) AND (:tool = '' OR c.tool = :tool)
     ORDER BY c.revision DESC
     LIMIT :count
"""
_LAST_PATH = "\U0010ffff"
_ALWAYS = 2**62
"""Microseconds since the epoch that no stored time reaches."""

ConfigState = dict[str, Change]


@dataclass(frozen=True, slots=True)
class ChangeSelection:
    """Which changes are wanted; what is empty or None does not matter."""

    path: str = ""
    """A parameter, or a folder with all below it."""
    since: int | None = None
    """Microseconds since the epoch, UTC."""
    until: int | None = None
    who: str | None = None
    tool: str | None = None


def entries_of(store: ConfigStore, version_id: int, wanted: ChangeSelection, count: int) -> list[HistoryEntry]:
    """Return the newest changes that match, newest first, at most `count`; masked where they ever were secrets."""
    # Paths below "a.b" begin with "a.b." and so sort before "a.b/".
    span = (f"{wanted.path}.", f"{wanted.path}/") if wanted.path else ("", _LAST_PATH)
    values = {
        "version": version_id, "path": wanted.path, "from": span[0], "to": span[1], "count": count,
        "since": -_ALWAYS if wanted.since is None else wanted.since,
        "until": _ALWAYS if wanted.until is None else wanted.until, "who": wanted.who or "", "tool": wanted.tool or "",
    }  # fmt: skip
    with store.database.reading() as reading:
        rows = reading.all(_SELECTED, **values)
    hidden = ever_secret(store, [version_id])
    return [entry_of(row, secret=is_secret(row) or str(row[2]) in hidden) for row in rows]


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter that differs between two states; values of secrets are masked."""

    path: str
    old: Value
    """None also where it did not exist."""
    new: Value
    old_datatype: str | None
    """None where it did not exist."""
    new_datatype: str | None
    secret: bool = False


def known_revision(store: ConfigStore, revision: object, first: int) -> int:
    """Return `revision` if it lies between `first` and the newest.

    Raises
    ------
    ConfigException
        If it does not.
    """
    newest = store.revision()
    if type(revision) is not int or not first <= revision <= newest:
        raise ConfigException(reason=f"revision {revision!r} does not exist; revisions go from {first} to {newest}")
    return revision


def state_of(store: ConfigStore, version_id: int, which: int | str, below: str = "") -> tuple[int, ConfigState]:
    """Return id and parameters of a version.

    Parameters
    ----------
    store, version_id
        The configuration, and the version that a revision refers to.
    which
        A revision of that version, or the name of any version, as it is now.
    below
        Only this folder; empty for all.
    """
    if isinstance(which, str):
        version_id = store.version_id(which)
        return version_id, state_now(store, version_id, below)
    return version_id, state_at(store, version_id, known_revision(store, which, 0), below)


def ever_secret(store: ConfigStore, version_ids: Collection[int]) -> set[str]:
    """Return the paths that were secret at any time in one of the versions, as `ConfigStore.history` masks them."""
    with store.database.reading() as reading:
        rows = [
            row
            for version_id in version_ids
            for row in reading.all(_EVER_HIDDEN, version=version_id, hidden='%"secret": true%')
        ]
    return {readable(path) for (path,) in rows}


def old_datatypes(store: ConfigStore, version_id: int, entries: Sequence[HistoryEntry]) -> list[str | None]:
    """Return the type of a parameter before each of its changes; None where it did not exist.

    Parameters
    ----------
    store, version_id
        The configuration, and the version of the parameter.
    entries
        Changes of one parameter.
    """
    if not entries:
        return []
    revisions = [entry.revision for entry in entries]
    span = {"first": min(revisions), "last": max(revisions)}
    with store.database.reading() as reading:
        rows = reading.all(_OLD_DATATYPES, version=version_id, path=entries[0].path, **span)
    types: dict[int, str | None] = {int(revision): before for revision, before in rows}
    return [types.get(revision) for revision in revisions]


def state_at(store: ConfigStore, version_id: int, revision: int, below: str = "") -> ConfigState:
    """Return a version's parameters at a revision."""
    with store.database.reading() as reading:
        rows = reading.all(_AT_REVISION, version=version_id, revision=revision)
        changes = secrets.revealed(reading, rows)
    return {change.path: change for change in changes if _is_below(change.path, below)}


def state_now(store: ConfigStore, version_id: int, below: str = "") -> ConfigState:
    """Return a version's parameters as they are now."""
    return {change.path: change for change in store.load(version_id) if _is_below(change.path, below)}


def version_at(store: ConfigStore, name: str, revision: int) -> int:
    """Return the id that a version had at a revision; it may have been deleted since.

    Raises
    ------
    NoSuchVersionException
        If no version had that name then.
    """
    with store.database.reading() as reading:
        row = reading.one(_NAMED_THEN, name=name, revision=revision)
    if row is None:
        raise NoSuchVersionException(version=f"{name}@{revision}")
    return int(row[0])


def differences(old: ConfigState, new: ConfigState, secrets: Collection[str] = ()) -> list[Difference]:
    """Return what differs between two states, ordered by path.

    Parameters
    ----------
    old, new
        The states.
    secrets
        Paths to mask, in addition to those that are secrets in either state.
    """
    result = []
    for path in sorted(old.keys() | new.keys()):
        both = old.get(path), new.get(path)
        if _content(both[0]) == _content(both[1]):
            continue
        secret = path in secrets or any(Limits.readable(change.limits).secret for change in both if change)
        values = [readable_value(change.value, change.datatype) if change else None for change in both]
        before, after = (MASK if secret and value is not None else value for value in values)
        kinds = [change.datatype if change else None for change in both]
        result.append(Difference(path, before, after, kinds[0], kinds[1], secret))
    return result


def way_back(now: ConfigState, then: ConfigState) -> list[Edit]:
    """Return the edits that restore an earlier state."""
    edits = [Edit(path, REMOVE, if_there=True) for path in now.keys() - then.keys()]
    edits += [change.again() for path, change in then.items() if _content(change) != _content(now.get(path))]
    # Removals first: a path may have been a folder then and be a parameter now, or the other way round.
    return sorted(edits, key=lambda edit: (edit.action != REMOVE, edit.path))


def _content(change: Change | None) -> tuple[object, ...] | None:
    return None if change is None else (change.value, change.datatype, change.comment or None, change.limits)


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}.")
