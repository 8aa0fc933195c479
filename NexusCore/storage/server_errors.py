"""The meaning of errors of MySQL and MariaDB, by number.

Gone through are both servers' lists: the MySQL Error Message Reference (dev.mysql.com/doc/mysql-errors), MariaDB's
error codes (mariadb.com/kb/en/mariadb-error-code-reference) and the client library's (2000 to 2999). Numbers above 1900
differ between the two where noted. What is in none of these sets is the statement's, or the row's, own fault.
"""

from __future__ import annotations

import re

from NexusCore import resources
from NexusCore.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseFull,
    DatabaseNotSecure,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    LoginNeedsTLS,
    NexusError,
    NoSuchDatabase,
    SchemaMissing,
)

HALF_A_CHARACTER = "a text is not valid Unicode, as file names of unknown encoding are"
NO_TABLE, NO_DATABASE = 1146, 1049

CONNECTION_LOST = frozenset(
    {
        1053,  # server shutdown in progress
        1077, 1078, 1079,  # normal shutdown; got a signal; shutdown complete
        1080, 1152, 1184,  # forcing close of, aborted connection
        1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161,  # packets could not be read or written, in time or in order
        1189, 1190,  # net error reading from, writing to the primary
        1927,  # connection was killed (MariaDB)
        3032,  # server is in offline mode (MySQL)
        3168, 3169,  # server isn't available; session was killed (MySQL)
        4031,  # disconnected because of inactivity (MySQL)
        2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2009, 2012, 2013,  # unknown, socket, host, handshake, lost
        2024, 2025, 2026, 2027, 2048, 2055,  # TLS, malformed packet, invalid handle, lost connection
    }
)  # fmt: skip
"""The connection is lost, or could not be opened."""

UNUSABLE = frozenset(
    {
        1004, 1015, 1016, 1018, 1023, 1024, 1026, 1030, 1878, 3675,  # files of the server, mostly for want of room
        1530, 1705, 1197, 3019, 3873,  # disk, table, tablespace, cache of the binary log, undo log full
        1028, 1037, 1038, 1041, 1135, 2008, 3015, 3985,  # memory, threads, resources
        1034, 1035, 1194, 1195, 1712, 1812, 1814, 1817, 1877, 3000,  # a table, index, tablespace is damaged
        1040, 1129, 1203, 1226,  # too many connections; host blocked after errors; limits of the account
        1047,  # Galera: the node is not ready, without quorum or joining ("Unknown command" otherwise, no row's fault)
        1036, 1290, 1792, 1836, 1874, 3989, 4049,  # read-only: table, server, InnoDB, group's secondary
        1180,  # error during COMMIT: Galera's node left the group; others than 146 and 149, see CONFLICT_AT_COMMIT
        1181,  # error during ROLLBACK
        1296, 1297,  # storage engine's (temporary) error
        3100,  # Group Replication: no quorum at COMMIT, error on observer
        3092, 3094, 3096, 3097, 3783, 3796, 3797, 3798, 3799,  # Group Replication: not, or no longer, a healthy member
    }
)  # fmt: skip
"""It runs, but has no room, no connection left, no quorum, or only lets read; the statement is not at fault."""

BUSY = frozenset(
    {
        1020,  # record has changed since last read: a conflict, with innodb_snapshot_isolation (MariaDB)
        1205, 1206, 1213,  # lock wait time-out, lock table full, deadlock
        1317,  # query interrupted, by someone
        1412, 1615,  # table definition has changed, statement must be prepared again
        1402, 1613, 1614, 1622,  # branch of a transaction was rolled back
        1637,  # too many concurrent transactions
        1689,  # waiting for a lock was aborted
        1806,  # must silently retry the transaction
        1969, 3024,  # statement took longer than the server allows (1969 MariaDB, 3024 MySQL)
        3058, 3132, 3133, 3177,  # deadlock and time-out of named locks, lock refused by the engine
        3101,  # Group Replication: conflict at COMMIT
        3197,  # try the branch again
        3572,  # row is locked, and NOWAIT was asked for
        3781, 3782,  # Group Replication: waiting for a new primary took too long, or was ended
    }
)  # fmt: skip
"""A conflict with other transactions: a repetition may succeed."""

DENIED = frozenset(
    {
        1044, 1045, 1142, 1143, 1227, 1370, 1698,  # database, password, table, column, privilege, routine, plugin
        1130,  # this host is not allowed to connect
        1251, 2049, 2059, 2061,  # the account's way of logging in is not one the driver knows
        1820, 1862,  # the password has expired
        3118, 3955, 4151,  # the account is locked (3955 after failed logins; 4151 MariaDB)
    }
)  # fmt: skip
"""Something a person has to give: a right, a password."""

INSECURE = 3159
"""The server lets in connections with TLS only (require_secure_transport)."""

CONFLICT_AT_COMMIT = ("error 149", "error 146", "error: 149", "error: 146")
"""Marks of a deadlock or a lock time-out in the text of 1180; Group Replication reports its conflicts so."""

UNKNOWN_OUTCOME = CONNECTION_LOST | {1180, 3100}
"""At COMMIT: whether it took effect is not known. Any other error at COMMIT is the server's word that it did not."""

TOO_LARGE = frozenset({1153, 2020})
"""A packet larger than max_allowed_packet: that is the statement's fault, although its SQLSTATE is of the class 08."""

STATES_GONE, STATES_BUSY = ("08",), ("40", "XA1")
"""Classes of SQLSTATE for numbers that are in no list: connection exception; transaction rollback."""

DISK_FULL_MESSAGE = re.compile(
    r"(?:errno:?|error|errcode:) (28|122)\b|No space left on device|Disk quota exceeded", re.IGNORECASE
)
"""How servers quote ENOSPC and EDQUOT of Linux in their errors 3, 1005, 1026, 1030 and others."""


def translate(error: Exception, where: str) -> NexusError:
    """Return our error for one of the driver's, by what a person can do about it."""
    text = str(getattr(error, "msg", None) or error).strip()
    if "Failed converting Python 'str'" in text:
        return DatabaseRefused(where=where, reason=HALF_A_CHARACTER)
    # 2061 comes from any plug-in for logins: caching_sha2_password says this in it.
    if "requires secure connection" in text:
        return LoginNeedsTLS(where=where, reason=text)
    number = number_of(error)
    if number == INSECURE:
        return DatabaseNotSecure(where=where, reason=f"the server demands TLS; set ssl_mode=required ({text})")
    if number == NO_TABLE:
        return SchemaMissing(where=where)
    kind = _kind(number, text, str(getattr(error, "sqlstate", None) or ""))
    return kind(where=where, reason=text, **({"place": "it is the server's"} if kind is DatabaseFull else {}))


def _kind(number: int, text: str, state: str) -> type[NexusError]:
    conflict = number == 1180 and is_conflict(text)
    # The driver gives no number to what it finds out before it sends anything.
    gone = number in CONNECTION_LOST or "Connection not available" in text
    full = number in resources.MYSQL_FULL or DISK_FULL_MESSAGE.search(text) is not None
    by_number = (
        (number in BUSY or conflict, DatabaseBusy),
        (gone, DatabaseUnreachable),
        (full, DatabaseFull),
        (number in UNUSABLE, DatabaseUnusable),
        (number in DENIED, DatabaseDenied),
        (number == NO_DATABASE, NoSuchDatabase),
        (state.startswith(STATES_BUSY), DatabaseBusy),
        (state.startswith(STATES_GONE) and number not in TOO_LARGE, DatabaseUnreachable),
    )
    return next((kind for applies, kind in by_number if applies), DatabaseRefused)


def number_of(error: Exception) -> int:
    """Return the number of an error of the driver's, 0 if it has none."""
    return getattr(error, "errno", None) or 0


def is_conflict(text: str) -> bool:
    """Return whether the text of 1180 reports a conflict."""
    return any(mark in text for mark in CONFLICT_AT_COMMIT)


def may_have_committed(error: Exception) -> bool:
    """Return whether a COMMIT that raised this may have taken effect: its answer was lost, or no one knows."""
    text = str(error)
    if number_of(error) == 1180 and is_conflict(text):
        return False
    return number_of(error) in UNKNOWN_OUTCOME or "Connection not available" in text
