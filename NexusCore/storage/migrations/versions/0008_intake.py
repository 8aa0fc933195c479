"""Files that Intake files, and their copies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
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


def upgrade() -> None:
    op.create_table(
        "intake_move",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("inbox", sa.String(length=128), nullable=False),
        sa.Column("rule", sa.String(length=128), nullable=False),
        sa.Column("rule_sha256", sa.String(length=64), nullable=False),
        sa.Column("instrument", sa.String(length=128), nullable=True),
        sa.Column("source", LONG_TEXT, nullable=False),
        sa.Column("source_sha256", sa.String(length=64), nullable=False),
        sa.Column("target", LONG_TEXT, nullable=False),
        sa.Column("target_sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_ts", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.String(length=32), nullable=False),
        sa.Column("copy_inode", sa.String(length=32), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=True),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("claimed_ts", sa.BigInteger(), nullable=False),
        sa.Column("filed_ts", sa.BigInteger(), nullable=True),
        sa.Column("undone_ts", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake_move")),
        sa.UniqueConstraint("claim", name=op.f("uq_intake_move_claim")),
        **TABLE,
    )
    op.create_index(op.f("ix_intake_move_target_sha256"), "intake_move", ["target_sha256"])
    op.create_index(op.f("ix_intake_move_state_filed_ts"), "intake_move", ["state", "filed_ts"])
    op.create_index(op.f("ix_intake_move_inbox_state"), "intake_move", ["inbox", "state"])
    op.create_index(op.f("ix_intake_move_owner_state"), "intake_move", ["owner", "state"])
    op.create_table(
        "file_copy",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("move_id", ID, nullable=False),
        sa.Column("mirror", sa.String(length=128), nullable=False),
        sa.Column("path", LONG_TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_ts", sa.BigInteger(), nullable=True),
        sa.Column("reason", LONG_TEXT, nullable=True),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("verified_ts", sa.BigInteger(), nullable=True),
        sa.Column("checked_ts", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["move_id"], ["intake_move.id"], name=op.f("fk_file_copy_move_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_copy")),
        sa.UniqueConstraint("move_id", "mirror", name=op.f("uq_file_copy_move_id_mirror")),
        **TABLE,
    )
    op.create_index(op.f("ix_file_copy_mirror_state_next_try_ts"), "file_copy", ["mirror", "state", "next_try_ts"])
    op.create_index(op.f("ix_file_copy_mirror_state_checked_ts"), "file_copy", ["mirror", "state", "checked_ts"])


def downgrade() -> None:
    op.drop_table("file_copy")
    op.drop_table("intake_move")
