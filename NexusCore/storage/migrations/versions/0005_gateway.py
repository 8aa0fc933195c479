"""Tokens of microscope PCs, the Gateway's answered requests, and one START and one END for each session."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
TABLE: dict[str, Any] = {
    "sqlite_autoincrement": True,
    **{
        f"{kind}_{key}": value
        for kind in ("mysql", "mariadb")
        for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
    },
}

MARK_FIRST = """
    -- older releases did not enforce it: of several, the first one counts, and the others stay as they are
    UPDATE `session_event` SET `unique_type` = `event_type`
     WHERE `id` IN (SELECT f.`first_id`
                      FROM (SELECT MIN(e.`id`) AS `first_id` FROM `session_event` e
                             WHERE e.`event_type` IN ('START', 'END')
                             GROUP BY e.`session_id`, e.`event_type`) f)
"""


def upgrade() -> None:
    op.add_column("session", sa.Column("token_sha256", sa.String(length=64), nullable=True))
    op.add_column("session", sa.Column("seen_ts", sa.BigInteger(), nullable=True))
    op.add_column("session_event", sa.Column("unique_type", sa.String(length=32), nullable=True))
    op.get_bind().execute(sa.text(MARK_FIRST))
    op.create_index(
        op.f("ix_session_event_session_id_unique_type"), "session_event", ["session_id", "unique_type"], unique=True
    )
    op.create_table(
        "token",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("instruments", LONG_TEXT, nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("made_ts", sa.BigInteger(), nullable=False),
        sa.Column("until_ts", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ts", sa.BigInteger(), nullable=True),
        sa.Column("seen_ts", sa.BigInteger(), nullable=True),
        sa.Column("active_name", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
        sa.UniqueConstraint("active_name", name=op.f("uq_token_active_name")),
        **TABLE,
    )
    op.create_table(
        "gateway_request",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("token_id", ID, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", LONG_TEXT, nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=True),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_gateway_request_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_request")),
        sa.UniqueConstraint("token_id", "request_id", name=op.f("uq_gateway_request_token_id_request_id")),
        **TABLE,
    )
    op.create_index(op.f("ix_gateway_request_ts"), "gateway_request", ["ts"])


def downgrade() -> None:
    op.drop_table("gateway_request")
    op.drop_table("token")
    if op.get_bind().dialect.name != "sqlite":
        # The one that a server made for the foreign key: it does not give up the last that the key can use.
        op.create_index(op.f("fk_session_event_session_id"), "session_event", ["session_id"])
    op.drop_index(op.f("ix_session_event_session_id_unique_type"), "session_event")
    op.drop_column("session_event", "unique_type")
    for name in ("seen_ts", "token_sha256"):
        op.drop_column("session", name)
