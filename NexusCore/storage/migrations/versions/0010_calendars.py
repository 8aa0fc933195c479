"""When each calendar was last read, and what each record says of its reservation."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
TABLE: dict[str, Any] = {
    f"{kind}_{key}": value
    for kind in ("mysql", "mariadb")
    for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}


def upgrade() -> None:
    op.create_table(
        "calendar_read",
        sa.Column("instrument", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("read_ts", sa.BigInteger(), nullable=True),
        sa.Column("failed_ts", sa.BigInteger(), nullable=True),
        sa.Column("reason", LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("instrument", name=op.f("pk_calendar_read")),
        **TABLE,
    )
    op.create_table(
        "record_booking",
        sa.Column("session_id", ID, autoincrement=False, nullable=False),
        sa.Column("calendar", sa.String(length=16), nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=True),
        sa.Column("reservation", sa.String(length=64), nullable=True),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_record_booking_session_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_record_booking")),
        **TABLE,
    )
    op.create_index(op.f("ix_record_booking_calendar_session_id"), "record_booking", ["calendar", "session_id"])


def downgrade() -> None:
    op.drop_table("record_booking")
    op.drop_table("calendar_read")
