"""Whether the tables in a database are those of the schema, and complete."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from NexusCore.config.catalogue import catalogue
from NexusCore.settings import DatabaseURL
from NexusCore.storage.dialect import dialect_of
from NexusCore.storage.revision import SCHEMA_REVISION
from NexusCore.storage.schema import METADATA, views
from tests.processes import rows


def connect(url: str) -> sqlalchemy.Engine:
    parsed = DatabaseURL.parse(url)
    dialect = dialect_of(parsed)
    name = "sqlite://" if parsed.kind == "sqlite" else "mysql+mysqlconnector://"
    return sqlalchemy.create_engine(
        name, creator=lambda: dialect.connect(parsed), poolclass=sqlalchemy.pool.NullPool
    )  # fmt: skip


def differences(url: str) -> list[Any]:
    """Return what Alembic would change to make the tables what the schema says, types included."""
    with connect(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))


def assert_complete(url: str, *, declared: bool = False) -> None:
    """Assert that tables, views and first rows are there, each once.

    Parameters
    ----------
    url
        The database.
    declared
        The parameters that programs read have been declared, too.
    """
    assert differences(url) == []
    assert rows(url, "SELECT `version_num` FROM `alembic_version`") == [(SCHEMA_REVISION,)]
    for view in views("sqlite"):
        assert rows(url, f"SELECT COUNT(*) FROM `{view}`") == [(0,)]
    expected = {"default_version"} | ({item.path for item in catalogue().stored} if declared else set())
    revisions = [(number,) for number in range(1, len(expected) + 1)]
    assert rows(url, "SELECT `id`, `revision` FROM `config_revision`") == [(1, len(expected))]
    assert rows(url, "SELECT `revision` FROM `config_change` ORDER BY `revision`") == revisions
    assert rows(url, "SELECT `id`, `name` FROM `config_version`") == [(1, "default")]
    for table in ("config_parameter", "config_change"):
        paths = [path for (path,) in rows(url, f"SELECT `path` FROM `{table}`")]
        assert len(paths) == len(set(paths)), table
        assert set(paths) == expected, table
    assert rows(url, "SELECT `version_id`, `value` FROM `config_parameter` WHERE `path` = 'default_version'") == [
        (1, "default")
    ]
    assert rows(url, "SELECT `path`, `new_value` FROM `config_change` WHERE `revision` = 1") == [
        ("default_version", "default")
    ]
    ((identity,),) = rows(url, "SELECT `uuid` FROM `facility_identity`")
    assert len(identity) == 36
