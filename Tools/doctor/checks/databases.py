"""The databases: whether each answers, is set up as this program needs it, and has the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from uuid import uuid4

from NexusCore.clock import SECOND, to_ts
from NexusCore.errors import (
    EXIT_UNREACHABLE,
    DatabaseDenied,
    DatabaseFull,
    DatabaseNotSecure,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    DiskFull,
    LoginNeedsTLS,
    NexusError,
    NoDatabaseFile,
    NoSuchDatabase,
)
from NexusCore.resources import explained, filesystem_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Transaction
from NexusCore.storage.revision import SCHEMA_REVISION
from Tools.common.quantities import bytes_text, counted
from Tools.doctor.checks.context import Case, Contact, NoDatabaseYet
from Tools.doctor.checks.outcome import CheckResult, Grade, note, ok, problem

MIGRATE = "python -m NexusCore.storage.migrate"
SLOW = 0.05
"""Seconds for the way to a database and back that are felt in every tool."""
MOST_APART = 1.0
"""Seconds that two clocks may differ."""
ENOUGH_PACKET = 16 * 1024 * 1024
"""Bytes that the longest record, with its traceback, takes in one statement."""
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs"})
_ASKED = 5
"""How often a database is asked to see how quick it is."""

_FOREIGN_TABLES = """
    -- tables whose text is not kept as full Unicode
    SELECT table_name FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_collation NOT LIKE 'utf8mb4%'
     ORDER BY table_name
"""


def databases(case: Case) -> Iterator[CheckResult]:
    """Look at each database of the settings."""
    for url in case.settings.databases:
        try:
            yield from _database(case, url)
        except DatabaseRefused as error:
            # Of what follows the first contact, some may be forbidden to some accounts.
            yield note(f"{url} does not tell all about itself: {error.facts['reason']}.")


def driver(case: Case) -> Iterator[CheckResult]:
    """See that the quick half of the driver is in use."""
    if all(url.kind != "mysql" for url in case.settings.databases):
        return
    import mysql.connector

    version = f"The driver, mysql-connector {mysql.connector.__version__},"
    if mysql.connector.HAVE_CEXT:
        yield ok(f"{version} uses its C extension.")
    else:
        yield note(
            f"{version} runs without its C extension: about 18,000 rows a second instead of 110,000.",
            "Install one whose extension loads here: pip install 'mysql-connector-python>=9.4,<10'",
        )


def _database(case: Case, url: DatabaseURL) -> Iterator[CheckResult]:
    try:
        contact = case.contact(url)
    except NexusError as error:
        yield _out_of_reach(url, error)
        return
    with contact.database.reading() as reading:
        yield _answer(url, reading, case.roles(url))
        yield _tables(url, contact)
        yield from _embedded(url, reading) if url.kind == "sqlite" else _server(case, url, reading)
    if url.kind != "sqlite" and contact.revision == SCHEMA_REVISION:
        yield from _storing(url, contact)


def _out_of_reach(url: DatabaseURL, error: NexusError) -> CheckResult:
    if isinstance(error, NoDatabaseYet):
        return note(str(error), "The first program that needs it makes it.")
    if isinstance(error, NoSuchDatabase):
        return problem(f"There is no such database: {error.facts['reason']}.", "To make it: ./install.sh mysql")
    if isinstance(error, DatabaseNotSecure):
        sentence = f"The connection to {url} cannot be secured: {error.facts['reason']}."
        return CheckResult(Grade.PROBLEM, sentence, "What a URL may say of TLS: docs/databases.md", unreachable=True)
    full = explained(error)
    if isinstance(full, (DatabaseFull, DiskFull)):
        return CheckResult(Grade.PROBLEM, str(full), "Make room on that disk.", unreachable=True)
    if isinstance(error, DatabaseUnusable) and url.kind != "sqlite":
        sentence = f"{url} cannot be used now: {error.facts['reason']}."
        return CheckResult(Grade.PROBLEM, sentence, "See the server's own log, and that it has room.", unreachable=True)
    if isinstance(error, DatabaseUnreachable):
        sentence = f"{url} does not answer: {error.facts['reason']}."
        remedy = "Is the disk mounted, and this a database?" if url.kind == "sqlite" else _is_it_running(url)
        return CheckResult(Grade.PROBLEM, sentence, remedy, unreachable=True)
    if isinstance(error, LoginNeedsTLS):
        return problem(str(error))
    if isinstance(error, DatabaseDenied):
        remedy = "Check user, password and grants: ./install.sh mysql makes them anew"
        return problem(f"{url} does not let this user in: {error.facts['reason']}.", remedy)
    if isinstance(error, NoDatabaseFile):
        sentence, remedy = f"There is no database {url.name}.", f"Is the path right? To make a new one: {MIGRATE}"
        return CheckResult(Grade.PROBLEM, sentence, remedy, unreachable=True)
    return CheckResult(Grade.PROBLEM, str(error), unreachable=error.exit_code == EXIT_UNREACHABLE)


def _is_it_running(url: DatabaseURL) -> str:
    where = url.unix_socket or (", ".join(url.addresses) if url.others else f"{url.host}, port {url.port}")
    return f"See that the server runs ({where}). Until it does, logs and status wait in journals; nothing is lost."


def _answer(url: DatabaseURL, reading: Transaction, roles: list[str]) -> CheckResult:
    times = []
    for _ in range(_ASKED):
        begin = time.perf_counter()
        reading.one("SELECT 1")
        times.append(time.perf_counter() - begin)
    sql = "SELECT sqlite_version()" if url.kind == "sqlite" else "SELECT VERSION()"
    row = reading.one(sql)
    version = str(row[0]) if row else "?"
    # The shortest: the others may have waited for this process itself, which does several things at once.
    quickest = min(times)
    kind = "SQLite" if url.kind == "sqlite" else "MariaDB" if "mariadb" in version.lower() else "MySQL"
    use = f"{', '.join(roles[:-1])} and {roles[-1]}" if len(roles) > 1 else roles[0]
    sentence = f"{url} answers in {quickest * 1000:.1f} ms ({kind} {version.partition('-')[0]}): {use}."
    if quickest > SLOW:
        return note(sentence, "Every step of every tool waits for that: is the way to the server slow, or the server?")
    return ok(sentence)


def _tables(url: DatabaseURL, contact: Contact) -> CheckResult:
    if contact.revision is None:
        return problem(f"{url} holds no NexusCore tables.", f"Create them: {MIGRATE}")
    if contact.revision == SCHEMA_REVISION:
        return ok(f"Its tables are of revision {SCHEMA_REVISION}, the one that this program knows.")
    sentence = f"The tables of {url} are of revision {contact.revision}; this program knows {SCHEMA_REVISION}."
    if contact.revision < SCHEMA_REVISION:
        return problem(sentence, f"Bring them up to date: {MIGRATE}")
    return problem(sentence, "They are newer: update NexusCore on this machine.")


# -- SQLite ------------------------------------------------------------------------------------------------------------


def _embedded(url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    path = Path(url.name)
    mount = filesystem_of(path)
    if mount is not None and mount.kind in NETWORK:
        yield problem(
            f"{path} lies on a network file system ({mount.kind}), where SQLite's locks do not hold.",
            "Put it on a local disk (NEXUSCORE_HOME), or use a server: ./install.sh mysql",
        )
    row = reading.one("PRAGMA journal_mode")
    if row and row[0] != "wal":
        yield note(
            f"{path} is not in WAL mode but in '{row[0]}': readers and writers wait for each other.",
            f"sqlite3 {path} 'PRAGMA journal_mode=WAL'",
        )
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        yield problem(f"This user may read {path}, but not change it.", f"Give it to the user: chown USER: {path}*")
    else:
        yield ok(f"Its file has {bytes_text(path.stat().st_size)} and can be written.")


# -- MySQL and MariaDB -------------------------------------------------------------------------------------------------


def _server(case: Case, url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    yield from _clock(case, url, reading)
    row = reading.one("SELECT @@max_allowed_packet, @@global.read_only")
    packet, read_only = (int(row[0]), bool(row[1])) if row else (ENOUGH_PACKET, False)
    if read_only:
        yield problem(f"{url} is read-only now.", "Is it a replica? Name the server that takes changes.")
    if packet < ENOUGH_PACKET:
        yield note(
            f"max_allowed_packet of {url} is {bytes_text(packet)}: a record that is longer is refused.",
            "On the server: SET GLOBAL max_allowed_packet = 67108864; and the same in its my.cnf, under [mysqld]",
        )
    foreign = [str(name) for (name,) in reading.all(_FOREIGN_TABLES)]
    if foreign:
        some = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        yield problem(
            f"{counted(len(foreign), 'table')} of {url} cannot keep all letters (not utf8mb4): {some}.",
            f"For each: ALTER TABLE {foreign[0]} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        )
    if packet >= ENOUGH_PACKET and not foreign and not read_only:
        yield ok(f"It takes any letter (utf8mb4) and statements of {bytes_text(packet)}.")


def _storing(url: DatabaseURL, contact: Contact) -> Iterator[CheckResult]:
    """See that this account may store, by a row that is taken back at once."""
    row = {"journal": f"doctor-{uuid4().hex[:12]}", "delivered": 0, "ts": 0}
    try:
        with contact.database.transaction() as transaction:
            transaction.insert("delivery_cursor", **row)
            raise _RollBack
    except _RollBack:
        yield ok("It takes changes from this account.")
    except DatabaseDenied as error:
        yield problem(
            f"{url} does not let this account store anything: {error.facts['reason']}.",
            "What programs log waits in their journals. Grant the account what Install/grants.sql lists.",
        )
    except DatabaseUnreachable as error:
        yield problem(str(error), "What programs log waits in their journals until it takes changes again.")


class _RollBack(Exception):
    """The row was taken; it is not to stay."""


def _clock(case: Case, url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    before = case.clock.now()
    row = reading.one("SELECT UTC_TIMESTAMP(6)")
    after = case.clock.now()
    if row is None:
        return
    ahead = (to_ts(row[0].replace(tzinfo=UTC)) - (before + after) // 2) / SECOND
    if abs(ahead) > MOST_APART:
        yield problem(
            f"The clock of {url} is {abs(ahead):,.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's: files "
            "may be counted to the wrong session.",
            "See which is wrong, and have it set by NTP: timedatectl",
        )
    else:
        yield ok(f"Its clock and this machine's agree within {max(abs(ahead) * 1000, 1):.0f} ms.")
