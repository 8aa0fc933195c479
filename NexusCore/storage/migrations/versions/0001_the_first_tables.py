"""The first tables."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
SERVER: dict[str, Any] = {
    f"{kind}_{key}": value
    for kind in ("mysql", "mariadb")
    for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}
OPTIONS: dict[str, Any] = SERVER | {"sqlite_autoincrement": True}
TABLES = (
    "upload",
    "status_item",
    "session_event",
    "record",
    "config_parameter",
    "status_sample",
    "status_latest",
    "status_channel",
    "session",
    "reservation",
    "log_record",
    "delivery_cursor",
    "config_version",
    "config_revision",
    "config_change",
)


def upgrade() -> None:
    op.create_table(
        "config_change",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("old_value", LONG_TEXT, nullable=True),
        sa.Column("new_value", LONG_TEXT, nullable=True),
        sa.Column("old_datatype", sa.String(length=16), nullable=True),
        sa.Column("datatype", sa.String(length=16), nullable=True),
        sa.Column("comment", LONG_TEXT, nullable=True),
        sa.Column("limits", LONG_TEXT, nullable=True),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("tool", sa.String(length=128), nullable=False),
        sa.Column("why", LONG_TEXT, nullable=True),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_config_change")),
        **SERVER,
    )
    op.create_index(
        op.f("ix_config_change_version_id_path_revision"), "config_change", ["version_id", "path", "revision"]
    )

    op.create_table(
        "config_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_revision")),
        **SERVER,
    )
    op.create_table(
        "config_version",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_version")),
        sa.UniqueConstraint("name", name=op.f("uq_config_version_name")),
        **OPTIONS,
    )
    op.create_table(
        "delivery_cursor",
        sa.Column("journal", sa.String(length=128), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name=op.f("pk_delivery_cursor")),
        **SERVER,
    )
    op.create_table(
        "log_record",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("logger", sa.String(length=128), nullable=False),
        sa.Column("module", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("function", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("thread", sa.String(length=128), nullable=False),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("traceback", LONG_TEXT, nullable=True),
        sa.Column("session", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_record")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_log_record_host_level_ts"), "log_record", ["host", "level", "ts"])
    op.create_index(op.f("ix_log_record_level_ts"), "log_record", ["level", "ts"])
    op.create_index(op.f("ix_log_record_logger_level_ts"), "log_record", ["logger", "level", "ts"])
    op.create_index(op.f("ix_log_record_module_level_ts"), "log_record", ["module", "level", "ts"])
    op.create_index(op.f("ix_log_record_session_ts"), "log_record", ["session", "ts"])
    op.create_index(op.f("ix_log_record_ts"), "log_record", ["ts"])

    op.create_table(
        "reservation",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("instrument", sa.String(length=128), nullable=False),
        sa.Column("start_ts", sa.BigInteger(), nullable=False),
        sa.Column("end_ts", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("title", LONG_TEXT, nullable=True),
        sa.Column("data", LONG_TEXT, nullable=False),
        sa.Column("fetched_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sa.UniqueConstraint("source", "uid", name=op.f("uq_reservation_source_uid")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_reservation_instrument_start_ts"), "reservation", ["instrument", "start_ts"])

    op.create_table(
        "session",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("identifier", sa.String(length=255), nullable=False),
        sa.Column("instrument", sa.String(length=128), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("start_ts", sa.BigInteger(), nullable=False),
        sa.Column("end_ts", sa.BigInteger(), nullable=True),
        sa.Column("open_on", sa.String(length=128), nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_ts", sa.BigInteger(), nullable=True),
        sa.Column("last_error", LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("identifier", name=op.f("uq_session_identifier")),
        sa.UniqueConstraint("open_on", name=op.f("uq_session_open_on")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_session_instrument_start_ts"), "session", ["instrument", "start_ts"])
    op.create_index(op.f("ix_session_state_end_ts"), "session", ["state", "end_ts"])

    op.create_table(
        "status_channel",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_channel")),
        sa.UniqueConstraint("name", name=op.f("uq_status_channel_name")),
        **OPTIONS,
    )
    op.create_table(
        "status_latest",
        sa.Column("item_id", ID, autoincrement=False, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_status_latest")),
        **SERVER,
    )
    op.create_table(
        "status_sample",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_sample")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_status_sample_item_id_ts"), "status_sample", ["item_id", "ts"])
    op.create_index(op.f("ix_status_sample_ts"), "status_sample", ["ts"])

    op.create_table(
        "config_parameter",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("datatype", sa.String(length=16), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=True),
        sa.Column("comment", LONG_TEXT, nullable=True),
        sa.Column("limits", LONG_TEXT, nullable=True),
        sa.Column("last_modified", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["config_version.id"], name=op.f("fk_config_parameter_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_parameter")),
        sa.UniqueConstraint("version_id", "path", name=op.f("uq_config_parameter_version_id_path")),
        **OPTIONS,
    )
    op.create_table(
        "record",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("path", LONG_TEXT, nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("config_revision", sa.BigInteger(), nullable=False),
        sa.Column("software", sa.String(length=128), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("activities", sa.Integer(), nullable=False),
        sa.Column("built_ts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_record_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
        sa.UniqueConstraint("session_id", name=op.f("uq_record_session_id")),
        **OPTIONS,
    )
    op.create_table(
        "session_event",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("event_type", sa.String(length=32), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("clock_offset", sa.BigInteger(), nullable=True),
        sa.Column("detail", LONG_TEXT, nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_session_event_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_event")),
        **OPTIONS,
    )
    op.create_table(
        "status_item",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("channel_id", ID, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["status_channel.id"], name=op.f("fk_status_item_channel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_item")),
        sa.UniqueConstraint("channel_id", "name", name=op.f("uq_status_item_channel_id_name")),
        **OPTIONS,
    )
    op.create_table(
        "upload",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("destination", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_ts", sa.BigInteger(), nullable=True),
        sa.Column("remote_id", sa.String(length=255), nullable=True),
        sa.Column("url", LONG_TEXT, nullable=True),
        sa.Column("last_error", LONG_TEXT, nullable=True),
        sa.Column("updated_ts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_upload_record_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("record_id", "destination", name=op.f("uq_upload_record_id_destination")),
        **OPTIONS,
    )
    _first_rows()


def _first_rows() -> None:
    """Version "default" exists from the start, and says itself that it is the default."""
    now = time.time_ns() // 1000
    first: dict[str, dict[str, Any]] = {
        "config_revision": {"id": 1, "revision": 1},
        "config_version": {"id": 1, "name": "default", "created_ts": now},
        "config_parameter": {
            "version_id": 1,
            "path": "default_version",
            "name": "default_version",
            "datatype": "string",
            "value": "default",
            "comment": "The version that is used where none is named.",
            "last_modified": now,
            "revision": 1,
        },
        "config_change": {
            "revision": 1,
            "version_id": 1,
            "version": "default",
            "path": "default_version",
            "action": "set",
            "new_value": "default",
            "datatype": "string",
            "comment": "The version that is used where none is named.",
            "who": "NexusCore",
            "host": "",
            "tool": "migrate",
            "why": "set-up",
            "ts": now,
        },
    }
    for table, values in first.items():
        op.bulk_insert(sa.table(table, *map(sa.column, values)), [values])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
