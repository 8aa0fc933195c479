"""``Doctor --rows``: every row with a value that cannot be read, and, with ``--repair``, what puts it right.

Promises
--------
* Without ``--repair`` nothing is changed.
* No row is deleted, and no value without a trace: what was there is in the log, of a session also in its events.
* A parameter is changed as by ConfigTool: programs that run see it, and its history has it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field

from NexusCore import identity, settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.parameter import STRING, Limits
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError, SecretWithheld
from NexusCore.storage import Database, Transaction
from NexusCore.storage.dialect import compared
from NexusCore.storage.rows import Columns, shown
from NexusCore.text import one_line, readable
from Tools.common.progress import ProgressLine
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.doctor.checks.rows import OddRow, examined, key_of, odd_rows, places
from Tools.doctor.mending import NewValues, mended

LOG_SECONDS = 3.0
"""How long the log may take to learn what was changed."""
DOCTOR = "Doctor"


@dataclass(slots=True)
class _Count:
    """How many rows were odd, and what became of them."""

    odd: int = 0
    repaired: int = 0
    sentences: list[str] = field(default_factory=list)
    """What was changed, for the log."""


def run(arguments: Namespace, screen: Screen) -> int:
    """Look at every row, and put right what is odd if that is asked for; return the exit code."""
    count = _Count()
    databases: dict[object, Database] = {}
    progress = ProgressLine(screen, SYSTEM_CLOCK)
    try:
        for url, columns in places(settings.load()):
            database = databases.setdefault(url, Database(url))
            # All of a table before anything in it is changed: what is repaired is not to be found once more.
            for odd_row in list(
                odd_rows(database, columns, passed=lambda number: progress.tell(f"{number:,} rows read"))
            ):
                progress.clear()
                _treat(odd_row, columns, database, count, arguments, screen)
    finally:
        progress.clear()
        _tell_the_log(count.sentences)
    if arguments.json:
        return EXIT_FAILURE if count.odd > count.repaired else EXIT_OK
    if not count.odd:
        screen.show("All rows of all tables can be read.")
    elif arguments.repair:
        screen.show(f"{counted(count.repaired, 'row')} of {count.odd:,} put right; the log has what was there before.")
    else:
        screen.show(f"{counted(count.odd, 'row')} cannot be read in full. Nothing was changed; to put them right: "
                    "Doctor --rows --repair")  # fmt: skip
    return EXIT_FAILURE if count.odd > count.repaired else EXIT_OK


def _treat(
    odd_row: OddRow, columns: Columns, database: Database, count: _Count, arguments: Namespace, screen: Screen
) -> None:
    """Tell of a row what is wrong, and what is done about it or would be."""
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
    done = f"could not be put right: {failure}" if failure else f"{verb}: {'; '.join(changes)}"
    screen.show(screen.paint(one_line(odd_row.sentence), *(() if arguments.repair and not failure else ("red",))))
    screen.show(f"    {screen.paint(one_line(done), 'cyan')}")


def _changes(odd_row: OddRow, columns: Columns, database: Database) -> Iterator[str]:
    with database.reading() as reading:
        values = mended(odd_row, reading)
    return _in_words(odd_row, values)


def _in_words(odd_row: OddRow, values: NewValues) -> Iterator[str]:
    """Yield what is changed."""
    for name, value in values.items():
        if value != odd_row.values[name]:
            yield f"{name} becomes {'what can be read of it' if name in odd_row.hidden else shown(value)}"


def _repair(odd_row: OddRow, columns: Columns, database: Database) -> list[str]:
    """Put a row right, if it still is as it was found; return what was changed."""
    if odd_row.table == "config_parameter":
        changed = _repair_parameter(odd_row, database)
        if changed is not None:
            return changed

    def repair(transaction: Transaction) -> list[str]:
        key = key_of(odd_row.table)
        names = ", ".join(f"t.{name}" for name in columns.columns)
        where = f"t.{key} = {compared('key', odd_row.key)} {transaction.dialect.for_update}"
        row = transaction.one(f"SELECT {names} FROM {odd_row.table} t WHERE {where}", key=odd_row.key)  # noqa: S608
        found = examined(columns, row) if row is not None else None
        if found is None:
            return ["nothing, since it is as it should be by now"]
        values = mended(found, transaction)
        _update(transaction, odd_row.table, key, odd_row.key, values)
        changed = list(_in_words(found, values))
        if odd_row.table == "session":
            _note(transaction, odd_row.key, f"Doctor --rows: {'; '.join(found.odd.values())}; {'; '.join(changed)}")
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
    """Make a parameter a text of what is stored, by the usual way; None where it is the row itself that is odd."""
    stored = odd_row.values
    if not {"value", "datatype", "limits", "comment"} & odd_row.odd.keys() or not isinstance(stored["path"], str):
        return None
    with database.reading() as reading:
        version = reading.one("SELECT name FROM config_version WHERE id = :id", id=stored["version_id"])
    if version is None:
        return None
    store = ConfigStore(database, SYSTEM_CLOCK)
    found = store.find(int(stored["version_id"]), stored["path"])  # a secret's value stands in a table of its own
    if found is None:
        return None
    if found.withheld:
        raise SecretWithheld(path=stored["path"])
    text = found.value
    limits = Limits(secret=Limits.readable(stored["limits"]).secret)
    comment = readable(stored["comment"]) if stored["comment"] is not None else None
    edit = Edit(stored["path"], value=text, datatype=STRING, comment=comment, limits=limits, check=False)
    why = f"Doctor --rows: {'; '.join(odd_row.odd.values())}"
    origin = Origin(identity.user(), identity.host(), DOCTOR, why)
    if not store.apply(int(stored["version_id"]), readable(version[0]), [edit], origin):
        return None  # it reads like that already: bytes that programs take for their text
    kept = {"value", "datatype", "limits", "comment"} & odd_row.odd.keys()
    secret = " and a secret" if limits.secret else ""
    return [f"it is a string now{secret}, with what was stored as its text ({', '.join(sorted(kept))})"]


def _tell_the_log(sentences: list[str]) -> None:
    if not sentences:
        return
    from NexusCore.API import App

    app = App(tool=DOCTOR)
    try:
        for sentence in sentences:
            app.get_log(DOCTOR).warning("%s on %s put a row right: %s", identity.user(), identity.host(), sentence)
    finally:
        app.shutdown(LOG_SECONDS)
