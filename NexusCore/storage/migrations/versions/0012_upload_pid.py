"""The persistent identifier that a destination gives a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload", sa.Column("pid", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("upload", "pid")
