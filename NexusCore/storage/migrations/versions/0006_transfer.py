"""Files that are transferred from microscope PCs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
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
        "transfer_file",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("folder", sa.String(length=128), nullable=False),
        sa.Column("path", LONG_TEXT, nullable=False),
        sa.Column("path_sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_ts", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=True),
        sa.Column("next_try_ts", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("store", sa.String(length=128), nullable=False),
        sa.Column("object", LONG_TEXT, nullable=True),
        sa.Column("object_sha256", sa.String(length=64), nullable=True),
        sa.Column("object_md5", sa.String(length=32), nullable=True),
        sa.Column("upload", sa.String(length=36), nullable=True),
        sa.Column("upload_kind", sa.String(length=16), nullable=True),
        sa.Column("upload_ref", LONG_TEXT, nullable=True),
        sa.Column("verified_ts", sa.BigInteger(), nullable=True),
        sa.Column("checked_ts", sa.BigInteger(), nullable=True),
        sa.Column("changed_ts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_transfer_file_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_file")),
        sa.UniqueConstraint("session_id", "path_sha256", name=op.f("uq_transfer_file_session_id_path_sha256")),
        **TABLE,
    )
    op.create_index(op.f("ix_transfer_file_object_sha256"), "transfer_file", ["object_sha256"])
    op.create_index(op.f("ix_transfer_file_state_checked_ts"), "transfer_file", ["state", "checked_ts"])


def downgrade() -> None:
    op.drop_table("transfer_file")
