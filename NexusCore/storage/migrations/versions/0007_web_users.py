"""Users of the web pages, and what the pages themselves keep secret."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
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
        "web_user",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("password_hash", LONG_TEXT, nullable=False),
        sa.Column("changed_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_user")),
        sa.UniqueConstraint("name", name=op.f("uq_web_user_name")),
        sqlite_autoincrement=True,
        **TABLE,
    )
    op.create_table(
        "web_setting",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.Column("changed_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_web_setting")),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("web_setting")
    op.drop_table("web_user")
