"""Who sends a record to a destination, until when, and whether its arrival is unknown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload", sa.Column("lease_owner", sa.String(length=128), nullable=True))
    op.add_column("upload", sa.Column("lease_until", sa.BigInteger(), nullable=True))
    op.add_column("upload", sa.Column("unanswered_ts", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_upload_next_attempt_ts"), "upload", ["next_attempt_ts"])


def downgrade() -> None:
    op.drop_index(op.f("ix_upload_next_attempt_ts"), "upload")
    for name in ("unanswered_ts", "lease_until", "lease_owner"):
        op.drop_column("upload", name)
