"""``Doctor --rows``: lists every row with an unreadable value and, with ``--repair``, corrects it.

Promises
--------
* Nothing is changed without ``--repair``.
* No row is deleted. Old values are logged; those of a session are in its events too.
* A parameter is changed as by ConfigTool: running programs see the change, and the history has it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field

from NexusCore import identity, settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.config.values import STRING, Limits
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError, SecretWithheld
from NexusCore.storage import Database, Transaction
from NexusCore.storage.dialect import compared
from NexusCore.storage.rows import Columns, shown
from NexusCore.text import one_line, readable
from Tools.common.progress import ProgressLine
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.doctor.checks.orphans import orphan_places, orphans
from Tools.doctor.checks.rows import OddRow, examined, key_of, odd_rows, places
from Tools.doctor.row_repair import NewValues, corrected_values

LOG_SECONDS = 3.0
"""Seconds that logging the changes may take."""
DOCTOR = "Doctor"


@dataclass(slots=True)
class _RowCount:
    """Numbers of odd and of repaired rows."""

    odd: int = 0
    repaired: int = 0
    sentences: list[str] = field(default_factory=list)
    """The changes, for the log."""


def run(arguments: Namespace, screen: Screen) -> int:
    """Check every row, and correct odd rows if asked to; return the exit code."""
    count = _RowCount()
    databases: dict[object, Database] = {}
    progress = ProgressLine(screen, SYSTEM_CLOCK)
    try:
        for url, columns in places(settings.load()):
            database = databases.setdefault(url, Database(url))
            # The whole table is read before any row is changed: a repaired row must not be read again.
            for odd_row in list(
                odd_rows(database, columns, passed=lambda number: progress.update(f"{number:,} rows read"))
            ):
                progress.clear()
                _treat(odd_row, columns, database, count, arguments, screen)
        if not arguments.json:
            for url, table, column, parent in orphan_places(settings.load()):
                if sentence := orphans(databases.setdefault(url, Database(url)), table, column, parent):
                    screen.show(screen.paint(sentence, "yellow"))
    finally:
        progress.clear()
        _log_changes(count.sentences)
    if arguments.json:
        return EXIT_FAILURE if count.odd > count.repaired else EXIT_OK
    if not count.odd:
        screen.show("All rows of all tables can be read.")
    elif arguments.repair:
        screen.show(f"{count.repaired:,} of {counted(count.odd, 'row')} corrected; the log has the old values.")
    else:
        screen.show(f"{counted(count.odd, 'row has', 'rows have')} unreadable values. Nothing was changed. To correct "
                    "them: Doctor --rows --repair")  # fmt: skip
    return EXIT_FAILURE if count.odd > count.repaired else EXIT_OK


def _treat(
    odd_row: OddRow, columns: Columns, database: Database, count: _RowCount, arguments: Namespace, screen: Screen
) -> None:
    """Report what is wrong in a row and how it is, or would be, corrected."""
    count.odd += 1
    changes = list(_changes(odd_row, columns, database))
    failure = ""
    if arguments.repair:
        try:
            changes = _repair(odd_row, columns, database)
            count.repaired += 1
            count.sentences.append(f"{odd_row.sentence} {'; '.join(changes)}")
        except NexusError as error:
            failure = str(error)
    if arguments.json:
        screen.show_json(table=odd_row.table, key=odd_row.key, unreadable=list(odd_row.odd.values()), change=changes)
        return
    verb = "changed" if arguments.repair else "would be changed"
    outcome = f"not corrected: {failure}" if failure else f"{verb}: {'; '.join(changes)}"
    screen.show(screen.paint(one_line(odd_row.sentence), *(() if arguments.repair and not failure else ("red",))))
    screen.show(f"    {screen.paint(one_line(outcome), 'cyan')}")


def _changes(odd_row: OddRow, columns: Columns, database: Database) -> Iterator[str]:
    with database.reading() as reading:
        values = corrected_values(odd_row, reading)
    return _in_words(odd_row, values)


def _in_words(odd_row: OddRow, values: NewValues) -> Iterator[str]:
    """Yield the changes as text."""
    for name, value in values.items():
        if value != odd_row.values[name]:
            yield f"{name} becomes {'its readable part' if name in odd_row.hidden else shown(value)}"


def _repair(odd_row: OddRow, columns: Columns, database: Database) -> list[str]:
    """Correct a row, unless that has been done since; return the changes."""
    if odd_row.table == "config_parameter":
        changed = _repair_parameter(odd_row, database)
        if changed is not None:
            return changed

    def repair(transaction: Transaction) -> list[str]:
        key = key_of(odd_row.table)
        names = ", ".join(f"t.{name}" for name in columns.columns)
        where = f"t.{key} = {compared('key', odd_row.key)} {transaction.dialect.for_update}"
        row = transaction.one(f"SELECT {names} FROM {odd_row.table} t WHERE {where}", key=odd_row.key)  # noqa: S608
        current = examined(columns, row) if row is not None else None
        if current is None:
            return ["nothing: it has been corrected in the meantime"]
        values = corrected_values(current, transaction)
        _update(transaction, odd_row.table, key, odd_row.key, values)
        changed = list(_in_words(current, values))
        if odd_row.table == "session":
            _note(transaction, odd_row.key, f"Doctor --rows: {'; '.join(current.odd.values())}; {'; '.join(changed)}")
        return changed

    return database.write(repair)


def _update(transaction: Transaction, table: str, key: str, value: object, values: NewValues) -> None:
    assignments = ", ".join(f"{name} = :new_{name}" for name in values)
    sql = f"UPDATE {table} SET {assignments} WHERE {key} = {compared('key', value)}"  # noqa: S608  names from our code
    transaction.run(sql, key=value, **{f"new_{name}": new for name, new in values.items()})


def _note(transaction: Transaction, session: object, text: str) -> None:
    transaction.insert(
        "session_event", session_id=session, event_type="NOTE", ts=SYSTEM_CLOCK.now(), user=identity.user()[:128],
        host=identity.host()[:128], zone="", detail=text,
    )  # fmt: skip


def _repair_parameter(odd_row: OddRow, database: Database) -> list[str] | None:
    """Make a parameter a string with the stored text, as a normal change; None if other columns are odd."""
    stored = odd_row.values
    if not {"value", "datatype", "limits", "comment"} & odd_row.odd.keys() or not isinstance(stored["path"], str):
        return None
    with database.reading() as reading:
        version = reading.one("SELECT name FROM config_version WHERE id = :id", id=stored["version_id"])
    if version is None:
        return None
    store = ConfigStore(database, SYSTEM_CLOCK)
    parameter = store.find(int(stored["version_id"]), stored["path"])  # with the value from config_secret
    if parameter is None:
        return None
    if parameter.withheld:
        raise SecretWithheld(path=stored["path"])
    text = parameter.value
    limits = Limits(secret=Limits.readable(stored["limits"]).secret)
    comment = readable(stored["comment"]) if stored["comment"] is not None else None
    edit = Edit(stored["path"], value=text, datatype=STRING, comment=comment, limits=limits, check=False)
    why = f"Doctor --rows: {'; '.join(odd_row.odd.values())}"
    origin = Origin(identity.user(), identity.host(), DOCTOR, why)
    if not store.apply(int(stored["version_id"]), readable(version[0]), [edit], origin):
        return None  # unchanged: bytes that programs read as the same text
    columns = {"value", "datatype", "limits", "comment"} & odd_row.odd.keys()
    secret = " and a secret" if limits.secret else ""
    return [f"it is a string now{secret}, with the stored value as its text ({', '.join(sorted(columns))})"]


def _log_changes(sentences: list[str]) -> None:
    if not sentences:
        return
    from NexusCore.API import App

    app = App(tool=DOCTOR)
    try:
        for sentence in sentences:
            app.get_log(DOCTOR).warning("%s on %s corrected a row: %s", identity.user(), identity.host(), sentence)
    finally:
        app.shutdown(LOG_SECONDS)
