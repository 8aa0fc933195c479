"""Databases: opening them by URL, transactions on them, the schema and its migrations."""

from NexusCore.storage.database_file import to_share
from NexusCore.storage.engine import Database, open_database
from NexusCore.storage.transaction import Transaction

__all__ = ["Database", "Transaction", "open_database", "to_share"]
