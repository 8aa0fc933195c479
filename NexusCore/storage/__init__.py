"""Databases: opening them by URL, transactions on them, the schema and its migrations."""

from NexusCore.storage.engine import Database, Transaction, open_database

__all__ = ["Database", "Transaction", "open_database"]
