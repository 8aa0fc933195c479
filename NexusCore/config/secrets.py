"""Values of secret parameters, in the table `config_secret`, which only the services' account may read.

Promises
--------
* `config_parameter` and `config_change` hold `MASK` where a secret's value would stand; a row of `config_secret` has
  the value, under the revision of the change that set it. It stays as long as that change does, so that a rollback
  finds it.
* When a parameter becomes a secret, the values that it had before move there too, in the same transaction.
* An account that may not read `config_secret` reads everything else as before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from NexusCore.config.changes import Change, change_of
from NexusCore.config.values import MASK, Limits
from NexusCore.errors import DatabaseDenied
from NexusCore.storage import Transaction
from NexusCore.storage.transaction import portions
from NexusCore.text import readable

SECRET_COLUMNS = ("revision", "version_id", "path", "value")
SECRETS_PER_STATEMENT = 500
"""Revisions or paths in one statement."""

_SELECT_VALUES = "SELECT `revision`, `value` FROM `config_secret` WHERE `revision` IN ({})"

_HISTORY_VALUES = """
    -- what was set in plain text before the parameters became secrets
    SELECT `revision`, `version_id`, `path`, `new_value`
      FROM `config_change`
     WHERE `version_id` = :version AND `path` IN ({}) AND `revision` <= :revision
       AND `new_value` <> '' AND `new_value` <> :mask
"""

_MASK_HISTORY = """
    UPDATE `config_change`
       SET `{column}` = :mask
     WHERE `version_id` = :version AND `path` IN ({paths}) AND `revision` <= :revision AND `{column}` <> ''
"""


_SECRET_NAMES = ("pass", "pwd", "token", "secret", "key", "credential", "api_url")
_PLACES = " OR ".join(["limits LIKE '%secret%'", *(f"LOWER(path) LIKE '%{part}%'" for part in _SECRET_NAMES)])
_POSSIBLE = f"""
    -- values that are or were secrets, or may be, in any version of the configuration
    SELECT path, value, limits FROM config_parameter WHERE {_PLACES}
    UNION SELECT path, old_value, limits FROM config_change WHERE {_PLACES}
    UNION SELECT path, new_value, limits FROM config_change WHERE {_PLACES}
"""  # noqa: S608  nothing from outside
_SEPARATE_VALUES = "SELECT DISTINCT `path`, `value`, :limits FROM `config_secret`"

SecretRow = tuple[str, str | None, str | None]
"""Path, value and limits of a parameter."""


def possible(reading: Transaction) -> list[SecretRow]:
    """Return what is or was a secret, or may be by its name, in any version and at any time.

    Raises
    ------
    DatabaseDenied
        If the account may not read the values of secrets.
    """
    rows = reading.all(_POSSIBLE) + reading.all(_SEPARATE_VALUES, limits=Limits(secret=True).to_json())
    return [(readable(path), None if value is None else readable(value), limits) for path, value, limits in rows]


def is_secret(limits: str | None) -> bool:
    """Return whether stored limits make a parameter a secret."""
    # A quick check first: most parameters have no limits, and thousands are read at once.
    return limits is not None and "secret" in limits and Limits.readable(limits).secret


def masked(value: str | None, limits: str | None) -> str | None:
    """Return what is stored in place of a value; an empty value is not masked: it only means that nothing is set."""
    return MASK if value and is_secret(limits) else value


def read(transaction: Transaction, revisions: Collection[int]) -> dict[int, str] | None:
    """Return the secret values that were set at some revisions; None if this account may not read them."""
    values_by_revision: dict[int, str] = {}
    wanted = sorted(revisions)
    for first in range(0, len(wanted), SECRETS_PER_STATEMENT):
        marks, values = _listed(wanted[first : first + SECRETS_PER_STATEMENT])
        try:
            rows = transaction.all(_SELECT_VALUES.format(marks), **values)
        except transaction.dialect.errors as error:
            if isinstance(transaction.dialect.translate(error, ""), DatabaseDenied):
                return None
            raise
        values_by_revision.update((int(revision), readable(value)) for revision, value in rows)
    return values_by_revision


def revealed(transaction: Transaction, rows: Iterable[Sequence[Any]]) -> list[Change]:
    """Return changes from their rows; secrets with their values, or withheld if this account may not read them.

    A change with a value in `config_secret` is a secret even if its limits did not say so at the time: a state from
    before the parameter became one must not be copied or restored as plain text.
    """
    changes = list(map(change_of, rows))
    hidden = {change.revision for change in changes if change.value == MASK}
    if not hidden:
        return changes
    values = read(transaction, hidden)
    return [_revealed(change, values) if change.revision in hidden else change for change in changes]


class Hiding:
    """Keeps the secrets of a group of changes out of the tables that all accounts may read.

    Parameters
    ----------
    transaction
        It holds the lock on the revision counter.
    version_id
        The version that is changed.
    """

    def __init__(self, transaction: Transaction, version_id: int) -> None:
        self._transaction = transaction
        self._version_id = version_id
        self._values: list[tuple[int, int, str, str]] = []
        self._new_secrets: set[str] = set()

    def shown(
        self, revision: int, path: str, old: tuple[str | None, str | None], new: tuple[str | None, str | None]
    ) -> tuple[str | None, str | None]:
        """Return the values before and after a change as its row shows them; each is given with its limits."""
        was, now = is_secret(old[1]), is_secret(new[1])
        if now and not was:
            self._new_secrets.add(path)
        if now and new[0]:
            self._values.append((revision, self._version_id, path, new[0]))
        return MASK if old[0] and (was or now) else old[0], masked(*new)

    def write(self, revision: int) -> None:
        """Store the values up to a revision; for new secrets, also the values they had before."""
        for rows in portions(self._values):
            self._store(rows)
        paths = sorted(self._new_secrets)
        for first in range(0, len(paths), SECRETS_PER_STATEMENT):
            self._move_history(paths[first : first + SECRETS_PER_STATEMENT], revision)

    def _move_history(self, paths: Sequence[str], revision: int) -> None:
        marks, values = _listed(paths)
        values.update(version=self._version_id, revision=revision, mask=MASK)
        rows = self._transaction.all(_HISTORY_VALUES.format(marks), **values)
        for some in portions(rows):
            self._store(some)
        for column in ("old_value", "new_value") if rows else ():
            self._transaction.run(_MASK_HISTORY.format(column=column, paths=marks), **values)

    def _store(self, rows: Sequence[Sequence[Any]]) -> None:
        # An existing row of that revision belongs to no change: the tables were restored separately, or edited by hand.
        self._transaction.upsert("config_secret", SECRET_COLUMNS, SECRET_COLUMNS[:1], [tuple(row) for row in rows])


def _revealed(change: Change, values: dict[int, str] | None) -> Change:
    if values is None:
        return change._replace(value=None, withheld=True)
    if change.revision not in values:
        return change  # not a secret, but a text that looks like the mask
    limits = change.limits
    if not is_secret(limits):
        limits = replace(Limits.readable(limits), secret=True).to_json()
    return change._replace(value=values[change.revision], limits=limits)


def _listed(values: Sequence[int | str]) -> tuple[str, dict[str, object]]:
    """Return placeholders for IN, and the values by placeholder."""
    named: dict[str, object] = {f"value_{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named), named
