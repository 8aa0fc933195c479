"""The identity of the database, which moves with its rows to any host and port."""

from __future__ import annotations

import time
import uuid
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SERVER: dict[str, Any] = {
    f"{kind}_{key}": value
    for kind in ("mysql", "mariadb")
    for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}


def upgrade() -> None:
    table = op.create_table(
        "facility_identity",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_facility_identity")),
        **SERVER,
    )
    row = {"id": 1, "uuid": str(uuid.uuid4()), "name": "", "created_ts": time.time_ns() // 1000}
    op.bulk_insert(table, [row])


def downgrade() -> None:
    op.drop_table("facility_identity")
