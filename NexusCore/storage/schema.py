"""All tables, in one place. Imported by set-up and tests only: SQLAlchemy has no part at run time.

Times are UTC microseconds since the epoch (`ts` and names ending in `_ts`). Ids count up but become visible out of
order where several writers commit: follow a table with `NexusCore.tail` only. A change here needs a migration.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.mysql import MEDIUMTEXT

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite only increments columns declared INTEGER, which also have 64 bits."""
LongText = Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")

NAME = 128
PATH = 512
IDENTIFIER = 255
"""Characters of a session identifier: a UUID4 from the logger, but a URL where a session comes from elsewhere."""


def _table(name: str, *parts: Any) -> Table:
    return Table(
        name,
        METADATA,
        *parts,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
        sqlite_autoincrement=parts[0].name == "id" and parts[0].autoincrement is True,  # ids never come back
    )


def _id() -> Column[Any]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _ts(name: str = "ts", *, nullable: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> Column[Any]:
    return Column(name, String(length) if length else LongText, nullable=nullable)


def _to(column: str, target: str) -> Column[Any]:
    return Column(column, Id, ForeignKey(target), nullable=False)


# -- configuration -----------------------------------------------------------------------------------------------

_table("config_version", _id(), _text("name", NAME), _ts("created_ts"), Unique("name"))

_table(
    "config_parameter",
    _id(),
    _to("version_id", "config_version.id"),
    _text("path", PATH),
    _text("name", NAME),
    _text("datatype", 16),
    _text("value", nullable=True),
    _text("comment", nullable=True),
    _text("limits", nullable=True),
    _ts("last_modified"),
    Column("revision", BigInteger, nullable=False),
    Unique("version_id", "path"),
)

_table(
    "config_change",
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("version_id", Id, nullable=False),  # stays when the version is deleted
    _text("version", NAME),
    _text("path", PATH),
    _text("action", 16),  # set, remove
    _text("old_value", nullable=True),
    _text("new_value", nullable=True),
    _text("old_datatype", 16, nullable=True),
    _text("datatype", 16, nullable=True),
    _text("comment", nullable=True),
    _text("limits", nullable=True),
    _text("who", NAME),
    _text("host", NAME),
    _text("tool", NAME),
    _text("why", nullable=True),
    _ts(),
    Index(None, "version_id", "path", "revision"),
)

_table(
    "config_secret",  # values of secret parameters, where the other tables hold a mask; for the services' account only
    Column("revision", BigInteger, primary_key=True, autoincrement=False),  # of the change that set it
    Column("version_id", Id, nullable=False),
    _text("path", PATH),
    _text("value"),
)

_table(
    "config_revision",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

# -- status ------------------------------------------------------------------------------------------------------

_table("status_channel", _id(), _text("name", NAME), Unique("name"))

_table(
    "status_item",
    _id(),
    _to("channel_id", "status_channel.id"),
    _text("name", NAME),
    Unique("channel_id", "name"),
)

_table(
    "status_sample",
    _id(),
    Column("item_id", Id, nullable=False),
    _ts(),
    _text("value", nullable=True),
    _ts("expires", nullable=True),
    Index(None, "item_id", "ts"),
    Index(None, "ts"),
)

_table(
    "status_latest",
    Column("item_id", Id, primary_key=True, autoincrement=False),
    _ts(),
    _text("value", nullable=True),
    _ts("expires", nullable=True),
)

# -- log ---------------------------------------------------------------------------------------------------------

_table(
    "log_record",
    _id(),
    _ts(),
    Column("level", Integer, nullable=False),
    _text("logger", NAME),
    _text("module", NAME),
    Column("line", Integer, nullable=False),
    _text("function", NAME),
    _text("host", NAME),
    Column("pid", Integer, nullable=False),
    _text("thread", NAME),
    _text("message"),
    _text("traceback", nullable=True),
    _text("session", IDENTIFIER, nullable=True),
    Index(None, "ts"),
    # The level follows the name: warnings of one program are adjacent, however much else it logged.
    Index(None, "logger", "level", "ts"),
    Index(None, "module", "level", "ts"),
    Index(None, "host", "level", "ts"),
    Index(None, "level", "ts"),
    Index(None, "session", "ts"),
)

# -- delivery ----------------------------------------------------------------------------------------------------

_table(
    "delivery_cursor",
    Column("journal", String(NAME), primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    _ts(),
)

# -- facility ----------------------------------------------------------------------------------------------------

_table(
    "facility_identity",
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row
    # Created with the tables: it stays with the rows when the database moves or fails over to another host.
    _text("uuid", 36),
    _text("name", NAME),
    _ts("created_ts"),
)

_table(
    "session",
    _id(),
    _text("identifier", IDENTIFIER),
    _text("instrument", NAME),
    _text("user", NAME),
    _text("state", 32),
    _ts("start_ts"),
    _ts("end_ts", nullable=True),
    # The instrument while the session is open, NULL afterwards: the unique key lets one session be open on it.
    _text("open_on", NAME, nullable=True),
    _text("lease_owner", NAME, nullable=True),
    _ts("lease_until", nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    _ts("next_attempt_ts", nullable=True),
    _text("last_error", nullable=True),
    # SHA-256 of the token that its own events need; NULL for a session that was not started through the Gateway.
    _text("token_sha256", 64, nullable=True),
    _ts("seen_ts", nullable=True),  # when its PC last reported that it is at work
    Unique("identifier"),
    Unique("open_on"),
    Index(None, "state", "end_ts"),
    Index(None, "instrument", "start_ts"),
)

_table(
    "session_event",
    _id(),
    _to("session_id", "session.id"),
    _text("event_type", 32),
    _ts(),
    _text("user", NAME),
    _text("host", NAME),
    _text("zone", 64),
    Column(
        "clock_offset", BigInteger, nullable=True
    ),  # microseconds that the client's clock is ahead of the database's
    _text("detail", nullable=True),
    # START or END in an event of that type, NULL in others: the unique key lets a session have one of each.
    _text("unique_type", 32, nullable=True),
    Index(None, "session_id", "unique_type", unique=True),
)

_table(
    "reservation",
    _id(),
    _text("source", NAME),
    _text("uid", IDENTIFIER),
    _text("instrument", NAME),
    _ts("start_ts"),
    _ts("end_ts"),
    Column("cancelled", Boolean(create_constraint=False), nullable=False),
    _text("title", nullable=True),
    _text("data"),  # JSON: the rest of NexusCore.facility.reservations.Reservation
    _ts("fetched_ts"),
    Unique("source", "uid"),
    Index(None, "instrument", "start_ts"),
)

_table(
    "record",
    _id(),
    _to("session_id", "session.id"),
    _text("path"),
    _text("title", IDENTIFIER),
    _text("sha256", 64),
    Column("config_revision", BigInteger, nullable=False),
    _text("software", NAME),
    Column("files", Integer, nullable=False),
    Column("activities", Integer, nullable=False),
    _ts("built_ts"),
    Unique("session_id"),
)

_table(
    "calendar_read",  # whether the calendar of an instrument can be read
    Column("instrument", String(NAME), primary_key=True),
    _text("source", NAME),
    _ts("read_ts", nullable=True),  # when the last reading began that succeeded
    _ts("failed_ts", nullable=True),  # since when it cannot be read; NULL while it can
    _text("reason", nullable=True),
)

_table(
    "record_booking",  # what was known of a session's reservation and notes when its record was made
    Column("session_id", Id, ForeignKey("session.id"), primary_key=True, autoincrement=False),
    _text("calendar", 16),
    _text("reason", nullable=True),  # why the calendar could not be read
    _text("reservation", 64, nullable=True),  # SHA-256 of the reservation in it
    Column("last_event", BigInteger, nullable=False),  # of the session, when it was made
    Index(None, "calendar", "session_id"),
)

_table(
    "upload",
    _id(),
    _to("record_id", "record.id"),
    _text("destination", NAME),
    _text("state", 32),
    Column("attempts", Integer, nullable=False, default=0),
    _ts("next_attempt_ts", nullable=True),
    _text("remote_id", IDENTIFIER, nullable=True),
    _text("url", nullable=True),
    _text("pid", IDENTIFIER, nullable=True),  # the persistent identifier that the destination gave the record
    _text("last_error", nullable=True),
    _ts("updated_ts"),
    _text("lease_owner", NAME, nullable=True),
    _ts("lease_until", nullable=True),
    # When an attempt was last given up that may still take effect; NULL when that is settled.
    _ts("unanswered_ts", nullable=True),
    Unique("record_id", "destination"),
    Index(None, "next_attempt_ts"),
)

_table(
    "transfer_file",  # what became of each file that a session's PC transfers
    _id(),
    _to("session_id", "session.id"),
    _text("folder", NAME),  # the name of a watched folder, not its path
    _text("path"),  # below it, with forward slashes
    _text("path_sha256", 64),  # of folder/path: they are too long for a key
    Column("size", BigInteger, nullable=False),
    _ts("modified_ts"),
    _text("md5", 32, nullable=True),  # of the file, once the PC has read it
    _text("state", 16),
    Column("sent", BigInteger, nullable=False, default=0),
    _text("reason", nullable=True),
    _ts("next_try_ts", nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    _text("store", NAME),
    _text("object", nullable=True),  # its name in the store
    _text("object_sha256", 64, nullable=True),  # of store and object
    _text("object_md5", 32, nullable=True),  # of what was last verified there
    _text("upload", 36, nullable=True),
    _text("upload_kind", 16, nullable=True),
    _text("upload_ref", nullable=True),  # JSON; what the Gateway needs to go on with the upload
    _ts("verified_ts", nullable=True),
    _ts("checked_ts", nullable=True),
    _ts("changed_ts"),
    Unique("session_id", "path_sha256"),
    Index(None, "object_sha256"),
    Index(None, "state", "checked_ts"),
)

_table(
    "token",
    _id(),
    _text("name", NAME),  # the PC's
    _text("kind", 16),
    _text("sha256", 64),
    _text("instruments"),  # JSON: list of pids
    _text("made_by", NAME),
    _ts("made_ts"),
    _ts("until_ts", nullable=True),
    _ts("revoked_ts", nullable=True),
    _ts("seen_ts", nullable=True),
    # The name while the token is not revoked, NULL afterwards: the unique key lets a PC have one token.
    _text("active_name", NAME, nullable=True),
    Unique("sha256"),
    Unique("active_name"),
)

_table(
    "gateway_request",  # answered requests, for a while: one that is sent again gets the same answer
    _id(),
    _to("token_id", "token.id"),
    _text("request_id", 64),
    _text("sha256", 64),  # of what was requested
    Column("status", Integer, nullable=False),
    _text("answer"),  # JSON, without secrets
    _text("nonce", 64, nullable=True),  # with the PC's own token it gives the session's token again
    _ts(),
    Unique("token_id", "request_id"),
    Index(None, "ts"),
)

_table(
    "web_user",  # users of the web pages; for the services' account only
    _id(),
    _text("name", NAME),
    _text("password_hash"),  # by argon2; the password itself is stored nowhere
    _ts("changed_ts"),
    Unique("name"),
)

_table(
    "web_setting",  # what the web pages keep secret, such as the key that signs cookies
    Column("name", String(NAME), primary_key=True),
    _text("value"),
    _ts("changed_ts"),
)

_table(
    "intake_move",  # each file that Intake has filed, or is filing
    _id(),
    _text("inbox", NAME),
    _text("rule", NAME),
    _text("rule_sha256", 64),  # of the rule's settings
    _text("instrument", NAME, nullable=True),
    _text("source"),
    _text("source_sha256", 64),
    _text("target"),
    _text("target_sha256", 64),
    Column("size", BigInteger, nullable=False),
    _ts("modified_ts"),
    _text("inode", 32),
    _text("copy_inode", 32, nullable=True),  # of a copy on another file system, before it gets its name
    _text("sha256", 64, nullable=True),
    _text("method", 16),
    _text("state", 16),
    # SHA-256 of what is being moved, NULL when that is done: the unique key lets one Intake move a file.
    _text("claim", 64, nullable=True),
    _text("owner", NAME, nullable=True),
    _ts("lease_until", nullable=True),
    _ts("claimed_ts"),
    _ts("filed_ts", nullable=True),
    _ts("undone_ts", nullable=True),
    Unique("claim"),
    Index(None, "target_sha256"),
    Index(None, "state", "filed_ts"),
    Index(None, "inbox", "state"),
    Index(None, "owner", "state"),
)

_table(
    "file_copy",  # each copy of a filed file in a mirror
    _id(),
    _to("move_id", "intake_move.id"),
    _text("mirror", NAME),
    _text("path"),  # below the mirror
    Column("size", BigInteger, nullable=False),
    _text("sha256", 64),
    _text("state", 16),
    Column("attempts", Integer, nullable=False),
    _ts("next_try_ts", nullable=True),
    _text("reason", nullable=True),
    _ts("created_ts"),
    _ts("verified_ts", nullable=True),  # when it was last found to be right
    _ts("checked_ts", nullable=True),  # when it was last looked at
    Unique("move_id", "mirror"),
    Index(None, "mirror", "state", "next_try_ts"),
    Index(None, "mirror", "state", "checked_ts"),
)


def views(kind: str) -> dict[str, str]:
    """Return the SELECT of each view, for a person with an SQL client.

    Parameters
    ----------
    kind
        ``sqlite`` or ``mysql``: they format times differently.
    """

    def readable(column: str) -> str:
        if kind == "sqlite":
            return f"strftime('%Y-%m-%d %H:%M:%S', {column}/1000000, 'unixepoch') || printf('.%06d', {column}%1000000)"
        return f"CAST('1970-01-01' AS DATETIME(6)) + INTERVAL {column} MICROSECOND"

    # No value from outside: the columns are written in this function.
    return {
        "log_view": f"""
            SELECT id, {readable("ts")} AS time_utc, level, logger, module, line, message, traceback, host, pid, session
              FROM log_record""",
        "status_view": f"""
            SELECT c.name AS channel, i.name AS name, l.value AS value, {readable("l.ts")} AS time_utc,
                   {readable("l.expires")} AS expires_utc
              FROM status_latest l
              JOIN status_item i ON i.id = l.item_id
              JOIN status_channel c ON c.id = i.channel_id""",
        # The columns of the table of that name in NexusLIMS.
        "session_log": f"""
            SELECT e.id AS id_session_log, s.identifier AS session_identifier, s.instrument AS instrument,
                   {readable("e.ts")} AS timestamp, e.event_type AS event_type, s.state AS record_status,
                   e.user AS user
              FROM session_event e
              JOIN session s ON s.id = e.session_id""",
    }
