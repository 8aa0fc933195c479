"""Make Alembic's operations repeatable: each first checks whether it is already done.

MySQL and MariaDB commit every change of the tables separately, so a killed migration leaves some of its steps behind,
and does not record which. The next run repeats the migration from the start and skips what is done.
A migration is written as usual (``op.create_table(...)``) and gets this by `NexusCore/storage/migrations/env.py`. First
rows are written with ``op.bulk_insert``.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations, ops, toimpl


def _is_on(operations: Operations) -> bool:
    # Set by env.py: the registry of operations is global, and others in the process may use Alembic, too.
    return bool(operations.migration_context.opts.get("repeatable"))


def _tables(operations: Operations) -> sa.Inspector:
    return sa.inspect(operations.get_bind())


def _has_column(operations: Operations, table: str, column: str) -> bool:
    return column in {existing["name"] for existing in _tables(operations).get_columns(table)}


def _has_index(operations: Operations, table: str, index: str | None) -> bool:
    return index in {existing["name"] for existing in _tables(operations).get_indexes(table)}


@Operations.implementation_for(ops.CreateTableOp, replace=True)
def _create_table(operations: Operations, operation: ops.CreateTableOp) -> sa.Table:
    if _is_on(operations) and _tables(operations).has_table(operation.table_name):
        # One statement creates a table with all its columns and constraints: it exists completely or not at all.
        return operation.to_table(operations.migration_context)
    return toimpl.create_table(operations, operation)


@Operations.implementation_for(ops.DropTableOp, replace=True)
def _drop_table(operations: Operations, operation: ops.DropTableOp) -> None:
    if not _is_on(operations) or _tables(operations).has_table(operation.table_name):
        toimpl.drop_table(operations, operation)


@Operations.implementation_for(ops.AddColumnOp, replace=True)
def _add_column(operations: Operations, operation: ops.AddColumnOp) -> None:
    if not _is_on(operations) or not _has_column(operations, operation.table_name, operation.column.name):
        toimpl.add_column(operations, operation)


@Operations.implementation_for(ops.DropColumnOp, replace=True)
def _drop_column(operations: Operations, operation: ops.DropColumnOp) -> None:
    if not _is_on(operations) or _has_column(operations, operation.table_name, operation.column_name):
        toimpl.drop_column(operations, operation)


@Operations.implementation_for(ops.CreateIndexOp, replace=True)
def _create_index(operations: Operations, operation: ops.CreateIndexOp) -> None:
    if not _is_on(operations) or not _has_index(operations, operation.table_name, operation.index_name):
        toimpl.create_index(operations, operation)


@Operations.implementation_for(ops.DropIndexOp, replace=True)
def _drop_index(operations: Operations, operation: ops.DropIndexOp) -> None:
    if not _is_on(operations) or _has_index(operations, operation.table_name or "", operation.index_name):
        toimpl.drop_index(operations, operation)


@Operations.implementation_for(ops.BulkInsertOp, replace=True)
def _bulk_insert(operations: Operations, operation: ops.BulkInsertOp) -> None:
    if _is_on(operations):
        operation.rows = [row for row in operation.rows if not _has_row(operations, operation.table, row)]
    if operation.rows:
        toimpl.bulk_insert(operations, operation)


def _has_row(operations: Operations, table: Any, row: dict[str, Any]) -> bool:
    """Return whether a row with the same key exists: one that was changed since is not written again."""
    tables = _tables(operations)
    keys = [tables.get_pk_constraint(table.name)["constrained_columns"]]
    keys += [constraint["column_names"] for constraint in tables.get_unique_constraints(table.name)]
    keys = [key for key in keys if key and set(key) <= set(row)]
    if not keys:
        raise ValueError(f"a first row of {table.name} names no whole key, so it could be inserted twice")
    same = sa.or_(*(sa.and_(*(sa.column(name) == row[name] for name in key)) for key in keys))
    query = sa.select(sa.func.count()).select_from(sa.table(table.name)).where(same)
    return bool(operations.get_bind().execute(query).scalar())
