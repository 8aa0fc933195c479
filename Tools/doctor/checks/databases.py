"""The databases: whether each answers, is set up correctly, and has the same time as this machine."""

from __future__ import annotations

import getpass
import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from uuid import uuid4

from NexusCore.clock import SECOND, to_ts
from NexusCore.errors import (
    EXIT_UNREACHABLE,
    DatabaseDenied,
    DatabaseFileDenied,
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
    SchemaUnfinished,
)
from NexusCore.resources import explained, filesystem_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Transaction, to_share
from NexusCore.storage.revision import SCHEMA_REVISION
from NexusCore.text import listed, shell_quote
from Tools.common.quantities import bytes_text, counted
from Tools.doctor.checks.context import UNFINISHED, Case, Contact, NoDatabaseYet
from Tools.doctor.checks.outcome import CheckResult, Grade, note, ok, problem

MIGRATE = "python -m NexusCore.storage.migrate"
SLOW = 0.05
"""Seconds for a round trip to a database that slow down every tool."""
CLOCK_TOLERANCE = 1.0
"""Seconds that two clocks may differ."""
ENOUGH_PACKET = 16 * 1024 * 1024
"""Bytes of the statement for the longest record with its traceback."""
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs"})
_ROUND_TRIPS = 5
"""Queries that measure the response time."""

_FOREIGN_TABLES = """
    -- tables that cannot store all of Unicode
    SELECT table_name FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_collation NOT LIKE 'utf8mb4%'
     ORDER BY table_name
"""


def databases(case: Case) -> Iterator[CheckResult]:
    """Check each database of the settings."""
    for url in case.settings.databases:
        try:
            yield from _database(case, url)
        except DatabaseRefused as error:
            # Some accounts may not run the later queries.
            yield note(f"This account may not check {url} completely: {error.facts['reason']}.")


def driver(case: Case) -> Iterator[CheckResult]:
    """Check that the driver uses its C extension."""
    if all(url.kind != "mysql" for url in case.settings.databases):
        return
    import mysql.connector

    version = f"The driver, mysql-connector {mysql.connector.__version__},"
    if mysql.connector.HAVE_CEXT:
        yield ok(f"{version} uses its C extension.")
    else:
        yield note(
            f"{version} runs without its C extension: about 18,000 rows per second instead of 110,000.",
            "Install a release whose extension loads here: pip install 'mysql-connector-python>=9.4,<10'",
        )


def _database(case: Case, url: DatabaseURL) -> Iterator[CheckResult]:
    try:
        contact = case.contact(url)
    except NexusError as error:
        yield _connection_failure(url, error)
        return
    with contact.database.reading() as reading:
        yield _answer(url, reading, case.roles(url))
        yield _tables(url, contact)
        yield from _embedded(url, reading) if url.kind == "sqlite" else _server(case, url, reading)
    if url.kind != "sqlite" and contact.revision == SCHEMA_REVISION:
        yield from _storing(url, contact)


def _connection_failure(url: DatabaseURL, error: NexusError) -> CheckResult:
    if isinstance(error, NoDatabaseYet):
        return note(str(error), "The first program that needs it creates it.")
    if isinstance(error, NoSuchDatabase):
        return problem(f"{url} does not exist: {error.facts['reason']}.", "To create it: ./install.sh mysql")
    if isinstance(error, DatabaseNotSecure):
        sentence = f"The connection to {url} cannot be secured: {error.facts['reason']}."
        return CheckResult(Grade.PROBLEM, sentence, "The TLS options of a URL: docs/databases.md", unreachable=True)
    full = explained(error)
    if isinstance(full, (DatabaseFull, DiskFull)):
        return CheckResult(Grade.PROBLEM, str(full), "Free space on that disk.", unreachable=True)
    if isinstance(error, DatabaseUnusable):
        sentence = f"{url} cannot be used now: {error.facts['reason']}."
        remedy = "Check the server's log and its free disk space."
        if url.kind == "sqlite":
            remedy = "Is the disk mounted and writable, and is this file a database?"
        return CheckResult(Grade.PROBLEM, sentence, remedy, unreachable=True)
    if isinstance(error, DatabaseUnreachable):
        sentence = f"{url} does not answer: {error.facts['reason']}."
        remedy = "Is the disk mounted, and is this file a database?" if url.kind == "sqlite" else _is_it_running(url)
        return CheckResult(Grade.PROBLEM, sentence, remedy, unreachable=True)
    if isinstance(error, LoginNeedsTLS):
        return problem(str(error))
    if isinstance(error, DatabaseFileDenied):
        return problem(f"This user may not {error.facts['kind']} {url.name}: {error.facts['reason']}.")
    if isinstance(error, DatabaseDenied):
        remedy = "Check user, password and grants; ./install.sh mysql recreates them."
        return problem(f"{url} refuses this user: {error.facts['reason']}.", remedy)
    if isinstance(error, NoDatabaseFile):
        sentence, remedy = f"The database {url.name} does not exist.", f"Is the path right? To create it: {MIGRATE}"
        return CheckResult(Grade.PROBLEM, sentence, remedy, unreachable=True)
    return CheckResult(Grade.PROBLEM, str(error), unreachable=error.exit_code == EXIT_UNREACHABLE)


def _is_it_running(url: DatabaseURL) -> str:
    where = url.unix_socket or (", ".join(url.addresses) if url.others else f"{url.host}, port {url.port}")
    return f"Is the server running ({where})? Until it is, logs and status wait in journals; nothing is lost."


def _answer(url: DatabaseURL, reading: Transaction, roles: list[str]) -> CheckResult:
    times = []
    for _ in range(_ROUND_TRIPS):
        begin = time.perf_counter()
        reading.one("SELECT 1")
        times.append(time.perf_counter() - begin)
    sql = "SELECT sqlite_version()" if url.kind == "sqlite" else "SELECT VERSION()"
    row = reading.one(sql)
    version = str(row[0]) if row else "?"
    # The shortest: the others may have waited for other threads of this process.
    quickest = min(times)
    kind = "SQLite" if url.kind == "sqlite" else "MariaDB" if "mariadb" in version.lower() else "MySQL"
    sentence = f"{url} answers in {quickest * 1000:.1f} ms ({kind} {version.partition('-')[0]}): {listed(roles)}."
    if quickest > SLOW:
        return note(sentence, "Every query of every tool takes that long. Is the network slow, or the server?")
    return ok(sentence)


def _tables(url: DatabaseURL, contact: Contact) -> CheckResult:
    if contact.revision is None:
        return problem(f"{url} has no NexusCore tables.", f"Create them: {MIGRATE}")
    if contact.revision == UNFINISHED:
        return problem(str(SchemaUnfinished(where=url)))
    if contact.revision == SCHEMA_REVISION:
        return ok(f"Its tables have revision {SCHEMA_REVISION}, which this program expects.")
    sentence = f"The tables of {url} have revision {contact.revision}; this program expects {SCHEMA_REVISION}."
    if contact.revision < SCHEMA_REVISION:
        return problem(sentence, f"Update them: {MIGRATE}")
    return problem(sentence, "They are newer: update NexusCore on this machine.")


# -- SQLite ------------------------------------------------------------------------------------------------------------


def _embedded(url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    path = Path(url.name)
    files = shell_quote(str(path))
    mount = filesystem_of(path)
    if mount is not None and mount.kind in NETWORK:
        yield problem(
            f"{path} lies on a network file system ({mount.kind}), where SQLite's locks do not work.",
            "Put it on a local disk (NEXUSCORE_HOME), or use a server: ./install.sh mysql",
        )
    row = reading.one("PRAGMA journal_mode")
    if row and row[0] != "wal":
        yield note(
            f"{path} is in mode '{row[0]}', not WAL: readers and writers wait for each other.",
            f"sqlite3 {files} 'PRAGMA journal_mode=WAL'",
        )
    folder = path.parent
    if (remedy := to_share(path)) is not None:
        yield problem(f"{path} is not for the group {folder.group()}, which shares its folder.", f"Share it: {remedy}")
    elif os.access(path, os.W_OK) and os.access(folder, os.W_OK):
        yield ok(f"Its file has {bytes_text(path.stat().st_size)} and is writable.")
    elif folder.stat().st_mode & stat.S_ISGID:  # services and operators share it
        yield note(
            f"This user may read {path}, but not write it: tools can change nothing.",
            f"To change it, be in the group {folder.group()}: sudo usermod -aG {folder.group()} {getpass.getuser()}",
        )
    else:
        yield problem(
            f"This user may read {path}, but not write it.",
            f"Change its owner: sudo chown $USER: {shell_quote(str(path))}*",
        )


# -- MySQL and MariaDB -------------------------------------------------------------------------------------------------


def _server(case: Case, url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    yield from _clock(case, url, reading)
    row = reading.one("SELECT @@max_allowed_packet, @@global.read_only")
    packet, read_only = (int(row[0]), bool(row[1])) if row else (ENOUGH_PACKET, False)
    if read_only:
        yield problem(f"{url} is read-only now.", "Is it a replica? Set the URL of the server that accepts changes.")
    if packet < ENOUGH_PACKET:
        yield note(
            f"max_allowed_packet of {url} is {bytes_text(packet)}: longer records are refused.",
            "On the server: SET GLOBAL max_allowed_packet = 67108864; set it in my.cnf under [mysqld] too.",
        )
    foreign = [str(name) for (name,) in reading.all(_FOREIGN_TABLES)]
    if foreign:
        some = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        yield problem(
            f"{counted(len(foreign), 'table')} of {url} cannot store all characters (not utf8mb4): {some}.",
            f"For each: ALTER TABLE {foreign[0]} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        )
    if packet >= ENOUGH_PACKET and not foreign and not read_only:
        yield ok(f"It accepts all characters (utf8mb4) and statements of up to {bytes_text(packet)}.")


def _storing(url: DatabaseURL, contact: Contact) -> Iterator[CheckResult]:
    """Check that this account may write, with a row that is rolled back."""
    row = {"journal": f"doctor-{uuid4().hex[:12]}", "delivered": 0, "ts": 0}
    try:
        with contact.database.transaction() as transaction:
            transaction.insert("delivery_cursor", **row)
            raise _RollBack
    except _RollBack:
        yield ok("It accepts changes from this account.")
    except DatabaseDenied as error:
        yield problem(
            f"This account may not write to {url}: {error.facts['reason']}.",
            "Until it may, log records wait in journals. Grant the account what Install/grants.sql lists.",
        )
    except DatabaseUnreachable as error:
        yield problem(str(error), "Until it accepts changes again, log records wait in journals.")


class _RollBack(Exception):
    """Rolls the test row back."""


def _clock(case: Case, url: DatabaseURL, reading: Transaction) -> Iterator[CheckResult]:
    before = case.clock.now()
    row = reading.one("SELECT UTC_TIMESTAMP(6)")
    after = case.clock.now()
    if row is None:
        return
    ahead = (to_ts(row[0].replace(tzinfo=UTC)) - (before + after) // 2) / SECOND
    if abs(ahead) > CLOCK_TOLERANCE:
        yield problem(
            f"The clock of {url} is {abs(ahead):,.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's: files "
            "may be assigned to the wrong session.",
            "Check which clock is wrong, and synchronize it by NTP: timedatectl",
        )
    else:
        yield ok(f"Its clock and this machine's agree within {max(abs(ahead) * 1000, 1):.0f} ms.")
