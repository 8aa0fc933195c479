"""Whether the tables in a database are those of the schema, and complete."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

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


def assert_complete(url: str) -> None:
    """Assert that tables, views and first rows are there, each once."""
    assert differences(url) == []
    assert rows(url, "SELECT `version_num` FROM `alembic_version`") == [(SCHEMA_REVISION,)]
    for view in views("sqlite"):
        assert rows(url, f"SELECT COUNT(*) FROM `{view}`") == [(0,)]
    assert rows(url, "SELECT `id`, `revision` FROM `config_revision`") == [(1, 1)]
    assert rows(url, "SELECT `id`, `name` FROM `config_version`") == [(1, "default")]
    assert rows(url, "SELECT `version_id`, `path`, `value` FROM `config_parameter`") == [
        (1, "default_version", "default")
    ]
    assert rows(url, "SELECT `revision`, `path`, `new_value` FROM `config_change`") == [
        (1, "default_version", "default")
    ]
    ((identity,),) = rows(url, "SELECT `uuid` FROM `facility_identity`")
    assert len(identity) == 36
