"""Values of secrets in a table of their own, which an account that reads the configuration need not be able to read."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
SERVER: dict[str, Any] = {
    f"{kind}_{key}": value
    for kind in ("mysql", "mariadb")
    for key, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}
MASK = "*****"
LIMITS = '%"secret": true%'

# Each statement only changes what is left, so that all of it can be run again after an interruption.
LAST_CHANGES = """
    -- parameters that were a secret at any time, with the last change that left them one
    SELECT `version_id`, `path`, MAX(`revision`)
      FROM `config_change`
     WHERE `limits` LIKE :secret
     GROUP BY `version_id`, `path`
"""
NEXT = """
    SELECT MIN(`revision`) FROM `config_change`
     WHERE `version_id` = :version AND `path` = :path AND `revision` > :last
"""
COPY = """
    INSERT INTO `config_secret` (`revision`, `version_id`, `path`, `value`)
    SELECT c.`revision`, c.`version_id`, c.`path`, c.`new_value`
      FROM `config_change` c
     WHERE c.`version_id` = :version AND c.`path` = :path AND c.`revision` <= :last AND c.`new_value` <> ''
       AND c.`revision` NOT IN (SELECT s.`revision` FROM `config_secret` s)
"""
MASK_NEW = """
    UPDATE `config_change` SET `new_value` = :mask
     WHERE `version_id` = :version AND `path` = :path AND `revision` <= :last AND `new_value` <> ''
"""
MASK_OLD = """
    -- the change after the last still says what was there before it
    UPDATE `config_change` SET `old_value` = :mask
     WHERE `version_id` = :version AND `path` = :path AND `revision` <= :next AND `old_value` <> ''
"""
COPY_CURRENT = """
    -- a parameter whose change is not in the history, as after the history was cut by hand
    INSERT INTO `config_secret` (`revision`, `version_id`, `path`, `value`)
    SELECT p.`revision`, p.`version_id`, p.`path`, p.`value`
      FROM `config_parameter` p
     WHERE p.`limits` LIKE :secret AND p.`value` <> ''
       AND p.`revision` NOT IN (SELECT s.`revision` FROM `config_secret` s)
"""
MASK_CURRENT = """
    UPDATE `config_parameter` SET `value` = :mask WHERE `limits` LIKE :secret AND `value` <> ''
"""


def upgrade() -> None:
    connection = op.get_bind()
    op.create_table(
        "config_secret",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_config_secret")),
        **SERVER,
    )
    for version, path, last in connection.execute(sa.text(LAST_CHANGES), {"secret": LIMITS}).all():
        place = {"version": version, "path": path, "last": last}
        later = connection.execute(sa.text(NEXT), place).scalar()
        connection.execute(sa.text(COPY), place)
        connection.execute(sa.text(MASK_NEW), {**place, "mask": MASK})
        connection.execute(sa.text(MASK_OLD), {"version": version, "path": path, "next": later or last, "mask": MASK})
    connection.execute(sa.text(COPY_CURRENT), {"secret": LIMITS})
    connection.execute(sa.text(MASK_CURRENT), {"secret": LIMITS, "mask": MASK})


def downgrade() -> None:
    connection = op.get_bind()
    for table, column in (("config_parameter", "value"), ("config_change", "new_value")):
        connection.execute(
            sa.text(
                f"UPDATE `{table}` SET `{column}` = (SELECT s.`value` FROM `config_secret` s"  # noqa: S608  our names
                f" WHERE s.`revision` = `{table}`.`revision`)"
                f" WHERE `revision` IN (SELECT s.`revision` FROM `config_secret` s) AND `{column}` = :mask"
            ),
            {"mask": MASK},
        )
    op.drop_table("config_secret")
